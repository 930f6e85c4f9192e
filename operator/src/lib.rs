//! The operator of Siar.
//!
//! All replicas watch; the holder of the `lease` writes. Each of its `calls` has a time limit, and what failed waits in
//! a `backoff`. `scale` decides how many pods a fleet has, and `events` tell of it. `app` wires all of it, and `admin`
//! says how it goes.

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
