//! `POST /publish`: a raw body with a query, or JSON with one message or several.
//!
//! Owns: what is one message and what is a batch. Never: reads a body, it gets the bytes. Pure. Used by:
//! the route of the same name.

use super::super::query::Query;
use super::{Bad, USUAL_TOPIC, text, topic, topics};
use crate::message::{Malformed, Message, Session};
use bytes::Bytes;
use crds::name::Topic;
use http::{HeaderMap, header};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Messages that one request publishes, each topic of `channels` counted.
pub const MOST_ITEMS: usize = 100;
const KEY_BYTES: usize = 255;

/// One message for one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub topic: Topic,
    pub message: Message,
}

/// What is to be published, well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishRequest {
    /// 1–100, in the order in which they are published and answered.
    pub items: Vec<Item>,
    /// Whether the answer is a list.
    pub batch: bool,
}

/// What the head of a request says about its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// The body is the data for these topics.
    Raw(RawForm),
    /// The body says everything.
    Json,
}

/// What the query says about a raw body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawForm {
    /// 1–100, sorted, each once.
    pub topics: Vec<Topic>,
    /// Everything but the data.
    blank: Message,
}

impl Form {
    /// JSON without `channel=` says everything itself; any other body is data as it stands.
    pub fn parse(query: &Query, headers: &HeaderMap) -> Result<Self, Bad> {
        if query.first("channel").is_none() && is_json(headers) {
            return Ok(Self::Json);
        }
        let topics = topics(query)?;
        if topics.len() > MOST_ITEMS {
            return Err(Bad::TooManyItems);
        }
        let retry = text(query, "retry")?
            .map(|retry| whole(retry).ok_or(Bad::Retry))
            .transpose()?;
        let except = query.all("except").filter_map(session).collect();
        let blank = Message::new("")?
            .with_type(text(query, "type")?.unwrap_or_default())?
            .with_id(text(query, "id")?.unwrap_or_default())?
            .with_retry(retry)
            .with_except(except)?;
        Ok(Self::Raw(RawForm { topics, blank }))
    }
}

impl RawForm {
    /// The messages, with `body` as their data.
    pub fn with(self, body: Bytes) -> Result<PublishRequest, Bad> {
        let message = Message::new(body)?
            .with_type(self.blank.kind().unwrap_or_default())?
            .with_id(self.blank.id().unwrap_or_default())?
            .with_retry(self.blank.retry())
            .with_except(self.blank.except().to_vec())?;
        let items: Vec<Item> = self
            .topics
            .into_iter()
            .map(|topic| Item {
                topic,
                message: message.clone(),
            })
            .collect();
        let batch = items.len() > 1;
        Ok(PublishRequest { items, batch })
    }
}

impl PublishRequest {
    /// Reads one object or an array of them. Nothing is published unless all is well formed.
    pub fn from_json(body: &[u8]) -> Result<Self, Bad> {
        let array = body.trim_ascii_start().starts_with(b"[");
        let posts: Vec<Post<'_>> = if array {
            serde_json::from_slice(body)
        } else {
            serde_json::from_slice(body).map(|post| vec![post])
        }
        .map_err(|error| Bad::Json(error.to_string()))?;
        if posts.is_empty() {
            return Err(Bad::NoItems);
        }
        let mut items = Vec::with_capacity(posts.len());
        let several = posts.iter().any(|post| post.channels.is_some());
        for (index, post) in posts.into_iter().enumerate() {
            match post.items() {
                Ok(further) => items.extend(further),
                Err(cause) if array => {
                    let cause = Box::new(cause);
                    return Err(Bad::Item { index, cause });
                }
                Err(cause) => return Err(cause),
            }
            if items.len() > MOST_ITEMS {
                return Err(Bad::TooManyItems);
            }
        }
        Ok(Self {
            items,
            batch: array || several,
        })
    }
}

/// The header under which a request is published once; none when it is not sent.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Bad> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = value.to_str().or(Err(Bad::Key))?;
    let allowed = (1..=KEY_BYTES).contains(&key.len()) && !key.bytes().any(|byte| byte == b'\t');
    if allowed {
        Ok(Some(key))
    } else {
        Err(Bad::Key)
    }
}

/// An object as it is posted. An unknown field is an error: a misspelt `channel` would go to `sse`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Post<'a> {
    channel: Option<String>,
    channels: Option<Vec<String>>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    retry: Option<u64>,
    except: Option<Except>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Except {
    One(String),
    Many(Vec<String>),
}

impl Post<'_> {
    fn items(self) -> Result<Vec<Item>, Bad> {
        let names = match (self.channel, self.channels) {
            (Some(_), Some(_)) => return Err(Bad::TwoChannels),
            (Some(name), None) => vec![name],
            (None, Some(names)) if names.is_empty() => return Err(Bad::NoItems),
            (None, Some(names)) if names.len() > MOST_ITEMS => return Err(Bad::TooManyItems),
            (None, Some(names)) => names,
            (None, None) => vec![USUAL_TOPIC.to_owned()],
        };
        let except = match self.except {
            None => Vec::new(),
            Some(Except::One(one)) => vec![one],
            Some(Except::Many(many)) => many,
        };
        let except = except.iter();
        let message = Message::new(data(self.data.ok_or(Malformed::NoData)?))?
            .with_type(&self.kind.unwrap_or_default())?
            .with_id(&self.id.map(own_id).transpose()?.unwrap_or_default())?
            .with_retry(self.retry)
            .with_except(except.filter_map(|name| session(name.as_bytes())).collect())?;
        let mut items: Vec<Item> = Vec::with_capacity(names.len());
        for name in names {
            let topic = topic(if name.is_empty() { USUAL_TOPIC } else { &name })?;
            if !items.iter().any(|item| item.topic == topic) {
                items.push(Item {
                    topic,
                    message: message.clone(),
                });
            }
        }
        Ok(items)
    }
}

/// `null` is data like any other.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// A string is its text; anything else is the JSON as it stood.
fn data(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_else(|_not_a_string| value.get().to_owned())
}

fn own_id(value: &RawValue) -> Result<String, Bad> {
    let text = value.get();
    if text == "null" {
        return Ok(String::new());
    }
    if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    serde_json::from_str(text).or(Err(Bad::Json("`id` is a string or a number".to_owned())))
}

/// What names no session withholds from nobody.
fn session(name: &[u8]) -> Option<Session> {
    std::str::from_utf8(name).ok()?.parse().ok()
}

fn whole(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}
