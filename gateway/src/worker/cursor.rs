//! Where a stream stands in one topic: following the ring, or reading history to catch up.
//!
//! Owns: what comes next for it, and what is told as lost. Never: waits, writes, knows of other topics.
//! Pure. Used by: `worker::stream`.
//!
//! `Following ⇄ Asking → Paged → Following`, or `Waiting` where the ring is an epoch behind history. The live
//! side is joined before history is read, so nothing falls between; what comes twice is recognised by its offset.

use super::ring::{Item, Ring, Seek};
use crate::broker::Page;
use crate::close::GapReason;
use crate::frame::Frame;
use crate::position::{Epoch, Position};
use std::sync::Arc;

/// Where a stream begins in a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the next message.
    Live,
    /// After this position.
    After(Position),
    /// With the oldest message kept, after telling a gap.
    Lost(GapReason),
}

#[derive(Debug)]
enum Place {
    Following {
        at: u64,
    },
    /// History was asked for what comes after the position.
    Asking,
    Paged {
        page: Arc<Page>,
        next: usize,
    },
    /// The ring stands in an epoch that is over for this stream: what it hears of that was told already.
    Waiting {
        at: u64,
        over: Epoch,
    },
}

/// The place of a stream in a topic.
#[derive(Debug)]
pub struct Cursor {
    place: Place,
    position: Position,
    lost: Option<GapReason>,
    /// Where the ring ended, and in which epoch, when history had nothing more.
    checked: Option<(u64, Epoch)>,
}

/// A place to go back to when what was taken could not be written.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    index: u64,
    over: Option<Epoch>,
    position: Position,
    lost: Option<GapReason>,
}

/// What comes next.
#[derive(Debug)]
pub enum Next<'a> {
    Frame {
        frame: &'a Arc<Frame>,
        live: bool,
    },
    /// Tell a gap; the cursor's position is where delivery goes on.
    Gap(GapReason),
    /// History is to be asked for what comes after this position.
    Ask(Position),
    /// The page is read to its end; call [`Cursor::turn_page`] once all of it is written.
    PageDone,
    /// Nothing yet.
    Idle,
}

impl Cursor {
    /// A cursor at `start`, and after which position history is to be asked, if it is.
    #[must_use]
    pub fn new(start: Start, ring: &Ring) -> (Self, Option<Position>) {
        let new = |place, position| Self {
            place,
            position,
            lost: None,
            checked: None,
        };
        let following = |at, position| (new(Place::Following { at }, position), None);
        match start {
            Start::Live => following(ring.end(), ring.position()),
            Start::After(position) => match ring.seek(position) {
                Seek::At(at) => following(at, position),
                Seek::Ahead => following(ring.end(), position),
                Seek::Behind => (new(Place::Asking, position), Some(position)),
            },
            Start::Lost(reason) => {
                let position = Position::NEVER;
                let lost = Some(reason);
                let cursor = new(Place::Asking, position);
                (Self { lost, ..cursor }, Some(position))
            }
        }
    }

    /// Everything up to here is behind the stream.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Whether it follows the ring, and if so from which sequence number.
    #[must_use]
    pub fn following(&self) -> Option<u64> {
        match self.place {
            Place::Following { at } => Some(at),
            Place::Asking | Place::Paged { .. } | Place::Waiting { .. } => None,
        }
    }

    /// Takes what comes next. `history` tells whether the topic can be read again.
    pub fn next<'a>(&'a mut self, ring: &'a Ring, history: bool) -> Next<'a> {
        if !matches!(self.place, Place::Asking)
            && let Some(reason) = self.lost.take()
        {
            return Next::Gap(reason);
        }
        if matches!(self.place, Place::Following { .. }) {
            return self.follow(ring, history);
        }
        if matches!(self.place, Place::Waiting { .. }) {
            return self.wait(ring, history);
        }
        let Place::Paged { page, next } = &mut self.place else {
            return Next::Idle;
        };
        let Some(frame) = page.frames.get(*next) else {
            return Next::PageDone;
        };
        *next += 1;
        self.position = frame.position().unwrap_or(self.position);
        Next::Frame { frame, live: false }
    }

    fn follow<'a>(&'a mut self, ring: &'a Ring, history: bool) -> Next<'a> {
        let Place::Following { at } = &mut self.place else {
            return Next::Idle;
        };
        if *at < ring.first() && history {
            self.place = Place::Asking;
            return Next::Ask(self.position);
        }
        if *at < ring.first() {
            *at = ring.first();
            let before = ring.before();
            if before.epoch != self.position.epoch || before.offset > self.position.offset {
                self.position = before;
            }
            return Next::Gap(GapReason::Overflow);
        }
        while let Some((item, after)) = ring.get(*at) {
            *at += 1;
            let seen = after.epoch == self.position.epoch && after.offset <= self.position.offset;
            if let Some(next) = unnumbered(item) {
                return next;
            }
            if seen {
                continue;
            }
            self.position = after;
            return match item {
                Item::Frame(frame) => Next::Frame { frame, live: true },
                Item::Gap { reason, .. } => Next::Gap(*reason),
            };
        }
        Next::Idle
    }

    /// Passes by what the ring hears of the epoch that is over, and goes on where the ring has left it.
    fn wait<'a>(&'a mut self, ring: &'a Ring, history: bool) -> Next<'a> {
        let Place::Waiting { at, over } = &mut self.place else {
            return Next::Idle;
        };
        if *at < ring.first() {
            *at = ring.first();
            if !history {
                return Next::Gap(GapReason::Overflow);
            }
        }
        while let Some((item, after)) = ring.get(*at)
            && after.epoch == *over
        {
            *at += 1;
            if let Some(next) = unnumbered(item) {
                return next;
            }
        }
        if ring.position().epoch == *over {
            return Next::Idle;
        }
        let at = match ring.seek(self.position) {
            Seek::At(at) => at,
            Seek::Ahead => ring.end(),
            Seek::Behind => {
                self.place = Place::Asking;
                return Next::Ask(self.position);
            }
        };
        self.place = Place::Following { at };
        self.follow(ring, history)
    }

    /// Takes in the answer of history, if it is the one that was asked for.
    pub fn paged(&mut self, asked: Position, page: &Arc<Page>) {
        if !matches!(self.place, Place::Asking) || self.position != asked {
            return;
        }
        self.lost = self.lost.or(page.lost);
        self.position = if self.lost.is_some() {
            page.from
        } else {
            self.position
        };
        self.place = Place::Paged {
            page: page.clone(),
            next: 0,
        };
    }

    /// Goes on from a page that is written to its end: back to the ring, or to the next page. Returns
    /// after which position history is to be asked.
    pub fn turn_page(&mut self, ring: &Ring) -> Option<Position> {
        let Place::Paged { page, .. } = &self.place else {
            return None;
        };
        let newest = ring.position();
        let caught_up = !page.more && self.position == page.lineage.position();
        let nothing_more = !page.more && page.frames.is_empty();
        let waiting = Place::Waiting {
            at: ring.end(),
            over: newest.epoch,
        };
        // A page may have been read before the ring heard what it lacks. The next one was not.
        let heard_before = self.checked.take().filter(|_| nothing_more);
        self.checked = nothing_more.then(|| (ring.end(), newest.epoch));
        let (run, before) = ring.run();
        self.place = match ring.seek(self.position) {
            Seek::At(at) => Place::Following { at },
            Seek::Ahead => Place::Following { at: ring.end() },
            Seek::Behind if newest.epoch == self.position.epoch => {
                if heard_before.is_some_and(|(end, _)| run <= end) {
                    // History ends before the ring begins: the server forgot what lies between.
                    self.position = before;
                    self.lost = Some(GapReason::Epoch);
                    Place::Following { at: run }
                } else {
                    Place::Asking
                }
            }
            // The ring has not heard yet of what history told already.
            Seek::Behind if caught_up && page.lineage.lists(newest.epoch) => waiting,
            // The ring stands in a past that the server forgot; it will hear.
            Seek::Behind if heard_before.is_some_and(|(_, epoch)| epoch == newest.epoch) => waiting,
            Seek::Behind => Place::Asking,
        };
        matches!(self.place, Place::Asking).then_some(self.position)
    }

    /// The place to go back to.
    #[must_use]
    pub fn mark(&self) -> Mark {
        let (index, over) = match &self.place {
            Place::Following { at } => (*at, None),
            Place::Waiting { at, over } => (*at, Some(*over)),
            Place::Paged { next, .. } => (*next as u64, None),
            Place::Asking => (0, None),
        };
        Mark {
            index,
            over,
            position: self.position,
            lost: self.lost,
        }
    }

    /// Goes back to a place marked since the last page was turned.
    pub fn back_to(&mut self, mark: Mark) {
        let at = mark.index;
        match (&mut self.place, mark.over) {
            (Place::Paged { next, .. }, _) => *next = usize::try_from(at).unwrap_or(usize::MAX),
            (place, Some(over)) => *place = Place::Waiting { at, over },
            (place, None) => *place = Place::Following { at },
        }
        self.position = mark.position;
        self.lost = mark.lost;
    }

    /// Takes `count` frames of the ring that were written without being looked at one by one; the last one
    /// stood at `position`.
    pub fn advance(&mut self, count: u64, position: Option<Position>) {
        if let Place::Following { at } = &mut self.place {
            *at += count;
            self.position = position.unwrap_or(self.position);
        }
    }
}

#[cfg(test)]
mod interleavings;
/// What no position tells whether the stream has it: whoever comes by it takes it.
fn unnumbered(item: &Item) -> Option<Next<'_>> {
    match item {
        Item::Frame(frame) if frame.position().is_none() => Some(Next::Frame { frame, live: true }),
        Item::Gap {
            position: None,
            reason,
        } => Some(Next::Gap(*reason)),
        Item::Frame(_) | Item::Gap { .. } => None,
    }
}

#[cfg(test)]
mod tests;
