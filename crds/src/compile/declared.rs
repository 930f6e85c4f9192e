//! A Channel as it was declared.
//!
//! Owns: what compiling reads of a manifest, also of one whose spec cannot be read. Pure. Used by: `compile`;
//! made from what the operator's stores and the files of a standalone gateway hold.

use crate::channel::{Channel, ChannelSpec};
use crate::fleet::Fleet;
use crate::name::ChannelName;
use crate::policy::Rejection;
use crate::reason::Reason;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// With the value `true` on a Channel its form in force stays, whatever its spec says.
pub const PAUSED: &str = "siar.dev/paused";

/// One manifest.
#[derive(Clone, Copy, Debug)]
pub struct Declared<'a> {
    pub metadata: &'a ObjectMeta,
    /// The fleet that it names.
    pub gateway: &'a str,
    /// The error says what cannot be read; it may have been stored under another schema.
    pub spec: Result<&'a ChannelSpec, &'a str>,
}

impl<'a> From<&'a Channel> for Declared<'a> {
    fn from(channel: &'a Channel) -> Self {
        Self {
            metadata: &channel.metadata,
            gateway: &channel.spec.gateway,
            spec: Ok(&channel.spec),
        }
    }
}

impl<'a> Declared<'a> {
    pub(super) fn name(&self, fleet: &Fleet) -> ChannelName {
        let namespace = self.metadata.namespace.as_deref().unwrap_or_default();
        let namespace = if namespace.is_empty() {
            &fleet.default_namespace
        } else {
            namespace
        };
        let name = self.metadata.name.as_deref().unwrap_or_default();
        ChannelName::new(namespace, name)
    }

    pub(super) fn uid(&self) -> &'a str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    pub(super) fn generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }

    pub(super) fn spec(&self) -> Result<&'a ChannelSpec, Rejection> {
        self.spec.map_err(|problem| {
            Rejection::new(
                Reason::InvalidSpec,
                format!("the Channel as it is stored cannot be read: {problem}; apply it anew."),
            )
        })
    }

    /// When it was created; manifests from files do not say and go by name alone.
    pub(super) fn age(&self) -> impl Ord {
        let created = self.metadata.creation_timestamp.as_ref();
        created.map(|time| time.0)
    }

    /// Whether its form in force is to stay.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        let annotations = self.metadata.annotations.as_ref();
        annotations.is_some_and(|all| all.get(PAUSED).is_some_and(|value| value == "true"))
    }

    /// All of it, to put manifests of the same name into an order that depends on nothing else.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(&(self.metadata, self.spec.ok())).expect("a Channel is JSON")
    }
}
