//! The proof that somebody may.
//!
//! Owns: what a decision keeps to be made again for a new Snapshot or new keys. Small, since every open
//! stream holds one; never the token. Pure. Made by: `access::decide` alone.

use super::admit::{Admitted, Shown};
use super::jwt::{LEEWAY, Verified};
use super::kept::Kept;
use super::request::{Facts, Request};
use super::review::Reviewer;
use super::{Action, Ask, Findings, Known, Refusal, Subject, judge};
use crate::close::CloseReason;
use crate::few::Few;
use crds::name::ChannelName;
use crds::policy::{JwtKeys, Policy, Reads, Rule, RuleKind};
use crds::snapshot::Snapshot;
use std::sync::Arc;
use std::time::Duration;

/// This identity may do this with these topics.
#[derive(Clone, Debug)]
pub struct Grant {
    action: Action,
    items: Few<Item>,
    /// None for a stream of an anonymous visitor whose request matters no more.
    kept: Option<Arc<Kept>>,
    /// In milliseconds since 1970.
    expires: Option<u64>,
    /// How often a reviewer is to be asked again.
    recheck: Option<Duration>,
}

/// One thing that was granted.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// The Channel as it was when it admitted.
    pub policy: Arc<Policy>,
    pub subject: Subject,
    /// As this Channel verified it; none for anonymous.
    pub identity: Option<Arc<str>>,
    /// The rule that admitted, by its place.
    pub rule: u8,
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

/// What the conditions of all these Channels read.
fn reads(items: &[Item]) -> Arc<Reads> {
    if let [one] = items {
        return one.policy.access.reads.clone();
    }
    let mut all = Reads::default();
    for item in items {
        all.extend(&item.policy.access.reads);
    }
    Arc::new(all)
}

impl Grant {
    /// For what was just decided: each thing with how it was admitted.
    pub(super) fn new(
        action: Action,
        request: &Request,
        findings: &Findings,
        admitted: Vec<(Ask, Admitted)>,
    ) -> Self {
        let mut together = Together::of(admitted);
        let asked = together.recheck.map(|_| &findings.verdicts);
        let kept = Kept::of(
            request,
            together.token.take(),
            asked,
            reads(together.items.all()),
        );
        together.grant(action, kept)
    }

    /// How often a reviewer is to be asked again; none where none was.
    #[must_use]
    pub fn recheck(&self) -> Option<Duration> {
        self.recheck
    }

    /// Whether it was decided by the very Channels that decided `other`.
    #[must_use]
    pub fn is_by_the_same(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.items.all(), other.items.all());
        let same = |(a, b): (&Item, &Item)| Arc::ptr_eq(&a.policy, &b.policy);
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(same)
    }

    /// Whether every Channel verified the same identity as in `other`.
    #[must_use]
    pub fn is_of_the_same(&self, other: &Self) -> bool {
        let names = |grant: &Self| -> Vec<Option<Arc<str>>> {
            grant
                .channels()
                .map(|(_, identity)| identity.cloned())
                .collect()
        };
        names(self) == names(other)
    }

    /// The Channel whose rule asks a reviewer; the first one.
    #[must_use]
    pub fn reviewed_in(&self) -> Option<&ChannelName> {
        let mut items = self.items.all().iter();
        let reviewed = items.find(|item| {
            let rule = item.rule(self.action);
            rule.is_some_and(|rule| Reviewer::of(&rule.kind).is_some())
        });
        reviewed.map(|item| &item.policy.channel)
    }

    /// What was asked for, and by whom, to ask reviewers again.
    #[must_use]
    pub fn question(&self) -> (Action, Vec<Ask>, Request) {
        let asks = self.items.all().iter().map(|item| Ask {
            policy: item.policy.clone(),
            subject: item.subject.clone(),
        });
        let kept = self.kept.as_deref();
        let request = Request {
            token: kept.and_then(|kept| kept.token_again().cloned()),
            facts: kept.and_then(|kept| Some(Arc::new(Facts::clone(kept.facts.as_deref()?)))),
        };
        (self.action, asks.collect(), request)
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

    /// When its evidence runs out, in milliseconds since 1970; the earliest of its Channels. Tokens of a
    /// Secret never do by themselves.
    #[must_use]
    pub fn expires(&self) -> Option<u64> {
        self.expires
    }

    /// Decides again with the Channels of `snapshot` and the keys that are known now, by the same rules on
    /// what was kept of the request. Revoked goes before rotated: who is not admitted must not even be told
    /// of a better time.
    #[must_use]
    pub fn again(&self, snapshot: &Snapshot, known: &Known<'_>) -> Again {
        let items = self.items.all();
        let (mut changed, mut moved) = (false, false);
        for item in items {
            let Some(policy) = item.owner(snapshot) else {
                return Again::Ended(CloseReason::Deleted);
            };
            changed |= item.policy.channel != policy.channel || item.policy.digest != policy.digest;
            moved |= !same_ground(&item.policy, policy);
        }
        if !changed && !self.lost_its_key(known) {
            return Again::Unchanged;
        }
        let asks = items.iter().filter_map(|item| {
            Some(Ask {
                policy: item.owner(snapshot)?.clone(),
                subject: item.subject.clone(),
            })
        });
        let asks: Vec<Ask> = asks.collect();
        let shown = Shown::Stream(self.kept.as_deref());
        match judge(self.action, &asks, &shown, known, &Findings::default()) {
            Err((_, Refusal::Denied(_))) => Again::Ended(CloseReason::Revoked),
            // What cannot be said from what was kept is decided anew when the client comes back.
            Err((_, Refusal::Needs(_) | Refusal::Unreachable)) => {
                Again::Ended(CloseReason::Rotated)
            }
            Ok(_) if moved => Again::Ended(CloseReason::Rotated),
            Ok(admitted) => {
                Again::Renewed(Together::of(admitted).grant(self.action, self.kept.clone()))
            }
        }
    }

    /// Whether an issuer has withdrawn the key of the token, for a rule that admitted by it.
    fn lost_its_key(&self, known: &Known<'_>) -> bool {
        let Some(token) = self.kept.as_ref().and_then(|kept| kept.verified.as_ref()) else {
            return false;
        };
        let mut rules = self
            .items
            .all()
            .iter()
            .filter_map(|item| item.rule(self.action));
        rules.any(|rule| match &rule.kind {
            RuleKind::Jwt(jwt) => match &jwt.keys {
                JwtKeys::Url(url) => known
                    .keyring
                    .find(url)
                    .is_some_and(|keys| !token.is_by(&keys)),
                // A change of the Secret is a change of the Policy.
                JwtKeys::Fixed(_) => false,
            },
            _ => false,
        })
    }
}

/// All that was granted, and the first of each end.
struct Together {
    items: Few<Item>,
    /// The token that is kept.
    token: Option<Arc<Verified>>,
    expires: Option<u64>,
    recheck: Option<Duration>,
}

impl Together {
    fn of(admitted: Vec<(Ask, Admitted)>) -> Self {
        let (mut token, mut expires, mut recheck) = (None, None, None);
        let mut items = Vec::with_capacity(admitted.len());
        for (ask, admitted) in admitted {
            let ends = admitted
                .expires
                .map(|seconds| seconds.saturating_add(LEEWAY).saturating_mul(1000));
            expires = expires.into_iter().chain(ends).min();
            recheck = recheck.into_iter().chain(admitted.recheck).min();
            token = token.or(admitted.verified);
            items.push(Item {
                policy: ask.policy,
                subject: ask.subject,
                identity: admitted.identity,
                rule: admitted.rule,
            });
        }
        Self {
            items: items.into(),
            token,
            expires,
            recheck,
        }
    }

    fn grant(self, action: Action, kept: Option<Arc<Kept>>) -> Grant {
        Grant {
            action,
            items: self.items,
            kept,
            expires: self.expires,
            recheck: self.recheck,
        }
    }
}

impl Item {
    fn rule(&self, action: Action) -> Option<&Rule> {
        action.rules(&self.policy).get(usize::from(self.rule))
    }

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
        && before.server() == after.server()
        && before.prefix == after.prefix
        && before.history.is_some() == after.history.is_some()
}
