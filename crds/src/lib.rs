//! The Channel API of Siar.

pub mod name;
pub mod pattern;
pub mod policy;
pub mod secret;
pub mod snapshot;
