//! The operator of Siar.
//!
//! All replicas watch the `stores`; the holder of the `lease` works for its `fleets`: each `gateway` has one task that
//! compiles Channels, publishes their Secret and tells their statuses, and a `scale` that decides how many pods it has.
//! Each of the `calls` has a time limit, and what failed waits in a `backoff`. `events` tell people, `app` wires all of
//! it, and `admin` says how it goes.

mod admin;
mod api;
pub mod app;
pub mod args;
mod backoff;
mod calls;
pub mod chance;
mod clock;
mod context;
mod events;
mod fleets;
mod gateway;
mod lease;
mod metrics;
mod readiness;
mod scale;
mod stores;
mod tasks;
pub mod telemetry;
