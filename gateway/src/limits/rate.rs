//! So many in a second, and as many at once.
//!
//! Owns: the arithmetic of one bucket. Pure. Used by: `limits`.

use std::time::{Duration, Instant};

/// What a bucket holds when it is full lasts this long.
const BURST: Duration = Duration::from_secs(1);

/// A bucket, kept as the moment at which it would be full again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    full_at: Option<Instant>,
}

impl Rate {
    /// Takes `count` at once, or says how long to wait. More than the bucket holds pass when it is full,
    /// and are owed: a batch is never refused for ever.
    pub fn take(&mut self, count: u32, per_second: u32, now: Instant) -> Result<(), Duration> {
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now));
        let cost = cost(count, per_second);
        let wait = (full_at + cost.min(BURST))
            .saturating_duration_since(now)
            .saturating_sub(BURST);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.full_at = Some(full_at + cost);
        Ok(())
    }

    /// Undoes a `take`.
    pub fn give_back(&mut self, count: u32, per_second: u32) {
        let cost = cost(count, per_second);
        self.full_at = self.full_at.and_then(|full_at| full_at.checked_sub(cost));
    }
}

fn cost(count: u32, per_second: u32) -> Duration {
    BURST * count / per_second.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_as_many_as_refill() {
        let start = crate::clock::now().steady;
        let mut rate = Rate::default();
        for _ in 0..10 {
            assert_eq!(rate.take(1, 10, start), Ok(()));
        }
        assert_eq!(rate.take(1, 10, start), Err(Duration::from_millis(100)));
        let later = start + Duration::from_millis(100);
        assert_eq!(rate.take(1, 10, later), Ok(()));
        assert_eq!(rate.take(1, 10, later), Err(Duration::from_millis(100)));
        assert_eq!(rate.take(10, 10, later + Duration::from_secs(60)), Ok(()));
    }

    #[test]
    fn a_batch_above_the_burst_waits_for_a_full_bucket_and_is_owed() {
        let start = crate::clock::now().steady;
        let mut rate = Rate::default();
        assert_eq!(rate.take(100, 10, start), Ok(()));
        assert_eq!(rate.take(1, 10, start), Err(Duration::from_millis(9_100)));
        rate.give_back(100, 10);
        assert_eq!(rate.take(1, 10, start), Ok(()));
        assert_eq!(rate.take(100, 10, start), Err(Duration::from_millis(100)));
    }
}
