//! A message as bytes for the socket, encoded once and shared by all streams of a topic.
//!
//! Owns: the only encoder of messages. Never: knows of sockets, streams or cursors of several topics.
//! Pure. Used by: `topics`, which makes frames; `worker`, which writes them.
//!
//! Over HTTP/1.1 a frame is two chunks: the event, then the block or line `id: <position>` that ends
//! it. The second is a chunk of its own, so that a stream on several topics writes its own there.

pub mod control;
pub mod lines;

use crate::message::Message;
use crate::position::Position;
use bytes::Bytes;
use crds::name::Topic;
use serde::Serialize;
use std::ops::Range;
use std::sync::OnceLock;

/// A message in its place, with its bytes.
#[derive(Debug)]
pub struct Frame {
    topic: Topic,
    message: Message,
    position: Option<Position>,
    first: u64,
    time: u64,
    plain: Encoded,
    envelope: OnceLock<Encoded>,
}

/// One encoding of a frame: chunk framing included, and where the bare payloads lie in it.
#[derive(Debug)]
pub struct Encoded {
    bytes: Bytes,
    event: Range<usize>,
    mark: Range<usize>,
    split: usize,
}

impl Encoded {
    /// Everything, for a stream on this topic alone over HTTP/1.1.
    #[must_use]
    pub fn whole(&self) -> &Bytes {
        &self.bytes
    }

    /// The chunk of the event without that of the position.
    #[must_use]
    pub fn event_chunk(&self) -> Bytes {
        self.bytes.slice(..self.split)
    }

    /// The event without chunk framing, for HTTP/2.
    #[must_use]
    pub fn event(&self) -> Bytes {
        self.bytes.slice(self.event.clone())
    }

    /// The text with the position without chunk framing, for HTTP/2; empty when there is none.
    #[must_use]
    pub fn mark(&self) -> Bytes {
        self.bytes.slice(self.mark.clone())
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    channel: &'a str,
    id: Option<String>,
    #[serde(rename = "type")]
    kind: &'a str,
    time: u64,
    data: &'a str,
}

impl Frame {
    /// Encodes `message`. `position` is none for a raw message that nobody numbered, `first` the first
    /// offset of its epoch, `time` milliseconds since 1970 when it was published.
    #[must_use]
    pub fn new(
        topic: Topic,
        message: Message,
        position: Option<Position>,
        first: u64,
        time: u64,
    ) -> Self {
        let plain = encode(&message, message.data(), position);
        Self {
            topic,
            message,
            position,
            first,
            time,
            plain,
            envelope: OnceLock::new(),
        }
    }

    /// The topic that it was published to; in a feed each frame has its own.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// None for a raw message that nobody numbered.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// The first offset of its epoch.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Milliseconds since 1970 when it was published.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.time
    }

    /// Whether its event ends before the position, because the publisher gave it an id of its own or
    /// because it has no position.
    #[must_use]
    pub fn closed_event(&self) -> bool {
        self.message.id().is_some() || self.position.is_none()
    }

    /// The message as it is.
    #[must_use]
    pub fn plain(&self) -> &Encoded {
        &self.plain
    }

    /// The message with its data inside one line of JSON, encoded at first use.
    pub fn envelope(&self) -> &Encoded {
        self.envelope.get_or_init(|| {
            let id = match (self.message.id(), self.position) {
                (Some(own), _) => Some(own.to_owned()),
                (None, position) => position.map(|position| position.to_string()),
            };
            let envelope = Envelope {
                channel: self.topic.as_str(),
                id,
                kind: self.message.kind().unwrap_or("message"),
                time: self.time,
                data: self.message.data(),
            };
            let data = serde_json::to_string(&envelope).unwrap_or_default();
            encode(&self.message, &data, self.position)
        })
    }

    /// The bytes it is counted with in rings and queues.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.plain.bytes.len()
            + self.message.bytes()
            + self.envelope.get().map_or(0, |encoded| encoded.bytes.len())
    }
}

fn encode(message: &Message, data: &str, position: Option<Position>) -> Encoded {
    let mut event = Vec::with_capacity(data.len() + 64);
    if let Some(kind) = message.kind() {
        line(&mut event, "event", kind);
    }
    if let Some(retry) = message.retry() {
        line(&mut event, "retry", &retry.to_string());
    }
    for text in lines::lines(data) {
        line(&mut event, "data", text);
    }
    if let Some(id) = message.id() {
        line(&mut event, "id", id);
    }
    if message.id().is_some() || position.is_none() {
        event.push(b'\n');
    }
    let mark = position.map(control::mark).unwrap_or_default();
    let mut bytes = Vec::with_capacity(event.len() + mark.len() + 24);
    let event_range = chunk(&mut bytes, &event);
    let split = bytes.len();
    let mark_range = chunk(&mut bytes, mark.as_bytes());
    Encoded {
        bytes: bytes.into(),
        event: event_range,
        mark: mark_range,
        split,
    }
}

fn line(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}

/// Appends `payload` as one chunk of HTTP/1.1 and tells where the payload lies. An empty payload
/// appends nothing, since an empty chunk would end the body.
pub fn chunk(out: &mut Vec<u8>, payload: &[u8]) -> Range<usize> {
    if payload.is_empty() {
        return out.len()..out.len();
    }
    out.extend_from_slice(format!("{:x}\r\n", payload.len()).as_bytes());
    let start = out.len();
    out.extend_from_slice(payload);
    let end = out.len();
    out.extend_from_slice(b"\r\n");
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(message: Message, position: Option<&str>) -> Frame {
        let position = position.map(|text| text.parse().unwrap());
        Frame::new(Topic::new("orders").unwrap(), message, position, 1, 7)
    }

    #[track_caller]
    fn check(message: Message, position: Option<&str>, event: &str, mark: &str) {
        let frame = frame(message, position);
        assert_eq!(frame.plain().event(), event);
        assert_eq!(frame.plain().mark(), mark);
        let mut chunks = Vec::new();
        chunk(&mut chunks, event.as_bytes());
        assert_eq!(frame.plain().event_chunk(), chunks);
        chunk(&mut chunks, mark.as_bytes());
        assert_eq!(frame.plain().whole(), &chunks);
    }

    #[test]
    fn a_position_ends_the_event_or_follows_an_own_id() {
        let message = Message::new("foo").unwrap();
        check(
            message.clone(),
            Some("abcdef-3"),
            "data: foo\n",
            "id: abcdef-3\n\n",
        );
        check(
            message.clone().with_id("5").unwrap(),
            Some("abcdef-3"),
            "data: foo\nid: 5\n\n",
            "id: abcdef-3\n\n",
        );
        check(message, None, "data: foo\n\n", "");
    }

    #[test]
    fn type_and_retry_come_before_the_data() {
        let message = Message::new("a\r\nb")
            .and_then(|m| m.with_type("example"))
            .unwrap()
            .with_retry(Some(500));
        check(
            message,
            None,
            "event: example\nretry: 500\ndata: a\ndata: b\n\n",
            "",
        );
    }

    #[test]
    fn empty_data_is_still_a_message() {
        check(Message::new("").unwrap(), None, "data: \n\n", "");
    }

    #[test]
    fn an_envelope_is_one_line_of_json() {
        let frame = frame(Message::new("a\nb").unwrap(), Some("abcdef-3"));
        let json =
            r#"{"channel":"orders","id":"abcdef-3","type":"message","time":7,"data":"a\nb"}"#;
        assert_eq!(frame.envelope().event(), format!("data: {json}\n"));
    }
}
