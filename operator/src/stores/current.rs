//! Whether the stores have all that there is.
//!
//! Owns: the comparison with a list of names and versions that the API server gives now. Watches are independent: what
//! one of them has shown may have been done by somebody who knew what another has not brought yet. Used by: `gateway`,
//! before it replaces what somebody else has published; `watched`.

use super::{Stores, version};
use crate::calls::{CallError, call};
use kube::api::{ListParams, ObjectMeta, PartialObjectMeta};
use kube::core::ObjectList;
use kube::runtime::reflector::Store;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt::Debug;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long is waited for what a list has and a store has not.
const CATCH_UP: Duration = Duration::from_secs(2);

impl Stores {
    /// Whether Channels and Secrets are those of the API server at a moment after this call; what is on its way is
    /// waited for a little.
    pub async fn are_current(&self) -> bool {
        let (all, scopes) = (ListParams::default(), &self.scopes);
        let (channels, secrets) = tokio::join!(
            has_all(&scopes.channels, &all, &self.channels, self.changes()),
            has_all(&scopes.secrets, &all, &self.secrets, self.changes()),
        );
        let answers = [channels, secrets];
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            tracing::warn!(
                error = error.to_string(),
                "what there is cannot be compared with what is known"
            );
        }
        answers.iter().all(|answer| matches!(answer, Ok(true)))
    }
}

/// Whether a store has all that the API server lists at a moment after this call, or has it soon.
pub async fn has_all<K>(
    api: &Api<K>,
    list: &ListParams,
    store: &Store<K>,
    mut changes: watch::Receiver<u64>,
) -> Result<bool, CallError>
where
    K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + 'static,
{
    let listed = Listed::of(&call(api.list_metadata(list)).await?);
    let caught_up = async {
        while !listed.is_in(store) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    Ok(timeout(CATCH_UP, caught_up).await.is_ok())
}

/// Every object's version, by uid.
struct Listed {
    objects: HashMap<String, u64>,
    /// The version of the list: what is newer came later.
    version: u64,
}

impl Listed {
    fn of<K: Clone>(list: &ObjectList<PartialObjectMeta<K>>) -> Self {
        Self {
            objects: list
                .items
                .iter()
                .map(|object| entry(&object.metadata))
                .collect(),
            version: version(list.metadata.resource_version.as_deref()).unwrap_or_default(),
        }
    }

    fn is_in<K>(&self, store: &Store<K>) -> bool
    where
        K: Resource<DynamicType = ()> + Clone + 'static,
    {
        let stored = store.state();
        let stored = stored.iter().map(|object| entry(object.meta()));
        self.agrees(&stored.collect())
    }

    /// Nothing that was listed is missing or older, and what was not listed is newer than the list.
    fn agrees(&self, stored: &HashMap<String, u64>) -> bool {
        let mut listed = self.objects.iter();
        let mut others = stored
            .iter()
            .filter(|(uid, _)| !self.objects.contains_key(*uid));
        listed.all(|(uid, version)| stored.get(uid).is_some_and(|stored| stored >= version))
            && others.all(|(_, version)| *version > self.version)
    }
}

fn entry(metadata: &ObjectMeta) -> (String, u64) {
    let version = version(metadata.resource_version.as_deref());
    let uid = metadata.uid.clone().unwrap_or_default();
    (uid, version.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(all: &[(&str, u64)]) -> HashMap<String, u64> {
        let all = all.iter();
        all.map(|(uid, version)| ((*uid).to_owned(), *version))
            .collect()
    }

    /// A list of version 10 with `a` in version 5 and `b` in version 7.
    #[track_caller]
    fn check(stored: &[(&str, u64)], expected: bool) {
        let listed = Listed {
            objects: objects(&[("a", 5), ("b", 7)]),
            version: 10,
        };
        assert_eq!(listed.agrees(&objects(stored)), expected, "{stored:?}");
    }

    #[test]
    fn a_store_that_is_behind_the_list_is_not_current() {
        check(&[("a", 5), ("b", 7)], true);
        check(&[("a", 5), ("b", 12)], true);
        check(&[("a", 5), ("b", 6)], false);
        check(&[("a", 5)], false);
        check(&[], false);
    }

    #[test]
    fn what_the_list_lacks_was_made_later_or_is_gone() {
        check(&[("a", 5), ("b", 7), ("c", 11)], true);
        check(&[("a", 5), ("b", 7), ("c", 9)], false);
    }
}
