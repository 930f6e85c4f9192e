//! Deployments that claim the name of a fleet which another has already.
//!
//! Owns: that each is told so once, in the log and by an Event. Never: has anything else to do with them: they change
//! neither what is published nor the size of the fleet. Used by: `gateway`.

use super::collect;
use crate::context::Context;
use crate::events::Reason;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Resource, ResourceExt};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Tells for ever.
pub async fn tell(context: Arc<Context>, gateway: String) {
    let mut changes = context.stores.changes();
    // By uid.
    let mut told = BTreeSet::new();
    loop {
        changes.borrow_and_update();
        let claims = collect::claims(&context.stores, &gateway);
        told.retain(|told| {
            claims
                .iter()
                .any(|claim| claim.uid().as_ref() == Some(told))
        });
        if let Some((holder, others)) = claims.split_first() {
            for other in others {
                if told.insert(other.uid().unwrap_or_default()) {
                    say(&context, &gateway, holder, other).await;
                }
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

async fn say(context: &Context, gateway: &str, holder: &Deployment, other: &Deployment) {
    let (holder, deployment) = (holder.name_any(), other.name_any());
    tracing::warn!(
        gateway,
        deployment,
        holder,
        "a Deployment claims a gateway name that an older one has; it is left alone"
    );
    let note = format!(
        "The older Deployment {holder:?} is the gateway {gateway:?} already, so this one is neither scaled nor counted; give its release another gateway.name, or remove one of the two."
    );
    let (about, events) = (other.object_ref(&()), &context.events);
    events
        .publish(&about, Reason::GatewayNameTaken, &note)
        .await;
}
