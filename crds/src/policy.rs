//! A Channel with its Secrets becomes a Policy, or a Rejection that says what to do.
//!
//! Owns: the only validation of a Channel's meaning; the schema checks the same bounds earlier, but
//! manifests from files come without it. Pure: no I/O, no clock. Used by: `compile`, `snapshot`.

mod access;
mod condition;
mod credentials;
mod delivery;
mod form;
mod redis;
mod resolve;
mod rule;
mod targets;

pub use condition::{CONDITION_BYTES, Condition, LIST_ITEMS, Names, Reads};
pub use form::Form;
pub(crate) use resolve::to_hex;
pub use resolve::{Resolved, TOKEN_KEYS};
pub use rule::{Jwt, JwtKeys, Rule, RuleKind, ServiceAccounts, Webhook};

use crate::channel::ChannelSpec;
use crate::fleet::Fleet;
use crate::name::{ChannelName, Topic};
use crate::pattern::TopicPattern;
use crate::reason::Reason;
use crate::redis_url::RedisUrl;
use crate::report::BrokerKind;
use crate::secret::Secret;
use crate::secrets::Secrets;
use std::sync::Arc;
use std::time::Duration;

/// A Channel whose spec is right and whose Secrets are resolved.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Namespace and name.
    pub channel: ChannelName,
    /// `metadata.uid`; empty for a manifest from a file.
    pub uid: String,
    /// `metadata.generation` of the form in force.
    pub generation: i64,
    /// SHA-256 (hex) of the resolved form, Secrets included: differs when anything that matters differs.
    pub digest: Arc<str>,
    /// The topics it owns; never empty.
    pub topics: Vec<TopicPattern>,
    /// Whether a stream may listen to all topics at once through the feed.
    pub wildcard: bool,
    /// Its own Redis; none means the gateway's.
    pub redis: Option<Arc<RedisServer>>,
    /// Put before topic names for raw publishers.
    pub prefix: Arc<str>,
    /// Which raw publishers are heard.
    pub ingest: IngestSet,
    /// What is kept; none means live only.
    pub history: Option<History>,
    /// Who may come in.
    pub access: Access,
    /// How streams behave.
    pub stream: Timing,
    /// The bounds, per gateway pod.
    pub limits: Limits,
}

/// A Redis server with its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisServer {
    pub id: ServerId,
    pub username: Option<String>,
    pub password: Option<Secret<String>>,
    /// PEM; none means the system's roots.
    pub ca: Option<Vec<u8>>,
    /// PEM certificate chain and key for client authentication.
    pub client: Option<(Vec<u8>, Secret<Vec<u8>>)>,
    /// For the Sentinels; none means that they ask for nothing.
    pub sentinel: Option<Login>,
}

/// What of a server stays when its credentials change: where it is, and from which Secret they are.
/// Channels with equal ones share connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerId {
    pub url: RedisUrl,
    /// Namespace and name of the Secret.
    pub secret: Option<(Arc<str>, Arc<str>)>,
}

/// What is said to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub username: Option<String>,
    pub password: Secret<String>,
}

impl RedisServer {
    /// One that asks for no credentials.
    #[must_use]
    pub fn open(url: RedisUrl) -> Self {
        Self {
            id: ServerId { url, secret: None },
            username: None,
            password: None,
            ca: None,
            client: None,
            sentinel: None,
        }
    }

    /// Whether it has anything from a Secret.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        let bare = Self {
            id: self.id.clone(),
            ..Self::open(self.id.url.clone())
        };
        *self != bare
    }
}

/// Which raw Redis publishers a Channel hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IngestSet {
    pub flask_sse: bool,
    pub juggernaut: bool,
    pub raw: bool,
}

impl IngestSet {
    /// True when at least one kind is heard.
    #[must_use]
    pub fn any(self) -> bool {
        self.flask_sse || self.juggernaut || self.raw
    }
}

/// What is kept of each topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// Messages, 1–100,000.
    pub size: u32,
    /// Idle expiry of the topic, 1 s–7 d.
    pub ttl: Duration,
}

/// Origins and rules.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub origins: Origins,
    /// The first rule that admits wins; none, nobody.
    pub subscribe: Vec<Rule>,
    pub publish: Vec<Rule>,
    /// What the conditions of `subscribe` read together: so much of a request an open stream keeps.
    pub reads: Arc<Reads>,
}

impl Access {
    /// Whether a rule needs reviews by the API server.
    fn asks_the_cluster(&self) -> bool {
        let mut rules = self.subscribe.iter().chain(&self.publish);
        rules.any(|rule| matches!(rule.kind, RuleKind::ServiceAccounts(_)))
    }
}

/// The origins whose pages may read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// `*` was listed: any origin, without credentials.
    pub any: bool,
    /// `scheme://host[:port]`, lower-case.
    pub listed: Vec<String>,
}

/// A client of a `tokens` rule: its name and the SHA-256 of its token, never the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHolder {
    pub name: Arc<str>,
    pub sha256: [u8; 32],
}

/// How streams behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Silence after which a comment is sent.
    pub heartbeat: Duration,
    /// The reconnection time told to browsers, before jitter.
    pub retry: Duration,
    /// Age at which a stream is rotated, before jitter; none means never.
    pub max_age: Option<Duration>,
}

/// The bounds of a Channel on one gateway pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub streams: u32,
    pub message_bytes: usize,
    pub topics: u32,
    pub publish_per_second: u32,
    pub streams_per_client: Option<u32>,
}

/// Why a Channel cannot be served, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// The word for the condition.
    pub reason: Reason,
    /// A sentence that says what to change; never holds a secret.
    pub message: String,
}

impl Rejection {
    pub(crate) fn new(reason: Reason, message: String) -> Self {
        Self { reason, message }
    }

    fn invalid(message: String) -> Self {
        Self::new(Reason::InvalidSpec, message)
    }
}

/// A spec with the name and the version that it came with.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub channel: &'a ChannelName,
    pub uid: &'a str,
    pub generation: i64,
    pub spec: &'a ChannelSpec,
}

/// A Policy with what a Snapshot keeps of it.
#[derive(Clone, Debug)]
pub struct Resolution {
    pub policy: Policy,
    pub form: Form,
    /// What of it does not work as it is written; the rest does.
    pub problems: Vec<Problem>,
}

/// Why a part of a Channel in force does not work, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The word for the condition.
    pub reason: Reason,
    /// A sentence with its mend; never holds a secret.
    pub message: String,
}

impl Policy {
    /// Reads the Secrets, checks the whole spec, and asks whether `fleet` can serve it. `before` is
    /// the form that the same Channel had: its Redis credentials stay when their Secret is missing.
    pub fn compile(
        source: Source<'_>,
        fleet: &Fleet,
        secrets: &Secrets,
        before: Option<&Form>,
    ) -> Result<Resolution, Rejection> {
        let Source { channel, spec, .. } = source;
        let (resolved, mut problems) = Resolved::read(channel, spec, secrets, before)?;
        let form = Form::new(
            channel,
            source.uid,
            source.generation,
            spec.clone(),
            resolved,
        )?;
        let policy = form.policy()?;
        policy.check_fleet(fleet)?;
        targets::check(spec, policy.redis.as_deref(), &fleet.targets)?;
        if !fleet.reviews && policy.access.asks_the_cluster() {
            problems.push(Problem {
                reason: Reason::ReviewsUnavailable,
                message: "A serviceAccounts rule admits nobody, since the gateways may not ask the API server for reviews; install with gateway.reviews=true in cluster scope, or use another rule.".to_owned(),
            });
        }
        Ok(Resolution {
            policy,
            form,
            problems,
        })
    }

    /// Whether the fleet has what the Channel needs.
    fn check_fleet(&self, fleet: &Fleet) -> Result<(), Rejection> {
        if self.redis.is_some() || !self.ingest.any() {
            return Ok(());
        }
        if fleet.broker == BrokerKind::Memory {
            return Err(Rejection::new(
                Reason::NoRedis,
                "spec.ingest hears apps that publish to Redis, and the gateway has no Redis; set spec.redis.url, or give the gateway one with --redis.".to_owned(),
            ));
        }
        if **self.channel.namespace() != fleet.default_namespace {
            return Err(Rejection::new(
                Reason::SharedIngest,
                format!(
                    "spec.ingest on the gateway's own Redis is for Channels in namespace {:?}, since raw names carry no namespace; set spec.redis.url to a server of your own.",
                    fleet.default_namespace
                ),
            ));
        }
        Ok(())
    }

    /// Its own Redis, whatever the credentials; none means the gateway's.
    #[must_use]
    pub fn server(&self) -> Option<&ServerId> {
        self.redis.as_ref().map(|server| &server.id)
    }

    /// Whether this Channel owns `topic`.
    #[must_use]
    pub fn owns(&self, topic: &Topic) -> bool {
        self.topics
            .iter()
            .any(|pattern| pattern.matches(topic.as_str()))
    }
}

#[cfg(test)]
mod tests;
