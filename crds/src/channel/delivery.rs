//! The fields of a Channel about keeping, timing, bounds and fleet size.
//!
//! Owns: `spec.history`, `spec.stream`, `spec.limits`, `spec.scaling` and their defaults.
//! Never: checks a range again (`policy` does). Used by: `channel`.

use super::rules;
use crate::duration::DurationText;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What is kept of each topic.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HistorySpec {
    /// How many messages of a topic are kept, 1 to 100000.
    #[schemars(range(min = 1, max = 100_000))]
    pub size: i32,

    /// How long a topic is kept after its last message, 1s to 168h. It is not the age of a message.
    #[serde(default = "default_ttl")]
    #[x_kube(validation = rules::time("1s", "168h"))]
    pub ttl: DurationText,
}

fn default_ttl() -> DurationText {
    DurationText::new("1h")
}

/// How streams behave over time.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct StreamSpec {
    /// Silence after which a stream sends a comment, so that nothing between gateway and browser
    /// takes it for dead; 1s to 5m.
    #[serde(default = "default_heartbeat")]
    #[x_kube(validation = rules::time("1s", "5m"))]
    pub heartbeat: DurationText,

    /// How long a browser waits before it comes back, 100ms to 1m. Each stream is told 0.5 to 1.5
    /// times as much, so that browsers do not return together.
    #[serde(default = "default_retry")]
    #[x_kube(validation = rules::time("100ms", "1m"))]
    pub retry: DurationText,

    /// The age, give or take 20 %, at which a stream ends with the reason rotated and the browser
    /// comes back, perhaps to another pod; 1m to 24h, or 0s for never.
    #[serde(default = "default_max_age")]
    #[x_kube(validation = rules::time_or_never("1m", "24h"))]
    pub max_age: DurationText,
}

impl Default for StreamSpec {
    fn default() -> Self {
        Self {
            heartbeat: default_heartbeat(),
            retry: default_retry(),
            max_age: default_max_age(),
        }
    }
}

fn default_heartbeat() -> DurationText {
    DurationText::new("15s")
}

fn default_retry() -> DurationText {
    DurationText::new("2s")
}

fn default_max_age() -> DurationText {
    DurationText::new("30m")
}

/// The bounds of a Channel on one gateway pod.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LimitsSpec {
    /// Streams open at once, on each gateway pod.
    #[serde(default = "default_streams")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub streams: i32,

    /// Bytes of one message, at most 1048576.
    #[serde(default = "default_message_bytes")]
    #[schemars(range(min = 1, max = 1_048_576))]
    pub message_bytes: i32,

    /// Topics listened to at once, on each gateway pod; without a Redis also the topics kept.
    #[serde(default = "default_topics")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub topics: i32,

    /// Messages published through each gateway pod in a second, with a burst of the same size. It
    /// does not count what apps PUBLISH to Redis directly.
    #[serde(default = "default_publish_per_second")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub publish_per_second: i32,

    /// Streams of one client on each gateway pod; a client is its verified identity, else its
    /// address. When left out there is no such bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 1, max = 1_000_000))]
    pub streams_per_client: Option<i32>,
}

impl Default for LimitsSpec {
    fn default() -> Self {
        Self {
            streams: default_streams(),
            message_bytes: default_message_bytes(),
            topics: default_topics(),
            publish_per_second: default_publish_per_second(),
            streams_per_client: None,
        }
    }
}

fn default_streams() -> i32 {
    100_000
}

fn default_message_bytes() -> i32 {
    65_536
}

fn default_topics() -> i32 {
    10_000
}

fn default_publish_per_second() -> i32 {
    1_000
}

/// What a Channel asks of the size of the fleet.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas").message("minReplicas must not be greater than maxReplicas"))]
#[serde(rename_all = "camelCase")]
pub struct ScalingSpec {
    /// The fewest gateway pods that the fleet is to have. The fleet's own bounds win.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 1, max = 1_000))]
    pub min_replicas: Option<i32>,

    /// The most gateway pods that the streams of this Channel ask for; others may ask for more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 1, max = 1_000))]
    pub max_replicas: Option<i32>,

    /// Streams of this Channel that make one pod; 20000 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 1, max = 10_000_000))]
    pub streams_per_replica: Option<i32>,
}
