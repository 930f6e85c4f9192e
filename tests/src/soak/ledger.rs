//! What was published: which number a topic uses next, and where each acknowledged one stands.
//!
//! Owns: the truth that listeners are measured by. Never: knows who heard what. Used by: `publisher`, `page`, `report`.

use super::account::Again;
use crate::position::Position;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// The account of one topic.
#[derive(Debug, Default)]
struct Topic {
    /// How many numbers were begun.
    begun: u64,
    /// Where number 1, 2, 3 … stands.
    acknowledged: Vec<Position>,
}

/// The account of all topics.
#[derive(Debug)]
pub struct Ledger {
    topics: BTreeMap<String, Mutex<Topic>>,
}

impl Ledger {
    /// Nothing was published yet.
    pub fn new(topics: impl IntoIterator<Item = String>) -> Self {
        let topics = topics.into_iter().map(|name| (name, Mutex::default()));
        Self {
            topics: topics.collect(),
        }
    }

    /// A number that is published from now on.
    pub fn begin(&self, topic: &str) -> u64 {
        let mut topic = self.topic(topic).lock();
        topic.begun += 1;
        topic.begun
    }

    /// The newest number is acknowledged. What is wrong about its place is the answer.
    pub fn acknowledge(&self, name: &str, at: Position) -> Result<(), String> {
        let mut topic = self.topic(name).lock();
        let before = topic.acknowledged.last().copied();
        topic.acknowledged.push(at);
        match before {
            Some(before) if before.epoch == at.epoch && before.offset >= at.offset => {
                Err(format!("{name}: {at} was acknowledged after {before}"))
            }
            _ => Ok(()),
        }
    }

    /// The number that the topic uses next.
    #[must_use]
    pub fn next(&self, topic: &str) -> u64 {
        self.topic(topic).lock().begun + 1
    }

    /// How many messages were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        let counts = self.topics.values();
        counts.map(|topic| topic.lock().acknowledged.len()).sum()
    }

    /// Whether a message that was heard twice was rolled back by Redis in between: the first place was told to nobody
    /// as its own.
    #[must_use]
    pub fn was_rolled_back(&self, again: &Again) -> bool {
        let topic = self.topic(&again.topic).lock();
        let index = usize::try_from(again.number).expect("few messages") - 1;
        topic.acknowledged.get(index) != Some(&again.first)
    }

    fn topic(&self, name: &str) -> &Mutex<Topic> {
        &self.topics[name]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Position {
        text.parse().unwrap()
    }

    #[test]
    fn a_place_that_was_given_away_already_is_told() {
        let ledger = Ledger::new(["a".into()]);
        for _ in 0..3 {
            ledger.begin("a");
        }
        assert_eq!(ledger.acknowledge("a", at("aaaaaa-7")), Ok(()));
        let told = ledger.acknowledge("a", at("aaaaaa-7"));
        assert_eq!(
            told,
            Err("a: aaaaaa-7 was acknowledged after aaaaaa-7".into())
        );
        assert_eq!(ledger.acknowledge("a", at("bbbbbb-7")), Ok(()));
        assert_eq!((ledger.next("a"), ledger.acknowledged()), (4, 3));
    }

    #[test]
    fn what_was_acknowledged_at_its_first_place_was_not_rolled_back() {
        let ledger = Ledger::new(["a".into()]);
        ledger.begin("a");
        let again = |first, second| Again {
            topic: "a".into(),
            number: 1,
            first: at(first),
            second: at(second),
        };
        ledger.acknowledge("a", at("bbbbbb-1")).unwrap();
        assert!(ledger.was_rolled_back(&again("aaaaaa-1", "bbbbbb-1")));
        assert!(!ledger.was_rolled_back(&again("bbbbbb-1", "cccccc-1")));
    }
}
