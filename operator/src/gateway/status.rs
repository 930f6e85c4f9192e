//! What a Channel's status is to be, and whether it is worth a write.
//!
//! Owns: the whole status, times of transition that move on a flip alone, and the pace: words at once, numbers
//! seldom. Never: writes. Pure. Used by: `tell`.

use super::collect::Facts;
use super::conditions::{self, Programmed};
use super::reports::Reports;
use crate::events::cut;
use crate::stores::{self, stored::Stored};
use crds::channel::{CONDITION_TYPES, ChannelStatus};
use crds::compile::{Finding, Verdict};
use crds::name::ChannelName;
use crds::policy::Policy;
use crds::reason::Reason;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// A Channel's numbers alone are written no more often.
const NUMBERS_EVERY: Duration = Duration::from_secs(60);
/// Which Pods of the fleet are behind, no more often than that.
const NAMES_EVERY: Duration = Duration::from_secs(10);
/// A change of streams by less than one part in so many is none.
const NOTABLE_PART: u64 = 20;
/// Writes of numbers alone within a second, over all Channels of a fleet.
const NUMBERS_A_SECOND: usize = 10;
/// A status that somebody else overwrote so often …
const MOST_OVERWRITTEN: usize = 3;
/// … within this time …
const CONTEST: Duration = Duration::from_secs(60);
/// … is left to them for so long.
const TRUCE: Duration = Duration::from_secs(600);

/// The longest message that the schema of a Channel takes; a longer one would keep the whole status from being written.
const MESSAGE_BYTES: usize = 32_768;

/// What is known of one Channel at this moment.
pub struct View<'a> {
    pub verdict: &'a Verdict,
    /// The form in force.
    pub policy: Option<&'a Policy>,
    pub facts: &'a Facts,
    pub programmed: &'a Programmed,
    pub reports: &'a Reports,
}

impl View<'_> {
    /// The status that says all of it. `before` is the one that stands: its times stay where nothing flips. `now` is
    /// in whole seconds, as the API keeps it: more would never equal itself.
    #[must_use]
    pub fn status(&self, before: &ChannelStatus, now: &Time) -> ChannelStatus {
        let Verdict {
            accepted,
            resolved_refs,
            ..
        } = self.verdict;
        let programmed = &self.programmed.finding;
        let ready = conditions::ready(self.verdict, programmed, self.policy, self.facts);
        let findings = [accepted, resolved_refs, programmed, &ready];
        let conditions = CONDITION_TYPES.into_iter().zip(findings);
        let conditions = conditions
            .map(|(type_, finding)| condition(type_, finding, self.verdict.generation, before, now))
            .collect();
        let streams = conditions::streams(&self.verdict.channel, self.reports);
        ChannelStatus {
            observed_generation: Some(self.verdict.generation),
            conditions,
            programmed: Some(format!(
                "{}/{}",
                self.programmed.serving, self.programmed.expected
            )),
            streams: Some(i64::try_from(streams).unwrap_or(i64::MAX)),
            url: self.url(),
        }
    }

    /// Where to listen to the first topic, its captures as `{name}`.
    fn url(&self) -> Option<String> {
        let (base, policy) = (self.facts.url.as_deref()?, self.policy?);
        let (namespace, topic) = (policy.channel.namespace(), policy.topics.first()?);
        Some(format!(
            "{base}/{namespace}/stream?channel={}",
            topic.as_str()
        ))
    }
}

fn condition(
    type_: &str,
    finding: &Finding,
    generation: i64,
    before: &ChannelStatus,
    now: &Time,
) -> Condition {
    let status = if finding.holds { "True" } else { "False" };
    let mut stands = before.conditions.iter();
    let since = stands.find(|before| before.type_ == type_ && before.status == status);
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: finding.reason.to_string(),
        message: cut(&finding.message, MESSAGE_BYTES).to_owned(),
        observed_generation: Some(generation),
        last_transition_time: since
            .map_or(now, |before| &before.last_transition_time)
            .clone(),
    }
}

/// Why a status is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// A condition says something else.
    Words,
    /// Only streams, or how many Pods serve it.
    Numbers,
}

/// What was written, and who else writes.
#[derive(Debug, Default)]
pub struct Ledger {
    channels: HashMap<ChannelName, Entry>,
    /// When numbers alone were written within the last second; at most [`NUMBERS_A_SECOND`].
    numbers: VecDeque<Instant>,
}

#[derive(Debug)]
struct Entry {
    uid: String,
    /// `metadata.resourceVersion` of our last write.
    version: u64,
    status: ChannelStatus,
    /// When numbers were last written, with words or alone.
    at: Instant,
    /// Whether the store has shown that write or a later one.
    seen: bool,
    overwritten: VecDeque<Instant>,
    truce_until: Option<Instant>,
}

impl Ledger {
    /// The status that stands: the stored one, or what was written since.
    #[must_use]
    pub fn current<'a>(&'a self, stored: &'a Stored) -> &'a ChannelStatus {
        match self.entry(stored) {
            Some(entry) if version(stored) < entry.version => &entry.status,
            _ => &stored.status,
        }
    }

    /// The version that a write replaces: the stored one, or that of what was written since.
    #[must_use]
    pub fn replaces(&self, stored: &Stored) -> Option<String> {
        let newer = self.entry(stored).map(|entry| entry.version);
        let newer = newer.filter(|newer| version(stored) < *newer);
        newer.map_or_else(
            || stored.metadata.resource_version.clone(),
            |newer| Some(newer.to_string()),
        )
    }

    /// Looks whether somebody else has written our status; answers true when the Channel is left to them now.
    pub fn is_contested(&mut self, stored: &Stored, now: Instant) -> bool {
        let Some(entry) = self
            .channels
            .get_mut(&stored.name())
            .filter(|entry| entry.uid == stored.uid())
        else {
            return false;
        };
        let overwritten = version(stored) > entry.version && stored.status != entry.status;
        if overwritten && entry.seen {
            entry.seen = false;
            entry.overwritten.push_back(now);
        } else if !overwritten && version(stored) >= entry.version {
            entry.seen = true;
        }
        let old = |at: &Instant| now.saturating_duration_since(*at) > CONTEST;
        while entry.overwritten.front().is_some_and(old) {
            entry.overwritten.pop_front();
        }
        if entry.overwritten.len() >= MOST_OVERWRITTEN {
            entry.overwritten.clear();
            entry.truce_until = Some(now + TRUCE);
            return true;
        }
        false
    }

    /// Whether `wanted` is to be written now, and why. Numbers take one of the places that a second has.
    #[must_use]
    pub fn due(&mut self, stored: &Stored, wanted: &ChannelStatus, now: Instant) -> Option<Due> {
        let (current, entry) = (self.current(stored), self.entry(stored));
        if current == wanted {
            return None;
        }
        let truce = entry.and_then(|entry| entry.truce_until);
        if truce.is_some_and(|until| now < until) {
            return None;
        }
        if words(current) != words(wanted) {
            return Some(Due::Words);
        }
        let every = if current.conditions == wanted.conditions {
            NUMBERS_EVERY
        } else {
            NAMES_EVERY
        };
        let rested = entry.is_none_or(|entry| now >= entry.at + every);
        if rested && are_notable(current, wanted) && self.has_room(now) {
            self.numbers.push_back(now);
            return Some(Due::Numbers);
        }
        None
    }

    /// Remembers a write; `version` is that of the answer.
    pub fn wrote(&mut self, stored: &Stored, version: &str, status: ChannelStatus, now: Instant) {
        let before = self.channels.remove(&stored.name());
        let before = before.filter(|entry| entry.uid == stored.uid());
        let (overwritten, truce_until) = before.map_or_else(Default::default, |entry| {
            (entry.overwritten, entry.truce_until)
        });
        let entry = Entry {
            uid: stored.uid().to_owned(),
            version: stores::version(Some(version)).unwrap_or_default(),
            status,
            at: now,
            seen: true,
            overwritten,
            truce_until,
        };
        self.channels.insert(stored.name(), entry);
    }

    /// Forgets Channels that are gone.
    pub fn retain(&mut self, keep: impl Fn(&ChannelName) -> bool) {
        self.channels.retain(|name, _| keep(name));
    }

    fn entry(&self, stored: &Stored) -> Option<&Entry> {
        let entry = self.channels.get(&stored.name());
        entry.filter(|entry| entry.uid == stored.uid())
    }

    fn has_room(&mut self, now: Instant) -> bool {
        let old = |at: &Instant| now >= *at + Duration::from_secs(1);
        while self.numbers.front().is_some_and(old) {
            self.numbers.pop_front();
        }
        self.numbers.len() < NUMBERS_A_SECOND
    }
}

/// All but the numbers. Which Pods are behind is one of them: it changes with each that catches up.
fn words(status: &ChannelStatus) -> ChannelStatus {
    let mut words = ChannelStatus {
        streams: None,
        programmed: None,
        ..status.clone()
    };
    for condition in &mut words.conditions {
        if condition.reason == Reason::Pending.as_str() {
            condition.message.clear();
        }
    }
    words
}

/// Whether the numbers differ enough to be told.
fn are_notable(before: &ChannelStatus, after: &ChannelStatus) -> bool {
    let count = |status: &ChannelStatus| {
        let streams = status.streams.unwrap_or_default();
        u64::try_from(streams).unwrap_or_default()
    };
    let (old, new) = (count(before), count(after));
    before.programmed != after.programmed
        || before.conditions != after.conditions
        || before.streams.is_none()
        || (old == 0) != (new == 0)
        || old.abs_diff(new) * NOTABLE_PART >= old.max(1) && old != new
}

/// What cannot be read is newer than anything.
fn version(stored: &Stored) -> u64 {
    stores::version(stored.metadata.resource_version.as_deref()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
