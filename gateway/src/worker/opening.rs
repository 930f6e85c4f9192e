//! How a stream comes to a worker: joined first, then handed over by its connection.
//!
//! Owns: the door for the routes of this worker's connections. Never: decides access, writes. Used by:
//! `http::stream`, which knocks; `worker::accept`, which carries the socket; `worker`, which takes both.

use super::cursor::Start;
use super::slab::Key;
use super::table::{Joining, Table};
use crate::access::Grant;
use crate::broker::{Target, Unavailable};
use crate::limits::Permit;
use crate::message::Session;
use crate::position::Lineage;
use crds::name::Topic;
use http::{HeaderName, HeaderValue};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a join may take before the client is asked to come back.
pub const JOIN_LIMIT: Duration = Duration::from_secs(10);

/// The way from the routes of a worker's connections to its topics.
#[derive(Clone)]
pub struct Door(Arc<Mutex<Table>>);

/// A topic that stays joined until this is dropped or becomes part of a stream.
pub struct Joined {
    table: Arc<Mutex<Table>>,
    key: Option<Key>,
    lineage: Lineage,
}

/// Which topics of a feed a stream wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Box<[Selector]>);

/// One topic, or all that begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    Exact(Topic),
    Prefix(Box<str>),
}

/// One topic of a stream, and where it begins there.
pub struct Subscription {
    pub joined: Joined,
    pub start: Start,
    /// For the feed of a wildcard Channel; none takes everything.
    pub filter: Option<Filter>,
}

/// A stream that was admitted and waits for its socket.
pub struct Opening {
    /// Lines of the head beyond those of every stream: CORS, Vary.
    pub head: Vec<(HeaderName, HeaderValue)>,
    /// In the order of their names, 1–32.
    pub subscriptions: Vec<Subscription>,
    pub grant: Grant,
    pub permit: Permit,
    pub envelope: bool,
    pub control: bool,
    /// For streams with `control` and Channels that hear Juggernaut.
    pub session: Option<Session>,
    /// Whether the client named a place to start.
    pub resumed: bool,
    pub heartbeat: Duration,
    /// Jittered for this stream.
    pub retry: Duration,
    /// Jittered for this stream; none never rotates.
    pub max_age: Option<Duration>,
    /// How often reviewers are asked again, jittered for this stream.
    pub recheck: Option<Duration>,
}

/// The place of the one request that becomes a stream, with whether it spoke HTTP/1.0.
type Slot = Arc<Mutex<Option<oneshot::Sender<(Opening, bool)>>>>;

/// In the extensions of each request: takes the connection away from its server.
#[derive(Clone)]
pub struct Handover {
    slot: Slot,
    http10: bool,
}

/// In the extensions of each request: who is at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub addr: SocketAddr,
    pub tls: bool,
    /// The process has no place left for connections: streams are turned away with `capacity`.
    pub full: bool,
}

impl Door {
    #[must_use]
    pub(super) fn new(table: Arc<Mutex<Table>>) -> Self {
        Self(table)
    }

    /// Joins all of `targets`, at once where this worker has them, and answers in their order.
    pub async fn join(&self, targets: &[Target]) -> Result<Vec<Joined>, Unavailable> {
        let mut all: Vec<Joined> = Vec::with_capacity(targets.len());
        let mut waiting = Vec::new();
        {
            let mut table = self.0.lock();
            for (index, target) in targets.iter().enumerate() {
                let (key, joining) = table.join(target);
                let lineage = match joining {
                    Joining::Done(lineage) => lineage,
                    Joining::Waits(answer) => {
                        waiting.push((index, answer));
                        Lineage::default()
                    }
                };
                all.push(Joined {
                    table: self.0.clone(),
                    key: Some(key),
                    lineage,
                });
            }
        }
        let answers = async {
            for (index, answer) in waiting {
                all[index].lineage = answer
                    .await
                    .unwrap_or_else(|_closed| Err(unavailable("the topic went away")))?;
            }
            Ok(())
        };
        tokio::time::timeout(JOIN_LIMIT, answers)
            .await
            .unwrap_or_else(|_late| Err(unavailable("no answer in 10 s")))?;
        Ok(all)
    }
}

fn unavailable(cause: &str) -> Unavailable {
    Unavailable {
        step: "join the topic",
        cause: cause.into(),
    }
}

impl Joined {
    /// What the server remembered of the topic when it was joined.
    #[must_use]
    pub fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// Gives up the guard; whoever gets the key releases the topic.
    pub(super) fn into_key(mut self) -> Option<Key> {
        self.key.take()
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.table.lock().release(key);
        }
    }
}

impl Filter {
    /// Wants what any of `selectors` names.
    #[must_use]
    pub fn new(selectors: Vec<Selector>) -> Self {
        Self(selectors.into())
    }

    /// Whether the stream wants messages of `topic`.
    #[must_use]
    pub fn wants(&self, topic: &Topic) -> bool {
        self.0.iter().any(|selector| match selector {
            Selector::Exact(name) => name == topic,
            Selector::Prefix(prefix) => topic.as_str().starts_with(&**prefix),
        })
    }
}

impl Handover {
    /// The extension for the requests of a connection, and where it hears of a stream, with whether the
    /// request spoke HTTP/1.0.
    #[must_use]
    pub(super) fn new() -> (Self, oneshot::Receiver<(Opening, bool)>) {
        let (sender, opened) = oneshot::channel();
        (
            Self {
                slot: Arc::new(Mutex::new(Some(sender))),
                http10: false,
            },
            opened,
        )
    }

    /// The same for a request of this version.
    #[must_use]
    pub(super) fn at(&self, http10: bool) -> Self {
        Self {
            slot: self.slot.clone(),
            http10,
        }
    }

    /// Hands the connection over. On success this never returns, since the stream writes the response;
    /// false when the connection was handed over before or is gone.
    pub async fn open(&self, opening: Opening) -> bool {
        let Some(sender) = self.slot.lock().take() else {
            return false;
        };
        if sender.send((opening, self.http10)).is_err() {
            return false;
        }
        std::future::pending().await
    }
}
