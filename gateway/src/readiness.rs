//! Whether the gateway should be sent requests, and how far its shutdown is.
//!
//! Owns: the set of things that must happen first, each a guard undone by `Drop`, and the [`Phase`].
//! Never: asks anybody; probes of Kubernetes must not depend on Redis. Used by: `app`, `admin`, `worker`.

use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// How far the shutdown is; it only ever moves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No shutdown was asked for.
    Serving,
    /// Balancers get to know: everything is served, answers carry `Connection: close`.
    Announced,
    /// New streams are turned away as draining; those that stand end, spread evenly until `until`.
    Closing { until: Instant },
}

/// Ready when every guard that it gave out is dropped.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<watch::Sender<Vec<&'static str>>>);

/// As long as it lives the gateway is not ready.
#[derive(Debug)]
pub struct Guard(Readiness, &'static str);

impl Readiness {
    /// Ready as long as nobody takes a guard.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Vec::new())))
    }

    /// Not ready before the guard is dropped; `/readyz` tells `what`, like "no configuration yet".
    #[must_use]
    pub fn wait_for(&self, what: &'static str) -> Guard {
        self.0.send_modify(|missing| missing.push(what));
        Guard(self.clone(), what)
    }

    /// Not ready any more, for ever; `/readyz` tells `why`.
    pub fn end(&self, why: &'static str) {
        self.0.send_modify(|missing| missing.push(why));
    }

    /// What stands against it; empty when ready.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        self.0.borrow().clone()
    }

    /// Waits until the gateway is ready.
    pub async fn ready(&self) {
        let mut missing = self.0.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        drop(missing.wait_for(Vec::is_empty).await);
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.send_modify(|missing| {
            if let Some(index) = missing.iter().position(|what| *what == self.1) {
                missing.swap_remove(index);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_only_when_the_last_guard_is_dropped() {
        let readiness = Readiness::new();
        let config = readiness.wait_for("no configuration yet");
        let redis = readiness.wait_for("no answer from Redis yet");
        drop(config);
        assert_eq!(readiness.missing(), ["no answer from Redis yet"]);
        drop(redis);
        readiness.ready().await;
        assert!(readiness.missing().is_empty());
    }

    #[test]
    fn a_guard_taken_later_makes_it_unready_again() {
        let readiness = Readiness::new();
        let again = readiness.wait_for("no configuration yet");
        assert_eq!(readiness.missing(), ["no configuration yet"]);
        drop(again);
        assert!(readiness.missing().is_empty());
        readiness.end("shutting down");
        assert_eq!(readiness.missing(), ["shutting down"]);
    }
}
