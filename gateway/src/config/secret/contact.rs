//! Whether the API server answers.
//!
//! Owns: the gauge of the source, and the pauses between tries. Used by: `secret`.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use http::Request;
use kube::Client;
use kube::client::Body;
use kube::runtime::utils::Backoff;
use prometheus::IntGauge;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tower::service_fn;

/// The first pause.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause before chance adds up to as much again: 5 s in all.
const LONGEST_PAUSE: Duration = Duration::from_millis(2500);

/// The last contact.
pub struct Contact {
    up: IntGauge,
    /// Whether an answer was good since the last pause began.
    good: AtomicBool,
}

impl Contact {
    /// Nothing is known; `up` is told what will be.
    pub fn new(up: IntGauge) -> Self {
        up.set(0);
        let good = AtomicBool::new(false);
        Self { up, good }
    }

    /// The API server answered what was asked.
    fn good(&self) {
        self.up.set(1);
        self.good.store(true, Ordering::Relaxed);
    }

    /// It did not, or broke off.
    pub fn failed(&self) {
        self.up.set(0);
    }
}

/// The same client; `contact` hears of each good answer. A watch that begins well would say nothing until
/// something changes.
pub fn noting(client: Client, contact: Arc<Contact>) -> Client {
    let noted = service_fn(move |request: Request<Body>| {
        let (client, contact) = (client.clone(), contact.clone());
        async move {
            let answer = client.send(request).await;
            if answer
                .as_ref()
                .is_ok_and(|answer| answer.status().is_success())
            {
                contact.good();
            }
            answer
        }
    });
    Client::new(noted, "default")
}

/// Between two tries. Only a good answer begins the pauses anew: that a list begins is an event, too.
pub struct WatchBackoff {
    pauses: ExponentialBackoff,
    contact: Arc<Contact>,
}

impl WatchBackoff {
    pub fn new(contact: Arc<Contact>) -> Self {
        Self {
            pauses: pauses(),
            contact,
        }
    }
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.contact.good.swap(false, Ordering::Relaxed) {
            self.pauses = pauses();
        }
        self.pauses.next()
    }
}

impl Backoff for WatchBackoff {
    fn reset(&mut self) {}
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_five_seconds_and_begin_anew_after_a_good_answer() {
        let contact = Arc::new(Contact::new(IntGauge::new("up", "up").unwrap()));
        let mut backoff = WatchBackoff::new(contact.clone());
        let mut pause = || {
            backoff.reset();
            backoff.next().unwrap()
        };
        let first = pause();
        assert!(
            (FIRST_PAUSE..=FIRST_PAUSE * 2).contains(&first),
            "{first:?}"
        );
        for _ in 0..100 {
            let next = pause();
            assert!(
                (FIRST_PAUSE..=LONGEST_PAUSE * 2).contains(&next),
                "{next:?}"
            );
        }
        let last = pause();
        assert!(last >= LONGEST_PAUSE, "{last:?}");
        contact.good();
        let first = pause();
        assert!(first <= FIRST_PAUSE * 2, "{first:?}");
    }
}
