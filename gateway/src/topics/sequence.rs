//! The order of one topic: finds the hole, and says what to deliver, tell or read.
//!
//! Owns: that what a worker gets is dense or preceded by a gap, whatever comes first: the answer to
//! the subscription, live frames, pages of history, a server that forgot. Never: waits, knows of
//! workers or servers. Pure. Used by: `entry`, which carries out the steps.

mod held;
mod place;
#[cfg(test)]
mod tests;

use crate::broker::{Page, Unavailable};
use crate::close::GapReason;
use crate::frame::Frame;
use crate::position::{Epoch, Judged, Lineage, Position};
use place::{Place, before_epoch, continues, reaches_back, up_to};
use std::collections::VecDeque;
use std::sync::Arc;

/// Frames held of one topic while the messages before them are read; at this bound the oldest are
/// dropped and read again later.
pub const MOST_HELD: usize = 1024;
/// Reads of a hole that may fail, one after the other, before it is told as a gap.
pub const MOST_FAILURES: u32 = 5;

/// What is to be done next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Hand this on; it follows what was handed on before.
    Frame(Arc<Frame>),
    /// Tell that messages before `position` are lost; none: they had no positions.
    Gap {
        reason: GapReason,
        position: Option<Position>,
    },
    /// Read after this position and bring the page.
    Read(Position),
    /// The same after a pause: the server could not be reached.
    ReadLater(Position),
}

/// Takes the steps in their order.
pub type Steps<'a> = &'a mut dyn FnMut(Step);

/// Where one topic stands.
#[derive(Clone, Debug)]
pub struct Sequence {
    phase: Phase,
    /// What was handed on: its last is the newest offset that every worker has.
    lineage: Lineage,
    /// Whether history can fill a hole.
    keeps: bool,
    /// In arrival order; empty while following.
    held: VecDeque<Arc<Frame>>,
    /// How many of the held frames had arrived when the read began.
    asked: usize,
    failures: u32,
    /// An epoch that was taken for the one after another without looking at history, since there is none.
    guessed: Option<(Epoch, Epoch)>,
    /// Arrived while joining or reading; looked at afterwards.
    resumed: Option<Lineage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The server has not confirmed the subscription yet.
    Joining,
    Following,
    /// A page after this position is on its way.
    Reading(Position),
}

impl Sequence {
    /// A topic that is being joined.
    #[must_use]
    pub fn new(keeps: bool) -> Self {
        Self {
            phase: Phase::Joining,
            lineage: Lineage::default(),
            keeps,
            held: VecDeque::new(),
            asked: 0,
            failures: 0,
            guessed: None,
            resumed: None,
        }
    }

    /// The Channel has history now, or has it no longer.
    pub fn set_keeps(&mut self, keeps: bool) {
        self.keeps = keeps;
    }

    /// What was handed on so far; none while joining.
    #[must_use]
    pub fn lineage(&self) -> Option<&Lineage> {
        (self.phase != Phase::Joining).then_some(&self.lineage)
    }

    /// The subscription stands; what was numbered until then is in `lineage`.
    pub fn joined(&mut self, lineage: Lineage, out: Steps<'_>) {
        if self.phase == Phase::Joining {
            self.phase = Phase::Following;
            self.lineage = lineage;
            if !self.keeps {
                self.drop_forgotten();
            }
            // A held frame that the lineage has left behind was told to nobody and is owed to nobody.
            self.settle(true, true, out);
        }
    }

    /// A frame came live.
    pub fn frame(&mut self, frame: Arc<Frame>, out: Steps<'_>) {
        if frame.position().is_none() {
            if self.phase != Phase::Joining {
                out(Step::Frame(frame));
            }
            return;
        }
        if self.phase != Phase::Following {
            self.hold(frame);
            return;
        }
        match self.place(&frame) {
            Place::Next if self.may_hide_others(&frame) => {
                if self.keeps {
                    let cursor = before_epoch(&frame);
                    self.hold(frame);
                    self.read(cursor, out);
                } else {
                    self.guess(&frame);
                    self.deliver(frame, out);
                }
            }
            Place::Next => self.deliver(frame, out),
            Place::Past => {}
            Place::Stale if !self.keeps => {
                self.gap_before(&frame, GapReason::Epoch, None, out);
                self.deliver(frame, out);
            }
            Place::Stale | Place::Hole(_) => {
                self.hold(frame);
                self.settle(true, false, out);
            }
        }
    }

    /// The subscription was interrupted and stands again; the server remembers `lineage`.
    pub fn resumed(&mut self, lineage: Lineage, out: Steps<'_>) {
        if self.phase != Phase::Following {
            self.resumed = Some(lineage);
            return;
        }
        let at = self.lineage.position();
        let judged = lineage.judge(at);
        let had_all = matches!(judged, Judged::Follows(_)) && lineage.last <= at.offset;
        let guessed = self.guessed.take();
        let guessed_well = guessed.is_none_or(|(older, newer)| continues(&lineage, older, newer));
        if had_all {
            if !guessed_well {
                // Late, and so without a position: streams that stand there already must hear it.
                self.lost(GapReason::Epoch, out);
            }
            return;
        }
        if self.keeps {
            self.read(at, out);
            return;
        }
        let reason = match judged {
            Judged::Follows(_) => GapReason::TooOld,
            Judged::Broken(_) | Judged::Unlisted => GapReason::Epoch,
        };
        self.lineage = lineage;
        self.gap(reason, self.lineage.position(), out);
    }

    /// Messages may have been lost where they cannot be read again.
    pub fn lost(&mut self, reason: GapReason, out: Steps<'_>) {
        if self.phase != Phase::Joining {
            let position = None;
            out(Step::Gap { reason, position });
        }
    }

    /// The answer to [`Step::Read`] or [`Step::ReadLater`] after `cursor`; another one is ignored.
    pub fn page(&mut self, cursor: Position, page: Result<&Page, &Unavailable>, out: Steps<'_>) {
        if self.phase != Phase::Reading(cursor) {
            return;
        }
        let Ok(page) = page else {
            self.failed(cursor, out);
            return;
        };
        self.failures = 0;
        let at = self.lineage.position();
        let forgotten = self.forget(&page.lineage);
        let all_between = page.lost.is_none() && continues(&page.lineage, at.epoch, cursor.epoch);
        if cursor != at && !all_between {
            // The frame that named the cursor is forgotten, or another epoch lies before its own.
            self.read(at, out);
            return;
        }
        if let Some(reason) = page.lost {
            if self.next_is_held(&page.lineage) {
                self.settle(true, false, out);
                return;
            }
            if let Some(held) = self.held.front().filter(|held| reaches_back(page, held)) {
                self.gap_before(&held.clone(), reason, Some(&page.lineage), out);
                self.settle(true, true, out);
                return;
            }
            self.lineage = up_to(&page.lineage, page.from);
            self.gap(reason, page.from, out);
        } else if forgotten {
            self.gap(GapReason::Epoch, at, out);
        }
        let followed = self.follow(page, out);
        if page.more && (followed || page.frames.is_empty()) {
            self.read(self.lineage.position(), out);
        } else {
            self.settle(followed || page.lost.is_some(), page.lost.is_some(), out);
        }
    }

    fn follow(&mut self, page: &Page, out: Steps<'_>) -> bool {
        let mut followed = false;
        for frame in &page.frames {
            match self.place(frame) {
                Place::Past | Place::Stale => continue,
                Place::Next => {}
                Place::Hole(_) => {
                    self.gap_before(frame, GapReason::TooOld, Some(&page.lineage), out);
                }
            }
            self.deliver(frame.clone(), out);
            followed = true;
        }
        followed
    }

    fn failed(&mut self, cursor: Position, out: Steps<'_>) {
        self.failures += 1;
        self.asked = self.held.len();
        if self.failures < MOST_FAILURES {
            out(Step::ReadLater(cursor));
            return;
        }
        self.failures = 0;
        if self.held.is_empty() {
            self.gap(GapReason::TooOld, self.lineage.position(), out);
        }
        self.settle(false, false, out);
    }

    /// Hands on what is held. At a hole it reads, unless the last read began behind the hole and brought
    /// nothing. `told`: a gap stands already where stale frames would need one.
    fn settle(&mut self, progress: bool, mut told: bool, out: Steps<'_>) {
        self.phase = Phase::Following;
        while let Some(frame) = self.held.pop_front() {
            let asked = self.asked > 0;
            self.asked = self.asked.saturating_sub(1);
            match self.place(&frame) {
                Place::Next if self.keeps && !asked && self.begins_epoch(&frame) => {
                    // It came during the read: begun since, or forgotten since? The next page tells.
                    let cursor = before_epoch(&frame);
                    self.held.push_front(frame);
                    self.read(cursor, out);
                    return;
                }
                Place::Next => self.deliver(frame, out),
                Place::Past => {}
                Place::Stale if told => {}
                Place::Stale if self.keeps && !asked => {
                    // Either the frame is late or what was taken for the newest epoch was.
                    self.held.push_front(frame);
                    self.read(self.lineage.position(), out);
                    return;
                }
                Place::Stale => {
                    told = true;
                    self.gap(GapReason::Epoch, self.lineage.position(), out);
                }
                Place::Hole(cursor) if self.keeps && (progress || !asked) => {
                    self.held.push_front(frame);
                    self.read(cursor, out);
                    return;
                }
                Place::Hole(_) => {
                    let reason = match (self.keeps, self.begins_epoch(&frame)) {
                        (true, _) => GapReason::TooOld,
                        (false, false) => GapReason::Overflow,
                        (false, true) => GapReason::Epoch,
                    };
                    self.gap_before(&frame, reason, None, out);
                    self.deliver(frame, out);
                }
            }
        }
        self.held = VecDeque::new();
        if let Some(lineage) = self.resumed.take() {
            self.resumed(lineage, out);
        }
    }

    fn place(&self, frame: &Frame) -> Place {
        place::of(&self.lineage, frame)
    }

    fn begins_epoch(&self, frame: &Frame) -> bool {
        let epoch = frame.position().map(|position| position.epoch);
        epoch.is_some_and(|epoch| !self.lineage.lists(epoch))
    }

    /// Whether messages of an epoch that nobody here heard of may stand before this one.
    fn may_hide_others(&self, frame: &Frame) -> bool {
        frame.first() > 1 && self.begins_epoch(frame)
    }

    fn guess(&mut self, frame: &Frame) {
        if let Some(position) = frame.position() {
            let older = self.lineage.position().epoch;
            self.guessed.get_or_insert((older, position.epoch));
        }
    }

    fn deliver(&mut self, frame: Arc<Frame>, out: Steps<'_>) {
        if let Some(Position { epoch, offset }) = frame.position() {
            self.lineage.advance(epoch, frame.first(), offset);
        }
        out(Step::Frame(frame));
    }

    fn gap(&self, reason: GapReason, position: Position, out: Steps<'_>) {
        let position = Some(position);
        out(Step::Gap { reason, position });
    }

    /// Tells a gap up to `frame`. `known`: what the server remembers names the message before it as everybody
    /// does who has it.
    fn gap_before(
        &mut self,
        frame: &Frame,
        reason: GapReason,
        known: Option<&Lineage>,
        out: Steps<'_>,
    ) {
        if let Some(Position { epoch, offset }) = frame.position() {
            let offset = offset.saturating_sub(1);
            self.lineage.advance(epoch, frame.first(), offset);
            let known = known.filter(|known| offset <= known.last);
            let position = Position { epoch, offset };
            let position = known.map_or(position, |known| known.at(offset));
            self.gap(reason, position, out);
        }
    }

    fn read(&mut self, cursor: Position, out: Steps<'_>) {
        self.phase = Phase::Reading(cursor);
        self.asked = self.held.len();
        out(Step::Read(cursor));
    }
}
