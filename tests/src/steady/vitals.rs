//! What a gateway tells of itself while something breaks: metrics, readiness, and the memory that it takes.
//!
//! Owns: asking again and again. Never: judges. Used by: tests of what a fault of Redis costs.

use crate::gateway::Gateway;
use crate::http::Ask;
use crate::metrics::Metrics;
use crate::wait::until;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How often is asked.
const EVERY: Duration = Duration::from_millis(100);
/// How long an answer may take on a busy machine.
const ANSWER: Duration = Duration::from_secs(5);

/// Asks as long as it is kept.
pub struct Vitals {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

/// What was seen since it began.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// When `siar_redis_up` changed, and to what; the first is how it began.
    pub up: Vec<(Instant, f64)>,
    /// By how much the counters rose.
    pub reconnects: f64,
    pub refusals: f64,
    /// Each answer of `/readyz` that was not 200.
    pub unready: Vec<String>,
    /// Resident memory in KiB, at the beginning and at most.
    pub memory: (u64, u64),
}

impl Vitals {
    #[must_use]
    pub fn of(gateway: &Gateway) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn(watch(gateway.admin(), gateway.pid(), seen.clone()));
        Self { seen, task }
    }

    /// Waits until Redis is said to be up.
    pub async fn until_up(&self) {
        until("siar_redis_up to be 1", || async {
            let seen = self.seen.lock();
            let up = seen.up.last().is_some_and(|(_, up)| *up > 0.0);
            up.then_some(()).ok_or_else(|| format!("{:?}", seen.up))
        })
        .await;
    }

    /// What was seen so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen.lock().clone()
    }
}

impl Drop for Vitals {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    /// How long after `fault` Redis was first said to be down.
    #[must_use]
    pub fn down_after(&self, fault: Instant) -> Option<Duration> {
        let down =
            |(at, up): &(Instant, f64)| (*up == 0.0).then(|| at.checked_duration_since(fault));
        self.up.iter().find_map(|change| down(change)?)
    }

    /// Whether Redis was said to be down after `fault`, and in the end to be up again.
    #[must_use]
    pub fn down_and_up(&self, fault: Instant) -> bool {
        self.down_after(fault).is_some() && self.up.last().is_some_and(|(_, up)| *up > 0.0)
    }
}

async fn watch(admin: SocketAddr, pid: u32, seen: Arc<Mutex<Seen>>) {
    let mut first: Option<(f64, f64)> = None;
    loop {
        let ready = timeout(ANSWER, Ask::get(admin, "/readyz").try_send()).await;
        let unready = match ready {
            Ok(Ok(answer)) if answer.status == 200 => None,
            Ok(Ok(answer)) => Some(format!("{} {}", answer.status, answer.text())),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer".into()),
        };
        seen.lock().unready.extend(unready);
        let metrics = timeout(ANSWER, Ask::get(admin, "/metrics").try_send()).await;
        if let Ok(Ok(answer)) = metrics {
            let metrics = Metrics::parse(&answer.text());
            let sum = |name: &str| metrics.sum(name, &[]);
            let counts = (
                sum("siar_redis_reconnects_total"),
                sum("siar_refusals_total"),
            );
            let first = first.get_or_insert(counts);
            let (up, memory) = (sum("siar_redis_up"), memory(pid));
            let mut seen = seen.lock();
            seen.reconnects = counts.0 - first.0;
            seen.refusals = counts.1 - first.1;
            if seen.up.last().is_none_or(|(_, last)| *last != up) {
                seen.up.push((Instant::now(), up));
            }
            if seen.memory.0 == 0 {
                seen.memory.0 = memory;
            }
            seen.memory.1 = seen.memory.1.max(memory);
        }
        sleep(EVERY).await;
    }
}

/// Resident memory in KiB, 0 if there is no such process.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    number.unwrap_or(0)
}
