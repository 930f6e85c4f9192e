//! The harness of Siar's tests: real servers on free loopback ports, and clients that share nothing with the gateway.
//!
//! Owns: starting, cutting and ending one server each; the rules by which a browser reads a stream.
//! Never: links the gateway: it is a binary here, as it is for its users. Used by: `it/`, one test binary.

pub mod balancer;
pub mod browser;
pub mod certs;
pub mod cluster;
pub mod crowd;
pub mod flask;
pub mod fleet;
pub mod follow;
pub mod front;
pub mod gateway;
mod given;
pub mod helm;
pub mod http;
pub mod issuer;
pub mod listen;
pub mod manifest;
pub mod metrics;
pub mod node;
pub mod operator;
pub mod position;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod published;
pub mod redis;
pub mod roles;
pub mod scripted;
pub mod soak;
pub mod sse;
pub mod steady;
pub mod wait;
pub mod webhook;
pub mod wire;
