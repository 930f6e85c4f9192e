//! Who listens to one topic on this gateway.
//!
//! Owns: the count of streams and of identities, bounded. Pure. Used by: `entry`, which counts; `topics`,
//! which answers with the parts of all gateways.

use crate::broker::{PRESENCE_IDENTITIES, PresencePart};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Identities counted for one topic; the streams of further ones are counted without their names, and
/// the answer is not complete.
pub const MOST_IDENTITIES: usize = 10_000;

/// Who listens, over all gateways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Open streams, anonymous ones included.
    pub streams: u64,
    /// Verified identities in order, each once, at most 1,000.
    pub identities: Vec<Arc<str>>,
    /// Every gateway answered, and every identity stands in the list.
    pub complete: bool,
}

/// Who listens to one topic here.
#[derive(Debug, Default)]
pub struct Listeners {
    streams: u64,
    named: HashMap<Arc<str>, u32>,
    /// Streams whose identity found no place.
    unnamed: u64,
}

impl Listeners {
    /// A stream opened.
    pub fn enter(&mut self, identity: Option<&Arc<str>>) {
        self.streams += 1;
        let Some(identity) = identity else { return };
        if let Some(count) = self.named.get_mut(identity) {
            *count += 1;
        } else if self.named.len() < MOST_IDENTITIES {
            self.named.insert(identity.clone(), 1);
        } else {
            self.unnamed += 1;
        }
    }

    /// A stream closed.
    pub fn leave(&mut self, identity: Option<&Arc<str>>) {
        self.streams = self.streams.saturating_sub(1);
        let Some(identity) = identity else { return };
        let Some(count) = self.named.get_mut(identity) else {
            self.unnamed = self.unnamed.saturating_sub(1);
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.named.remove(identity);
        }
    }

    /// What is told to others.
    #[must_use]
    pub fn part(&self) -> PresencePart {
        PresencePart {
            streams: self.streams,
            identities: self
                .named
                .keys()
                .take(PRESENCE_IDENTITIES)
                .cloned()
                .collect(),
        }
    }

    /// Whether the part names everybody.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.unnamed == 0 && self.named.len() <= PRESENCE_IDENTITIES
    }
}

/// One answer from the parts of all gateways. A part that is full may have left somebody out.
#[must_use]
pub fn merge(parts: impl IntoIterator<Item = PresencePart>, complete: bool) -> Presence {
    let mut merged = Presence {
        complete,
        ..Presence::default()
    };
    let mut identities = BTreeSet::new();
    for part in parts {
        merged.streams = merged.streams.saturating_add(part.streams);
        identities.extend(part.identities);
    }
    merged.complete &= identities.len() <= PRESENCE_IDENTITIES;
    merged.identities = identities.into_iter().take(PRESENCE_IDENTITIES).collect();
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_with_two_streams_is_named_once_until_both_left() {
        let ana: Arc<str> = "ana".into();
        let mut listeners = Listeners::default();
        listeners.enter(Some(&ana));
        listeners.enter(Some(&ana));
        listeners.enter(None);
        listeners.leave(Some(&ana));
        assert_eq!(listeners.part().streams, 2);
        assert_eq!(listeners.part().identities, std::slice::from_ref(&ana));
        listeners.leave(Some(&ana));
        assert!(listeners.part().identities.is_empty());
        assert_eq!(listeners.part().streams, 1);
    }

    #[test]
    fn beyond_the_bound_streams_count_and_the_answer_is_not_complete() {
        let mut listeners = Listeners::default();
        for index in 0..=MOST_IDENTITIES {
            listeners.enter(Some(&index.to_string().into()));
        }
        assert_eq!(listeners.part().streams, 10_001);
        assert_eq!(listeners.part().identities.len(), PRESENCE_IDENTITIES);
        assert!(!listeners.complete());
    }

    #[test]
    fn the_same_identity_on_two_gateways_is_one() {
        let part = |names: &[&str]| PresencePart {
            streams: 2,
            identities: names.iter().map(|name| Arc::from(*name)).collect(),
        };
        let merged = merge([part(&["b", "a"]), part(&["a", "c"])], true);
        assert_eq!(merged.streams, 4);
        assert_eq!(merged.identities, ["a", "b", "c"].map(Arc::<str>::from));
        assert!(merged.complete);
    }
}
