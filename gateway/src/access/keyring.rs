//! The keys of issuers, as they were last fetched.
//!
//! Owns: one set for each address. Never: fetches. Used by: `access`, which reads; `evidence`, which fetches.

use crds::keys::KeySet;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;

/// Sets by the address that they were fetched from.
#[derive(Default)]
pub struct Keyring(RwLock<HashMap<Arc<str>, Arc<KeySet>>>);

impl Keyring {
    /// The last good set from `url`; none before the first.
    #[must_use]
    pub fn find(&self, url: &str) -> Option<Arc<KeySet>> {
        self.0.read().get(url).cloned()
    }

    /// Takes over a set. True if it is another one than before.
    pub fn put(&self, url: &Arc<str>, keys: KeySet) -> bool {
        let keys = Arc::new(keys);
        let before = self.0.write().insert(url.clone(), keys.clone());
        // A key that stays under another name or for other algorithms counts as well: deciding again is cheap.
        before.is_some_and(|before| before != keys)
    }

    /// Forgets the sets of addresses that no rule names.
    pub fn retain(&self, named: impl Fn(&str) -> bool) {
        self.0.write().retain(|url, _| named(url));
    }
}
