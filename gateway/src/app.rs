//! wires
pub mod drain;
pub mod listen;
