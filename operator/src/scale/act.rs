//! Carries a step out.
//!
//! Owns: the order (ask the lease, look, mark pods, apply, tell), and what is fenced by what. Never: decides
//! anything; `plan` did. Used by: the task of a gateway.

use super::Change;
use crate::calls::{CallError, call};
use crate::events::{Events, Reason};
use crate::lease::Leadership;
use crate::metrics::{Direction, Metrics};
use crate::stores::DELETION_COST;
use futures_util::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v1::{Scale, ScaleSpec};
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use kube::api::{ObjectMeta, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use std::sync::Arc;

/// The owner of `replicas`.
const MANAGER: &str = "siar-operator";
/// Pods that are marked at once; the API server has other things to do.
const MARKED_AT_ONCE: usize = 8;

/// A ready pod of the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodLoad {
    pub name: String,
    pub uid: String,
    /// The streams that would have to come back.
    pub streams: u64,
    /// What [`DELETION_COST`] says now.
    pub cost: Option<String>,
}

/// A step, and what is told of it.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    pub gateway: &'a str,
    /// Namespace, name and uid of the Deployment.
    pub deployment: &'a ObjectReference,
    pub change: Change,
    /// The pods that are wanted in the end.
    pub wanted: u32,
    /// The streams that want them.
    pub streams: u64,
    /// All that are ready.
    pub pods: &'a [PodLoad],
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The Deployment is told to have another number of pods.
    Done,
    /// This replica does not hold the Lease, as far as the API server says.
    NotLeader,
    /// The Deployment is not what the step was planned from; plan again.
    Outdated,
}

/// Why a step was not made; the next plan repeats it.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    #[error("read the scale of {deployment:?}: {source}")]
    ReadScale {
        deployment: String,
        source: CallError,
    },
    #[error("mark pod {pod:?} before a step down: {source}")]
    MarkPod { pod: String, source: CallError },
    #[error("apply the scale of {deployment:?}: {source}")]
    ApplyScale {
        deployment: String,
        source: CallError,
    },
}

/// Changes the sizes of fleets in home.
#[derive(Clone)]
pub struct Scaler {
    deployments: Api<Deployment>,
    pods: Api<Pod>,
    leadership: Leadership,
    events: Events,
    metrics: Arc<Metrics>,
}

impl Scaler {
    /// `home` is the namespace of all fleets.
    #[must_use]
    pub fn new(
        client: Client,
        home: &str,
        leadership: Leadership,
        events: Events,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            deployments: Api::namespaced(client.clone(), home),
            pods: Api::namespaced(client, home),
            leadership,
            events,
            metrics,
        }
    }

    /// Makes one step.
    pub async fn act(&self, order: &Order<'_>) -> Result<Outcome, ActError> {
        let Change { from, to } = order.change;
        let name = order.deployment.name.as_deref().unwrap_or_default();
        if !self.leadership.holds().await {
            return Ok(Outcome::NotLeader);
        }
        let scale = call(self.deployments.get_scale(name)).await;
        let scale = scale.map_err(|source| ActError::ReadScale {
            deployment: name.to_owned(),
            source,
        })?;
        if !is_as_planned(&scale, order) {
            return Ok(Outcome::Outdated);
        }
        if order.change.direction() == Direction::Down {
            self.mark(order.pods).await?;
            // That took its time, and a step down ends streams.
            if !self.leadership.holds().await {
                return Ok(Outcome::NotLeader);
            }
        }
        match self.apply(name, to, scale.metadata).await {
            Ok(_) => {}
            Err(error) if error.is_conflict() => return Ok(Outcome::Outdated),
            Err(source) => {
                return Err(ActError::ApplyScale {
                    deployment: name.to_owned(),
                    source,
                });
            }
        }
        tracing::info!(
            gateway = order.gateway,
            from,
            to,
            wanted = order.wanted,
            streams = order.streams,
            "scaled"
        );
        self.metrics.scaled(order.gateway, order.change.direction());
        let reason = match order.change.direction() {
            Direction::Up => Reason::ScaledUp,
            Direction::Down => Reason::ScaledDown,
        };
        self.events
            .publish(order.deployment, reason, &note(order))
            .await;
        Ok(Outcome::Done)
    }

    /// Marks every pod with its streams. If one cannot be marked there is no step: it might be the one to go.
    async fn mark(&self, pods: &[PodLoad]) -> Result<(), ActError> {
        let pods: Vec<_> = pods.iter().map(|pod| self.mark_one(pod)).collect();
        let marked = stream::iter(pods).buffer_unordered(MARKED_AT_ONCE);
        marked.try_collect().await
    }

    async fn mark_one(&self, pod: &PodLoad) -> Result<(), ActError> {
        let cost = i32::try_from(pod.streams).unwrap_or(i32::MAX).to_string();
        if pod.cost.as_ref() == Some(&cost) {
            return Ok(());
        }
        let patch = Patch::Merge(json!({
            "metadata": { "uid": pod.uid, "annotations": { DELETION_COST: cost } },
        }));
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        match call(self.pods.patch_metadata(&pod.name, &params, &patch)).await {
            Ok(_) => Ok(()),
            // It is gone already. One with its name and another uid is an error, and planned for anew.
            Err(error) if error.is_not_found() => Ok(()),
            Err(source) => Err(ActError::MarkPod {
                pod: pod.name.clone(),
                source,
            }),
        }
    }

    /// Fenced by the version that was looked at. By apply, so that a chart which sets `replicas` conflicts.
    async fn apply(&self, name: &str, to: u32, seen: ObjectMeta) -> Result<Scale, CallError> {
        let scale = Scale {
            metadata: ObjectMeta {
                name: seen.name,
                namespace: seen.namespace,
                resource_version: seen.resource_version,
                ..ObjectMeta::default()
            },
            spec: Some(ScaleSpec {
                replicas: Some(i32::try_from(to).unwrap_or(i32::MAX)),
            }),
            status: None,
        };
        let params = PatchParams::apply(MANAGER).force();
        call(
            self.deployments
                .patch_scale(name, &params, &Patch::Apply(scale)),
        )
        .await
    }
}

/// Whether the Deployment is the one that was planned for, with as many pods as then.
fn is_as_planned(scale: &Scale, order: &Order<'_>) -> bool {
    let replicas = scale.spec.as_ref().and_then(|spec| spec.replicas);
    let replicas = replicas.and_then(|replicas| u32::try_from(replicas).ok());
    let same = order.deployment.uid.is_none() || order.deployment.uid == scale.metadata.uid;
    same && replicas.unwrap_or(0) == order.change.from
}

/// For people.
fn note(order: &Order<'_>) -> String {
    let Change { from, to } = order.change;
    let (wanted, streams) = (order.wanted, order.streams);
    format!(
        "Scaled from {from} to {to} gateway pods; {streams} streams ask for {wanted} within the bounds."
    )
}

#[cfg(test)]
mod tests;
