//! What was acknowledged and what was heard, in order and with its time.
//!
//! Owns: the records of a run, and what can be read off them without judging. Never: waits. Used by: `steady`, tests.

use crate::position::Position;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// All records of a run.
#[derive(Clone, Debug)]
pub struct Account {
    pub begun: Instant,
    pub topics: Vec<Topic>,
    pub listeners: Vec<Listener>,
    /// Publications that were not acknowledged, by what was said instead: when first, and how often.
    pub refused: BTreeMap<String, u64>,
    refusals: Vec<Instant>,
    /// What should not happen, whatever breaks.
    pub strange: Vec<String>,
}

/// The messages of a topic are numbered from 1, and published one after the other.
#[derive(Clone, Debug, Default)]
pub struct Topic {
    /// The newest number that anybody was asked to publish.
    pub asked: u64,
    pub acknowledged: Vec<Acknowledged>,
}

/// A message that counts.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    pub number: u64,
    pub position: Position,
    pub at: Instant,
    /// How often it was asked for until then: after more than once it may have been published unnoticed.
    pub tries: u32,
}

/// One who listens on all topics.
#[derive(Clone, Debug)]
pub struct Listener {
    pub name: String,
    /// By topic.
    pub heard: Vec<Vec<Heard>>,
    /// `siar.end` by its reason, streams that were cut, and answers that were none.
    pub ends: BTreeMap<String, u64>,
}

#[derive(Clone, Debug)]
pub struct Heard {
    pub at: Instant,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Message { number: u64, position: Position },
    Gap { reason: String, position: Position },
}

/// The name of a topic; names are sorted as their numbers.
pub fn name(topic: usize) -> String {
    format!("t{topic:04}")
}

/// The topic of that name.
pub fn topic(name: &str) -> Option<usize> {
    name.strip_prefix('t')?.parse().ok()
}

impl Account {
    pub(super) fn new(topics: usize, listeners: &[String]) -> Self {
        let listener = |name: &String| Listener {
            name: name.clone(),
            heard: vec![Vec::new(); topics],
            ends: BTreeMap::new(),
        };
        Self {
            begun: Instant::now(),
            topics: vec![Topic::default(); topics],
            listeners: listeners.iter().map(listener).collect(),
            refused: BTreeMap::new(),
            refusals: Vec::new(),
            strange: Vec::new(),
        }
    }

    pub(super) fn strange(&mut self, what: String) {
        self.strange.push(what);
    }

    pub(super) fn refused(&mut self, at: Instant, what: String) {
        *self.refused.entry(what).or_default() += 1;
        self.refusals.push(at);
    }

    /// How long after `fault` the first publication was refused.
    #[must_use]
    pub fn refused_after(&self, fault: Instant) -> Option<Duration> {
        let after = |at: &Instant| at.checked_duration_since(fault);
        self.refusals.iter().filter_map(after).min()
    }

    /// How long after `mended` everybody had heard a message of each topic that was acknowledged after it; none if
    /// somebody has not yet.
    #[must_use]
    pub fn recovered_after(&self, mended: Instant) -> Option<Duration> {
        let each = self
            .listeners
            .iter()
            .map(|listener| self.recovery(listener, mended));
        each.collect::<Option<Vec<Duration>>>()?.into_iter().max()
    }

    /// The same for one listener.
    pub fn recovery(&self, listener: &Listener, mended: Instant) -> Option<Duration> {
        let topics = self.topics.iter().zip(&listener.heard);
        let first = topics.map(|(topic, heard)| topic.first_heard(heard, mended));
        let latest = first.collect::<Option<Vec<Instant>>>()?.into_iter().max()?;
        Some(latest - mended)
    }

    /// How long after `mended` a message of each topic was acknowledged.
    pub fn acknowledged_after(&self, mended: Instant) -> Option<Duration> {
        let first = self.topics.iter().map(|topic| topic.after(mended).last());
        let first = first.map(|first| Some(first?.at - mended));
        first.collect::<Option<Vec<Duration>>>()?.into_iter().max()
    }

    /// Who has not yet heard a message of each topic that was acknowledged after `since`.
    pub(super) fn late(&self, since: Instant) -> Option<String> {
        for (index, topic) in self.topics.iter().enumerate() {
            let deaf =
                |listener: &&Listener| topic.first_heard(&listener.heard[index], since).is_none();
            if let Some(listener) = self.listeners.iter().find(deaf) {
                let acknowledged = topic.after(since).count();
                let (name, listener) = (name(index), &listener.name);
                let refused = &self.refused;
                return Some(format!(
                    "of {acknowledged} acknowledged on {name} the listener {listener} heard none; refused: {refused:?}"
                ));
            }
        }
        None
    }

    /// How many newest messages are not heard.
    pub(super) fn unheard(&self) -> usize {
        let pairs = self.listeners.iter().flat_map(|listener| {
            let pairs = self.topics.iter().zip(&listener.heard);
            pairs.filter(|(topic, heard)| {
                let newest = topic.acknowledged.last().map(|newest| newest.number);
                newest.is_some_and(|newest| {
                    !heard
                        .iter()
                        .rev()
                        .any(|heard| heard.number() == Some(newest))
                })
            })
        });
        pairs.count()
    }
}

impl Topic {
    /// When it was acknowledged that this number was published, and where.
    pub fn of(&self, number: u64) -> Option<&Acknowledged> {
        let at = self
            .acknowledged
            .binary_search_by_key(&number, |message| message.number);
        at.ok().map(|at| &self.acknowledged[at])
    }

    fn after(&self, since: Instant) -> impl Iterator<Item = &Acknowledged> {
        let newest = self.acknowledged.iter().rev();
        newest.take_while(move |message| message.at >= since)
    }

    /// When the first message was known to be both acknowledged after `since`, and heard.
    fn first_heard(&self, heard: &[Heard], since: Instant) -> Option<Instant> {
        let oldest = self.after(since).last()?.number;
        // Heard in order, so what was acknowledged after `since` stands at the end.
        let newest = heard.iter().rev();
        let candidates =
            newest.take_while(|heard| heard.number().is_none_or(|number| number >= oldest));
        let both = candidates.filter_map(|heard| Some(heard.at.max(self.of(heard.number()?)?.at)));
        both.min()
    }
}

impl Heard {
    /// The number of a message.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        match self.what {
            What::Message { number, .. } => Some(number),
            What::Gap { .. } => None,
        }
    }
}
