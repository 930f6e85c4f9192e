//! What servers hold: memory, files, threads; connections and subscriptions at Redis.
//!
//! Owns: reading them. Never: judges. Used by: `soak`.

use crate::gateway::Gateway;
use crate::redis::Redis;
use std::fmt;

/// Files that may be open for a moment: a manifest being looked at, a connection of a probe.
const SPARE_FILES: usize = 4;
/// Threads for blocking calls that are about to end.
const SPARE_THREADS: u64 = 4;

/// What one gateway holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// What it allocated and touched, in KiB: the anonymous part of its PSS. The rest are pages of its program, which it
    /// may share with gateways of other tests.
    pub memory: u64,
    pub files: usize,
    pub threads: u64,
    pub streams: u64,
    pub connections: u64,
}

/// What the gateways hold at Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtRedis {
    pub connections: usize,
    /// Channels of topics with a subscription, those that gateways keep for themselves left out.
    pub topics: Vec<String>,
    /// All channels with a subscription, and patterns.
    pub subscriptions: i64,
}

impl Held {
    /// Before anything was looked at.
    pub const NOTHING: Self = Self {
        memory: 0,
        files: 0,
        threads: 0,
        streams: 0,
        connections: 0,
    };

    /// Whether it holds no more than one that held `before`, but for memory.
    #[must_use]
    pub fn is_like(&self, before: &Self) -> bool {
        self.files <= before.files + SPARE_FILES
            && self.threads <= before.threads + SPARE_THREADS
            && self.streams == before.streams
            && self.connections <= before.connections
    }

    /// What it holds now.
    pub async fn by(gateway: &mut Gateway) -> Self {
        let process = format!("/proc/{}", gateway.process().pid());
        let read = |name: &str| {
            std::fs::read_to_string(format!("{process}/{name}")).expect("the gateway runs")
        };
        let files = std::fs::read_dir(format!("{process}/fd")).expect("the gateway is ours");
        let metrics = gateway.metrics().await;
        let gauge = |name| metrics.sum(name, &[]) as u64;
        Self {
            memory: number(&read("smaps_rollup"), "Pss_Anon:"),
            files: files.count(),
            threads: number(&read("status"), "Threads:"),
            streams: gauge("siar_streams"),
            connections: gauge("siar_connections"),
        }
    }
}

/// The number after `name` at the beginning of a line.
fn number(text: &str, name: &str) -> u64 {
    let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
    let value = values
        .next()
        .and_then(|rest| rest.split_whitespace().next());
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {text}"))
}

impl AtRedis {
    /// What stands there now.
    pub async fn of(redis: &mut Redis) -> Self {
        let channels: Vec<String> = redis.run(redis::cmd("PUBSUB").arg("CHANNELS")).await;
        let patterns: i64 = redis.run(redis::cmd("PUBSUB").arg("NUMPAT")).await;
        let counts: Vec<(String, i64)> = match channels.as_slice() {
            [] => Vec::new(),
            some => {
                redis
                    .run(redis::cmd("PUBSUB").arg("NUMSUB").arg(some))
                    .await
            }
        };
        let of_topic = |channel: &&String| channel.starts_with("siar:{default/");
        let mut topics: Vec<String> = channels.iter().filter(of_topic).cloned().collect();
        topics.sort();
        Self {
            connections: redis.connections().await.len(),
            topics,
            subscriptions: patterns + counts.iter().map(|(_, count)| count).sum::<i64>(),
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.memory as f64 / 1024.0;
        let (files, threads, streams) = (self.files, self.threads, self.streams);
        write!(
            f,
            "{mib:.1} MiB, {files} files, {threads} threads, {streams} streams"
        )
    }
}
