//! How the process ends.
//!
//! Owns: the signals, the order of the phases and their deadlines. Never: closes a stream, the workers
//! do that when they see the phase. Used by: `app`.

use crate::metrics::Metrics;
use crate::readiness::{Phase, Readiness};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How often the open streams are counted while they end.
const COUNT_EVERY: Duration = Duration::from_millis(50);

/// SIGTERM and SIGINT, which mean the same.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on the signals no longer end the process by themselves.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// What a shutdown needs.
pub struct Drain {
    pub readiness: Readiness,
    pub phase: Arc<watch::Sender<Phase>>,
    pub metrics: Arc<Metrics>,
    /// How long balancers get to notice.
    pub endpoint_delay: Duration,
    /// Over how long streams are closed then.
    pub window: Duration,
}

impl Drain {
    /// Announces the shutdown, then closes until `streams` counts none or the window ends. The number of
    /// streams left is the answer.
    pub async fn run(&self, now: impl Fn() -> Instant, streams: impl Fn() -> u64) -> u64 {
        self.readiness.end("shutting down");
        self.metrics.draining.set(1);
        self.phase.send_replace(Phase::Announced);
        tracing::info!(streams = streams(), endpoint_delay = ?self.endpoint_delay, "shutdown announced");
        sleep(self.endpoint_delay).await;
        let until = now() + self.window;
        self.phase.send_replace(Phase::Closing { until });
        tracing::info!(streams = streams(), window = ?self.window, "closing streams");
        let gone = async {
            while streams() > 0 {
                sleep(COUNT_EVERY).await;
            }
        };
        match timeout(self.window, gone).await {
            Ok(()) => 0,
            Err(_elapsed) => streams(),
        }
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every stream was told, or the window is over.
    Drained,
    /// Somebody did not want to wait.
    Hurried,
    /// A task without which nothing works ended.
    Failed(&'static str),
}

/// Runs `drain`, unless one of the others comes first; asked in this order, so the end is never luck.
pub async fn race(
    failed: impl Future<Output = &'static str>,
    hurried: impl Future<Output = ()>,
    drain: impl Future<Output = u64>,
) -> End {
    tokio::select! {
        biased;
        task = failed => End::Failed(task),
        () = hurried => End::Hurried,
        left = drain => {
            tracing::info!(left, "shutdown complete");
            End::Drained
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::Registry;
    use std::future::pending;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn drain() -> Drain {
        Drain {
            readiness: Readiness::new(),
            phase: Arc::new(watch::Sender::new(Phase::Serving)),
            metrics: Metrics::new(&Registry::new(), "default").unwrap(),
            endpoint_delay: Duration::from_secs(5),
            window: Duration::from_secs(30),
        }
    }

    fn steady() -> Instant {
        crate::clock::now().steady
    }

    async fn elapsed(task: impl Future<Output = u64>) -> (u64, u64) {
        let begin = tokio::time::sleep(Duration::ZERO).deadline();
        let left = task.await;
        let end = tokio::time::sleep(Duration::ZERO).deadline();
        (left, (end - begin).as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn without_streams_it_ends_after_the_endpoint_delay() {
        let drain = drain();
        assert_eq!(elapsed(drain.run(steady, || 0)).await, (0, 5));
        assert!(!drain.readiness.missing().is_empty());
        assert_eq!(drain.metrics.draining.get(), 1);
        assert!(matches!(*drain.phase.borrow(), Phase::Closing { .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn streams_that_stay_are_left_when_the_window_ends() {
        assert_eq!(elapsed(drain().run(steady, || 3)).await, (3, 35));
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_as_soon_as_the_last_stream_is_gone() {
        let streams = AtomicU64::new(300);
        let ending = || streams.fetch_sub(1, Ordering::Relaxed);
        let (left, seconds) = elapsed(drain().run(steady, ending)).await;
        assert_eq!(left, 0);
        assert!((15..35).contains(&seconds), "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_wins_over_hurry_and_hurry_over_waiting() {
        let failed = async { "worker" };
        let end = race(failed, async {}, async { 0 }).await;
        assert_eq!(end, End::Failed("worker"));
        assert_eq!(race(pending(), async {}, async { 0 }).await, End::Hurried);
        assert_eq!(race(pending(), pending(), async { 7 }).await, End::Drained);
    }
}
