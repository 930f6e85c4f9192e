//! The Secrets that Channels may name, by namespace and name.
//!
//! Owns: looking one up. Never: reads them from anywhere, prints a value. Used by: `policy`,
//! `compile`; filled by the operator's stores, and from manifests by the standalone gateway.

use crate::secret::Secret;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The content of one Secret: key to value.
pub type SecretData = BTreeMap<String, Secret<Vec<u8>>>;

/// Secrets by namespace and name; none for one that is there and cannot be read.
#[derive(Clone, Debug, Default)]
pub struct Secrets(HashMap<(String, String), Option<Arc<SecretData>>>);

/// What is known of a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    Yes(&'a SecretData),
    /// It may be there; nobody can say what it holds.
    Unreadable,
    No,
}

impl Secrets {
    /// Adds a Secret; answers false when one of that name was there, which is replaced.
    pub fn insert(
        &mut self,
        namespace: &str,
        name: &str,
        data: impl Into<Arc<SecretData>>,
    ) -> bool {
        let key = (namespace.to_owned(), name.to_owned());
        self.0.insert(key, Some(data.into())).is_none()
    }

    /// Adds a Secret that cannot be read.
    pub fn insert_unreadable(&mut self, namespace: &str, name: &str) {
        self.0.insert((namespace.to_owned(), name.to_owned()), None);
    }

    /// The content of a Secret.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Found<'_> {
        match self.0.get(&(namespace.to_owned(), name.to_owned())) {
            Some(Some(data)) => Found::Yes(data),
            Some(None) => Found::Unreadable,
            None => Found::No,
        }
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
        assert!(matches!(secrets.get("shop", "readers"), Found::Yes(_)));
        assert_eq!(secrets.get("other", "readers"), Found::No);
        secrets.insert_unreadable("shop", "readers");
        assert_eq!(secrets.get("shop", "readers"), Found::Unreadable);
    }
}
