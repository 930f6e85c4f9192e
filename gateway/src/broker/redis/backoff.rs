//! How long to wait before the next attempt, and how often to speak of it.
//!
//! Owns: that attempts of many gateways do not come together, and that a log is not flooded. Pure but
//! for its generator. Used by: `commands`, `link`, `raw`.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::{Duration, Instant};

/// The pause after the first failure; it doubles from there.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(1);
/// The same complaint is made once in this time, with its count.
const COMPLAINT: Duration = Duration::from_secs(60);

/// Pauses of 100 ms to 1 s, each shortened by up to a half by chance.
#[derive(Debug)]
pub struct Backoff {
    random: StdRng,
    pause: Duration,
}

impl Backoff {
    /// Begins with the shortest pause.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            pause: SHORTEST,
        }
    }

    /// The attempt succeeded.
    pub fn reset(&mut self) {
        self.pause = SHORTEST;
    }

    /// The pause before the next attempt.
    pub fn next(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST);
        pause.mul_f64(self.random.random_range(0.5..1.0))
    }
}

/// Counts what repeats, and says when it is worth a line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Complaint {
    told: Option<Instant>,
    times: u64,
}

impl Complaint {
    /// It happened again: how often since the last line, if a line is due.
    pub fn due(&mut self, now: Instant) -> Option<u64> {
        self.times += 1;
        if self
            .told
            .is_some_and(|told| now.duration_since(told) < COMPLAINT)
        {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn pauses_grow_to_a_second_and_begin_anew_after_success() {
        let mut backoff = Backoff::new(7);
        assert!(backoff.next() <= SHORTEST);
        for _ in 0..10 {
            assert!(backoff.next() <= LONGEST);
        }
        assert!(backoff.next() >= LONGEST / 2);
        backoff.reset();
        assert!(backoff.next() <= SHORTEST);
    }

    #[test]
    fn a_repeating_complaint_is_told_once_a_minute_with_its_count() {
        let now = clock::now().steady;
        let mut complaint = Complaint::default();
        assert_eq!(complaint.due(now), Some(1));
        assert_eq!(complaint.due(now), None);
        assert_eq!(complaint.due(now + COMPLAINT / 2), None);
        assert_eq!(complaint.due(now + COMPLAINT), Some(3));
    }
}
