//! The bounded mailbox of a worker: what comes to it from other threads, in order for each topic.
//!
//! Owns: the bounds of frames on their way, and the marks of topics that overflowed. Never: blocks,
//! decides what a worker does with its mail. Used by: `topics`, which posts; `worker`, which takes.

use crate::broker::{Page, Unavailable};
use crate::close::GapReason;
use crate::frame::Frame;
use crate::position::{Lineage, Position};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;
use tokio::sync::Notify;

/// Frames in a mailbox; at this bound a publisher to memory waits and a topic of Redis is marked.
pub const MOST_FRAMES: usize = 4096;
/// Bytes of frames in a mailbox; the same happens at this bound.
pub const MOST_BYTES: usize = 8 * 1024 * 1024;

/// What a publisher to memory leaves free of those bounds, so that the threads that saw room at the same
/// moment all find it: one frame for each thread.
const SPARE_FRAMES: usize = 256;
const SPARE_BYTES: usize = 4 * 1024 * 1024;

/// The name of a joined topic within this process, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub u64);

/// What a worker gets to know.
#[derive(Debug)]
pub enum Mail {
    /// The topic is heard from here on: frames after the lineage's position follow in order.
    Joined { topic: TopicId, lineage: Lineage },
    /// The topic could not be joined; the worker forgets it, a new stream tries anew.
    NotJoined { topic: TopicId, error: Unavailable },
    /// The next message.
    Frame { topic: TopicId, frame: Arc<Frame> },
    /// Messages before `position` are lost for all; none: they had no positions.
    Gap {
        topic: TopicId,
        reason: GapReason,
        position: Option<Position>,
    },
    /// Frames were dropped here for want of room; the newest dropped one stood at `position`, none: it
    /// had no position. Frames after it follow.
    Overflow {
        topic: TopicId,
        position: Option<Position>,
    },
    /// The answer to a read after `cursor`.
    Page {
        topic: TopicId,
        cursor: Position,
        page: Result<Arc<Page>, Unavailable>,
    },
}

impl Mail {
    /// What it is about.
    #[must_use]
    pub fn topic(&self) -> TopicId {
        match self {
            Self::Joined { topic, .. }
            | Self::NotJoined { topic, .. }
            | Self::Frame { topic, .. }
            | Self::Gap { topic, .. }
            | Self::Overflow { topic, .. }
            | Self::Page { topic, .. } => *topic,
        }
    }
}

/// The mailbox of one worker.
pub struct Mailbox {
    state: Mutex<State>,
    /// No publisher should start; a copy of what `state` says, read without its lock.
    full: AtomicBool,
    waker: AtomicWaker,
    room: Notify,
}

struct State {
    queue: VecDeque<Mail>,
    frames: usize,
    most_frames: usize,
    bytes: usize,
    overflowed: HashMap<TopicId, Option<Position>>,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self::of(MOST_FRAMES)
    }
}

impl State {
    fn has_room(&self) -> bool {
        self.frames < self.most_frames && self.bytes < MOST_BYTES
    }

    fn is_nearly_full(&self) -> bool {
        self.frames + SPARE_FRAMES >= self.most_frames || self.bytes >= MOST_BYTES - SPARE_BYTES
    }

    /// Marks go in front of the next mail, as soon as there is room.
    fn post_marks(&mut self) {
        if self.has_room() && !self.overflowed.is_empty() {
            for (topic, position) in self.overflowed.drain() {
                self.queue.push_back(Mail::Overflow { topic, position });
            }
        }
    }

    /// The mark of a topic stands before what is posted about it later, room or not: a ring never goes back.
    fn post_mark_of(&mut self, topic: TopicId) {
        if let Some(position) = self.overflowed.remove(&topic) {
            self.queue.push_back(Mail::Overflow { topic, position });
        }
    }
}

impl Mailbox {
    /// A mailbox for so many frames.
    #[must_use]
    pub fn of(most_frames: usize) -> Self {
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                frames: 0,
                most_frames,
                bytes: 0,
                overflowed: HashMap::new(),
            }),
            full: AtomicBool::default(),
            waker: AtomicWaker::new(),
            room: Notify::new(),
        }
    }

    /// Posts `mail`. A frame that finds no room is dropped and its topic marked; everything else is
    /// bounded by the requests of the worker itself and always finds room.
    pub fn post(&self, mail: Mail) {
        let mut state = self.state.lock();
        state.post_marks();
        if let Mail::Frame { topic, frame } = &mail {
            if !state.has_room() {
                // One without a position, of a raw message, does not hide the last that had one.
                let mark = state.overflowed.entry(*topic).or_default();
                *mark = frame.position().or(*mark);
                return;
            }
            state.frames += 1;
            state.bytes += frame.bytes();
            if state.is_nearly_full() {
                self.full.store(true, Ordering::Release);
            }
        } else {
            state.post_mark_of(mail.topic());
        }
        state.queue.push_back(mail);
        drop(state);
        self.waker.wake();
    }

    /// Moves all mail to the end of `taken`.
    pub fn take(&self, taken: &mut VecDeque<Mail>) {
        let mut state = self.state.lock();
        if state.queue.is_empty() && state.overflowed.is_empty() {
            return;
        }
        taken.append(&mut state.queue);
        let was_full = self.full.swap(false, Ordering::AcqRel);
        state.frames = 0;
        state.bytes = 0;
        state.post_marks();
        taken.append(&mut state.queue);
        drop(state);
        if was_full {
            self.room.notify_waiters();
        }
    }

    /// Whether mail waits; if not, the task of `context` is woken when some comes.
    pub fn poll_mail(&self, context: &Context<'_>) -> bool {
        self.waker.register(context.waker());
        let state = self.state.lock();
        !state.queue.is_empty() || !state.overflowed.is_empty()
    }

    /// Wakes the worker without mail, as for a new configuration or a stream that was handed over.
    pub fn wake(&self) {
        self.waker.wake();
    }

    /// Whether a publisher may go on now. A frame still finds room a little longer.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.full.load(Ordering::Acquire)
    }

    /// Waits until a publisher may go on; callers bound the wait.
    pub async fn room(&self) {
        loop {
            let freed = self.room.notified();
            if self.has_room() {
                return;
            }
            freed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crds::name::Topic;

    fn position(offset: u64) -> Position {
        let epoch = "aaaaaa".parse().expect("an epoch");
        Position { epoch, offset }
    }

    fn frame(topic: TopicId, offset: u64) -> Mail {
        frame_at(topic, Some(position(offset)))
    }

    fn frame_at(topic: TopicId, position: Option<Position>) -> Mail {
        let (name, message) = (Topic::new("t").expect("a topic"), Message::new("x"));
        let message = message.expect("text");
        let frame = Arc::new(Frame::new(name, message, position, 1, 0));
        Mail::Frame { topic, frame }
    }

    #[test]
    fn a_raw_frame_that_is_dropped_hides_no_numbered_one() {
        let (mailbox, topic) = (Mailbox::of(1), TopicId(1));
        for offset in [Some(1), None, Some(2), None] {
            mailbox.post(frame_at(topic, offset.map(position)));
        }
        let mut taken = VecDeque::new();
        mailbox.take(&mut taken);
        let marks = taken.iter().filter_map(|mail| match mail {
            Mail::Overflow { position, .. } => Some(*position),
            _ => None,
        });
        assert_eq!(Vec::from_iter(marks), [Some(position(2))]);
    }

    #[test]
    fn what_was_dropped_is_marked_before_what_is_posted_later() {
        let (mailbox, [topic, other]) = (Mailbox::of(1), [TopicId(1), TopicId(2)]);
        for offset in 1..=3 {
            mailbox.post(frame(topic, offset));
        }
        for topic in [other, topic] {
            let (reason, position) = (GapReason::TooOld, Some(position(9)));
            mailbox.post(Mail::Gap {
                topic,
                reason,
                position,
            });
        }
        let mut taken = VecDeque::new();
        mailbox.take(&mut taken);
        let told = taken.iter().map(|mail| match mail {
            Mail::Frame { .. } => format!("{} frame", mail.topic().0),
            Mail::Overflow { position, .. } => {
                let offset = position.map(|position| position.offset);
                format!("{} overflow {offset:?}", mail.topic().0)
            }
            _ => format!("{} gap", mail.topic().0),
        });
        let told = Vec::from_iter(told);
        assert_eq!(told, ["1 frame", "2 gap", "1 overflow Some(3)", "1 gap"]);
    }
}
