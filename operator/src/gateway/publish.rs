//! The Secret that a fleet's gateways read.
//!
//! Owns: its name and form, and that nobody's newer write is overwritten: each write names the version that it
//! replaces, the first replaces none, and what somebody else wrote is to be confirmed as old first. Used by: `gateway`.

use super::collect::Owner;
use crate::calls::{CallError, call};
use crate::stores::{SNAPSHOT_TYPE, Stores, version};
use crds::snapshot::{DecodeError, FORMAT, Snapshot};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client};
use std::sync::Arc;

/// Who applies all that is not a status.
pub const MANAGER: &str = "siar-operator";
/// The key of the Secret that holds the packed Snapshot.
const KEY: &str = "snapshot.json.gz";
const REVISION: &str = "siar.dev/revision";
const FORMAT_NAME: &str = "siar.dev/format";

/// What the gateways are to apply, as it stands on the API server.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// `metadata.resourceVersion`; none when there is no Secret.
    pub version: Option<String>,
    /// What it holds, or held before it was deleted or spoilt: the last good forms.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Whether it holds that now.
    stands: bool,
    /// Whether the store has shown this version: what it lacks afterwards was deleted.
    seen: bool,
    /// Whether all that its writer may have known is known here: this process wrote it, or has made sure.
    known: bool,
}

/// The name of a fleet's Secret.
#[must_use]
pub fn secret_name(gateway: &str) -> String {
    format!("siar-{gateway}")
}

impl Published {
    /// What was written just now.
    #[must_use]
    pub fn written(version: Option<String>, snapshot: Arc<Snapshot>) -> Self {
        Self {
            version,
            snapshot: Some(snapshot),
            stands: true,
            seen: false,
            known: true,
        }
    }

    /// Takes over what the store has, unless that is older than what was written.
    pub fn take(&mut self, stores: &Stores, home: &str, gateway: &str) {
        let reference = ObjectRef::<Secret>::new(&secret_name(gateway)).within(home);
        let Some(stored) = stores.snapshots.get(&reference) else {
            if self.seen {
                (self.version, self.stands, self.seen) = (None, false, false);
                self.known = false;
            }
            return;
        };
        let theirs = version(stored.metadata.resource_version.as_deref());
        let ours = version(self.version.as_deref());
        if theirs > ours {
            *self = Self::of(&stored, self.snapshot.take());
        }
        self.seen |= theirs >= ours;
    }

    /// What a Secret holds. `known` is what it held before: it need not be read again, and stays known when the
    /// Secret cannot be read.
    fn of(secret: &Secret, known: Option<Arc<Snapshot>>) -> Self {
        let version = secret.metadata.resource_version.clone();
        let packed = secret.data.as_ref().and_then(|data| data.get(KEY));
        let packed = packed.map_or(&[][..], |packed| &packed.0);
        let same = known.as_ref().is_some_and(|known| known.pack() == packed);
        let (snapshot, stands) = if same {
            (known, true)
        } else {
            match Snapshot::unpack(packed) {
                Ok(snapshot) => (Some(Arc::new(snapshot)), true),
                Err(error) => {
                    spoilt(&error, known.is_some());
                    (known, false)
                }
            }
        };
        Self {
            version,
            snapshot,
            stands,
            seen: false,
            known: false,
        }
    }

    /// Reads it from the API server itself; `known` as for what the store shows.
    pub async fn read(
        client: &Client,
        home: &str,
        gateway: &str,
        known: Option<Arc<Snapshot>>,
    ) -> Result<Self, CallError> {
        let secrets = Api::<Secret>::namespaced(client.clone(), home);
        let name = secret_name(gateway);
        Ok(match call(secrets.get_opt(&name)).await? {
            Some(secret) => Self::of(&secret, known),
            None => Self {
                snapshot: known,
                ..Self::default()
            },
        })
    }

    /// Whether it may be replaced by what is known here. Else somebody else wrote it, who may have known more.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// All that its writer may have known is known here now.
    pub fn confirm(&mut self) {
        self.known = true;
    }

    /// Whether the gateways can read this revision.
    #[must_use]
    pub fn is(&self, snapshot: &Snapshot) -> bool {
        let published = self.snapshot.as_ref().filter(|_| self.stands);
        published.is_some_and(|published| published.revision == snapshot.revision)
    }
}

fn spoilt(error: &DecodeError, known: bool) {
    let problem = error.to_string();
    let forms = if known { "the same" } else { "no" };
    tracing::warn!(
        problem,
        "the published Snapshot cannot be read; it is written anew with {forms} last good forms"
    );
}

/// What is to stand there next.
pub struct Next<'a> {
    pub home: &'a str,
    pub gateway: &'a str,
    pub owner: &'a Owner,
    pub snapshot: &'a Snapshot,
    pub packed: Vec<u8>,
    /// The version that it replaces; none when there is to be no Secret yet.
    pub replaces: Option<&'a str>,
}

impl Next<'_> {
    /// Writes it, and answers its version. A conflict: somebody else wrote meanwhile.
    pub async fn apply(self, client: &Client) -> Result<Option<String>, CallError> {
        let (name, secrets) = (
            secret_name(self.gateway),
            Api::<Secret>::namespaced(client.clone(), self.home),
        );
        let new = self.replaces.is_none();
        let secret = self.secret(&name);
        let written = if new {
            // An apply without a version would replace what somebody else has made meanwhile.
            let params = PostParams {
                field_manager: Some(MANAGER.to_owned()),
                ..PostParams::default()
            };
            call(secrets.create(&params, &secret)).await?
        } else {
            let params = PatchParams::apply(MANAGER).force();
            call(secrets.patch(&name, &params, &Patch::Apply(&secret))).await?
        };
        Ok(written.metadata.resource_version)
    }

    fn secret(self, name: &str) -> Secret {
        let annotations = [
            (REVISION.to_owned(), self.snapshot.revision.to_string()),
            (FORMAT_NAME.to_owned(), FORMAT.to_string()),
        ];
        let owner = OwnerReference {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            name: self.owner.name.clone(),
            uid: self.owner.uid.clone(),
            ..OwnerReference::default()
        };
        Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(self.home.to_owned()),
                resource_version: self.replaces.map(str::to_owned),
                annotations: Some(annotations.into()),
                owner_references: Some(vec![owner]),
                ..ObjectMeta::default()
            },
            type_: Some(SNAPSHOT_TYPE.to_owned()),
            data: Some([(KEY.to_owned(), ByteString(self.packed))].into()),
            ..Secret::default()
        }
    }
}
