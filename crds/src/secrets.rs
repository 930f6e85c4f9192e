//! The Secrets that Channels may name, by namespace and name.
//!
//! Owns: looking one up. Never: reads them from anywhere, prints a value. Used by: `policy`,
//! `compile`; filled by the operator's stores, and from manifests by the standalone gateway.

use crate::secret::Secret;
use k8s_openapi::api::core::v1::Secret as SecretObject;
use std::collections::{BTreeMap, HashMap};

/// The content of one Secret: key to value.
pub type SecretData = BTreeMap<String, Secret<Vec<u8>>>;

/// Secrets by namespace and name.
#[derive(Clone, Debug, Default)]
pub struct Secrets(HashMap<(String, String), SecretData>);

impl Secrets {
    /// Adds a Secret; answers false when one of that name was there, which is replaced.
    pub fn insert(&mut self, namespace: &str, name: &str, data: SecretData) -> bool {
        let key = (namespace.to_owned(), name.to_owned());
        self.0.insert(key, data).is_none()
    }

    /// Adds a Secret as the API server and manifests have it; `stringData` wins over `data`.
    /// One without namespace is in `default_namespace`. Answers as [`Secrets::insert`].
    pub fn insert_object(&mut self, object: SecretObject, default_namespace: &str) -> bool {
        let namespace = object.metadata.namespace.unwrap_or_default();
        let namespace = if namespace.is_empty() {
            default_namespace
        } else {
            &namespace
        };
        let data = object.data.unwrap_or_default();
        let texts = object.string_data.unwrap_or_default();
        let data = data
            .into_iter()
            .map(|(key, value)| (key, Secret::new(value.0)))
            .chain(
                texts
                    .into_iter()
                    .map(|(key, value)| (key, Secret::new(value.into_bytes()))),
            )
            .collect();
        let name = object.metadata.name.unwrap_or_default();
        self.insert(namespace, &name, data)
    }

    /// The content of a Secret; none when it does not exist.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<&SecretData> {
        self.0.get(&(namespace.to_owned(), name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_never_printed() {
        let mut secrets = Secrets::default();
        let data = SecretData::from([("k".to_owned(), Secret::new(b"hunter2".to_vec()))]);
        assert!(secrets.insert("shop", "readers", data.clone()));
        assert!(!secrets.insert("shop", "readers", data));
        assert!(format!("{secrets:?}").contains("readers"));
        assert!(!format!("{secrets:?}").contains("104"), "{secrets:?}");
        assert!(secrets.get("other", "readers").is_none());
    }
}
