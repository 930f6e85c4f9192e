//! The Channel API of Siar: types, validation, and compilation to a Snapshot.
//!
//! Owns: what a Channel means, for operator and gateway alike. Never: waits, reads a clock, does
//! I/O. The flow: `manifest` or the API server → `channel` → `policy` → `compile` → `snapshot`.

pub mod channel;
pub mod compile;
mod conflict;
pub mod duration;
pub mod fleet;
pub mod keys;
pub mod manifest;
pub mod name;
pub mod pattern;
pub mod policy;
mod printed;
pub mod reason;
pub mod redis_url;
pub mod report;
pub mod secret;
pub mod secrets;
pub mod snapshot;
pub mod targets;
pub use printed::{definition, printed};
