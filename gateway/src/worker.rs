//! The streams of one core.
pub mod cursor;
pub mod ring;
pub mod slab;
pub mod wheel;
