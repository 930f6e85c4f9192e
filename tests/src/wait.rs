//! Waiting with a deadline.
//!
//! Owns: that no test hangs, and that the panic says what was waited for. Never: sleeps for a fixed time and hopes.
//! Used by: every other part of the harness.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long anything that works may take on a slow, busy machine.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// How often a state is asked for that nobody announces.
const PERIOD: Duration = Duration::from_millis(20);

/// The value of `future`, or a panic that names `what` after [`DEADLINE`].
#[track_caller]
pub fn within<T>(
    what: impl AsRef<str>,
    future: impl Future<Output = T>,
) -> impl Future<Output = T> {
    within_time(DEADLINE, what, future)
}

/// The value of `future`, or a panic that names `what` after `limit`.
#[track_caller]
pub fn within_time<T>(
    limit: Duration,
    what: impl AsRef<str>,
    future: impl Future<Output = T>,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(limit, future).await {
            Ok(value) => value,
            Err(_) => panic!("{caller}: waited {limit:?} for {}", what.as_ref()),
        }
    }
}

/// Asks `check` until it answers `Ok`, and panics with its last answer after [`DEADLINE`].
#[track_caller]
pub fn until<T, F: Future<Output = Result<T, String>>>(
    what: impl AsRef<str>,
    check: impl FnMut() -> F,
) -> impl Future<Output = T> {
    until_time(DEADLINE, what, check)
}

/// Asks `check` until it answers `Ok`, and panics with its last answer after `limit`.
#[track_caller]
pub fn until_time<T, F: Future<Output = Result<T, String>>>(
    limit: Duration,
    what: impl AsRef<str>,
    mut check: impl FnMut() -> F,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let end = Instant::now() + limit;
        loop {
            match check().await {
                Ok(value) => return value,
                Err(seen) if Instant::now() >= end => {
                    panic!(
                        "{caller}: waited {limit:?} for {}, but {seen}",
                        what.as_ref()
                    )
                }
                Err(_) => tokio::time::sleep(PERIOD).await,
            }
        }
    }
}

/// Milliseconds since 1970.
#[must_use]
pub fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis().try_into().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[should_panic(expected = "for the sun, but it is dark")]
    async fn a_wait_in_vain_says_what_was_seen_last() {
        until_time(Duration::ZERO, "the sun", || async {
            Err::<(), _>("it is dark".into())
        })
        .await;
    }
}
