//! Everything that clients send, parsed once.
//!
//! Owns: what is well formed and within bounds; having one of these types means that the input was. Never:
//! knows Channels, decides. Pure. Used by: the routes.

pub mod evidence;
pub mod publish;
#[cfg(test)]
mod tests;

use super::query::Query;
use crate::message::Malformed;
use crate::position::MOST_TOPICS;
use crds::duration::DurationText;
use crds::name::{InvalidTopic, Topic};
use http::HeaderMap;
use std::time::Duration;

/// The topic of a request that names none, as in Flask-SSE.
pub const USUAL_TOPIC: &str = "sse";
/// A longer cursor is none of ours and none that a publisher may give.
pub const CURSOR_BYTES: usize = 4096;
/// The most messages that `since` may ask for: what the largest history keeps.
pub const MOST_SINCE: u32 = 100_000;
/// The longest time that `since` may ask for: what the longest history keeps.
pub const LONGEST_SINCE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Messages in an answer of `/history` unless `limit` says otherwise.
const USUAL_LIMIT: usize = 100;
/// The most messages in an answer of `/history`.
const MOST_LIMIT: usize = 1000;

/// Why input is refused; the text names the field and says what to do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    #[error("`{0}` is not UTF-8; percent-encode it as UTF-8")]
    NotText(&'static str),
    #[error("`channel` {name:?} names no topic: {cause}")]
    Topic { name: String, cause: InvalidTopic },
    #[error("`channel` names more than {MOST_TOPICS} topics; open a further stream for the rest")]
    TooManyTopics,
    #[error("`channel` names several topics here; ask for one at a time")]
    OneTopic,
    #[error("`{0}` is a switch; write {0}=1 or leave it out")]
    Switch(&'static str),
    #[error(
        "`since` is a number of messages up to {MOST_SINCE} or a time up to 168h, such as 50 or 10m"
    )]
    Since,
    #[error("`limit` is a number of messages from 1 to {MOST_LIMIT}")]
    Limit,
    #[error("`retry` is a whole number of milliseconds")]
    Retry,
    #[error("header `Idempotency-Key` is 1 to 255 visible ASCII characters")]
    Key,
    #[error("two different tokens were sent; send one, in one place")]
    TwoTokens,
    #[error(transparent)]
    Message(#[from] Malformed),
    #[error("the body is no JSON of the expected form: {0}")]
    Json(String),
    #[error("`channel` and `channels` were both sent; use one of them")]
    TwoChannels,
    #[error("the array is empty; send at least one message")]
    NoItems,
    #[error(
        "a request publishes at most {} messages; send the rest in a further one",
        publish::MOST_ITEMS
    )]
    TooManyItems,
    #[error("item {index}: {cause}")]
    Item { index: usize, cause: Box<Bad> },
    #[error("the body ended early or broke off")]
    Body,
}

/// A name in `channel=` of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    Topic(Topic),
    /// `*` as the last character: a selector over the feeds of Channels with `wildcard`. Elsewhere it is
    /// the literal topic, if it is one.
    Starred {
        prefix: Box<str>,
        literal: Option<Topic>,
    },
}

impl Name {
    fn parse(text: &str) -> Result<Self, Bad> {
        let literal = match text {
            "*" => None,
            _ => Some(topic(text)?),
        };
        Ok(match (text.strip_suffix('*'), literal) {
            (None, Some(topic)) => Self::Topic(topic),
            (prefix, literal) => Self::Starred {
                prefix: prefix.unwrap_or_default().into(),
                literal,
            },
        })
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Topic(topic) => topic.to_string(),
            Self::Starred { prefix, .. } => format!("{prefix}*"),
        }
    }
}

/// Where a stream wants to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    Live,
    /// What the client says it saw last, as bytes: browsers send raw UTF-8.
    Cursor(Vec<u8>),
    /// The newest messages, this many.
    Messages(u32),
    /// What was published in the time up to now.
    Time(Duration),
}

/// `GET /stream`, well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeRequest {
    /// 1–32, sorted, each once.
    pub names: Vec<Name>,
    pub begin: Begin,
    pub envelope: bool,
    pub control: bool,
}

impl SubscribeRequest {
    /// Reads the query and `Last-Event-ID`.
    pub fn parse(query: &Query, headers: &HeaderMap) -> Result<Self, Bad> {
        let mut names = texts(query, "channel")?
            .into_iter()
            .map(Name::parse)
            .collect::<Result<Vec<_>, _>>()?;
        names.sort_by_cached_key(Name::text);
        names.dedup();
        if names.len() > MOST_TOPICS {
            return Err(Bad::TooManyTopics);
        }
        Ok(Self {
            names,
            begin: begin(query, headers)?,
            envelope: switch(query, "envelope")?,
            control: switch(query, "control")?,
        })
    }
}

/// `GET /history`, well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRequest {
    pub topic: Topic,
    /// 1–1,000.
    pub limit: usize,
}

impl HistoryRequest {
    /// Reads the query.
    pub fn parse(query: &Query) -> Result<Self, Bad> {
        let limit = match text(query, "limit")? {
            None => USUAL_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MOST_LIMIT).contains(limit))
                .ok_or(Bad::Limit)?,
        };
        Ok(Self {
            topic: one_topic(query)?,
            limit,
        })
    }
}

/// `GET /presence`, well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceRequest {
    pub topic: Topic,
}

impl PresenceRequest {
    /// Reads the query.
    pub fn parse(query: &Query) -> Result<Self, Bad> {
        Ok(Self {
            topic: one_topic(query)?,
        })
    }
}

/// The names in `channel=` of a preflight, as far as they are any; none given means the union.
#[must_use]
pub fn preflight_names(query: &Query) -> Vec<Name> {
    let values = query.all("channel").take(MOST_TOPICS);
    values
        .filter_map(|value| std::str::from_utf8(value).ok())
        .filter_map(|text| Name::parse(text).ok())
        .collect()
}

/// The topics in `channel=`, sorted, each once; `sse` when there is none.
fn topics(query: &Query) -> Result<Vec<Topic>, Bad> {
    let names = texts(query, "channel")?.into_iter();
    let mut topics = names.map(topic).collect::<Result<Vec<_>, _>>()?;
    topics.sort();
    topics.dedup();
    Ok(topics)
}

fn one_topic(query: &Query) -> Result<Topic, Bad> {
    let mut topics = topics(query)?;
    match (topics.pop(), topics.is_empty()) {
        (Some(topic), true) => Ok(topic),
        _ => Err(Bad::OneTopic),
    }
}

fn topic(name: &str) -> Result<Topic, Bad> {
    Topic::new(name).map_err(|cause| Bad::Topic {
        name: shown(name),
        cause,
    })
}

/// Every value of `channel`, an empty one and none at all meaning `sse`.
fn texts<'a>(query: &'a Query, field: &'static str) -> Result<Vec<&'a str>, Bad> {
    let mut names = Vec::new();
    for value in query.all(field) {
        let name = std::str::from_utf8(value).or(Err(Bad::NotText(field)))?;
        names.push(if name.is_empty() { USUAL_TOPIC } else { name });
    }
    if names.is_empty() {
        names.push(USUAL_TOPIC);
    }
    Ok(names)
}

/// The first value of `field`; an empty one is none.
fn text<'a>(query: &'a Query, field: &'static str) -> Result<Option<&'a str>, Bad> {
    let Some(value) = query.first(field) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value).or(Err(Bad::NotText(field)))?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn switch(query: &Query, field: &'static str) -> Result<bool, Bad> {
    match text(query, field)? {
        None | Some("0" | "false") => Ok(false),
        Some("1" | "true") => Ok(true),
        Some(_) => Err(Bad::Switch(field)),
    }
}

/// A cursor goes before `since`: a browser that comes back sends both.
fn begin(query: &Query, headers: &HeaderMap) -> Result<Begin, Bad> {
    let header = headers
        .get("last-event-id")
        .map(http::HeaderValue::as_bytes);
    let cursors = [header, query.first("last_event_id")];
    if let Some(cursor) = cursors
        .into_iter()
        .flatten()
        .find(|cursor| !cursor.is_empty())
    {
        return Ok(Begin::Cursor(cursor.to_vec()));
    }
    let Some(since) = text(query, "since")? else {
        return Ok(Begin::Live);
    };
    if since.bytes().all(|byte| byte.is_ascii_digit()) {
        let count = since.parse().ok().filter(|count| *count <= MOST_SINCE);
        return count.map(Begin::Messages).ok_or(Bad::Since);
    }
    let time = DurationText::new(since).read().or(Err(Bad::Since))?;
    if time > LONGEST_SINCE {
        return Err(Bad::Since);
    }
    Ok(Begin::Time(time))
}

/// The beginning of a name for a message: it may be as long as a request head.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}
