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
use std::time::Instant;

/// Secrets that are read at once.
const AT_ONCE: usize = 16;

/// A Secret by namespace and name.
pub type SecretName = (String, String);

/// The Secrets that the Channels of one fleet name.
pub struct Payloads {
    client: Client,
    read: BTreeMap<SecretName, Payload>,
    failed: Backoff<SecretName>,
}

/// One Secret as it was read.
#[derive(Clone)]
struct Payload {
    version: String,
    data: SecretData,
}

/// What came of reading: the same versions mean the same content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions(BTreeMap<SecretName, Option<String>>);

/// What there is to do about a Secret.
enum Found {
    Missing,
    Known,
    Read,
    /// It failed a moment ago.
    Later,
}

impl Payloads {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(client: Client, failed: Backoff<SecretName>) -> Self {
        Self {
            client,
            read: BTreeMap::new(),
            failed,
        }
    }

    /// Reads what is new of the `named`. One that cannot be read now is told as unreadable.
    pub async fn update(
        &mut self,
        named: &BTreeSet<SecretName>,
        stores: &Stores,
        now: Now,
    ) -> (Secrets, Versions) {
        self.read.retain(|name, _| named.contains(name));
        self.failed.retain(|name| named.contains(name));
        let mut unread = BTreeSet::new();
        let mut due = Vec::new();
        for name in named {
            match self.find(name, stores, now.steady) {
                Found::Known => {}
                Found::Missing => {
                    self.read.remove(name);
                    self.failed.reset(name);
                }
                Found::Read => due.push(name.clone()),
                Found::Later => {
                    unread.insert(name.clone());
                }
            }
        }
        let reads: Vec<_> = due
            .into_iter()
            .map(|name| read(self.client.clone(), name))
            .collect();
        let answers: Vec<_> = stream::iter(reads)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (name, answer) in answers {
            match answer {
                Ok(Some(payload)) => {
                    self.failed.reset(&name);
                    self.read.insert(name, payload);
                }
                Ok(None) => {
                    self.failed.reset(&name);
                    self.read.remove(&name);
                }
                Err(error) => {
                    let (namespace, secret) = &name;
                    let problem = error.to_string();
                    tracing::warn!(namespace, secret, problem, "a Secret cannot be read");
                    self.failed.failed(&name, now.steady);
                    unread.insert(name);
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

    fn find(&self, name: &SecretName, stores: &Stores, now: Instant) -> Found {
        let (namespace, secret) = name;
        let reference = ObjectRef::<PartialObjectMeta<Secret>>::new(secret).within(namespace);
        let Some(stored) = stores.secrets.get(&reference) else {
            return Found::Missing;
        };
        let version = stored.metadata.resource_version.as_deref();
        let known = self.read.get(name).map(|payload| &*payload.version);
        if known.is_some() && known == version {
            Found::Known
        } else if !self.failed.is_due(name, now) {
            Found::Later
        } else {
            Found::Read
        }
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

async fn read(
    client: Client,
    name: SecretName,
) -> (SecretName, Result<Option<Payload>, CallError>) {
    let answer = get(&client, &name).await;
    (name, answer)
}

/// None when it is gone meanwhile.
async fn get(
    client: &Client,
    (namespace, name): &SecretName,
) -> Result<Option<Payload>, CallError> {
    let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
    let secret = call(secrets.get_opt(name)).await?;
    Ok(secret.map(|secret| Payload {
        version: secret.metadata.resource_version.unwrap_or_default(),
        data: secret
            .data
            .unwrap_or_default()
            .into_iter()
            .map(|(key, value)| (key, Hidden::new(value.0)))
            .collect(),
    }))
}
