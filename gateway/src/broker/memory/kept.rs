//! One topic in memory: its numbers, its history, its keys.
//!
//! Owns: numbering, and what of the topic is still kept. Never: locks, calls anybody. Pure.
//! Used by: `memory::store`, which holds one for each topic, and `memory`, which answers from it.

use super::keys::Keys;
use crate::broker::{
    Look, Newest, PAGE_BYTES, PAGE_MESSAGES, Page, Pick, Plan, Publication, Since,
};
use crate::clock::Now;
use crate::frame::Frame;
use crate::position::{Epoch, Lineage, Position};
use crds::name::{ChannelName, Topic};
use crds::policy::History;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// What a topic counts in memory besides its messages: names, maps, numbers.
pub const TOPIC_BYTES: usize = 512;
/// What a message counts besides its bytes.
const FRAME_BYTES: usize = 320;
/// How long the numbers of an idle topic are remembered at least, so that cursors of yesterday are good.
const NUMBERS_TTL: Duration = Duration::from_secs(24 * 3600);

/// One topic or feed.
#[derive(Debug)]
pub struct Kept {
    pub lineage: Lineage,
    pub keys: Keys,
    /// Whether its messages are passed on.
    pub subscribed: bool,
    /// Out of the map: whoever still holds it looks again.
    pub gone: bool,
    /// The Channel that it counts for; none while it was never published to.
    pub channel: Option<ChannelName>,
    /// What is kept; follows the Channel.
    pub history: Option<History>,
    /// When it was last published to.
    pub touched: Now,
    frames: VecDeque<(Arc<Frame>, usize)>,
    bytes: usize,
}

impl Kept {
    /// A topic never published to.
    #[must_use]
    pub fn new(now: Now) -> Self {
        Self {
            lineage: Lineage::default(),
            keys: Keys::default(),
            subscribed: false,
            gone: false,
            channel: None,
            history: None,
            touched: now,
            frames: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Gives the next number and keeps the frame if there is history. `random` is for a new epoch.
    pub fn number(
        &mut self,
        publication: &Publication,
        topic: &Topic,
        now: Now,
        random: u64,
    ) -> (Position, Arc<Frame>) {
        let offset = self.lineage.last + 1;
        let (epoch, first) = match self.lineage.epochs.last() {
            Some(&newest) => newest,
            None => (Epoch::draw(random), offset),
        };
        let position = Position { epoch, offset };
        let (topic, message) = (topic.clone(), publication.message.clone());
        let frame = Frame::new(topic, message, Some(position), first, publication.time);
        let frame = Arc::new(frame);
        self.lineage.advance(epoch, first, offset);
        self.touched = now;
        self.history = publication.target.policy.history;
        if let Some(history) = self.history {
            // The envelope, encoded later if a stream wants it, is counted from the beginning.
            let bytes = frame.bytes() + frame.message().bytes() + FRAME_BYTES;
            self.frames.push_back((frame.clone(), bytes));
            self.bytes += bytes;
            self.trim(usize::try_from(history.size).unwrap_or(usize::MAX));
        } else if !self.frames.is_empty() {
            self.trim(0);
        }
        (position, frame)
    }

    /// Keeps only the newest `most` messages.
    pub fn trim(&mut self, most: usize) {
        while self.frames.len() > most {
            if let Some((_, bytes)) = self.frames.pop_front() {
                self.bytes -= bytes;
            }
        }
        if most == 0 {
            self.frames = VecDeque::new();
        }
    }

    /// The messages kept.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.frames.len()
    }

    /// Whether nobody could read anything at `now`.
    #[must_use]
    pub fn keeps_nothing(&self, now: Now) -> bool {
        self.frames.is_empty() || self.is_overdue(now)
    }

    fn is_overdue(&self, now: Now) -> bool {
        let idle = now.steady.saturating_duration_since(self.touched.steady);
        self.history.is_none_or(|history| idle >= history.ttl)
    }

    /// Drops what is overdue. True if nothing is left to remember.
    pub fn expire(&mut self, now: Now) -> bool {
        self.keys.expire(now.steady);
        let idle = now.steady.saturating_duration_since(self.touched.steady);
        let ttl = self.history.map_or(Duration::ZERO, |history| history.ttl);
        if self.is_overdue(now) && !self.frames.is_empty() {
            self.trim(0);
        }
        idle >= NUMBERS_TTL.max(ttl * 2)
    }

    /// Forgets everything; a next message begins a new epoch.
    pub fn reset(&mut self) {
        self.lineage = Lineage::default();
        self.keys = Keys::default();
        self.channel = None;
        self.trim(0);
    }

    /// What it counts in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        TOPIC_BYTES + self.bytes + self.keys.bytes()
    }

    fn oldest(&self) -> u64 {
        let kept = u64::try_from(self.frames.len()).unwrap_or(u64::MAX);
        self.lineage.last + 1 - kept
    }

    /// The messages kept after `cursor`, at most a page.
    #[must_use]
    pub fn page(&self, cursor: Position) -> Page {
        let oldest = self.oldest();
        let plan = Plan::of(&self.lineage, oldest, cursor);
        let skipped =
            usize::try_from((plan.after + 1).saturating_sub(oldest)).unwrap_or(usize::MAX);
        let mut page = plan.page(self.lineage.clone(), cursor);
        let mut bytes = 0;
        for (frame, _) in self.frames.iter().skip(skipped).take(PAGE_MESSAGES) {
            bytes += frame.message().data().len();
            if (bytes > PAGE_BYTES && !page.frames.is_empty()) || !page.admits(frame) {
                break;
            }
            page.frames.push(frame.clone());
        }
        page.more = skipped.saturating_add(page.frames.len()) < self.frames.len();
        page
    }

    /// Those of the newest messages that `pick` wants.
    #[must_use]
    pub fn newest(&self, pick: Pick) -> Newest {
        let mut look = Look::new(pick);
        let mut back = self.frames.iter().rev();
        _ = back.try_for_each(|(frame, _)| look.at(Some(frame)));
        look.answer(self.lineage.clone())
    }

    /// The position just before the first message that `since` asks for.
    #[must_use]
    pub fn since(&self, since: Since) -> Position {
        let kept = self.frames.len();
        let wanted = match since {
            Since::Messages(count) => kept.min(usize::try_from(count).unwrap_or(usize::MAX)),
            Since::Time(time) => {
                let first = self
                    .frames
                    .iter()
                    .position(|(frame, _)| frame.time() >= time);
                first.map_or(0, |first| kept - first)
            }
        };
        let wanted = u64::try_from(wanted).unwrap_or(0);
        self.lineage.after(self.lineage.last - wanted)
    }
}
