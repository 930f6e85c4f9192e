//! What Secrets hold, read when a Channel names them.
//!
//! Owns: reading each version once, and waiting longer after each failure. Never: keeps what nobody names any
//! more. Used by: `gateway`.

use crate::backoff::Backoff;
use crate::calls::{CallError, call};
use crate::clock::Now;
use crate::stores::Stores;
use crds::secret::Secret as Hidden;
use crds::secrets::{SecretData, Secrets};
use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// Secrets that are read at once.
const AT_ONCE: usize = 16;
/// The most bytes that the Secrets of one namespace may hold together. What a team puts into its own must not end the
/// process for all; a thousand of them with a certificate, its key and an authority take 6 MB.
const NAMESPACE_BYTES: usize = 8 * 1024 * 1024;

/// A Secret by namespace and name.
pub type SecretName = (String, String);

/// The Secrets that the Channels of one fleet name.
pub struct Payloads {
    client: Client,
    read: BTreeMap<SecretName, Payload>,
    failed: Backoff<Stored>,
}

/// A Secret in the version that the store shows. A newer one need not wait for what failed before.
type Stored = (SecretName, Option<String>);

/// One Secret as it was read.
struct Payload {
    version: String,
    data: Arc<SecretData>,
    /// Of its keys and values.
    bytes: usize,
}

impl Payload {
    fn of(secret: Secret) -> Self {
        let data = secret.data.unwrap_or_default();
        Self {
            version: secret.metadata.resource_version.unwrap_or_default(),
            bytes: data
                .iter()
                .map(|(key, value)| key.len() + value.0.len())
                .sum(),
            data: data
                .into_iter()
                .map(|(key, value)| (key, Hidden::new(value.0)))
                .collect::<SecretData>()
                .into(),
        }
    }
}

/// What came of reading: the same versions mean the same content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions(BTreeMap<SecretName, Option<String>>);

impl Payloads {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(client: Client, failed: Backoff<Stored>) -> Self {
        Self {
            client,
            read: BTreeMap::new(),
            failed,
        }
    }

    /// Reads what is new of the `named`. One that cannot be read now is told as unreadable, and tried again after a
    /// while, or when it has changed.
    pub async fn update(
        &mut self,
        named: &BTreeSet<SecretName>,
        stores: &Stores,
        now: Now,
    ) -> (Secrets, Versions) {
        let stored: BTreeMap<SecretName, Option<String>> = named
            .iter()
            .filter_map(|name| Some((name.clone(), version(stores, name)?)))
            .collect();
        self.read.retain(|name, _| stored.contains_key(name));
        self.failed
            .retain(|(name, version)| stored.get(name) == Some(version));
        let mut unread = BTreeSet::new();
        let mut due = Vec::new();
        for secret in stored {
            let known = self.read.get(&secret.0);
            if known.is_some_and(|payload| Some(&payload.version) == secret.1.as_ref()) {
                continue;
            }
            if self.failed.is_due(&secret, now.steady) {
                due.push(secret);
            } else {
                unread.insert(secret.0);
            }
        }
        let reads: Vec<_> = due
            .into_iter()
            .map(|secret| read(self.client.clone(), secret))
            .collect();
        let mut answers = stream::iter(reads).buffer_unordered(AT_ONCE);
        while let Some((secret, answer)) = answers.next().await {
            let (namespace, name) = &secret.0;
            let answer = answer.map_err(|error| error.to_string());
            match answer.and_then(|payload| admit(&self.read, &secret.0, payload)) {
                Ok(payload) => {
                    self.failed.reset(&secret);
                    self.read.remove(&secret.0);
                    self.read.extend(payload.map(|payload| (secret.0, payload)));
                }
                Err(problem) => {
                    tracing::warn!(namespace, name, problem, "a Secret cannot be read");
                    self.failed.failed(&secret, now.steady);
                    unread.insert(secret.0);
                }
            }
        }
        self.collect(&unread)
    }

    /// When one that failed is to be tried again.
    #[must_use]
    pub fn retry_at(&self) -> Option<Instant> {
        self.failed.next_due()
    }

    fn collect(&self, unread: &BTreeSet<SecretName>) -> (Secrets, Versions) {
        let (mut secrets, mut versions) = (Secrets::default(), Versions::default());
        for (name, payload) in &self.read {
            secrets.insert(&name.0, &name.1, payload.data.clone());
            versions
                .0
                .insert(name.clone(), Some(payload.version.clone()));
        }
        for name in unread {
            secrets.insert_unreadable(&name.0, &name.1);
            versions.0.insert(name.clone(), None);
        }
        (secrets, versions)
    }
}

/// The version that the store shows; none when there is no such Secret.
fn version(stores: &Stores, (namespace, name): &SecretName) -> Option<Option<String>> {
    let reference = ObjectRef::<PartialObjectMeta<Secret>>::new(name).within(namespace);
    let stored = stores.secrets.get(&reference)?;
    Some(stored.metadata.resource_version.clone())
}

async fn read(client: Client, secret: Stored) -> (Stored, Result<Option<Payload>, CallError>) {
    let answer = get(&client, &secret.0).await;
    (secret, answer)
}

/// None when it is gone meanwhile.
async fn get(
    client: &Client,
    (namespace, name): &SecretName,
) -> Result<Option<Payload>, CallError> {
    let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
    let secret = call(secrets.get_opt(name)).await?;
    Ok(secret.map(Payload::of))
}

/// Refuses what finds no room beside the other Secrets of its namespace.
fn admit(
    read: &BTreeMap<SecretName, Payload>,
    name: &SecretName,
    payload: Option<Payload>,
) -> Result<Option<Payload>, String> {
    let others = read
        .iter()
        .filter(|(other, _)| other.0 == name.0 && *other != name);
    let others: usize = others.map(|(_, payload)| payload.bytes).sum();
    let bytes = payload.as_ref().map_or(0, |payload| payload.bytes);
    if bytes > 0 && others + bytes > NAMESPACE_BYTES {
        return Err(format!(
            "it holds {bytes} bytes, and the Secrets that Channels of its namespace name would hold more than {NAMESPACE_BYTES} together; make them smaller"
        ));
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    fn of_bytes(bytes: usize) -> Payload {
        let value = ByteString(vec![b'x'; bytes - 1]);
        Payload::of(Secret {
            data: Some(BTreeMap::from([("k".to_owned(), value)])),
            ..Secret::default()
        })
    }

    #[test]
    fn the_secrets_of_a_namespace_share_what_it_may_hold_and_no_other_pays() {
        let name = |namespace: &str, name: &str| (namespace.to_owned(), name.to_owned());
        let read = BTreeMap::from([
            (name("shop", "large"), of_bytes(NAMESPACE_BYTES - 10)),
            (name("desk", "large"), of_bytes(NAMESPACE_BYTES)),
        ]);
        let admits = |name: &SecretName, bytes| admit(&read, name, Some(of_bytes(bytes))).is_ok();
        assert!(admits(&name("shop", "small"), 10));
        assert!(!admits(&name("shop", "small"), 11));
        assert!(admits(&name("shop", "large"), NAMESPACE_BYTES));
        assert!(!admits(&name("desk", "small"), 1));
        assert!(admits(&name("news", "small"), 11));
        assert!(admit(&read, &name("desk", "gone"), None).is_ok());
    }
}
