//! The frames that a topic holds while it joins or reads.
//!
//! Owns: which of them are dropped, and why nobody misses them. Pure. Used by: `sequence`.

use super::place::{Place, continues};
use super::{MOST_HELD, Sequence};
use crate::frame::Frame;
use crate::position::{Lineage, Position};
use std::sync::Arc;

impl Sequence {
    pub(super) fn hold(&mut self, frame: Arc<Frame>) {
        if self.held.len() == MOST_HELD {
            self.held.pop_front();
            self.asked = self.asked.saturating_sub(1);
        }
        self.held.push_back(frame);
    }

    /// Drops held frames that had come before the read began and whose epoch the server forgot since.
    pub(super) fn forget(&mut self, lineage: &Lineage) -> bool {
        let mut index = 0;
        let (before, asked) = (self.held.len(), self.asked);
        self.held.retain(|frame| {
            index += 1;
            let listed = frame.position().is_none_or(|at| lineage.lists(at.epoch));
            index > asked || listed
        });
        let dropped = before - self.held.len();
        self.asked -= dropped;
        dropped > 0
    }

    /// Drops what is held and was handed on since. Whether the next one is held, too.
    pub(super) fn next_is_held(&mut self, lineage: &Lineage) -> bool {
        let at = self.lineage.position();
        while let Some(frame) = self.held.front() {
            match self.place(frame) {
                Place::Past => {}
                Place::Next => {
                    let epoch = frame.position().map_or(at.epoch, |position| position.epoch);
                    return continues(lineage, at.epoch, epoch);
                }
                Place::Stale | Place::Hole(_) => return false,
            }
            self.held.pop_front();
            self.asked = self.asked.saturating_sub(1);
        }
        false
    }

    /// Drops frames that arrived on an earlier connection, from before the server lost their epoch. Without
    /// history nobody can be asked which they are: those of epochs that it does not know.
    pub(super) fn drop_forgotten(&mut self) {
        let lineage = &self.lineage;
        if lineage.epochs.is_empty() {
            let begins = |frame: &Arc<Frame>| frame.position().is_none_or(|at| at.offset == 1);
            let first = self.held.iter().rposition(begins);
            self.held.drain(..first.unwrap_or(self.held.len()));
        } else {
            let listed = |at: Position| lineage.lists(at.epoch);
            self.held
                .retain(|frame| frame.position().is_none_or(listed));
        }
    }
}
