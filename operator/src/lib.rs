//! The operator of Siar.
//!
//! All replicas watch; the holder of the `lease` writes. A failed write waits in a `backoff`. `scale` decides how
//! many pods a fleet has. `app` wires all of it, and `admin` tells how it goes.

pub mod admin;
pub mod app;
pub mod args;
pub mod backoff;
pub mod calls;
pub mod clock;
pub mod events;
pub mod lease;
pub mod metrics;
pub mod readiness;
pub mod scale;
pub mod tasks;
pub mod telemetry;
