//! The Channel resource as people write it; its doc comments are what `kubectl explain` shows.
//!
//! Owns: fields, defaults, and the bounds and rules that the API server checks. Never: decides what
//! a Channel means (`policy`). Used by: `manifest`, `policy`, `compile`, the operator.

mod access;
mod delivery;
mod redis;
mod rules;
mod status;

pub use access::{
    AccessRule, AccessSpec, AnonymousRule, JwksSource, JwtAlgorithm, JwtKeySource, JwtRule,
    ORIGINS, RULES, SecretKeyReference, ServiceAccountsRule, TokensRule, WebhookRule,
};
pub use delivery::{HistorySpec, LimitsSpec, ScalingSpec, StreamSpec};
pub use redis::{Ingest, RedisSpec, SecretReference};
pub use status::{CONDITION_TYPES, ChannelStatus};

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The most patterns of one Channel.
pub const TOPIC_PATTERNS: usize = 16;
/// The gateway that serves a Channel which names none.
pub const DEFAULT_GATEWAY: &str = "default";

/// What the Channel is to be. Every field may be left out; `spec: {}` is a Channel with one topic,
/// its own name, that nobody may use yet.
#[expect(
    clippy::duplicated_attributes,
    reason = "every printed column has a type_"
)]
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "siar.dev",
    version = "v1alpha1",
    kind = "Channel",
    namespaced,
    status = "ChannelStatus",
    shortname = "sch",
    category = "siar",
    derive = "PartialEq",
    selectable = ".spec.gateway",
    doc = "A Channel declares topics that browsers listen to with EventSource and that apps publish to: who may do either, what is kept for those who come back, and how much of it a gateway bears."
)]
#[kube(printcolumn(
    name = "Ready",
    type_ = "string",
    json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
    description = "Whether the Channel is served as it was written."
))]
#[kube(printcolumn(
    name = "Reason",
    type_ = "string",
    json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
    priority = 1,
    description = "Why it is ready or not."
))]
#[kube(printcolumn(
    name = "Gateway",
    type_ = "string",
    json_path = ".spec.gateway",
    description = "The fleet that serves it."
))]
#[kube(printcolumn(
    name = "Streams",
    type_ = "integer",
    json_path = ".status.streams",
    description = "Streams open now, over all gateway pods."
))]
#[kube(printcolumn(
    name = "Programmed",
    type_ = "string",
    json_path = ".status.programmed",
    description = "Gateway pods that serve this very form, of those that are ready."
))]
#[kube(printcolumn(
    name = "Age",
    type_ = "date",
    json_path = ".metadata.creationTimestamp"
))]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
pub struct ChannelSpec {
    /// The gateway fleet that serves this Channel. It cannot be changed later.
    #[serde(default = "default_gateway")]
    #[schemars(
        length(min = 1, max = 40),
        regex(pattern = rules::GATEWAY)
    )]
    #[x_kube(validation = rules::gateway(), validation = rules::same_gateway())]
    pub gateway: String,

    /// The topics that the Channel owns, each a name such as `orders` or a pattern such as
    /// `orders.{user}`, in which `{user}` stands for one non-empty run of characters without a dot.
    /// When left out, the Channel owns exactly one topic: its own name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 16),
        inner(length(min = 1, max = 255)),
        extend("x-kubernetes-list-type" = "set"),
        transform = rules::each_topic
    )]
    pub topics: Vec<String>,

    /// The Redis server that carries the messages. When left out, the gateway's own Redis does;
    /// where the gateway has none, its memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RedisSpec")]
    pub redis: Option<RedisSpec>,

    /// Which apps that PUBLISH to Redis directly are heard. Needs a Redis server. On the gateway's
    /// own Redis only Channels of the gateway's default namespace may use it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3), extend("x-kubernetes-list-type" = "set"))]
    pub ingest: Vec<Ingest>,

    /// Whether one stream may listen to all topics of the Channel at once. Changing it starts the
    /// history of its topics anew.
    #[serde(default)]
    pub wildcard: bool,

    /// What is kept for listeners that come back. When left out, nothing is: the Channel is live only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "HistorySpec")]
    pub history: Option<HistorySpec>,

    /// Who may listen and publish. When left out, nobody may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AccessSpec")]
    pub access: Option<AccessSpec>,

    /// How streams behave over time.
    #[serde(default)]
    pub stream: StreamSpec,

    /// The bounds of the Channel. Each holds for one gateway pod, not for the fleet.
    #[serde(default)]
    pub limits: LimitsSpec,

    /// What the Channel asks of the size of the fleet. When left out, 20000 streams make a replica
    /// and the Channel sets no bounds of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ScalingSpec")]
    pub scaling: Option<ScalingSpec>,
}

impl ChannelSpec {
    /// The Secrets that it names, each once.
    #[must_use]
    pub fn secret_names(&self) -> BTreeSet<&str> {
        let redis = self.redis.iter().flat_map(|redis| &redis.secret_ref);
        let redis = redis.map(|reference| &*reference.name);
        let access = self.access.iter();
        let rules = access.flat_map(|access| access.subscribe.iter().chain(&access.publish));
        let named = rules.flat_map(|rule| {
            let tokens = rule.tokens.as_ref();
            let tokens = tokens.map(|tokens| &*tokens.secret_ref.name);
            let key = rule.jwt.as_ref().and_then(|jwt| jwt.key.as_ref());
            tokens
                .into_iter()
                .chain(key.map(|key| &*key.secret_ref.name))
        });
        redis.chain(named).collect()
    }
}

fn default_gateway() -> String {
    DEFAULT_GATEWAY.to_owned()
}

#[cfg(test)]
mod tests;
