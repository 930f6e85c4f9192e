//! The gateway of Siar.

pub mod address;
pub mod message;
pub mod position;
