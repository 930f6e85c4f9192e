//! All fleets of the home namespace, while this process leads.
//!
//! Owns: starting the work for a fleet when its Deployment appears, and ending it with the Deployment or the lease.
//! What was known of a fleet is forgotten then: whoever leads next reads it anew. Used by: `app`.

use crate::backoff::Backoff;
use crate::events::Events;
use crate::gateway::{self, collect};
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::scale::act::Scaler;
use crate::stores::Stores;
use crate::tasks::Essential;
use crds::targets::Targets;
use kube::Client;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Objects of one kind and fleet that may wait for another try at once; of more the others are tried at once.
const MOST_FAILED: usize = 4096;

/// What the work for every fleet needs.
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
        Backoff::new(MOST_FAILED, crate::app::random()).counted(self.metrics.objects_in_backoff())
    }
}

/// Has every fleet served while this process leads, for ever.
pub async fn run(context: Arc<Context>, essential: Essential) {
    let mut leads = context.leadership.watch();
    let mut changes = context.stores.changes();
    // Dropping a sender ends the work.
    let mut running: BTreeMap<String, oneshot::Sender<()>> = BTreeMap::new();
    loop {
        changes.borrow_and_update();
        let leading = *leads.borrow_and_update();
        let wanted = if leading && context.stores.are_synced() {
            collect::gateways(&context.stores)
        } else {
            BTreeSet::new()
        };
        running.retain(|name, _| wanted.contains(name));
        context.metrics.retain_fleets(|name| wanted.contains(name));
        for name in wanted {
            running.entry(name).or_insert_with_key(|name| {
                let (stop, stopped) = oneshot::channel::<()>();
                let work = gateway::run(context.clone(), name.clone());
                let stopped = async move { drop(stopped.await) };
                essential.until("gateway", stopped, work);
                stop
            });
        }
        if changed(&mut leads, &mut changes).await.is_err() {
            return;
        }
    }
}

async fn changed(
    leads: &mut watch::Receiver<bool>,
    changes: &mut watch::Receiver<u64>,
) -> Result<(), watch::error::RecvError> {
    tokio::select! {
        biased;
        changed = leads.changed() => changed,
        changed = changes.changed() => changed,
    }
}
