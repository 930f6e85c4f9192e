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
use crate::position::{Judged, Lineage, Position};
use held::Held;
use place::{Place, leaves_out_nothing, reaches_back, up_to};
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
    held: VecDeque<Held>,
    /// How many of the held frames had arrived when the read began.
    asked: usize,
    failures: u32,
    /// The subscription was interrupted, or began, after what was handed on, and nothing of the newest epoch was
    /// heard live since. What the server may have lost meanwhile shows at the next epoch, where it is told.
    broken: bool,
    /// It was interrupted behind all that is held.
    interrupted: bool,
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
            broken: false,
            interrupted: false,
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
            self.lineage = lineage;
            // Who comes with a position of the newest epoch may have missed its end.
            self.broken = !self.lineage.epochs.is_empty();
            self.drop_older();
            self.settle(true, out);
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
        if self.phase == Phase::Following
            && matches!(self.place(&frame), Place::Next)
            && !self.is_doubtful(&frame)
        {
            self.deliver(frame, out);
            self.broken = false;
            return;
        }
        self.hold(frame);
        if self.phase == Phase::Following {
            self.settle(true, out);
        }
    }

    /// The subscription was interrupted: what came so far came on an earlier connection.
    pub fn interrupted(&mut self) {
        if self.phase == Phase::Joining {
            self.held.clear();
        } else if self.held.is_empty() {
            self.broken = true;
        } else {
            self.interrupted = true;
        }
    }

    /// It stands again; the server remembers `lineage`.
    pub fn resumed(&mut self, lineage: Lineage, out: Steps<'_>) {
        if self.phase != Phase::Following {
            self.resumed = Some(lineage);
            return;
        }
        let at = self.lineage.position();
        let judged = lineage.judge(at);
        let follows = matches!(judged, Judged::Follows(_));
        if follows && lineage.last <= at.offset {
            return;
        }
        if self.keeps {
            self.read(out);
            return;
        }
        if !self.broken && !matches!(judged, Judged::Broken(_)) {
            // Remembered before what was heard live since: all that was lost was told right before that. Who remembers a
            // later epoch, too, remembers more than was heard.
            return;
        }
        self.take_over(lineage);
        let reason = if follows {
            GapReason::TooOld
        } else {
            GapReason::Epoch
        };
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
        self.drop_past();
        self.forget(&page.lineage);
        let at = self.lineage.position();
        let first = page.frames.first().and_then(|frame| frame.position());
        let into = first.unwrap_or(page.from).epoch;
        let vouched = self.is_vouched(&page.lineage, into);
        if into != at.epoch && !self.broken && !vouched && !self.stale_is_held() {
            // Unbroken: whoever heard all so far is to hear live how it goes on, or that it was interrupted.
            self.settle(false, out);
            return;
        }
        if let Some(reason) = page.lost {
            if self.next_is_held() {
                self.settle(true, out);
                return;
            }
            if let Some(held) = self.held.front().filter(|held| reaches_back(page, held)) {
                self.gap_before(&held.frame.clone(), reason, out);
                self.settle(true, out);
                return;
            }
            let doubtful = self.broken;
            self.take_over(up_to(&page.lineage, page.from));
            if doubtful || !vouched || !leaves_out_nothing(page, at) {
                self.gap(reason, page.from, out);
            }
        }
        let followed = self.follow(page, out);
        if page.more && (followed || page.frames.is_empty()) {
            self.read(out);
        } else {
            self.settle(followed || page.lost.is_some(), out);
        }
    }

    fn follow(&mut self, page: &Page, out: Steps<'_>) -> bool {
        let mut followed = false;
        for frame in &page.frames {
            match self.place(frame) {
                Place::Past | Place::Stale => continue,
                Place::Next => {}
                Place::Hole => self.gap_before(frame, GapReason::TooOld, out),
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
        self.settle(false, out);
    }

    /// Hands on what is held. Where something may stand before it history is asked, unless it was and brought
    /// nothing.
    fn settle(&mut self, progress: bool, out: Steps<'_>) {
        self.phase = Phase::Following;
        while let Some(held) = self.held.pop_front() {
            let asked = self.asked > 0;
            self.asked = self.asked.saturating_sub(1);
            self.broken |= held.broken;
            let frame = &held.frame;
            match self.place(frame) {
                Place::Past => {}
                Place::Next if asked || !self.keeps || !self.is_doubtful(frame) => {
                    self.deliver(frame.clone(), out);
                }
                // Late: the way into the epoch after its own was told.
                Place::Stale if asked => {}
                Place::Stale if !self.keeps => {
                    self.gap_before(frame, GapReason::Epoch, out);
                    self.deliver(frame.clone(), out);
                }
                Place::Hole if !self.keeps || (asked && !progress) => {
                    let reason = match (self.crosses(frame), self.keeps) {
                        (true, _) => GapReason::Epoch,
                        (false, true) => GapReason::TooOld,
                        (false, false) => GapReason::Overflow,
                    };
                    self.gap_before(frame, reason, out);
                    self.deliver(frame.clone(), out);
                }
                Place::Next | Place::Stale | Place::Hole => {
                    self.held.push_front(held);
                    self.read(out);
                    return;
                }
            }
            self.heard(&held.frame);
        }
        self.held = VecDeque::new();
        self.broken |= std::mem::take(&mut self.interrupted);
        if let Some(lineage) = self.resumed.take() {
            self.resumed(lineage, out);
        }
    }

    fn place(&self, frame: &Frame) -> Place {
        place::of(&self.lineage, frame)
    }

    /// Goes on from where the server stands. If it has forgotten all, that is told, and what it begins then follows.
    fn take_over(&mut self, lineage: Lineage) {
        self.broken &= !lineage.epochs.is_empty();
        self.lineage = lineage;
    }

    /// Whether it is of another epoch than what was handed on last.
    fn crosses(&self, frame: &Frame) -> bool {
        let epoch = self.lineage.position().epoch;
        frame.position().is_some_and(|at| at.epoch != epoch)
    }

    /// Whether the server may have lost something between what was handed on and this frame.
    fn is_doubtful(&self, frame: &Frame) -> bool {
        self.broken && self.crosses(frame)
    }

    /// Live, the server that numbers is heard: it has lost nothing of its own epoch.
    fn heard(&mut self, frame: &Frame) {
        self.broken &= self.crosses(frame);
    }

    fn deliver(&mut self, frame: Arc<Frame>, out: Steps<'_>) {
        if self.is_doubtful(&frame) {
            self.gap_before(&frame, GapReason::Epoch, out);
        }
        if let Some(Position { epoch, offset }) = frame.position() {
            self.lineage.advance(epoch, frame.first(), offset);
        }
        out(Step::Frame(frame));
    }

    fn gap(&self, reason: GapReason, position: Position, out: Steps<'_>) {
        let position = Some(position);
        out(Step::Gap { reason, position });
    }

    /// Tells a gap up to `frame`.
    fn gap_before(&mut self, frame: &Frame, reason: GapReason, out: Steps<'_>) {
        if let Some(Position { epoch, offset }) = frame.position() {
            let offset = offset.saturating_sub(1);
            self.lineage.advance(epoch, frame.first(), offset);
            self.gap(reason, Position { epoch, offset }, out);
        }
    }

    fn read(&mut self, out: Steps<'_>) {
        let at = self.lineage.position();
        self.phase = Phase::Reading(at);
        self.asked = self.held.len();
        out(Step::Read(at));
    }
}
