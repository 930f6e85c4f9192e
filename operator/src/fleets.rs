//! All fleets of the home namespace, while this process leads.
//!
//! Owns: starting the work for a fleet when its Deployment appears, and ending it with the Deployment or the lease.
//! What was known of a fleet is forgotten then: whoever leads next reads it anew. Used by: `app`.

use crate::context::Context;
use crate::gateway::{self, collect};
use crate::tasks::Essential;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

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
