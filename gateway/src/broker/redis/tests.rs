//! The keeper against a real Redis server.

mod basics;
mod epochs;
mod faults;
mod fleet;
mod raw;
mod server;
mod tls;
