//! A Channel's spec with what it takes from Secrets: all that a Policy is made from.
//!
//! Owns: the entry of a Channel in a Snapshot, its digest and its size. Never: sees a fleet or a
//! Secret itself. Used by: `policy`, `snapshot`; `compile` takes last good forms from it.

use super::resolve::{Resolved, to_hex};
use super::{Policy, Rejection, access, delivery, redis};
use crate::channel::{ChannelSpec, Ingest, TOPIC_PATTERNS};
use crate::name::ChannelName;
use crate::pattern::TopicPattern;
use crate::reason::Reason;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The most bytes of a form as JSON: a Snapshot has 1,000,000 for all Channels, compressed.
pub const FORM_BYTES: usize = 64 * 1024;

/// A Channel as a Snapshot carries it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Form {
    pub namespace: String,
    pub name: String,
    /// `metadata.uid`; empty for a manifest from a file.
    pub uid: String,
    /// The generation of `spec`; 0 for a manifest from a file.
    pub generation: i64,
    /// SHA-256 (hex) of name, spec and what Secrets gave; not of uid and generation.
    pub digest: String,
    pub spec: ChannelSpec,
    /// What Secrets gave when the form was compiled.
    pub resolved: Resolved,
}

impl Form {
    /// Puts the parts together; `TooLarge` when they take more than [`FORM_BYTES`].
    pub fn new(
        channel: &ChannelName,
        uid: &str,
        generation: i64,
        spec: ChannelSpec,
        resolved: Resolved,
    ) -> Result<Self, Rejection> {
        let (namespace, name) = (channel.namespace().to_string(), channel.name().to_string());
        let content = serde_json::to_vec(&(&namespace, &name, &spec, &resolved))
            .expect("specs and hashes are JSON");
        if content.len() > FORM_BYTES {
            return Err(Rejection::new(
                Reason::TooLarge,
                format!(
                    "the Channel with its Secrets takes {} bytes and a Snapshot carries at most {FORM_BYTES}; use fewer tokens, or divide it into several Channels.",
                    content.len()
                ),
            ));
        }
        Ok(Self {
            namespace,
            name,
            uid: uid.to_owned(),
            generation,
            digest: to_hex(&Sha256::digest(&content)),
            spec,
            resolved,
        })
    }

    /// How many bytes it takes as JSON.
    pub fn bytes(&self) -> usize {
        serde_json::to_vec(self).map_or(0, |text| text.len())
    }

    /// Namespace and name.
    pub fn channel(&self) -> ChannelName {
        ChannelName::new(&self.namespace, &self.name)
    }

    /// Checks the whole spec again, since manifests from files met no schema.
    pub fn policy(&self) -> Result<Policy, Rejection> {
        let spec = &self.spec;
        check_name("metadata.namespace", &self.namespace, 63, false)?;
        check_name("metadata.name", &self.name, 253, true)?;
        check_name("spec.gateway", &spec.gateway, 40, false)?;
        if let Some(scaling) = &spec.scaling {
            delivery::check_scaling(scaling)?;
        }
        let redis = spec.redis.as_ref();
        let topics = topics(&self.name, &spec.topics)?;
        let access = access::access(spec.access.as_ref(), &topics, &self.resolved)?;
        Ok(Policy {
            channel: self.channel(),
            uid: self.uid.clone(),
            generation: self.generation,
            digest: self.digest.as_str().into(),
            topics,
            wildcard: spec.wildcard,
            redis: redis
                .map(|redis| redis::server(&self.namespace, redis, &self.resolved))
                .transpose()?,
            prefix: redis::prefix(redis)?,
            ingest: super::IngestSet {
                flask_sse: spec.ingest.contains(&Ingest::FlaskSse),
                juggernaut: spec.ingest.contains(&Ingest::Juggernaut),
                raw: spec.ingest.contains(&Ingest::Raw),
            },
            history: spec.history.as_ref().map(delivery::history).transpose()?,
            access,
            stream: delivery::timing(&spec.stream)?,
            limits: delivery::limits(&spec.limits)?,
        })
    }
}

/// The patterns, each once; a Channel that declares none owns its own name.
fn topics(name: &str, texts: &[String]) -> Result<Vec<TopicPattern>, Rejection> {
    if texts.len() > TOPIC_PATTERNS {
        return Err(Rejection::invalid(format!(
            "spec.topics has {} patterns; use at most {TOPIC_PATTERNS}.",
            texts.len()
        )));
    }
    let own = [name.to_owned()];
    let texts = if texts.is_empty() { &own } else { texts };
    let mut topics = Vec::with_capacity(texts.len());
    for text in texts {
        let pattern = TopicPattern::parse(text).map_err(|error| {
            let shown: String = text.chars().take(80).collect();
            Rejection::new(
                Reason::InvalidTopic,
                format!("spec.topics: {shown:?}: {error}."),
            )
        })?;
        if !topics.contains(&pattern) {
            topics.push(pattern);
        }
    }
    Ok(topics)
}

/// Names as Kubernetes has them: labels of DNS, joined by dots where those are allowed.
fn check_name(field: &str, name: &str, most: usize, dots: bool) -> Result<(), Rejection> {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let is_name = if dots {
        name.split('.').all(is_label)
    } else {
        is_label(name)
    };
    if is_name && name.len() <= most {
        return Ok(());
    }
    let dot = if dots { ", `.`" } else { "" };
    Err(Rejection::invalid(format!(
        "{field} is not a name; use at most {most} of a-z, 0-9{dot} and `-`, beginning and ending with a letter or digit."
    )))
}
