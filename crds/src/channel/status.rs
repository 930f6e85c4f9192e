//! What the operator says about a Channel.
//!
//! Owns: the shape of `status`, and the status that a Channel has before any operator saw it, so
//! that `kubectl wait` works from the first second. Never: decides a condition. Used by: `channel`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The conditions of a Channel, in the order in which they build on one another.
pub const CONDITION_TYPES: [&str; 4] = ["Accepted", "ResolvedRefs", "Programmed", "Ready"];

/// What has become of the Channel.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[schemars(extend("default" = first_status()))]
#[serde(rename_all = "camelCase")]
pub struct ChannelStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub observed_generation: Option<i64>,

    /// Accepted: the spec is right. ResolvedRefs: its Secrets are there. Programmed: all ready
    /// gateway pods serve it. Ready: it works as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,

    /// Gateway pods that serve this very form of the Channel, of those that are ready, as 3/3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 32))]
    pub programmed: Option<String>,

    /// Streams open now, over all gateway pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub streams: Option<i64>,

    /// Where to listen to the Channel's first topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 2048))]
    pub url: Option<String>,
}

/// The status of a Channel that no operator has seen yet.
fn first_status() -> Value {
    let condition = |type_: &str| {
        json!({
            "type": type_,
            "status": "Unknown",
            "reason": "Pending",
            "message": "no operator serves this gateway yet: check spec.gateway",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        })
    };
    json!({ "conditions": CONDITION_TYPES.map(condition) })
}

/// The schema of conditions with the bounds that Kubernetes itself gives them; a list keyed by type.
fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 8,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {
                    "description": "Accepted, ResolvedRefs, Programmed or Ready.",
                    "type": "string", "minLength": 1, "maxLength": 316,
                },
                "status": {
                    "description": "Whether it holds.",
                    "type": "string", "enum": ["True", "False", "Unknown"],
                },
                "reason": {
                    "description": "Why, in one word.",
                    "type": "string", "minLength": 1, "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": {
                    "description": "Why, and what to do.",
                    "type": "string", "maxLength": 32768,
                },
                "lastTransitionTime": {
                    "description": "When status last changed.",
                    "type": "string", "format": "date-time", "maxLength": 64,
                },
                "observedGeneration": {
                    "description": "The generation of the spec that it speaks of.",
                    "type": "integer", "format": "int64", "minimum": 0,
                },
            },
        },
    })
}
