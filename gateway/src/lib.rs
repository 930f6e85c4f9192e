//! The gateway of Siar.
//!
//! The flow of a stream: `http` parses a request, `access` decides it (`evidence` gets what it lacks), `worker` takes its socket over, and
//! from then on whatever `topics` hears goes through rings to the socket. A publication goes through `http`
//! and `access`, too, then to a keeper (`broker`), and comes back by the road of all others. `config` puts
//! Channels into force, and every live stream is decided again. `app` wires all of it.

pub mod access;
pub mod address;
pub mod admin;
mod api_server;
pub mod app;
pub mod args;
pub mod broker;
pub mod clock;
pub mod close;
pub mod config;
pub mod evidence;
pub mod few;
#[cfg(test)]
mod fixtures;
pub mod frame;
pub mod http;
pub mod ingest;
pub mod limits;
mod lookup;
pub mod message;
pub mod metrics;
mod newest;
pub mod outbound;
pub mod position;
pub mod readiness;
pub mod smoke;
pub mod tasks;
pub mod telemetry;
pub mod topics;
pub mod worker;
