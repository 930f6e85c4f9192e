//! Foreign payloads become messages: what Flask-SSE, Juggernaut and plain publishers put into Redis.
//!
//! Owns: which payload is a message and which is malformed. Never: knows of Redis, Channels or streams.
//! Pure. Used by: the Redis keeper, which hears them.

pub mod flask_sse;
pub mod juggernaut;
pub mod raw;

use crate::message::{Malformed, Message};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A JSON text has at most so many times the bytes of the data that it carries (`\u00e9` for each
/// byte of text), so a longer payload is refused without being read.
const ESCAPED: usize = 6;
/// Bytes of a payload beside its data: type, id, channels and sessions.
const BESIDE: usize = 64 * 1024;

/// Why a payload was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the message is larger than the Channel's limits.messageBytes")]
    TooLarge,
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Refuses what cannot hold a message of at most `most` bytes of data.
fn readable(payload: &[u8], most: usize) -> Result<(), Refused> {
    if payload.len() > most.saturating_mul(ESCAPED).saturating_add(BESIDE) {
        return Err(Refused::TooLarge);
    }
    Ok(())
}

/// Reads a field that is there, `null` included, as its JSON text.
fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The text of a string; anything else exactly as it stood.
fn data(value: Option<&RawValue>) -> Result<String, Malformed> {
    let text = value.ok_or(Malformed::NoData)?.get();
    if text.starts_with('"') {
        return serde_json::from_str(text).or(Err(Malformed::NotJson));
    }
    Ok(text.to_owned())
}

/// A message of at most `most` bytes.
fn message(data: impl Into<bytes::Bytes>, most: usize) -> Result<Message, Refused> {
    let data = data.into();
    if data.len() > most {
        return Err(Refused::TooLarge);
    }
    Ok(Message::new(data)?)
}
