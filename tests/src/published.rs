//! What an operator publishes for a gateway: a Secret with the compiled Snapshot, and the right to read that one.
//!
//! Owns: the form of both objects. Never: is the operator; compiles other than `crds` does. Used by: tests of gateways
//! that get their configuration from a cluster.

use crate::cluster::Cluster;
use crate::gateway::Setup;
use crate::issuer::base64;
use crate::manifest::Channel;
use crds::compile::compile;
use crds::fleet::Fleet;
use crds::manifest::{Object, parse};
use crds::report::BrokerKind;
use crds::secrets::Secrets;
use crds::snapshot::Snapshot;
use crds::targets::Targets;
use serde_json::{Value, json};

/// The namespace of the gateway and its Secret.
pub const HOME: &str = "siar";
/// The name of the Secret.
pub const SECRET: &str = "siar-default";
/// The key that holds the Snapshot.
pub const KEY: &str = "snapshot.json.gz";

/// The Snapshot of these manifests, each a Channel or a Secret; every Channel must be right.
#[must_use]
pub fn snapshot(documents: &[Value]) -> Snapshot {
    let fleet = Fleet {
        gateway: "default".into(),
        default_namespace: "default".into(),
        broker: BrokerKind::Memory,
        reviews: true,
        targets: Targets::standalone(),
    };
    let (mut channels, mut secrets) = (Vec::new(), Secrets::default());
    for document in documents {
        for read in parse(&document.to_string(), &fleet.default_namespace) {
            let read = read.unwrap_or_else(|error| panic!("{error}: {document}"));
            match read.object {
                Object::Channel(channel) => channels.push(*channel),
                Object::Secret(data) => {
                    let fresh = secrets.insert(&read.namespace, &read.name, data);
                    assert!(fresh, "two Secrets {}", read.name);
                }
            }
        }
    }
    let compiled = compile(&fleet, &channels, &secrets, None);
    for verdict in &compiled.verdicts {
        assert!(verdict.accepted.holds, "{}", verdict.accepted.message);
    }
    compiled.snapshot
}

/// The packed Snapshot of Channels without Secrets.
#[must_use]
pub fn packed(channels: &[&Channel]) -> Vec<u8> {
    let manifests: Vec<Value> = channels.iter().map(|channel| channel.manifest()).collect();
    snapshot(&manifests).pack()
}

/// The Secret with these bytes.
#[must_use]
pub fn secret(packed: &[u8]) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "siar.dev/snapshot",
        "metadata": { "name": SECRET, "namespace": HOME },
        "data": { KEY: base64(packed) },
    })
}

/// Makes [`HOME`], where `identity` may read the one Secret and nothing else.
pub async fn home(cluster: &Cluster, identity: &str) {
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": HOME } });
    cluster.apply(&namespace).await;
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": { "name": "gateway", "namespace": HOME },
        "rules": [{
            "apiGroups": [""], "resources": ["secrets"], "resourceNames": [SECRET],
            "verbs": ["get", "list", "watch"],
        }],
    });
    cluster.apply(&role).await;
    bind(cluster, identity).await;
}

/// Gives `identity` the rights of a gateway in [`HOME`].
pub async fn bind(cluster: &Cluster, identity: &str) {
    let group = "rbac.authorization.k8s.io";
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": { "name": "gateway", "namespace": HOME },
        "roleRef": { "apiGroup": group, "kind": "Role", "name": "gateway" },
        "subjects": [{ "apiGroup": group, "kind": "User", "name": identity }],
    });
    cluster.apply(&binding).await;
}

/// Writes the Secret of the gateway.
pub async fn publish(cluster: &Cluster, packed: &[u8]) {
    cluster.apply(&secret(packed)).await;
}

/// A gateway that follows the Secret as `identity`.
#[must_use]
pub fn follower(cluster: &Cluster, identity: &str) -> Setup {
    let kubeconfig = cluster.kubeconfig(identity).display().to_string();
    Setup::new()
        .flag("--config-secret", &format!("{HOME}/{SECRET}"))
        .env("KUBECONFIG", &kubeconfig)
}
