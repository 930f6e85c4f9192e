//! The contract of whatever numbers, keeps and passes on messages, and what it says in prose.
//!
//! Two keepers fulfil it, [`memory`] within one process and [`redis`] across many, and the same tests
//! run over both. Used by: `topics` alone.
//!
//! - Offsets of a topic are dense and rise by one for each message, under whatever epoch.
//! - What `publish` acknowledged has been numbered, kept (with history) and sent on, in that order.
//! - Arrivals of one address come in the order of their numbers, each at most once, holes possible.
//! - After `subscribe` has answered, every later message arrives; what was numbered until then is in the
//!   lineage that it answers with.
//! - A cursor is judged by [`Lineage::judge`] and nowhere else.

#[cfg(test)]
pub mod contract;
mod declined;
mod look;
pub mod memory;
mod owners;
pub mod redis;

pub use declined::Declined;
pub use look::{Look, Newest, Pick};
pub use owners::Owners;

use crate::address::Address;
use crate::clock::Now;
use crate::close::GapReason;
use crate::frame::Frame;
use crate::message::{Message, Session};
use crate::metrics::{ChannelMetrics, Metrics};
use crate::position::{Judged, Lineage, Position};
use crds::name::Topic;
use crds::policy::Policy;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// Messages in one page of history.
pub const PAGE_MESSAGES: usize = 100;
/// Bytes of data in one page of history, unless its first message alone is larger.
pub const PAGE_BYTES: usize = 256 * 1024;

/// How long the gateway's own keys, which it makes for its retries when a publisher sent none, are
/// remembered. A publisher's own key is remembered longer.
pub const OWN_KEY_TTL: Duration = Duration::from_secs(30);
/// Identities in the answer of one gateway about one address.
pub const PRESENCE_IDENTITIES: usize = 1000;

/// What a stream listens to or a publisher writes to, with the Channel that owns it.
#[derive(Clone, Debug)]
pub struct Target {
    pub address: Address,
    /// The topic; for a feed the name that stands in `siar.gap`.
    pub name: Topic,
    pub policy: Arc<Policy>,
    pub metrics: Arc<ChannelMetrics>,
}

impl Target {
    /// The same under what its Channel says now, which may be another one.
    #[must_use]
    pub fn under(&self, policy: &Arc<Policy>, metrics: &Metrics) -> Self {
        Self {
            address: self.address.clone(),
            name: self.name.clone(),
            policy: policy.clone(),
            metrics: metrics.channel(&policy.channel),
        }
    }
}

/// A message to be numbered.
#[derive(Clone, Debug)]
pub struct Publication {
    pub target: Target,
    pub message: Message,
    /// Milliseconds since 1970.
    pub time: u64,
    pub key: Idempotency,
}

/// Under which key a publication happens at most once, and what it must equal when repeated.
#[derive(Clone, Debug)]
pub struct Idempotency {
    /// Hash of header, item index and identity, hex; or random for the gateway's own retries.
    pub key: String,
    /// SHA-256 (hex) of the message: the same key with another one is a conflict.
    pub content: String,
    /// How long the key is remembered; at most [`OWN_KEY_TTL`] for a random one, which no publisher repeats.
    pub ttl: Duration,
}

/// Where a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    pub position: Position,
    /// The key was known: this is the first result again.
    pub replayed: bool,
}

/// Why a message was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("the key was used for another message")]
    Conflict,
    #[error("no room in the queues of the workers within a second")]
    Busy,
    #[error("the outcome is unknown: {0}")]
    OutcomeUnknown(String),
    /// The server said no: nothing was published.
    #[error("the server declined: {0:?}")]
    Declined(Declined),
    /// A bound of the Channel is reached; says which one and what to do.
    #[error("{0}")]
    Full(&'static str),
    #[error("the server refused: {0}")]
    Refused(String),
}

/// Why a server could not be asked. The text names the step that failed, never a credential.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{step}: {cause}")]
pub struct Unavailable {
    pub step: &'static str,
    pub cause: String,
}

/// Messages read after a cursor, and how the cursor was judged.
#[derive(Clone, Debug)]
pub struct Page {
    /// What the server remembers of the topic, read before the messages.
    pub lineage: Lineage,
    /// Something after the cursor is not kept any more; tell it before the first frame.
    pub lost: Option<GapReason>,
    /// Where the frames start: the position just before the first of them.
    pub from: Position,
    /// In order, dense after `from`, and all of one epoch: the way into the next one is told by the next page.
    pub frames: Vec<Arc<Frame>>,
    /// More messages were kept at that time; ask again after the last frame.
    pub more: bool,
}

impl Page {
    /// Whether `frame` was numbered in the epoch in which the page goes on.
    #[must_use]
    pub fn admits(&self, frame: &Frame) -> bool {
        let epoch = self.lineage.at(self.from.offset + 1).epoch;
        frame.position().is_none_or(|at| at.epoch == epoch)
    }
}

/// From where a page is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Read messages above this offset.
    pub after: u64,
    pub lost: Option<GapReason>,
}

impl Plan {
    /// Judges `cursor` by what the server remembers and the oldest offset that it keeps (`last + 1`
    /// when it keeps none). What was numbered in epochs that are not remembered counts as not kept.
    #[must_use]
    pub fn of(lineage: &Lineage, oldest: u64, cursor: Position) -> Self {
        let oldest = oldest.max(lineage.oldest());
        let (after, lost) = match lineage.judge(cursor) {
            Judged::Follows(after) => (after, None),
            Judged::Broken(after) => (after, Some(GapReason::Epoch)),
            Judged::Unlisted => (oldest.saturating_sub(1), Some(GapReason::Epoch)),
        };
        if after < lineage.last && after + 1 < oldest {
            let lost = lost.or(Some(GapReason::TooOld));
            return Self {
                after: oldest - 1,
                lost,
            };
        }
        Self { after, lost }
    }

    /// The page that is read by it after `cursor`, still without messages.
    #[must_use]
    pub fn page(&self, lineage: Lineage, cursor: Position) -> Page {
        let follows = self.lost.is_none() && self.after == cursor.offset;
        Page {
            from: if follows {
                cursor
            } else {
                lineage.after(self.after)
            },
            lost: self.lost,
            frames: Vec::new(),
            more: false,
            lineage,
        }
    }
}

/// From where a stream wants to start when it names no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// The newest messages, this many.
    Messages(u32),
    /// What was published at or after this moment, milliseconds since 1970.
    Time(u64),
}

/// What a keeper hands to `topics`, in order for each address.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// A message; without position a raw one that nobody numbered.
    Frame { address: Address, frame: Arc<Frame> },
    /// The subscription was interrupted: what came before came from an earlier connection.
    Interrupted { address: Address },
    /// It stands again since; this is what the server remembers now.
    Resumed { address: Address, lineage: Lineage },
    /// Messages may have been lost where they cannot be read again.
    Lost { address: Address, reason: GapReason },
}

/// What one gateway knows of those who listen to an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PresencePart {
    /// Open streams, anonymous ones included.
    pub streams: u64,
    /// The verified identities, each once; at most [`PRESENCE_IDENTITIES`].
    pub identities: Vec<Arc<str>>,
}

/// Answers what this gateway knows of an address; never waits.
pub type LocalPresence = Arc<dyn Fn(&Address) -> PresencePart + Send + Sync>;

/// Takes arrivals; never waits.
pub type Sink = Arc<dyn Fn(Arrival) + Send + Sync>;

/// Numbers, keeps and passes on. Every method of the Redis keeper is called on the control runtime.
pub trait Broker: Send + Sync + 'static {
    /// `memory` or `redis`.
    fn kind(&self) -> &'static str;

    /// Whether what serves `address` answers and is heard; while not, new streams are asked to come back.
    fn reaches(&self, _address: &Address) -> bool {
        true
    }

    /// The Channels that it serves now; called for each new Snapshot. What is subscribed to goes with its
    /// [`Owners`].
    fn apply(&self, policies: Vec<Arc<Policy>>);

    /// What is due, once a second.
    fn tend(&self, _now: Now) {}

    /// The process ends: hands over to others what only one gateway does, within a few seconds.
    fn hand_over(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Numbers `publication`, keeps it if the Channel has history, and passes it on.
    fn publish(&self, publication: Publication) -> BoxFuture<'_, Result<Published, PublishError>>;

    /// Has the messages of `target` arrive from now on.
    fn subscribe(&self, target: Target) -> BoxFuture<'_, Result<Lineage, Unavailable>>;

    /// Ends what `subscribe` began.
    fn unsubscribe(&self, address: Address) -> BoxFuture<'_, ()>;

    /// What is remembered of `address` now.
    fn lineage(&self, address: Address) -> BoxFuture<'_, Result<Lineage, Unavailable>>;

    /// The messages kept after `cursor`, at most a page.
    fn read(&self, target: Target, cursor: Position) -> BoxFuture<'_, Result<Page, Unavailable>>;

    /// Those of the newest messages kept that `pick` wants.
    fn newest(&self, target: Target, pick: Pick) -> BoxFuture<'_, Result<Newest, Unavailable>>;

    /// The position just before the first message that `since` asks for.
    fn since(&self, address: Address, since: Since)
    -> BoxFuture<'_, Result<Position, Unavailable>>;

    /// What the other gateways of this server say of `address`, one part for each, this one left out; none
    /// in place of a part that did not come in time.
    fn ask_presence(&self, address: Address) -> BoxFuture<'_, Vec<Option<PresencePart>>>;

    /// Sets once what answers the questions of other gateways.
    fn answer_presence(&self, local: LocalPresence);

    /// A stream with a session opened on `target`, for events that the Channel's raw publishers hear;
    /// never waits.
    fn session_opened(&self, target: &Target, identity: Option<&Arc<str>>, session: Session);

    /// The stream closed.
    fn session_closed(&self, target: &Target, identity: Option<&Arc<str>>, session: Session);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cursor: &str, oldest: u64, expected: (Option<GapReason>, &str)) {
        let epochs = [("bbbbbb", 50), ("cccccc", 60)];
        let epochs = epochs.map(|(epoch, first)| (epoch.parse().expect("an epoch"), first));
        let (epochs, last) = (epochs.to_vec(), 70);
        let (lineage, cursor) = (Lineage { epochs, last }, cursor.parse().expect("a cursor"));
        let page = Plan::of(&lineage, oldest, cursor).page(lineage, cursor);
        assert_eq!((page.lost, &*page.from.to_string()), expected, "{cursor}");
    }

    #[test]
    fn a_page_begins_in_the_epoch_of_its_first_message() {
        let (epoch, too_old) = (Some(GapReason::Epoch), Some(GapReason::TooOld));
        check("bbbbbb-58", 1, (None, "bbbbbb-58"));
        check("bbbbbb-59", 1, (epoch, "cccccc-59"));
        check("bbbbbb-59", 65, (epoch, "cccccc-64"));
        check("bbbbbb-52", 60, (too_old, "cccccc-59"));
        check("bbbbbb-52", 55, (too_old, "bbbbbb-54"));
    }

    #[test]
    fn what_was_numbered_in_epochs_that_are_forgotten_counts_as_not_kept() {
        check("0-0", 1, (Some(GapReason::TooOld), "bbbbbb-49"));
        check("aaaaaa-9", 1, (Some(GapReason::Epoch), "bbbbbb-49"));
    }
}
