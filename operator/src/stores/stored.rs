//! A Channel as it is stored, also one that this version cannot read.
//!
//! Owns: reading each of its parts for itself, so that one malformed object neither stops the watch nor is left
//! without a word: its fleet and its status are known though its spec is not. Pure. Used by: `stores`, `gateway`.

use crds::channel::{Channel, ChannelSpec, ChannelStatus, DEFAULT_GATEWAY};
use crds::compile::Declared;
use crds::name::ChannelName;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::NamespaceResourceScope;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::borrow::Cow;

/// One Channel of the API server.
#[derive(Clone, Debug)]
pub struct Stored {
    pub metadata: ObjectMeta,
    /// The fleet that is to serve it.
    pub gateway: String,
    /// The error says what of it cannot be read.
    pub spec: Result<ChannelSpec, String>,
    pub status: ChannelStatus,
    /// It does not fit the schema of today: the API server refuses every apply, and takes a merge patch.
    pub misfit: bool,
}

/// Its parts, none of them judged.
#[derive(Deserialize)]
struct Raw {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

impl Stored {
    /// Namespace and name.
    #[must_use]
    pub fn name(&self) -> ChannelName {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        let (namespace, name) = (part(&self.metadata.namespace), part(&self.metadata.name));
        ChannelName::new(&namespace, &name)
    }

    /// `metadata.uid`.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// As compiling reads it.
    #[must_use]
    pub fn declared(&self) -> Declared<'_> {
        Declared {
            metadata: &self.metadata,
            gateway: &self.gateway,
            spec: self.spec.as_ref().map_err(String::as_str),
        }
    }
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?;
        let gateway = raw.spec.get("gateway").and_then(Value::as_str);
        let gateway = gateway.unwrap_or(DEFAULT_GATEWAY).to_owned();
        let spec = serde_json::from_value(raw.spec).map_err(|error| error.to_string());
        let status: Result<Option<ChannelStatus>, _> = serde_json::from_value(raw.status);
        Ok(Self {
            gateway,
            misfit: spec.is_err() || status.is_err(),
            spec,
            // One that cannot be read is written anew.
            status: status.ok().flatten().unwrap_or_default(),
            metadata: raw.metadata,
        })
    }
}

impl Resource for Stored {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        Channel::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        Channel::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        Channel::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        Channel::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stored(spec: &Value, status: &Value) -> Stored {
        let metadata = json!({"namespace": "shop", "name": "orders", "uid": "u"});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status}))
            .unwrap()
    }

    #[test]
    fn each_part_is_read_for_itself() {
        let good = stored(&json!({"gateway": "edge"}), &json!({"streams": 7}));
        assert!(good.spec.is_ok());
        assert_eq!((&*good.gateway, good.status.streams), ("edge", Some(7)));
        assert_eq!(good.name().to_string(), "shop/orders");
        let bad = stored(
            &json!({"gateway": "edge", "topics": 7}),
            &json!({"streams": 7}),
        );
        let problem = bad.spec.as_ref().unwrap_err();
        assert!(problem.contains("expected a sequence"), "{problem}");
        assert_eq!((&*bad.gateway, bad.status.streams), ("edge", Some(7)));
        assert_eq!(bad.declared().spec, Err(&**problem));
        let odd = stored(&json!({}), &json!({"streams": "many"}));
        assert_eq!((&*odd.gateway, odd.status.streams), ("default", None));
        let none = stored(&json!({}), &Value::Null);
        assert_eq!(
            [good, bad, odd, none].map(|stored| stored.misfit),
            [false, true, true, false]
        );
    }

    #[test]
    fn it_is_asked_for_where_channels_are() {
        let path = Stored::url_path(&(), Some("shop"));
        assert_eq!(path, "/apis/siar.dev/v1alpha1/namespaces/shop/channels");
        assert_eq!(path, Channel::url_path(&(), Some("shop")));
    }
}
