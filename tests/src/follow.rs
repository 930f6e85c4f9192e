//! A client that comes back: what an `EventSource` does over the life of a page.
//!
//! Owns: reconnecting with the last event id, to each address in turn, and what was received over all connections.
//! Never: drops or sorts anything. Used by: tests of resuming, draining and outages.

use crate::listen::{Listen, Listener};
use crate::sse::{Event, Item};
use crate::wait::{DEADLINE, until_time};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The pause before coming back; a browser waits for `retry`, tests have less time.
const PAUSE: Duration = Duration::from_millis(50);

/// What was received so far.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub events: Vec<Event>,
    /// How often a stream was opened.
    pub opened: usize,
    pub last_event_id: String,
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
        let task = tokio::spawn(follow(places, received.clone(), cut.clone()));
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

async fn follow(places: Vec<Listen>, received: Arc<Mutex<Received>>, cut: Arc<Notify>) {
    let mut turn = 0;
    loop {
        let id = received.lock().last_event_id.clone();
        let place = places[turn % places.len()].clone().last_event_id(&id);
        turn += 1;
        if let Ok(Ok(listener)) = place.try_open().await {
            received.lock().opened += 1;
            tokio::select! {
                () = read(listener, &received) => {}
                () = cut.notified() => {}
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn read(mut listener: Listener, received: &Mutex<Received>) {
    while let Some(item) = listener.read().await {
        let mut received = received.lock();
        match item {
            Item::Event(event) => {
                received.last_event_id.clone_from(&event.id);
                received.events.push(event);
            }
            Item::Cursor(id) => received.last_event_id = id,
            Item::Comment(_) | Item::Retry(_) => {}
        }
    }
}
