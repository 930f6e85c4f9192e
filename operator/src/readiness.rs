//! Whether the operator is ready: a Deployment goes on with its rollout when it is.
//!
//! Owns: the set of things that must happen first, each a guard undone by `Drop`. Never: asks anybody;
//! depends on the lease, or the standby would never be ready. Used by: `app`, `admin`, `stores`.

use std::sync::Arc;
use tokio::sync::watch;

/// Ready when every guard that it gave out is dropped.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<watch::Sender<Vec<&'static str>>>);

/// As long as it lives the operator is not ready.
#[derive(Debug)]
pub struct Guard(Readiness, &'static str);

impl Readiness {
    /// Ready as long as nobody takes a guard.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Vec::new())))
    }

    /// Not ready before the guard is dropped; `/readyz` tells `what`, like "no list of Channels yet".
    #[must_use]
    pub fn wait_for(&self, what: &'static str) -> Guard {
        self.0.send_modify(|missing| missing.push(what));
        Guard(self.clone(), what)
    }

    /// What stands against it; empty when ready.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        self.0.borrow().clone()
    }

    /// Waits until the operator is ready.
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
        let channels = readiness.wait_for("no list of Channels yet");
        let secrets = readiness.wait_for("no list of Secrets yet");
        drop(channels);
        assert_eq!(readiness.missing(), ["no list of Secrets yet"]);
        drop(secrets);
        readiness.ready().await;
        assert!(readiness.missing().is_empty());
    }

    #[test]
    fn a_guard_taken_later_makes_it_unready_again() {
        let readiness = Readiness::new();
        let again = readiness.wait_for("no list of Channels yet");
        assert_eq!(readiness.missing(), ["no list of Channels yet"]);
        drop(again);
        assert!(readiness.missing().is_empty());
    }
}
