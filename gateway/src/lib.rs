//! The gateway of Siar.

pub mod access;
pub mod address;
pub mod broker;
pub mod clock;
pub mod close;
pub mod frame;
pub mod ingest;
pub mod limits;
pub mod message;
pub mod metrics;
pub mod position;
pub mod readiness;
pub mod tasks;
pub mod topics;
pub mod worker;
