//! Channels for unit tests, compiled as in earnest.
//!
//! Owns: the Secret `readers` with the tokens of `ana` and `ben`, in namespace `shop`.

use crds::channel::Channel;
use crds::compile::compile;
use crds::fleet::Fleet;
use crds::policy::Policy;
use crds::secret::Secret;
use crds::secrets::{SecretData, Secrets};
use crds::snapshot::Snapshot;
use serde_json::{Value, json};
use std::sync::Arc;

/// Ana's bearer token.
pub const ANA: &str = "ana-has-a-long-token";
/// Ben's bearer token.
pub const BEN: &str = "ben-has-a-long-token";

/// Everybody may listen and publish.
pub fn open() -> Value {
    json!({"access": {"subscribe": [{"anonymous": {}}], "publish": [{"anonymous": {}}]}})
}

/// Whoever has a token may listen and publish.
pub fn tokens() -> Value {
    let rule = json!({"tokens": {"secretRef": {"name": "readers"}}});
    json!({"access": {"subscribe": [rule], "publish": [rule]}})
}

/// `spec` with the fields of `more` put in place of its own.
pub fn with(mut spec: Value, more: Value) -> Value {
    if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
        spec.extend(more);
    }
    spec
}

/// A Snapshot of Channels in namespace `shop`, by name and spec; `holders` are those in the Secret.
pub fn snapshot_for(holders: &[(&str, &str)], channels: &[(&str, Value)]) -> Arc<Snapshot> {
    snapshot_with("readers", holders, channels)
}

/// The same with the keys of another Secret.
pub fn snapshot_with(
    secret: &str,
    keys: &[(&str, &str)],
    channels: &[(&str, Value)],
) -> Arc<Snapshot> {
    let data: SecretData = keys
        .iter()
        .map(|&(name, value)| (name.to_owned(), Secret::new(value.as_bytes().to_vec())))
        .collect();
    let mut secrets = Secrets::default();
    secrets.insert("shop", secret, data);
    let channels: Vec<Channel> = channels
        .iter()
        .map(|(name, spec)| {
            let manifest = json!({
                "apiVersion": "siar.dev/v1alpha1",
                "kind": "Channel",
                "metadata": {"name": name, "namespace": "shop"},
                "spec": spec,
            });
            serde_json::from_value(manifest).expect("a Channel")
        })
        .collect();
    let fleet = Fleet::standalone("shop");
    let compiled = compile(&fleet, &channels, &secrets, None);
    for verdict in &compiled.verdicts {
        assert!(verdict.accepted.holds, "{}", verdict.accepted.message);
    }
    Arc::new(compiled.snapshot)
}

/// The same with both holders.
pub fn snapshot(channels: &[(&str, Value)]) -> Arc<Snapshot> {
    snapshot_for(&[("ana", ANA), ("ben", BEN)], channels)
}

/// The Policy of one Channel named `orders`.
pub fn policy(spec: Value) -> Arc<Policy> {
    snapshot(&[("orders", spec)]).policies()[0].clone()
}
