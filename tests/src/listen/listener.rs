//! An open stream, read event by event.
//!
//! Owns: what a test asks of a stream. Never: reads unless asked, so a listener that is not asked is a slow client.
//! Used by: nearly every test.

use crate::sse::{Event, Item, Parser};
use crate::wait::{DEADLINE, within, within_time};
use crate::wire::{Body, Response};
use serde_json::Value;
use std::future::Future;
use std::time::Duration;

/// The most bytes of a stream kept for tests that look at them as they stood.
const TRANSCRIPT_BYTES: usize = 8 * 1024 * 1024;

/// How a stream ended below HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With the last chunk, or END_STREAM.
    Orderly,
    /// In the middle.
    Cut,
}

/// The end as the server told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub reason: String,
}

/// A loss as the server told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub channel: String,
    pub reason: String,
    /// Where delivery goes on: the id of the event.
    pub id: String,
}

/// An open stream.
pub struct Listener {
    pub headers: Vec<(String, String)>,
    body: Body,
    parser: Parser,
    transcript: Vec<u8>,
    ended: Option<Ended>,
}

impl Listener {
    pub(super) fn new(response: Response, last_event_id: &str) -> Self {
        Self {
            headers: response.headers,
            body: response.body,
            parser: Parser::resumed(last_event_id),
            transcript: Vec::new(),
            ended: None,
        }
    }

    /// The first header of that name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// What a browser would send as `Last-Event-ID` now.
    #[must_use]
    pub fn last_event_id(&self) -> String {
        self.parser.last_event_id().into()
    }

    /// The reconnection time in milliseconds, if one was set.
    #[must_use]
    pub fn retry(&self) -> Option<u64> {
        self.parser.retry()
    }

    /// All bytes of the body so far, as they stood (the first 8 MiB).
    #[must_use]
    pub fn transcript(&self) -> String {
        String::from_utf8_lossy(&self.transcript).into_owned()
    }

    /// The socket below.
    #[must_use]
    pub fn socket(&self) -> &socket2::Socket {
        &self.body.socket
    }

    /// How it ended, once it did.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// The next thing on the stream; `None` when it has ended. Cancel safe.
    pub async fn read(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.parser.take() {
                return Some(item);
            }
            if self.ended.is_some() {
                return None;
            }
            match self.body.chunk().await {
                Ok(Some(bytes)) => {
                    let room = TRANSCRIPT_BYTES.saturating_sub(self.transcript.len());
                    self.transcript
                        .extend_from_slice(&bytes[..bytes.len().min(room)]);
                    self.parser.push(&bytes);
                }
                Ok(None) => self.ended = Some(Ended::Orderly),
                Err(_) => self.ended = Some(Ended::Cut),
            }
        }
    }

    /// The next thing on the stream, of any kind.
    #[track_caller]
    pub fn item(&mut self) -> impl Future<Output = Item> {
        let waiting = within("the next item of a stream", self.read());
        async move { waiting.await.expect("the stream has ended") }
    }

    /// The next event, control events included.
    #[track_caller]
    pub fn event(&mut self) -> impl Future<Output = Event> {
        let (caller, limit) = (std::panic::Location::caller(), DEADLINE);
        async move {
            let found = within_time(limit, format!("an event ({caller})"), self.next_event()).await;
            found.unwrap_or_else(|| {
                panic!(
                    "{caller}: the stream has ended; it said {:?}",
                    self.transcript()
                )
            })
        }
    }

    /// The next message. Panics at `siar.gap` and `siar.end`; passes over `siar.open` and `siar.heartbeat`.
    #[track_caller]
    #[expect(
        clippy::should_implement_trait,
        reason = "tests read like sentences; it is no iterator"
    )]
    pub fn next(&mut self) -> impl Future<Output = Event> {
        let caller = std::panic::Location::caller();
        let waiting = self.passing(&["siar.open", "siar.heartbeat"]);
        async move {
            let event = waiting.await;
            assert!(
                !event.kind.starts_with("siar."),
                "{caller}: a message was due, not {event:?}"
            );
            event
        }
    }

    /// The data of the next `count` messages.
    pub async fn data(&mut self, count: usize) -> Vec<String> {
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            all.push(self.next().await.data);
        }
        all
    }

    /// The next event, which is `siar.gap`.
    #[track_caller]
    pub fn gap(&mut self) -> impl Future<Output = Gap> {
        let caller = std::panic::Location::caller();
        let waiting = self.passing(&["siar.open", "siar.heartbeat"]);
        async move {
            let event = waiting.await;
            assert_eq!(event.kind, "siar.gap", "{caller}: {event:?}");
            Gap {
                channel: field(&event, "channel"),
                reason: field(&event, "reason"),
                id: event.id,
            }
        }
    }

    /// `siar.open`: the session's name, and whether it resumed.
    #[track_caller]
    pub fn opened(&mut self) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        let waiting = self.passing(&[]);
        async move {
            let event = waiting.await;
            assert_eq!(event.kind, "siar.open", "{caller}: {event:?}");
            serde_json::from_str(&event.data).expect("control events carry JSON")
        }
    }

    /// Reads on to `siar.end` and the close behind it; messages before it are passed over.
    pub async fn end(&mut self) -> End {
        let mut reason = None;
        within("siar.end and the end of the stream", async {
            while let Some(event) = self.next_event().await {
                assert!(reason.is_none(), "after siar.end came {event:?}");
                if event.kind == "siar.end" {
                    reason = Some(field(&event, "reason"));
                }
            }
        })
        .await;
        End {
            reason: reason.unwrap_or_else(|| panic!("no siar.end before the {:?} end", self.ended)),
        }
    }

    /// All events up to the end of the stream.
    pub async fn rest(&mut self) -> Vec<Event> {
        let mut all = Vec::new();
        within("the end of a stream", async {
            while let Some(event) = self.next_event().await {
                all.push(event);
            }
        })
        .await;
        all
    }

    /// Reads until a block without data has told where the stream is.
    pub async fn cursor(&mut self) -> String {
        loop {
            if let Item::Cursor(id) = self.item().await {
                return id;
            }
        }
    }

    /// Whether the stream stays silent (comments aside) for `time`; for what can only be told by waiting.
    pub async fn silent_for(&mut self, time: Duration) -> Result<(), Option<Event>> {
        match tokio::time::timeout(time, self.next_event()).await {
            Ok(event) => Err(event),
            Err(_) => Ok(()),
        }
    }

    /// Makes this client's kernel drop all that arrives: as if its cable were cut, without FIN or RST.
    pub fn vanish(&self) {
        const RETURN: u16 = 0x06;
        let drop_all = [socket2::SockFilter::new(RETURN, 0, 0, 0)];
        self.socket()
            .attach_filter(&drop_all)
            .expect("Linux takes a socket filter");
    }

    async fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Item::Event(event) = self.read().await? {
                return Some(event);
            }
        }
    }

    #[track_caller]
    fn passing(&mut self, kinds: &'static [&'static str]) -> impl Future<Output = Event> {
        let caller = std::panic::Location::caller();
        async move {
            let found = within_time(DEADLINE, format!("an event ({caller})"), async {
                loop {
                    let event = self.next_event().await?;
                    if !kinds.contains(&event.kind.as_str()) {
                        return Some(event);
                    }
                }
            });
            let found = found.await;
            found.unwrap_or_else(|| {
                panic!(
                    "{caller}: the stream has ended; it said {:?}",
                    self.transcript()
                )
            })
        }
    }
}

/// The string `name` in the JSON data of a control event.
#[track_caller]
fn field(event: &Event, name: &str) -> String {
    let value: Value =
        serde_json::from_str(&event.data).unwrap_or_else(|error| panic!("{event:?}: {error}"));
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {event:?}"))
        .into()
}
