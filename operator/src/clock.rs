//! The only place that reads a clock.
//!
//! Owns: `now`, read once per turn by whoever waits, and handed to everything that thinks; how a moment is
//! written into objects of Kubernetes. Used by: every part that waits.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A moment on both clocks: the steady one for timers, the calendar for what others wrote and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    pub steady: Instant,
    /// Milliseconds since 1970.
    pub unix: u64,
}

impl Now {
    /// On the calendar, as k8s-openapi has it; to compare with.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        let millis = i64::try_from(self.unix).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
    }

    /// On the calendar, in whole seconds: more would never equal itself after it was written and read.
    #[must_use]
    pub fn time(self) -> Time {
        let seconds = i64::try_from(self.unix / 1000).unwrap_or(i64::MAX);
        Time(Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX))
    }
}

/// Reads both clocks.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "everybody else takes `now`")]
pub fn now() -> Now {
    let unix = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Now {
        steady: Instant::now(),
        unix: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_the_same_after_it_was_written_and_read() {
        let now = Now {
            unix: 1_700_000_000_987,
            ..now()
        };
        let written = serde_json::to_string(&now.time()).unwrap();
        assert_eq!(written, r#""2023-11-14T22:13:20Z""#);
        assert_eq!(serde_json::from_str::<Time>(&written).unwrap(), now.time());
        assert_eq!(now.timestamp().as_millisecond(), 1_700_000_000_987);
    }
}
