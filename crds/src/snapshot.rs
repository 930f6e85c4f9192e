//! All Channels of one gateway, as the operator hands them over and the gateway looks them up.
//!
//! Owns: finding a topic's Channel, and the wire form with its format and hash. Never: changes once
//! it is made. Made by: `compile`, or by decoding, which checks every Channel again.

use crate::name::{ChannelName, Topic};
use crate::pattern::TopicPattern;
use crate::policy::{Form, Policy, Rejection, to_hex};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::Arc;

/// The format that is written, and the only one that is read.
pub const FORMAT: u32 = 1;
/// The most bytes of a Snapshot as JSON; a Secret holds a megabyte of it, compressed.
pub const SNAPSHOT_BYTES: usize = 64 * 1024 * 1024;

/// Every Channel of one gateway with its Secrets resolved; never changed afterwards.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Hash of the content, hex; empty before the first.
    pub revision: Arc<str>,
    policies: Vec<Arc<Policy>>,
    /// What the policies were made from, in the same order.
    forms: Vec<Arc<Form>>,
    namespaces: HashMap<Arc<str>, Index>,
}

/// Where the topics of one namespace are found.
#[derive(Clone, Debug, Default)]
struct Index {
    literals: HashMap<Box<str>, Arc<Policy>>,
    shapes: Vec<(TopicPattern, Arc<Policy>)>,
}

/// Why bytes are no Snapshot.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("the snapshot is larger than {SNAPSHOT_BYTES} bytes")]
    TooLarge,
    #[error("the snapshot is not gzip, or cut short")]
    Gzip,
    #[error("the snapshot cannot be read at line {line}, column {column}")]
    Json { line: usize, column: usize },
    #[error("the snapshot has format {0} and this version reads {FORMAT}; update this component")]
    Format(u32),
    #[error("the snapshot was changed on its way: its revision does not fit its content")]
    Revision,
    #[error("the snapshot holds Channel {channel} that cannot be served: {source}")]
    Channel {
        channel: ChannelName,
        source: Rejection,
    },
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    format: u32,
    revision: String,
    #[serde(borrow)]
    channels: &'a RawValue,
}

/// What every format has.
#[derive(Deserialize)]
struct Header {
    format: u32,
}

impl Snapshot {
    /// The Channel that owns `topic` in `namespace`.
    #[must_use]
    pub fn find(&self, namespace: &str, topic: &Topic) -> Option<&Arc<Policy>> {
        let index = self.namespaces.get(namespace)?;
        let topic = topic.as_str();
        index.literals.get(topic).or_else(|| {
            let mut shapes = index.shapes.iter();
            let found = shapes.find(|(pattern, _)| pattern.matches(topic));
            found.map(|(_, policy)| policy)
        })
    }

    /// The Channel of this name.
    #[must_use]
    pub fn channel(&self, name: &ChannelName) -> Option<&Arc<Policy>> {
        Some(&self.policies[self.at(name)?])
    }

    /// All Channels, in order of their names.
    #[must_use]
    pub fn policies(&self) -> &[Arc<Policy>] {
        &self.policies
    }

    /// What the Channel of this name was made from.
    #[must_use]
    pub fn form(&self, name: &ChannelName) -> Option<&Arc<Form>> {
        Some(&self.forms[self.at(name)?])
    }

    /// The wire form: JSON with format and revision.
    #[must_use]
    pub fn encode(&self) -> String {
        let (channels, revision) = content(&self.forms);
        let wire = Wire {
            format: FORMAT,
            revision,
            channels: &channels,
        };
        serde_json::to_string(&wire).expect("a Snapshot is JSON")
    }

    /// The wire form, compressed, as a Secret carries it.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        let packed = gzip
            .write_all(self.encode().as_bytes())
            .and_then(|()| gzip.finish());
        packed.expect("a Vec takes any bytes")
    }

    /// Reads what [`Snapshot::pack`] wrote.
    pub fn unpack(packed: &[u8]) -> Result<Self, DecodeError> {
        let mut bytes = Vec::new();
        let most = SNAPSHOT_BYTES as u64 + 1;
        let mut gzip = GzDecoder::new(packed).take(most);
        gzip.read_to_end(&mut bytes)
            .map_err(|_unsaid| DecodeError::Gzip)?;
        Self::decode(&bytes)
    }

    /// Reads the wire form. Unknown fields are ignored; another format, or content that does not
    /// fit its revision, is an error.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > SNAPSHOT_BYTES {
            return Err(DecodeError::TooLarge);
        }
        let unreadable = |error: serde_json::Error| DecodeError::Json {
            line: error.line(),
            column: error.column(),
        };
        let Header { format } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if format != FORMAT {
            return Err(DecodeError::Format(format));
        }
        let wire: Wire<'_> = serde_json::from_slice(bytes).map_err(unreadable)?;
        if hash(wire.channels) != wire.revision {
            return Err(DecodeError::Revision);
        }
        let forms: Vec<Form> = serde_json::from_str(wire.channels.get()).map_err(unreadable)?;
        let mut entries = Vec::with_capacity(forms.len());
        for form in forms {
            let policy = form.policy().map_err(|source| DecodeError::Channel {
                channel: form.channel(),
                source,
            })?;
            entries.push((policy, form));
        }
        let mut snapshot = Self::new(entries);
        snapshot.revision = wire.revision.into();
        Ok(snapshot)
    }

    /// Puts compiled Channels in order of their names. They own different topics: `conflict`.
    pub(crate) fn new(mut entries: Vec<(Policy, Form)>) -> Self {
        entries.sort_by(|(a, _), (b, _)| a.channel.cmp(&b.channel));
        let mut snapshot = Self::default();
        for (policy, form) in entries {
            let policy = Arc::new(policy);
            let namespace = policy.channel.namespace().clone();
            let index = snapshot.namespaces.entry(namespace).or_default();
            for pattern in &policy.topics {
                if pattern.is_literal() {
                    let topic = pattern.as_str().into();
                    index.literals.insert(topic, policy.clone());
                } else {
                    index.shapes.push((pattern.clone(), policy.clone()));
                }
            }
            snapshot.policies.push(policy);
            snapshot.forms.push(Arc::new(form));
        }
        snapshot.revision = content(&snapshot.forms).1.into();
        snapshot
    }

    fn at(&self, name: &ChannelName) -> Option<usize> {
        self.policies
            .binary_search_by(|policy| policy.channel.cmp(name))
            .ok()
    }
}

/// The channels as JSON, and their hash.
fn content(forms: &[Arc<Form>]) -> (Box<RawValue>, String) {
    let forms: Vec<&Form> = forms.iter().map(AsRef::as_ref).collect();
    let channels = serde_json::value::to_raw_value(&forms).expect("forms are JSON");
    let revision = hash(&channels);
    (channels, revision)
}

fn hash(channels: &RawValue) -> String {
    to_hex(&Sha256::digest(channels.get()))
}

#[cfg(test)]
mod tests;
