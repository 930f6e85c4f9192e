//! How long to wait before what failed is tried again.
//!
//! Owns: the pauses, for each object and for a watch. Never: waits, or reads a clock; chance comes from a
//! seeded generator. Used by: the tasks of gateways, the status writer, `stores`.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use prometheus::IntGauge;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// After the first failure of an object; each further one doubles it. Jitter comes on top.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause of an object, jitter included.
const LONGEST: Duration = Duration::from_secs(300);
/// Objects remembered at once, some 100 bytes each; five times what the Snapshot of one gateway has room for. Of
/// more, the one that is due first is forgotten, and so may be tried again at once.
pub const MOST_OBJECTS: usize = 10_000;
/// The shortest pause between two tries of a watch.
const WATCH_FIRST: Duration = Duration::from_millis(500);
/// The longest, jitter included: the API server may be back, and all that changed meanwhile is unknown.
const WATCH_LONGEST: Duration = Duration::from_secs(5);

/// What failed, and when each is due again.
pub struct Backoff<K> {
    objects: HashMap<K, Failed>,
    most: usize,
    chance: StdRng,
    /// Counts the objects of all of them.
    waiting: IntGauge,
}

struct Failed {
    times: u32,
    until: Instant,
}

impl<K: Clone + Eq + Hash> Backoff<K> {
    /// Remembers up to `most` objects, which count in `waiting`; `seed` decides the jitter.
    #[must_use]
    pub fn new(most: usize, seed: u64, waiting: IntGauge) -> Self {
        Self {
            objects: HashMap::new(),
            most: most.max(1),
            chance: StdRng::seed_from_u64(seed),
            waiting,
        }
    }

    /// `object` failed at `now`; the answer is how long it is to be left alone.
    pub fn failed(&mut self, object: &K, now: Instant) -> Duration {
        if !self.objects.contains_key(object) && self.objects.len() >= self.most {
            self.forget_one();
        }
        let before = self.objects.get(object).map_or(0, |failed| failed.times);
        let pause = self.pause(before);
        let failed = Failed {
            times: before.saturating_add(1),
            until: now + pause,
        };
        if self.objects.insert(object.clone(), failed).is_none() {
            self.waiting.inc();
        }
        pause
    }

    /// `object` succeeded, or has changed so that what was wrong before says nothing.
    pub fn reset(&mut self, object: &K) {
        if self.objects.remove(object).is_some() {
            self.waiting.dec();
        }
    }

    /// Whether `object` may be tried at `now`.
    #[must_use]
    pub fn is_due(&self, object: &K, now: Instant) -> bool {
        self.objects
            .get(object)
            .is_none_or(|failed| failed.until <= now)
    }

    /// When the next object is due; none if nothing waits.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.objects.values().map(|failed| failed.until).min()
    }

    /// Forgets the objects for which `keep` is false: they are gone.
    pub fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        let before = self.objects.len();
        self.objects.retain(|object, _| keep(object));
        self.waiting.sub(gone(before - self.objects.len()));
    }

    /// The doubled pause and up to half as much again, so that what failed together returns apart.
    fn pause(&mut self, before: u32) -> Duration {
        // 2^8 seconds are more than the longest pause already.
        let least = (FIRST * 2_u32.pow(before.min(8))).min(LONGEST * 2 / 3);
        least.mul_f64(self.chance.random_range(1.0..=1.5))
    }

    fn forget_one(&mut self) {
        let first = self.objects.iter().min_by_key(|(_, failed)| failed.until);
        if let Some(object) = first.map(|(object, _)| object.clone()) {
            self.reset(&object);
        }
    }
}

impl<K> Drop for Backoff<K> {
    fn drop(&mut self) {
        self.waiting.sub(gone(self.objects.len()));
    }
}

fn gone(objects: usize) -> i64 {
    i64::try_from(objects).unwrap_or(i64::MAX)
}

/// Between two tries of one watch, without end. Each watch has its own: one that fails silences no other.
pub struct WatchBackoff {
    pauses: ExponentialBackoff,
    seed: u64,
}

impl WatchBackoff {
    /// `seed` decides the jitter.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // The jitter of backon comes on top, even of the longest, and is as long as the pause itself at most.
        let pauses = ExponentialBuilder::default()
            .with_min_delay(WATCH_FIRST)
            .with_max_delay(WATCH_LONGEST / 2)
            .with_jitter()
            .with_jitter_seed(seed)
            .without_max_times()
            .build();
        Self { pauses, seed }
    }
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.pauses.next()
    }
}

impl kube::runtime::utils::Backoff for WatchBackoff {
    fn reset(&mut self) {
        *self = Self::new(self.seed.wrapping_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff<K: Clone + Eq + Hash>(most: usize) -> Backoff<K> {
        Backoff::new(most, 7, gauge())
    }

    fn gauge() -> IntGauge {
        IntGauge::new("waiting", "objects").unwrap()
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn pauses_double_from_one_second_to_five_minutes() {
        let now = crate::clock::now().steady;
        let mut backoff = backoff(9);
        for least in [1, 2, 4, 8, 16, 32, 64, 128, 200, 200, 200] {
            let pause = backoff.failed(&"orders", now);
            assert!(pause >= secs(least), "{pause:?} < {least} s");
            assert!(
                pause <= secs(least).mul_f64(1.5),
                "{pause:?} > 1.5 * {least} s"
            );
        }
    }

    #[test]
    fn an_object_waits_for_itself_and_for_no_other() {
        let now = crate::clock::now().steady;
        let mut backoff = backoff(9);
        let pause = backoff.failed(&"orders", now);
        assert!(!backoff.is_due(&"orders", now));
        assert!(backoff.is_due(&"other", now));
        assert_eq!(backoff.next_due(), Some(now + pause));
        assert!(backoff.is_due(&"orders", now + pause));
    }

    #[test]
    fn success_forgets_the_failures() {
        let now = crate::clock::now().steady;
        let mut backoff = backoff(9);
        for _ in 0..5 {
            backoff.failed(&"orders", now);
        }
        backoff.reset(&"orders");
        assert!(backoff.objects.is_empty() && backoff.next_due().is_none());
        assert!(backoff.failed(&"orders", now) < secs(2));
    }

    #[test]
    fn objects_that_are_gone_are_forgotten() {
        let now = crate::clock::now().steady;
        let mut backoff = backoff(9);
        backoff.failed(&"orders", now);
        backoff.failed(&"other", now);
        backoff.retain(|object| *object == "other");
        assert_eq!(backoff.objects.len(), 1);
        assert!(backoff.is_due(&"orders", now));
    }

    #[test]
    fn of_too_many_the_one_that_is_due_first_is_forgotten() {
        let now = crate::clock::now().steady;
        let mut backoff = backoff(2);
        backoff.failed(&0, now);
        for object in 1..=9 {
            backoff.failed(&object, now + secs(10 * object));
            assert!(backoff.objects.len() <= 2);
        }
        assert!(backoff.is_due(&0, now));
        assert!(!backoff.is_due(&9, now + secs(90)));
    }

    #[test]
    fn all_that_wait_are_counted() {
        let (now, gauge) = (crate::clock::now().steady, gauge());
        let mut one = Backoff::new(2, 7, gauge.clone());
        let mut two = Backoff::new(9, 7, gauge.clone());
        for object in [1, 2, 2, 3] {
            one.failed(&object, now);
            two.failed(&object, now);
        }
        assert_eq!(gauge.get(), 5);
        two.reset(&2);
        two.reset(&2);
        two.retain(|object| *object == 1);
        assert_eq!(gauge.get(), 3);
        drop(one);
        assert_eq!(gauge.get(), 1);
    }

    #[test]
    fn what_failed_together_returns_apart() {
        let now = crate::clock::now().steady;
        let mut backoff = backoff(100);
        let pauses: std::collections::BTreeSet<Duration> = (0..100)
            .map(|object| backoff.failed(&object, now))
            .collect();
        assert!(pauses.len() > 90, "{}", pauses.len());
    }

    #[test]
    fn a_watch_is_tried_for_ever_within_half_a_second_and_five() {
        let mut backoff = WatchBackoff::new(7);
        let pauses: Vec<Duration> = backoff.by_ref().take(1000).collect();
        assert_eq!(pauses.len(), 1000);
        let within = |pause: &Duration| (WATCH_FIRST..=WATCH_LONGEST).contains(pause);
        assert!(pauses.iter().all(within));
        assert!(pauses[999] >= WATCH_LONGEST / 2);
        kube::runtime::utils::Backoff::reset(&mut backoff);
        assert!(backoff.next().is_some_and(|pause| pause <= WATCH_FIRST * 2));
    }
}
