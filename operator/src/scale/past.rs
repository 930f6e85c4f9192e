//! What a fleet wanted and did lately.
//!
//! Owns: the windows of scaling. Forgotten at a change of leader, by making a new one. Pure. Used by: `scale`.

use super::Change;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// In so long a fleet doubles at most.
const DOUBLE_EVERY: Duration = Duration::from_secs(15);
/// So long a step may take until a watch shows it; then it is made again, in case it was not.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

/// The past of one fleet under one leader.
#[derive(Clone, Debug)]
pub struct Past {
    /// How long fewer pods must have been enough before a step down.
    down_after: Duration,
    /// Between two steps down.
    down_every: Duration,
    /// What is known begins here.
    since: Instant,
    /// What was needed and when, falling: whatever is older and no more than a later one does not matter. As
    /// needs are at most 1,000, so is its length.
    needed: VecDeque<(Instant, u32)>,
    /// When steps up were made within [`DOUBLE_EVERY`], and from what. Together they double at most, so their
    /// number is that of pods at most.
    ups: VecDeque<(Instant, u32)>,
    last: Option<(Instant, Change)>,
    last_down: Option<Instant>,
}

impl Past {
    /// Nothing is known before `now`.
    #[must_use]
    pub fn new(down_after: Duration, down_every: Duration, now: Instant) -> Self {
        Self {
            down_after,
            down_every,
            since: now,
            needed: VecDeque::new(),
            ups: VecDeque::new(),
            last: None,
            last_down: None,
        }
    }

    /// Nothing is known any more.
    pub(super) fn forget(&mut self, now: Instant) {
        *self = Self::new(self.down_after, self.down_every, now);
    }

    /// So many pods are needed at `now`.
    pub(super) fn note(&mut self, needed: u32, now: Instant) {
        while self.needed.back().is_some_and(|(_, less)| *less <= needed) {
            self.needed.pop_back();
        }
        self.needed.push_back((now, needed));
        while self
            .needed
            .front()
            .is_some_and(|(at, _)| now.duration_since(*at) > self.down_after)
        {
            self.needed.pop_front();
        }
        while self
            .ups
            .front()
            .is_some_and(|(at, _)| now.duration_since(*at) >= DOUBLE_EVERY)
        {
            self.ups.pop_front();
        }
    }

    /// A step is made at `now`.
    pub(super) fn step(&mut self, change: Change, now: Instant) {
        self.last = Some((now, change));
        if change.to < change.from {
            self.last_down = Some(now);
            return;
        }
        if self
            .ups
            .back()
            .is_some_and(|(_, from)| *from == change.from)
        {
            self.ups.pop_back();
        }
        self.ups.push_back((now, change.from));
    }

    /// The highest need of the window, as of the last note.
    pub(super) fn highest(&self) -> u32 {
        self.needed.front().map_or(0, |(_, needed)| *needed)
    }

    /// What is known covers less than the window, or than the time between two steps down: a leader before may
    /// have made one at any time before.
    pub(super) fn is_young(&self, now: Instant) -> bool {
        now.duration_since(self.since) < self.down_after.max(self.down_every)
    }

    /// A step down was made too short a time ago.
    pub(super) fn went_down(&self, now: Instant) -> bool {
        self.last_down
            .is_some_and(|at| now.duration_since(at) < self.down_every)
    }

    /// The most pods that `replicas` may become at `now`: the double of the fewest of the last 15 s.
    pub(super) fn doubled(&self, replicas: u32, now: Instant) -> u32 {
        let recent = self
            .ups
            .iter()
            .filter(|(at, _)| now.duration_since(*at) < DOUBLE_EVERY);
        let fewest = recent.map(|(_, from)| *from).min();
        fewest.unwrap_or(replicas).min(replicas).saturating_mul(2)
    }

    /// The very step was made a moment ago, so the Deployment at hand may be older than it.
    pub(super) fn just_made(&self, change: Change, now: Instant) -> bool {
        self.last
            .is_some_and(|(at, last)| last == change && now.duration_since(at) < SEEN_WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_stays_small_however_often_it_is_noted() {
        let begin = crate::clock::now().steady;
        let mut past = Past::new(DOUBLE_EVERY * 20, DOUBLE_EVERY * 4, begin);
        for tick in 0..100_000_u32 {
            past.note(5 + tick % 3, begin + Duration::from_millis(10) * tick);
            assert!(past.needed.len() <= 3, "{}", past.needed.len());
        }
        assert_eq!(past.highest(), 7);
        for from in [2, 2, 2, 3, 3] {
            past.step(Change { from, to: 4 }, begin);
        }
        assert_eq!(past.ups.len(), 2);
    }
}
