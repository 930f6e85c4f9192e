//! wires
pub mod check;
pub mod drain;
pub mod listen;
