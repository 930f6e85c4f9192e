//! The operator of Siar.
//!
//! All replicas watch the `stores`; the holder of the `lease` works for its `fleets`: each `gateway` has one task that
//! compiles Channels, publishes their Secret and tells their statuses, and a `scale` that decides how many pods it has.
//! Each of the `calls` has a time limit, and what failed waits in a `backoff`. `events` tell people, `app` wires all of
//! it, and `admin` says how it goes.

pub mod admin;
mod api;
pub mod app;
pub mod args;
pub mod backoff;
pub mod calls;
pub mod chance;
pub mod clock;
mod context;
pub mod events;
mod fleets;
mod gateway;
pub mod lease;
pub mod metrics;
pub mod readiness;
pub mod scale;
mod stores;
pub mod tasks;
pub mod telemetry;
