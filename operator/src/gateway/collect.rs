//! What one fleet is, read from the stores.
//!
//! Owns: which Deployment stands for a fleet and what its annotations say; its Pods; the Secrets that its
//! Channels name. Pure. Used by: `gateway`.

use crate::stores::payload::SecretName;
use crate::stores::stored::Stored;
use crate::stores::{DELETION_COST, GATEWAY_LABEL, Stores};
use crds::channel::ChannelSpec;
use crds::fleet::Fleet;
use crds::name::ChannelName;
use crds::report::BrokerKind;
use crds::snapshot::Snapshot;
use crds::targets::Targets;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod as KubePod;
use kube::ResourceExt;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The namespace of URLs that name none; without it, the home namespace.
const DEFAULT_NAMESPACE: &str = "siar.dev/default-namespace";
/// `redis` or `memory`.
const BROKER: &str = "siar.dev/broker";
/// `false`: the gateways may not ask the API server about service accounts.
const REVIEWS: &str = "siar.dev/reviews";
/// Where browsers reach the fleet.
const URL: &str = "siar.dev/url";
/// The container port of metrics, probes and reports.
const ADMIN_PORT: &str = "admin";

/// Who owns what is made for the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub name: String,
    pub uid: String,
}

/// What the Deployment of a fleet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub fleet: Fleet,
    pub owner: Owner,
    /// Without a slash at its end.
    pub url: Option<String>,
    /// How many Pods it is to have.
    pub replicas: i32,
}

/// One Pod of the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    pub name: String,
    pub uid: String,
    /// Where it reports; none before it has an address.
    pub admin: Option<SocketAddr>,
    /// Ready, and not on its way out.
    pub ready: bool,
    /// What it says its end would cost.
    pub cost: Option<String>,
}

/// The names of all fleets of the home namespace.
#[must_use]
pub fn gateways(stores: &Stores) -> BTreeSet<String> {
    let deployments = stores.deployments.state();
    deployments
        .iter()
        .filter_map(|deployment| deployment.labels().get(GATEWAY_LABEL).cloned())
        .collect()
}

/// The Deployment that stands for a fleet: the first of its claims.
#[must_use]
pub fn deployment(stores: &Stores, gateway: &str) -> Option<Arc<Deployment>> {
    claims(stores, gateway).into_iter().next()
}

/// The Deployments that claim the name of a fleet, the oldest first, then by name.
#[must_use]
pub fn claims(stores: &Stores, gateway: &str) -> Vec<Arc<Deployment>> {
    let deployments = stores.deployments.state();
    let claims = deployments.into_iter().filter(|deployment| {
        deployment.labels().get(GATEWAY_LABEL).map(String::as_str) == Some(gateway)
    });
    let mut claims: Vec<Arc<Deployment>> = claims.collect();
    claims.sort_by_cached_key(|deployment| {
        let created = deployment.creation_timestamp().map(|time| time.0);
        (created, deployment.name_any())
    });
    claims
}

impl Facts {
    /// Reads the annotations of a Deployment.
    #[must_use]
    pub fn of(deployment: &Deployment, gateway: &str, home: &str, targets: &Targets) -> Self {
        let said = |name: &str| deployment.annotations().get(name).map(|text| text.trim());
        let broker = match said(BROKER) {
            Some("redis") => BrokerKind::Redis,
            _ => BrokerKind::Memory,
        };
        let fleet = Fleet {
            gateway: gateway.to_owned(),
            default_namespace: said(DEFAULT_NAMESPACE).unwrap_or(home).to_owned(),
            broker,
            reviews: said(REVIEWS) != Some("false"),
            targets: targets.clone(),
        };
        let url = said(URL).map(|url| url.trim_end_matches('/').to_owned());
        let spec = deployment.spec.as_ref();
        Self {
            fleet,
            owner: Owner {
                name: deployment.name_any(),
                uid: deployment.uid().unwrap_or_default(),
            },
            url: url.filter(|url| !url.is_empty()),
            replicas: spec.and_then(|spec| spec.replicas).unwrap_or(1),
        }
    }
}

/// The Pods of a fleet, in order of their names: those that the Deployment selects which stands for it.
#[must_use]
pub fn pods(stores: &Stores, gateway: &str) -> Vec<Pod> {
    let deployment = deployment(stores, gateway);
    let selected = deployment.as_deref().and_then(selected);
    let pods = stores.pods.state();
    let ours = pods.iter().filter(|pod| {
        let labels = pod.labels();
        labels.get(GATEWAY_LABEL).map(String::as_str) == Some(gateway)
            && selected.is_none_or(|selected| has_all(labels, selected))
    });
    let mut pods: Vec<Pod> = ours.map(|pod| Pod::of(pod)).collect();
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    pods
}

fn selected(deployment: &Deployment) -> Option<&BTreeMap<String, String>> {
    deployment.spec.as_ref()?.selector.match_labels.as_ref()
}

fn has_all(labels: &BTreeMap<String, String>, selected: &BTreeMap<String, String>) -> bool {
    selected
        .iter()
        .all(|(name, value)| labels.get(name) == Some(value))
}

impl Pod {
    fn of(pod: &KubePod) -> Self {
        let status = pod.status.as_ref();
        let address = status.and_then(|status| status.pod_ip.as_ref()?.parse::<IpAddr>().ok());
        let port = pod.spec.iter().flat_map(|spec| &spec.containers);
        let mut ports = port.flat_map(|container| container.ports.iter().flatten());
        let port = ports.find(|port| port.name.as_deref() == Some(ADMIN_PORT));
        let port = port.and_then(|port| u16::try_from(port.container_port).ok());
        let mut conditions = status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten());
        let ready =
            conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True");
        Self {
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            admin: address.zip(port).map(SocketAddr::from),
            ready: ready && pod.metadata.deletion_timestamp.is_none(),
            cost: pod.annotations().get(DELETION_COST).cloned(),
        }
    }
}

/// The Channels that name the fleet, by their names.
#[must_use]
pub fn channels(stores: &Stores, gateway: &str) -> BTreeMap<ChannelName, Arc<Stored>> {
    let channels = stores.channels.state().into_iter();
    channels
        .filter(|channel| channel.gateway == gateway)
        .map(|channel| (channel.name(), channel))
        .collect()
}

/// The Secrets that the Channels name, as they are written and as they are in force.
#[must_use]
pub fn secrets(
    channels: &BTreeMap<ChannelName, Arc<Stored>>,
    in_force: Option<&Snapshot>,
) -> BTreeSet<SecretName> {
    let mut all = BTreeSet::new();
    let mut add = |namespace: &str, spec: &ChannelSpec| {
        let names = spec.secret_names().into_iter();
        all.extend(names.map(|name| (namespace.to_owned(), name.to_owned())));
    };
    for (name, channel) in channels {
        if let Ok(spec) = &channel.spec {
            add(name.namespace(), spec);
        }
        if let Some(form) = in_force.and_then(|snapshot| snapshot.form(name)) {
            add(name.namespace(), &form.spec);
        }
    }
    all
}

#[cfg(test)]
mod tests;
