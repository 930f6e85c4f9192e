//! What the work for every fleet needs.
//!
//! Owns: nothing of its own; one value in place of twelve. Made by: `app`. Used by: `fleets`, `gateway`.

use crate::backoff::{Backoff, MOST_OBJECTS};
use crate::chance;
use crate::events::Events;
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::scale::act::Scaler;
use crate::stores::Stores;
use crds::targets::Targets;
use kube::Client;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

/// Clients, stores and settings.
pub struct Context {
    pub client: Client,
    /// The operator's own namespace.
    pub home: String,
    pub stores: Arc<Stores>,
    pub leadership: Leadership,
    pub metrics: Arc<Metrics>,
    pub events: Events,
    /// For the reports of Pods.
    pub http: reqwest::Client,
    /// Where the URLs of Channels may lead.
    pub targets: Targets,
    /// Who applies statuses.
    pub status_manager: String,
    pub scaler: Scaler,
    /// How long fewer Pods must have been enough before a step down.
    pub down_after: Duration,
    /// Between two steps down.
    pub down_every: Duration,
}

impl Context {
    /// Waits between tries of the same thing; each with jitter of its own.
    #[must_use]
    pub fn backoff<K: Hash + Eq + Clone>(&self) -> Backoff<K> {
        let waiting = self.metrics.objects_in_backoff();
        Backoff::new(MOST_OBJECTS, chance::random(), waiting)
    }
}
