//! From pushes of the server to arrivals, one after the other.
//!
//! Owns: the bounded queue between the connection and whoever hears, and what each push is for. Never:
//! waits for anything but the queue. Used by: `link`, which fills it; `redis`, which runs it.

use super::backoff::Complaint;
use super::ingest::Ingest;
use super::joined::Joined;
use super::keys::Keys;
use super::lease::Desk;
use super::notes::Note;
use super::presence::Presence;
use super::raw::Confirmed;
use super::wanted::Name;
use super::wire;
use crate::address::Address;
use crate::broker::{Arrival, PresencePart, Sink};
use crate::clock;
use crate::position::Lineage;
use redis::{PushKind, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// Pushes that wait; with one more the connection counts as lost, and holes are looked for.
const MOST_PUSHES: usize = 16 * 1024;
/// Bytes of pushes that wait; the same happens at this bound.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Something to be looked at in its order.
#[derive(Debug)]
pub enum Push {
    /// Published to `channel`; with a pattern if it came by one.
    Message {
        pattern: Option<String>,
        channel: String,
        payload: Vec<u8>,
    },
    Subscribed(Name),
    Unsubscribed(Name),
    /// Subscriptions of these were interrupted; what follows comes from a new one.
    Interrupted(Vec<Address>),
    /// They stand again; what the server remembers now.
    Resumed(Vec<(Address, Lineage)>),
    /// What belongs to no topic is heard again after an interruption.
    Standing,
}

impl Push {
    /// Reads what the server sent; none: nothing that concerns us.
    #[must_use]
    pub fn read(kind: &PushKind, data: Vec<Value>) -> Option<Self> {
        let mut data = data.into_iter();
        let mut text = || match data.next()? {
            Value::BulkString(text) => Some(text),
            _ => None,
        };
        // A name that is not UTF-8 is nobody's topic.
        let name = |text: Option<Vec<u8>>| String::from_utf8(text?).ok();
        let (pattern, message) = match kind {
            PushKind::Message | PushKind::SMessage => (None, true),
            PushKind::PMessage => (Some(name(text())?), true),
            _ => (None, false),
        };
        let channel = name(text())?;
        if message {
            let payload = text()?;
            return Some(Self::Message {
                pattern,
                channel,
                payload,
            });
        }
        match kind {
            PushKind::Subscribe => Some(Self::Subscribed(Name::Channel(channel.into()))),
            PushKind::PSubscribe => Some(Self::Subscribed(Name::Pattern(channel.into()))),
            PushKind::Unsubscribe => Some(Self::Unsubscribed(Name::Channel(channel.into()))),
            PushKind::PUnsubscribe => Some(Self::Unsubscribed(Name::Pattern(channel.into()))),
            _ => None,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Message {
                channel, payload, ..
            } => channel.len() + payload.len(),
            Self::Subscribed(_)
            | Self::Unsubscribed(_)
            | Self::Interrupted(_)
            | Self::Resumed(_)
            | Self::Standing => 0,
        }
    }
}

/// The way into the queue for one connection.
#[derive(Clone)]
pub struct Inlet {
    queue: mpsc::Sender<(u64, Push)>,
    bytes: Arc<AtomicUsize>,
    /// The number of the newest connection.
    newest: Arc<AtomicU64>,
    /// The number of this connection.
    line: u64,
    /// Something found no room: what follows on the same connection is dropped, too.
    closed: Arc<AtomicBool>,
}

impl Inlet {
    /// The way in, and the way out.
    #[must_use]
    pub fn new() -> (Self, Outlet) {
        let (sender, receiver) = mpsc::channel(MOST_PUSHES);
        let bytes = Arc::<AtomicUsize>::default();
        let inlet = Self {
            queue: sender,
            bytes: bytes.clone(),
            newest: Arc::default(),
            line: 0,
            closed: Arc::default(),
        };
        (
            inlet,
            Outlet {
                queue: receiver,
                bytes,
            },
        )
    }

    /// The same for a new connection.
    #[must_use]
    pub fn reopened(&self) -> Self {
        Self {
            line: self.newest.fetch_add(1, Ordering::Relaxed) + 1,
            closed: Arc::default(),
            ..self.clone()
        }
    }

    /// Puts in what finds room. False: it found none, and the connection is of no use any more.
    #[must_use]
    pub fn offer(&self, push: Push) -> bool {
        if self.closed.load(Ordering::Relaxed) {
            return true;
        }
        let bytes = push.bytes();
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes <= MOST_BYTES && self.queue.try_send((self.line, push)).is_ok() {
            return true;
        }
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.closed.store(true, Ordering::Relaxed);
        false
    }

    /// Waits for room.
    pub async fn insert(&self, push: Push) {
        if self.queue.send((self.line, push)).await.is_err() {
            tracing::debug!("nobody hears any more");
        }
    }
}

/// The way out of the queue.
pub struct Outlet {
    queue: mpsc::Receiver<(u64, Push)>,
    bytes: Arc<AtomicUsize>,
}

impl Outlet {
    async fn next(&mut self) -> Option<(u64, Push)> {
        let (line, push) = self.queue.recv().await?;
        self.bytes.fetch_sub(push.bytes(), Ordering::Relaxed);
        Some((line, push))
    }
}

/// What is confirmed of subscriptions that are not sharded, which are all on one connection: the newest that
/// confirmed any.
#[derive(Default)]
struct Plain {
    line: u64,
    confirmed: Confirmed,
}

impl Plain {
    fn subscribed(&mut self, line: u64, name: Name) {
        if line > self.line {
            self.line = line;
            self.confirmed.clear();
        }
        if line == self.line {
            self.confirmed.add(name);
        }
    }

    fn unsubscribed(&mut self, line: u64, name: &Name) {
        if line == self.line {
            self.confirmed.remove(name);
        }
    }
}

/// Takes the pushes and tells what they mean.
pub struct Pump {
    pub outlet: Outlet,
    pub keys: Keys,
    pub joined: Arc<Joined>,
    pub ingest: Arc<Ingest>,
    pub presence: Arc<Presence>,
    pub desk: Arc<Desk>,
    pub sink: Sink,
}

impl Pump {
    /// Works for as long as pushes may come.
    pub async fn run(mut self) {
        let mut complaint = Complaint::default();
        let mut plain = Plain::default();
        let notes = [self.keys.control(), self.keys.own()];
        while let Some((line, push)) = self.outlet.next().await {
            match push {
                Push::Message {
                    pattern,
                    channel,
                    payload,
                } => {
                    if let Some(address) = self.joined.address(&channel) {
                        self.frame(address, &payload, &mut complaint);
                    } else if line < plain.line {
                        // The newer connection hears it, too.
                    } else if notes.contains(&channel) {
                        self.note(&payload);
                    } else if plain.confirmed.takes(pattern.as_deref(), &channel) {
                        self.ingest.hear(&channel, pattern.is_none(), &payload);
                    }
                }
                Push::Resumed(resumed) => {
                    for (address, lineage) in resumed {
                        (self.sink)(Arrival::Resumed { address, lineage });
                    }
                }
                Push::Standing => self.ingest.interrupted(),
                Push::Interrupted(addresses) => {
                    for address in addresses {
                        (self.sink)(Arrival::Interrupted { address });
                    }
                }
                Push::Subscribed(name) => plain.subscribed(line, name),
                Push::Unsubscribed(name) => plain.unsubscribed(line, &name),
            }
        }
    }

    fn note(&self, text: &[u8]) {
        let Some(note) = Note::read(text) else { return };
        match note {
            Note::Ask { n, from, channel } => self.presence.asked(n, &from, &channel),
            Note::Answer { n, streams, names } => {
                let part = PresencePart {
                    streams,
                    identities: names.into_iter().map(Arc::from).collect(),
                };
                self.presence.answered(n, part);
            }
            Note::Lost { n } => self.ingest.lost(n),
            Note::Done { .. } => self.ingest.gate.take_turn(),
            Note::Take { ref to, token } => {
                // Here and now: what comes next is the successor's.
                if **to == **self.keys.id() {
                    let now = clock::now().steady;
                    self.ingest.gate.open_after_marker(token, now);
                } else {
                    self.ingest.gate.close_by_marker(token);
                }
                self.desk.note(note);
            }
            Note::Offer { .. } | Note::Ready { .. } => self.desk.note(note),
        }
    }

    fn frame(&self, address: Address, payload: &[u8], complaint: &mut Complaint) {
        match wire::parse(payload) {
            Ok(frame) => {
                let frame = Arc::new(frame);
                (self.sink)(Arrival::Frame { address, frame });
            }
            // The next message finds the hole.
            Err(error) => {
                if let Some(times) = complaint.due(clock::now().steady) {
                    tracing::warn!(%error, times, "a numbered message is unreadable");
                }
            }
        }
    }
}
