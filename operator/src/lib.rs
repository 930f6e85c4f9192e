//! The operator of Siar.
//!
//! All replicas watch; the holder of the `lease` writes. A failed write waits in a `backoff`. `scale` decides how
//! many pods a fleet has. `app` wires all of it, and `admin` tells how it goes.

pub mod admin;
mod api;
pub mod app;
pub mod args;
pub mod backoff;
pub mod clock;
mod events;
mod fleets;
mod gateway;
pub mod lease;
pub mod metrics;
pub mod readiness;
pub mod scale;
mod stores;
pub mod tasks;
pub mod telemetry;
