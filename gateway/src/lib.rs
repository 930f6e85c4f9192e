//! The gateway of Siar.

pub mod access;
pub mod address;
pub mod admin;
pub mod app;
pub mod args;
pub mod broker;
pub mod clock;
pub mod close;
pub mod config;
pub mod few;
#[cfg(test)]
mod fixtures;
pub mod frame;
pub mod ingest;
pub mod limits;
pub mod message;
pub mod metrics;
pub mod position;
pub mod readiness;
pub mod tasks;
pub mod telemetry;
pub mod topics;
pub mod worker;
