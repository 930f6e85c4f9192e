//! Where the random part of answers comes from.
//!
//! Owns: one seeded generator. Never: seeds itself; `app` does, and tests with a constant. Used by: the
//! routes, for times that clients must not share, for sessions and keys that nobody may guess.

use crate::message::Session;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use std::sync::Arc;
use std::time::Duration;

/// A generator, shared by the routes of one worker.
#[derive(Clone)]
pub struct Chance(Arc<Mutex<StdRng>>);

impl Chance {
    /// Must be random in production: sessions are as hard to guess as the seed.
    #[must_use]
    pub fn seeded(seed: [u8; 32]) -> Self {
        Self(Arc::new(Mutex::new(StdRng::from_seed(seed))))
    }

    /// A time of at least `low` and below `high`, in whole milliseconds; `low` if there is none.
    #[must_use]
    pub fn between(&self, low: Duration, high: Duration) -> Duration {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (low, high) = (millis(low), millis(high));
        if low >= high {
            return Duration::from_millis(low);
        }
        Duration::from_millis(self.0.lock().random_range(low..high))
    }

    /// `time` times something from `low` to `high` percent.
    #[must_use]
    pub fn scaled(&self, time: Duration, low: u32, high: u32) -> Duration {
        self.between(time * low / 100, time * high / 100)
    }

    /// The name of a new stream.
    #[must_use]
    pub fn session(&self) -> Session {
        Session::draw(self.0.lock().random())
    }

    /// A key for the gateway's own retries, hex.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{:016x}", self.0.lock().next_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stay_within_their_bounds_and_differ() {
        let chance = Chance::seeded([7; 32]);
        let second = Duration::from_secs(1);
        let times: Vec<_> = (0..100).map(|_| chance.scaled(second, 50, 150)).collect();
        assert!(
            times
                .iter()
                .all(|time| *time >= second / 2 && *time < second * 3 / 2)
        );
        assert!(times.iter().any(|time| *time != times[0]));
        assert_eq!(chance.between(second, second), second);
        assert_ne!(chance.session(), chance.session());
    }
}
