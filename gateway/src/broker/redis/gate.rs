//! Whether this process numbers raw messages, and the bounded queue of those that wait for it.
//!
//! Owns: for how long the lease is believed, and the order of a planned hand-over. Never: asks the
//! server. Used by: `ingest` and `pump`, which fill it; `lease`, which opens it; `number`, which empties it.

use super::keys::LEASE_TTL;
use crate::broker::Publication;
use crate::clock;
use crate::metrics::Source;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;

/// Raw messages that wait to be numbered; with one more it is lost, and that is told.
const MOST_WAITING: usize = 4096;
/// Bytes of those, and of all that are taken out and not numbered yet; the same happens at this bound.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// The lease is believed so much shorter than the server keeps it.
const MARGIN: Duration = Duration::from_millis(500);
/// How long a predecessor has to number what stood before the marker.
const HANDOVER: Duration = Duration::from_secs(1);

/// A raw message to be numbered under the lease of that token.
#[derive(Debug)]
pub struct Waiting {
    pub publication: Publication,
    pub source: Source,
    pub token: u64,
    pub heard: Instant,
    /// Its part of the bytes that may wait.
    _room: OwnedSemaphorePermit,
}

/// What waits.
#[derive(Debug)]
pub enum Item {
    Message(Box<Waiting>),
    /// Nothing follows: the successor with this token numbers on.
    End(u64),
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    token: u64,
    until: Instant,
}

impl Lease {
    fn good(self) -> bool {
        clock::now().steady < self.until
    }
}

#[derive(Default)]
struct State {
    /// What is heard now is numbered under this one.
    lease: Option<Lease>,
    /// What was heard before may still be numbered under this one.
    before: Option<Lease>,
}

/// The entrance to the queue.
pub struct Gate {
    state: Mutex<State>,
    queue: mpsc::Sender<Item>,
    /// The bytes that may still come.
    room: Arc<Semaphore>,
    /// Whether it is our turn: the predecessor is done.
    turn: watch::Sender<bool>,
    /// The tokens whose holders have numbered all they heard.
    ended: watch::Sender<u64>,
    lost: Notify,
}

impl Gate {
    /// Closed, with the other end of the queue.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Item>) {
        let (queue, items) = mpsc::channel(MOST_WAITING);
        let gate = Self {
            state: Mutex::default(),
            queue,
            room: Arc::new(Semaphore::new(MOST_BYTES)),
            turn: watch::Sender::new(true),
            ended: watch::Sender::new(0),
            lost: Notify::new(),
        };
        (gate, items)
    }

    /// The lease with `token` was held at `asked`.
    pub fn open(&self, token: u64, asked: Instant) {
        let until = asked + LEASE_TTL - MARGIN;
        let mut state = self.state.lock();
        let earlier = state.lease.replace(Lease { token, until });
        state.before = earlier
            .filter(|earlier| earlier.token != token)
            .or(state.before);
    }

    /// The same by a marker: numbering waits until the predecessor is done, or for a second.
    pub fn open_after_marker(&self, token: u64, asked: Instant) {
        self.turn.send_replace(false);
        self.open(token, asked);
    }

    /// The predecessor is done.
    pub fn take_turn(&self) {
        self.turn.send_replace(true);
    }

    /// Waits for the predecessor.
    pub async fn turn(&self) {
        let mut turn = self.turn.subscribe();
        // The sender lives in `self`.
        if timeout(HANDOVER, turn.wait_for(|turn| *turn))
            .await
            .is_err()
        {
            self.take_turn();
        }
    }

    /// The lease is lost: nothing is taken in any more, and what waits is lost.
    pub fn close(&self) {
        *self.state.lock() = State::default();
    }

    /// The lease is given away: what waits is still numbered.
    fn close_behind(&self) -> bool {
        let mut state = self.state.lock();
        let Some(mut lease) = state.lease.take() else {
            return false;
        };
        lease.until = clock::now().steady + HANDOVER;
        state.before = Some(lease);
        true
    }

    /// The same by a marker: the successor with `token` hears when all that waits is numbered.
    pub fn close_by_marker(&self, token: u64) {
        if self.close_behind() && self.queue.try_send(Item::End(token)).is_err() {
            tracing::debug!("no room to tell the successor; it waits a second");
        }
    }

    /// Whether this process numbers now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state.lock().lease.is_some()
    }

    /// Whether what was taken in under `token` may still be numbered.
    #[must_use]
    pub fn believes(&self, token: u64) -> bool {
        let state = self.state.lock();
        let leases = [state.lease, state.before];
        let own = leases
            .into_iter()
            .flatten()
            .find(|lease| lease.token == token);
        own.is_some_and(Lease::good)
    }

    /// Takes in a message, if open. Without room it is lost, and told.
    pub fn offer(&self, publication: Publication, source: Source) {
        let Some(lease) = self.state.lock().lease else {
            return;
        };
        if !lease.good() {
            self.lose();
            return;
        }
        let bytes = u32::try_from(publication.message.bytes()).unwrap_or(u32::MAX);
        let Ok(room) = self.room.clone().try_acquire_many_owned(bytes) else {
            self.lose();
            return;
        };
        let item = Item::Message(Box::new(Waiting {
            publication,
            source,
            token: lease.token,
            heard: clock::now().steady,
            _room: room,
        }));
        if self.queue.try_send(item).is_err() {
            self.lose();
        }
    }

    /// Puts the end behind all that waits, and waits until it is reached, at most a second: whether it was.
    pub async fn drain(&self, token: u64) -> bool {
        let mut ended = self.ended.subscribe();
        self.close_behind();
        let all = async {
            if self.queue.send(Item::End(token)).await.is_ok() {
                drop(ended.wait_for(|&ended| ended >= token).await);
            }
        };
        let all = timeout(HANDOVER, all).await.is_ok();
        if !all {
            tracing::warn!("raw messages still wait to be numbered");
        }
        all
    }

    /// Waits until the end for `token` is reached, at most a second: whether it was.
    pub async fn drained(&self, token: u64) -> bool {
        let mut ended = self.ended.subscribe();
        let reached = ended.wait_for(|&ended| ended >= token);
        let all = timeout(HANDOVER, reached).await.is_ok();
        if !all {
            tracing::warn!("the successor was not heard to take over");
        }
        all
    }

    /// The end for `token` is reached.
    pub fn reached(&self, token: u64) {
        self.ended.send_modify(|ended| *ended = token.max(*ended));
    }

    /// A raw message is lost.
    pub fn lose(&self) {
        self.lost.notify_one();
    }

    /// Waits until one is.
    pub async fn lost(&self) {
        self.lost.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::contract;

    fn offer(gate: &Gate, data: &str) {
        let policy = Arc::new(contract::policy("a", 10, false));
        let target = contract::target(&policy, "a");
        gate.offer(contract::publication(&target, data), Source::Raw);
    }

    fn token(item: Item) -> u64 {
        match item {
            Item::Message(waiting) => waiting.token,
            Item::End(token) => token + 1000,
        }
    }

    #[tokio::test]
    async fn a_marker_stands_behind_what_waits_and_closes_the_gate() {
        let (gate, mut items) = Gate::new();
        offer(&gate, "nobody numbers yet");
        gate.open(7, clock::now().steady);
        offer(&gate, "x");
        gate.close_by_marker(8);
        offer(&gate, "the successor's");
        assert_eq!(items.recv().await.map(token), Some(7));
        assert_eq!(items.recv().await.map(token), Some(1008));
        assert!(items.try_recv().is_err());
        assert!(gate.believes(7));
        assert!(!gate.believes(8));
    }

    #[tokio::test]
    async fn a_lease_is_believed_for_less_than_the_server_keeps_it() {
        let (gate, mut items) = Gate::new();
        let now = clock::now().steady;
        gate.open(7, now.checked_sub(LEASE_TTL - MARGIN).unwrap());
        offer(&gate, "too late");
        assert!(!gate.believes(7));
        assert!(items.try_recv().is_err());
        gate.lost().await;
        gate.open(7, now);
        assert!(gate.believes(7));
        gate.open(9, now);
        assert!(gate.believes(7) && gate.believes(9));
        gate.close();
        assert!(!gate.believes(7) && !gate.believes(9));
    }

    #[tokio::test]
    async fn what_finds_no_room_is_lost_and_told() {
        let (gate, _items) = Gate::new();
        gate.open(7, clock::now().steady);
        for _ in 0..=MOST_WAITING {
            offer(&gate, "x");
        }
        gate.lost().await;
    }

    #[tokio::test]
    async fn what_was_taken_out_has_its_room_until_it_is_numbered() {
        let (gate, mut items) = Gate::new();
        gate.open(7, clock::now().steady);
        let most = "x".repeat(MOST_BYTES / 2 + 1);
        offer(&gate, &most);
        let taken = items.recv().await;
        offer(&gate, &most);
        assert!(items.try_recv().is_err());
        gate.lost().await;
        drop(taken);
        offer(&gate, &most);
        assert!(items.try_recv().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_successor_waits_for_its_predecessor_no_longer_than_a_second() {
        let (gate, _items) = Gate::new();
        gate.open_after_marker(7, clock::now().steady);
        gate.turn().await;
        gate.open_after_marker(8, clock::now().steady);
        gate.take_turn();
        gate.turn().await;
    }
}
