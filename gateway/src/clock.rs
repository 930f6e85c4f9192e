//! The only place that reads a clock.
//!
//! Owns: `now`, read once per turn by whoever waits, and handed to everything that thinks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment on both clocks: the steady one for timers, the calendar for what others wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    pub steady: Instant,
    /// Milliseconds since 1970.
    pub unix: u64,
}

impl Now {
    /// This moment, later by `by`.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self {
            steady: self.steady + by,
            unix: self.unix + u64::try_from(by.as_millis()).unwrap_or(u64::MAX / 2),
        }
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
