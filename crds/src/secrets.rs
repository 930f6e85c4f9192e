//! The Secrets that Channels may name, by namespace and name.
//!
//! Owns: looking one up. Never: reads them from anywhere, prints a value. Used by: `policy`,
//! `compile`; filled by the operator's stores, and from manifests by the standalone gateway.

use crate::secret::Secret;
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
