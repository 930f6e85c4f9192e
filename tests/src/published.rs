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
/// A Snapshot of format 2, of which nothing else is known.
pub const NEWER: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xabVJ\xcb/\xcaM,Q\xb22\xd2Q*J-\xcb,\xce\xcc\xcfS\xb2R\xaaP\xd2QJ\xceH\xcc\xcbK\xcd)V\xb2\x8a\x8e\xad\x05\x00\xa5\xf0\xd7\x1f)\x00\x00\x00";

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

/// The Snapshot in a Secret that an operator wrote.
#[must_use]
pub fn read(secret: &Value) -> Snapshot {
    let text = secret["data"][KEY].as_str();
    let text = text.unwrap_or_else(|| panic!("no Snapshot in {secret}"));
    Snapshot::unpack(&unbase64(text)).expect("operators write what gateways read")
}

fn unbase64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits = text.bytes().filter(|byte| *byte != b'=');
    let digits: Vec<u8> = digits.map(value).collect();
    let mut bytes = Vec::with_capacity(digits.len());
    for group in digits.chunks(4) {
        let joined = group
            .iter()
            .fold(0_u32, |joined, digit| joined << 6 | u32::from(*digit));
        let joined = joined << (6 * (4 - group.len()));
        bytes.extend_from_slice(&joined.to_be_bytes()[1..group.len()]);
    }
    bytes
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_as_base64_is_read_again() {
        for text in ["", "a", "ab", "abc", "abcd", "\u{ff}\u{0}+/"] {
            assert_eq!(unbase64(&base64(text.as_bytes())), text.as_bytes());
        }
    }
}
