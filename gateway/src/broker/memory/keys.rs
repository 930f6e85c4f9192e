//! Which keys were published under, so that a repeat does not publish twice.
//!
//! Owns: the bound of remembered keys. Pure. Used by: `memory::kept`.

use crate::broker::Idempotency;
use crate::position::Position;
use std::collections::{HashMap, VecDeque};
use std::time::Instant;

/// Keys remembered for one topic; a new one is refused beyond that, since forgetting one early could
/// publish twice.
pub const MOST_KEYS: usize = 100_000;
/// What a key counts in the memory of the keeper: two hashes in hex, the result, their places.
pub const KEY_BYTES: usize = 320;

/// The keys of one topic.
#[derive(Debug, Default)]
pub struct Keys {
    known: HashMap<String, Known>,
    /// In the order of their arrival; one that is overdue is forgotten when it comes to the front.
    order: VecDeque<(Instant, String)>,
}

#[derive(Debug)]
struct Known {
    content: String,
    position: Position,
    until: Instant,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    New,
    /// The first result.
    Known(Position),
    /// It was used for another message.
    Conflict,
    /// There is no room to remember one more.
    Full,
}

impl Keys {
    /// Looks `key` up.
    pub fn find(&mut self, key: &Idempotency, now: Instant) -> Key {
        self.expire(now);
        match self.known.get(&key.key).filter(|known| known.until > now) {
            Some(known) if known.content == key.content => Key::Known(known.position),
            Some(_) => Key::Conflict,
            None if self.known.len() >= MOST_KEYS => Key::Full,
            None => Key::New,
        }
    }

    /// Remembers the first result of `key`.
    pub fn remember(&mut self, key: Idempotency, position: Position, now: Instant) {
        let until = now + key.ttl;
        self.order.push_back((until, key.key.clone()));
        let known = Known {
            content: key.content,
            position,
            until,
        };
        self.known.insert(key.key, known);
    }

    /// Forgets what is overdue.
    pub fn expire(&mut self, now: Instant) {
        while self.order.front().is_some_and(|&(until, _)| until <= now) {
            let Some((_, key)) = self.order.pop_front() else {
                return;
            };
            // The same key may have been remembered anew since.
            if self.known.get(&key).is_some_and(|known| known.until <= now) {
                self.known.remove(&key);
            }
        }
    }

    /// Whether no key is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// What they count.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.order.len() * KEY_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use std::time::Duration;

    fn key(name: &str, content: &str) -> Idempotency {
        Idempotency {
            key: name.into(),
            content: content.into(),
            ttl: Duration::from_secs(300),
        }
    }

    fn at(offset: u64) -> Position {
        Position {
            offset,
            ..Position::NEVER
        }
    }

    #[test]
    fn a_key_is_known_until_its_time_is_over() {
        let now = clock::now().steady;
        let mut keys = Keys::default();
        keys.remember(key("a", "1"), at(7), now);
        let later = now + Duration::from_secs(299);
        assert_eq!(keys.find(&key("a", "1"), later), Key::Known(at(7)));
        assert_eq!(keys.find(&key("a", "2"), later), Key::Conflict);
        assert_eq!(keys.find(&key("b", "1"), later), Key::New);
        let over = now + Duration::from_secs(300);
        assert_eq!(keys.find(&key("a", "2"), over), Key::New);
        assert_eq!(keys.bytes(), 0);
    }

    #[test]
    fn beyond_the_bound_a_new_key_is_refused_and_an_old_one_still_known() {
        let now = clock::now().steady;
        let mut keys = Keys::default();
        for index in 0..MOST_KEYS {
            keys.remember(key(&index.to_string(), "1"), at(1), now);
        }
        assert_eq!(keys.find(&key("new", "1"), now), Key::Full);
        assert_eq!(keys.find(&key("0", "1"), now), Key::Known(at(1)));
    }
}
