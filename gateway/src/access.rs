//! Who may come in.
//!
//! Owns: `decide`, the only maker of a [`Grant`]. Pure and synchronous. Used by: `http`, and by `worker`
//! to decide again what was decided before.

pub mod grant;

pub use grant::{Again, Grant};
