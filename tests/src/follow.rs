//! A client that comes back: what an `EventSource` does over the life of a page.
//!
//! Owns: reconnecting with the last event id, to each address in turn, and what was received over all connections.
//! Never: drops or sorts anything. Used by: tests of resuming, draining and outages, `steady`.

use crate::listen::{Ended, Listen};
use crate::sse::{Event, Item};
use crate::wait::{DEADLINE, until_time};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// The pause before coming back; a browser waits for `retry`, tests have less time.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a browser waits before coming back, unless the stream said otherwise.
const RETRY: Duration = Duration::from_secs(1);
/// How long a server may take for the head of an answer.
const ANSWER: Duration = Duration::from_secs(15);

/// What was received so far.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub events: Vec<Event>,
    /// How often a stream was opened.
    pub opened: usize,
}

/// What a page notices of its stream, one thing after the other.
#[derive(Debug)]
pub enum Seen {
    Opened,
    Item(Item),
    /// The stream was open, and is no more.
    Ended(Ended),
    /// An answer that is no stream, at which a browser would give up for good.
    Refused(String),
    /// There was no answer.
    Unreached(String),
}

/// When a client comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// At once, nearly.
    Soon,
    /// When the stream told it to.
    AsTold,
}

/// A client in the background; ends when dropped.
pub struct Follower {
    received: Arc<Mutex<Received>>,
    cut: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
}

impl Follower {
    /// Opens the first of `places` and goes on to the next whenever a stream ends or does not open.
    pub async fn start(places: Vec<Listen>) -> Self {
        let received = Arc::new(Mutex::new(Received::default()));
        let cut = Arc::new(Notify::new());
        let note = {
            let received = received.clone();
            move |seen| received.lock().note(seen)
        };
        let task = {
            let cut = cut.clone();
            tokio::spawn(async move { follow(&places, Back::Soon, &cut, note).await })
        };
        let follower = Self {
            received,
            cut,
            task,
        };
        follower
            .until("a stream to open", |received| received.opened > 0)
            .await;
        follower
    }

    /// Drops the open stream, with whatever of it was not read; it comes back by itself.
    pub fn cut(&self) {
        self.cut.notify_one();
    }

    /// What was received so far.
    #[must_use]
    pub fn received(&self) -> Received {
        self.received.lock().clone()
    }

    /// The messages so far: control events left out.
    #[must_use]
    pub fn messages(&self) -> Vec<Event> {
        self.received()
            .events
            .into_iter()
            .filter(|event| !event.kind.starts_with("siar."))
            .collect()
    }

    /// How often `siar.gap` arrived.
    #[must_use]
    pub fn gaps(&self) -> Vec<Event> {
        self.received()
            .events
            .into_iter()
            .filter(|event| event.kind == "siar.gap")
            .collect()
    }

    /// Waits until what was received satisfies `enough`.
    pub async fn until(&self, what: &str, enough: impl Fn(&Received) -> bool) {
        until_time(DEADLINE, what, || async {
            assert!(!self.task.is_finished(), "the follower panicked");
            let received = self.received.lock();
            if enough(&received) {
                return Ok(());
            }
            let (count, opened) = (received.events.len(), received.opened);
            Err(format!(
                "{count} events came over {opened} streams, the last {:?}",
                received.events.last()
            ))
        })
        .await;
    }

    /// Waits for a message with that data.
    pub async fn until_data(&self, data: &str) {
        let what = format!("the message {data:?}");
        self.until(&what, |received| {
            received.events.iter().any(|event| event.data == data)
        })
        .await;
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Received {
    fn note(&mut self, seen: Seen) {
        match seen {
            Seen::Opened => self.opened += 1,
            Seen::Item(Item::Event(event)) => self.events.push(event),
            Seen::Item(Item::Cursor(_) | Item::Comment(_) | Item::Retry(_))
            | Seen::Ended(_)
            | Seen::Refused(_)
            | Seen::Unreached(_) => {}
        }
    }
}

/// Listens for ever: opens the first of `places`, and the next whenever a stream ends, does not open or is `cut`.
pub async fn follow(places: &[Listen], back: Back, cut: &Notify, mut note: impl FnMut(Seen)) {
    let mut last = String::new();
    for place in places.iter().cycle() {
        let place = place.clone().last_event_id(&last);
        let mut retry = RETRY;
        match timeout(ANSWER, place.try_open()).await {
            Ok(Ok(Ok(mut listener))) => {
                note(Seen::Opened);
                let read = async {
                    while let Some(item) = listener.read().await {
                        // Not what the listener has: of that some may be unread when it is cut.
                        match &item {
                            Item::Event(Event { id, .. }) | Item::Cursor(id) => last.clone_from(id),
                            Item::Comment(_) | Item::Retry(_) => {}
                        }
                        note(Seen::Item(item));
                    }
                };
                tokio::select! {
                    () = read => {}
                    () = cut.notified() => {}
                }
                retry = listener.retry().map_or(RETRY, Duration::from_millis);
                note(Seen::Ended(listener.ended().unwrap_or(Ended::Cut)));
            }
            Ok(Ok(Err(answer))) => note(Seen::Refused(format!(
                "{} {}",
                answer.status,
                answer.text()
            ))),
            Ok(Err(error)) => note(Seen::Unreached(error.to_string())),
            Err(_) => note(Seen::Unreached("no answer in time".into())),
        }
        sleep(if back == Back::Soon { PAUSE } else { retry }).await;
    }
}
