//! The proof that somebody may.
//!
//! Owns: what a decision keeps to be made again for a new Snapshot. Small, since every open stream holds
//! one. Pure. Made by: `access::decide` alone.

use super::{Action, Ask, Decision, Request, Subject, decide};
use crate::clock::Now;
use crate::close::CloseReason;
use crate::few::Few;
use crds::policy::Policy;
use crds::snapshot::Snapshot;
use std::sync::Arc;

/// This identity may do this with these topics.
#[derive(Clone, Debug)]
pub struct Grant {
    action: Action,
    request: Request,
    items: Few<Item>,
}

/// One thing that was granted.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// The Channel as it was when it admitted.
    pub policy: Arc<Policy>,
    pub subject: Subject,
    /// As this Channel verified it; none for anonymous.
    pub identity: Option<Arc<str>>,
}

/// What a new Snapshot makes of a Grant.
#[derive(Debug)]
pub enum Again {
    /// Nothing that matters changed.
    Unchanged,
    /// Admitted by the new Policy.
    Renewed(Grant),
    /// No longer admitted, or not on this ground any more.
    Ended(CloseReason),
}

impl Grant {
    pub(super) fn new(action: Action, request: Request, items: Few<Item>) -> Self {
        Self {
            action,
            request,
            items,
        }
    }

    /// The verified identity; the first one where several Channels each verified their own.
    #[must_use]
    pub fn identity(&self) -> Option<&Arc<str>> {
        let mut items = self.items.all().iter();
        items.find_map(|item| item.identity.as_ref())
    }

    /// Each Channel once, with the identity that it verified.
    pub fn channels(&self) -> impl Iterator<Item = (&Arc<Policy>, Option<&Arc<str>>)> {
        let items = self.items.all();
        let first = |at: usize| {
            !items[..at]
                .iter()
                .any(|before| before.policy.channel == items[at].policy.channel)
        };
        (0..items.len())
            .filter(move |&at| first(at))
            .map(|at| (&items[at].policy, items[at].identity.as_ref()))
    }

    /// When its evidence runs out, in milliseconds since 1970. Tokens of a Secret never do by themselves.
    #[must_use]
    pub fn expires(&self) -> Option<u64> {
        None
    }

    /// Decides again with the Channels of `snapshot`, by the same rules on the same request. Revoked goes
    /// before rotated: who is not admitted must not even be told of a better time.
    #[must_use]
    pub fn again(&self, snapshot: &Snapshot, _now: Now) -> Again {
        let items = self.items.all();
        let mut asks = Vec::with_capacity(items.len());
        let (mut changed, mut moved) = (false, false);
        for item in items {
            let Some(policy) = item.owner(snapshot) else {
                return Again::Ended(CloseReason::Deleted);
            };
            changed |= item.policy.channel != policy.channel || item.policy.digest != policy.digest;
            moved |= !same_ground(&item.policy, policy);
            asks.push(Ask {
                policy: policy.clone(),
                subject: item.subject.clone(),
            });
        }
        if !changed {
            return Again::Unchanged;
        }
        match decide(self.action, asks, &self.request) {
            Decision::Denied(_) => Again::Ended(CloseReason::Revoked),
            Decision::Granted(_) if moved => Again::Ended(CloseReason::Rotated),
            Decision::Granted(grant) => Again::Renewed(grant),
        }
    }
}

impl Item {
    fn owner<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a Arc<Policy>> {
        let channel = &self.policy.channel;
        match &self.subject {
            Subject::Topic(topic) => snapshot.find(channel.namespace(), topic),
            Subject::Feed => snapshot.channel(channel),
        }
    }
}

/// Whether what was joined under `before` is what would be joined under `after`.
fn same_ground(before: &Policy, after: &Policy) -> bool {
    before.channel == after.channel
        && before.wildcard == after.wildcard
        && before.redis == after.redis
        && before.prefix == after.prefix
        && before.history.is_some() == after.history.is_some()
}
