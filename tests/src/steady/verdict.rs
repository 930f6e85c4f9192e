//! Whether everybody heard what was acknowledged, once and in order, or was told of the gap where it stands.
//!
//! Owns: the rule. Never: forgives: a gap covers only what is missing between the messages around it.
//! Used by: `steady`, tests.

use super::account::{Account, Acknowledged, Heard, Listener, Topic, What, name};
use crate::position::{Epoch, Position};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// How many faults are shown.
const SHOWN: usize = 20;

/// What became of a run.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub acknowledged: usize,
    /// Messages heard, over all listeners.
    pub heard: usize,
    /// By listener and topic.
    pub pairs: Vec<Pair>,
    /// What must not be.
    pub faults: Vec<String>,
}

/// One topic as one listener had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub listener: String,
    pub topic: String,
    /// Acknowledged and not heard, where a gap stands.
    pub missing: usize,
    /// Published anew when the server had forgotten both message and key, so heard twice at two positions.
    pub again: usize,
    /// The reasons of its gaps.
    pub gaps: Vec<String>,
}

impl Verdict {
    /// Panics with what is wrong, if anything is.
    #[track_caller]
    pub fn must_hold(&self) {
        let shown = self.faults.iter().take(SHOWN).cloned();
        let shown: Vec<String> = shown.collect();
        let (count, text) = (self.faults.len(), shown.join("\n"));
        assert!(self.faults.is_empty(), "{count} faults:\n{text}");
    }

    /// How many gaps were told.
    #[must_use]
    pub fn gaps(&self) -> usize {
        self.pairs.iter().map(|pair| pair.gaps.len()).sum()
    }

    /// How many messages are missing where a gap stands.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.pairs.iter().map(|pair| pair.missing).sum()
    }
}

/// Judges a run that has come to its end.
#[must_use]
pub fn judge(account: &Account) -> Verdict {
    let mut verdict = Verdict {
        faults: account.strange.clone(),
        ..Verdict::default()
    };
    for (index, topic) in account.topics.iter().enumerate() {
        verdict.acknowledged += topic.acknowledged.len();
        verdict.faults.extend(rising(index, topic));
    }
    for listener in &account.listeners {
        for (index, (topic, heard)) in account.topics.iter().zip(&listener.heard).enumerate() {
            let mut walk = Walk::new(account, listener, index, topic);
            for (at, heard) in heard.iter().enumerate() {
                walk.step(at, heard);
            }
            walk.skip_to(u64::MAX, heard.len());
            verdict.heard += walk.positions.len();
            verdict.faults.extend(walk.faults);
            verdict.pairs.push(walk.pair);
        }
    }
    verdict
}

/// The positions that were acknowledged rise with the messages, as these were published one after the other.
fn rising(index: usize, topic: &Topic) -> Vec<String> {
    let (mut newest, mut faults) = (BTreeMap::new(), Vec::new());
    for message in &topic.acknowledged {
        let Position { epoch, offset } = &message.position;
        if let Some(before) = newest
            .insert(epoch, *offset)
            .filter(|before| before >= offset)
        {
            faults.push(format!(
                "{}: {} was acknowledged at {}, after {before}",
                name(index),
                message.number,
                message.position
            ));
        }
    }
    faults
}

/// Walks along what one listener heard of one topic.
struct Walk<'a> {
    topic: &'a Topic,
    heard: &'a [Heard],
    begun: Instant,
    /// The newest message so far, as a number.
    newest: u64,
    /// Where each message was heard.
    positions: BTreeMap<u64, &'a Position>,
    /// All those places, and the newest of each epoch.
    places: BTreeSet<&'a Position>,
    offsets: BTreeMap<Epoch, u64>,
    /// Whether a gap was told since the newest message.
    gap: bool,
    pair: Pair,
    faults: Vec<String>,
}

impl<'a> Walk<'a> {
    fn new(account: &Account, listener: &'a Listener, index: usize, topic: &'a Topic) -> Self {
        Self {
            topic,
            heard: &listener.heard[index],
            begun: account.begun,
            newest: 0,
            positions: BTreeMap::new(),
            places: BTreeSet::new(),
            offsets: BTreeMap::new(),
            gap: false,
            pair: Pair {
                listener: listener.name.clone(),
                topic: name(index),
                missing: 0,
                again: 0,
                gaps: Vec::new(),
            },
            faults: Vec::new(),
        }
    }

    fn step(&mut self, at: usize, heard: &'a Heard) {
        let (number, position) = match &heard.what {
            What::Message { number, position } => (*number, position),
            What::Gap { reason, .. } => {
                self.gap = true;
                return self.pair.gaps.push(reason.clone());
            }
        };
        if number == 0 || number > self.topic.asked {
            self.fault(at, format!("{number} was never published"));
        }
        if !self.places.insert(position) {
            return self.fault(at, format!("{number} at {position} came twice"));
        }
        let newest = self.offsets.insert(position.epoch, position.offset);
        if newest.is_some_and(|newest| newest > position.offset) {
            self.fault(at, format!("{number} at {position} came after {newest:?}"));
        }
        let acknowledged = self.topic.of(number);
        if let Some(first) = self.positions.get(&number) {
            if first.epoch == position.epoch || !repeated(acknowledged) {
                self.fault(
                    at,
                    format!("{number} came twice, at {first} and {position}"),
                );
            }
            self.pair.again += 1;
            return;
        }
        if let Some(told) = acknowledged.filter(|told| told.position != *position)
            && (told.position.epoch == position.epoch || !repeated(acknowledged))
        {
            let told = &told.position;
            self.fault(
                at,
                format!("{number} came at {position}, acknowledged was {told}"),
            );
        }
        if number < self.newest {
            let newest = self.newest;
            self.fault(at, format!("{number} came after {newest}"));
        } else {
            self.skip_to(number, at);
            self.newest = number;
            self.gap = false;
        }
        self.positions.insert(number, position);
    }

    /// What was acknowledged between the newest message and this number is missing.
    fn skip_to(&mut self, number: u64, at: usize) {
        let acknowledged = &self.topic.acknowledged;
        let from = acknowledged.partition_point(|message| message.number <= self.newest);
        let missing = acknowledged[from..].iter();
        for message in missing.take_while(|message| message.number < number) {
            if self.gap {
                self.pair.missing += 1;
                continue;
            }
            let Acknowledged {
                number,
                position,
                at: when,
                tries,
            } = message;
            let when = self.time(*when);
            self.fault(
                at,
                format!("{number} is lost, acknowledged at {position} {when} after {tries} tries"),
            );
        }
    }

    /// Notes a fault with what was heard around it.
    fn fault(&mut self, at: usize, what: String) {
        let Pair {
            listener, topic, ..
        } = &self.pair;
        let around = self.heard[..at].iter().rev().take(2).rev();
        let around = around.chain(self.heard[at..].iter().take(2));
        let around: Vec<String> = around.map(|heard| self.tell(heard)).collect();
        self.faults.push(format!(
            "{listener}, {topic}: {what}; around: {}",
            around.join(", ")
        ));
    }

    fn tell(&self, heard: &Heard) -> String {
        let time = self.time(heard.at);
        match &heard.what {
            What::Message { number, position } => format!("{number} at {position} {time}"),
            What::Gap { reason, position } => format!("a gap {reason} to {position} {time}"),
        }
    }

    fn time(&self, at: Instant) -> String {
        format!(
            "[{:.3} s]",
            at.saturating_duration_since(self.begun).as_secs_f64()
        )
    }
}

/// Whether a message may have been published before it was acknowledged.
fn repeated(acknowledged: Option<&Acknowledged>) -> bool {
    acknowledged.is_none_or(|message| message.tries > 1)
}

#[cfg(test)]
mod tests;
