//! When the keys of an issuer are fetched.
//!
//! Owns: that an issuer is asked at most once a minute, whatever tokens come. Pure. Used by: `issuers`.

use std::time::{Duration, Instant};

/// The least time between two fetches.
pub const LEAST: Duration = Duration::from_secs(60);
/// The same as long as no set was ever there: nobody can be admitted before.
const LEAST_AT_FIRST: Duration = Duration::from_secs(10);
/// So old a set is fetched again without a reason, so that withdrawn keys are noticed.
pub const OLD: Duration = Duration::from_secs(300);

/// The fetches of one issuer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Schedule {
    tried: Option<Instant>,
    got: Option<Instant>,
}

impl Schedule {
    /// A fetch begins.
    pub fn try_at(&mut self, now: Instant) {
        self.tried = Some(now);
    }

    /// It brought a set.
    pub fn got_at(&mut self, now: Instant) {
        self.got = Some(now);
    }

    /// Whether a set came that is as new as `since`.
    #[must_use]
    pub fn is_newer(&self, since: Instant) -> bool {
        self.got.is_some_and(|got| got >= since)
    }

    /// Whether there was ever a set.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.got.is_some()
    }

    /// Whether the newest set is older than the last try: the issuer failed since.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.got.is_some() && self.got < self.tried
    }

    /// Whether it may be fetched for a token whose key is unknown.
    #[must_use]
    pub fn may(&self, now: Instant) -> bool {
        let least = if self.got.is_some() {
            LEAST
        } else {
            LEAST_AT_FIRST
        };
        self.tried
            .is_none_or(|tried| now.saturating_duration_since(tried) >= least)
    }

    /// Whether it should be fetched though nobody asks.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        let old = self
            .got
            .is_none_or(|got| now.saturating_duration_since(got) >= OLD);
        old && self.may(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn an_issuer_is_asked_once_a_minute_at_most() {
        let at = |seconds| clock::now().steady + Duration::from_secs(seconds);
        let mut schedule = Schedule::default();
        assert!(schedule.is_due(at(0)) && schedule.may(at(0)));
        schedule.try_at(at(0));
        assert!(
            !schedule.may(at(9)) && schedule.may(at(11)),
            "it never answered"
        );
        schedule.got_at(at(0));
        assert!(!schedule.may(at(59)) && schedule.may(at(61)));
        assert!(!schedule.is_due(at(299)) && schedule.is_due(at(301)));
        assert!(!schedule.is_stale());
        schedule.try_at(at(301));
        assert!(schedule.is_stale() && !schedule.is_due(at(330)) && schedule.is_due(at(362)));
        assert!(!schedule.is_newer(at(100)));
        schedule.got_at(at(362));
        assert!(schedule.is_newer(at(361)));
    }
}
