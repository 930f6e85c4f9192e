//! The fields of a Channel about its Redis server and the raw publishers on it.
//!
//! Owns: `spec.redis`, `spec.ingest`. Never: opens a connection or reads a Secret. Used by: `channel`.

use super::rules;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Redis server of the Channel's own.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RedisSpec {
    /// Where it is: `redis://redis.shop:6379/0` for one server,
    /// `redis+sentinel://a:26379,b:26379/0?master=NAME` for the one that Sentinels know by this name,
    /// `redis+cluster://a:6379,b:6379` for a cluster; with TLS `rediss://`, `rediss+sentinel://` and
    /// `rediss+cluster://`. User name and password never stand here: they come from the Secret that
    /// secretRef names.
    #[schemars(
        length(min = 1, max = 1024),
        regex(pattern = rules::REDIS_URL)
    )]
    #[x_kube(
        validation = rules::redis_url(),
        validation = rules::one_host(),
        validation = rules::master_of_sentinels(),
        validation = rules::no_database_in_a_cluster(),
        validation = rules::redis_url_without_password()
    )]
    pub url: String,

    /// A Secret in the Channel's namespace with any of the keys username, password, ca.crt,
    /// tls.crt and tls.key, for Sentinels also sentinel-username and sentinel-password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretReference")]
    pub secret_ref: Option<SecretReference>,

    /// Put before topic names for apps that PUBLISH to Redis directly.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::prefix())]
    pub prefix: String,
}

/// The name of a Secret in the Channel's namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// The name of the Secret.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = rules::SECRET_NAME)
    )]
    #[x_kube(validation = rules::secret_name())]
    pub name: String,
}

/// A kind of app that publishes to Redis directly: FlaskSse, Juggernaut or Raw.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingest {
    /// Apps with Flask-SSE: one JSON object with data, type, id and retry for each message.
    FlaskSse,
    /// Apps with Juggernaut: JSON with channels and data, published to `juggernaut`.
    Juggernaut,
    /// Any payload, taken as the data of a message as it is.
    Raw,
}
