//! The one timer of a worker: which stream to look at when.
//!
//! Owns: buckets of 100 ms over 102 s; what lies further is looked at on the way and put off again. Never:
//! reads a clock, knows what is due. Pure. Used by: `worker`.
//!
//! A stream has one valid entry; when its deadline moves forward it is entered again, and the later entry
//! is recognised as stale by the tick that the stream remembers.

use super::slab::Key;
use std::time::{Duration, Instant};

/// The grain of all deadlines.
pub const TICK: Duration = Duration::from_millis(100);
const BUCKETS: u64 = 1024;

/// Buckets of keys by tick.
pub struct Wheel {
    start: Instant,
    /// The next tick to be looked at.
    next: u64,
    buckets: Vec<Vec<Key>>,
}

impl Wheel {
    #[must_use]
    pub fn new(start: Instant) -> Self {
        Self {
            start,
            next: 0,
            buckets: (0..BUCKETS).map(|_| Vec::new()).collect(),
        }
    }

    /// Enters `key` to be looked at when `deadline` has come, or before if it is far; returns the tick.
    pub fn enter(&mut self, key: Key, deadline: Instant) -> u64 {
        let wanted = self.tick_after(deadline);
        let tick = wanted.clamp(self.next, self.next + BUCKETS - 1);
        self.bucket(tick).push(key);
        tick
    }

    /// The first tick that is not before `deadline`.
    #[must_use]
    pub fn tick_after(&self, deadline: Instant) -> u64 {
        let since = deadline.saturating_duration_since(self.start).as_millis();
        u64::try_from(since.div_ceil(TICK.as_millis())).unwrap_or(u64::MAX / 2)
    }

    fn bucket(&mut self, tick: u64) -> &mut Vec<Key> {
        let index = usize::try_from(tick % BUCKETS).unwrap_or(0);
        &mut self.buckets[index]
    }

    /// Moves the keys of the next tick that has come into `due` and returns that tick; none when all are done.
    pub fn turn(&mut self, now: Instant, due: &mut Vec<Key>) -> Option<u64> {
        let passed = now.saturating_duration_since(self.start).as_millis() / TICK.as_millis();
        if u128::from(self.next) > passed {
            return None;
        }
        let tick = self.next;
        self.next += 1;
        due.append(self.bucket(tick));
        Some(tick)
    }

    /// When the next tick comes.
    #[must_use]
    pub fn next_turn(&self) -> Instant {
        self.start + TICK * u32::try_from(self.next).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn turns(wheel: &mut Wheel, now: Instant) -> Vec<(u64, Key)> {
        let (mut all, mut due) = (Vec::new(), Vec::new());
        while let Some(tick) = wheel.turn(now, &mut due) {
            all.extend(due.drain(..).map(|key| (tick, key)));
        }
        all
    }

    #[test]
    fn a_key_comes_up_not_before_its_deadline() {
        let start = clock::now().steady;
        let mut wheel = Wheel::new(start);
        let key = Key {
            slot: 7,
            generation: 1,
        };
        let tick = wheel.enter(key, start + Duration::from_millis(250));
        assert_eq!(turns(&mut wheel, start + Duration::from_millis(299)), []);
        assert_eq!(
            turns(&mut wheel, start + Duration::from_millis(300)),
            [(tick, key)]
        );
        assert_eq!(turns(&mut wheel, start + Duration::from_secs(200)), []);
    }

    #[test]
    fn what_lies_beyond_the_wheel_is_looked_at_on_the_way() {
        let start = clock::now().steady;
        let mut wheel = Wheel::new(start);
        let key = Key {
            slot: 7,
            generation: 1,
        };
        wheel.enter(key, start + Duration::from_secs(3600));
        let early = turns(&mut wheel, start + Duration::from_secs(103));
        assert_eq!(early.len(), 1);
    }

    #[test]
    fn a_deadline_in_the_past_comes_up_at_the_next_turn() {
        let start = clock::now().steady;
        let mut wheel = Wheel::new(start);
        turns(&mut wheel, start + Duration::from_secs(5));
        wheel.enter(
            Key {
                slot: 1,
                generation: 0,
            },
            start,
        );
        assert_eq!(
            turns(&mut wheel, start + Duration::from_millis(5200)).len(),
            1
        );
    }
}
