//! The frames that a topic holds while it joins or reads.
//!
//! Owns: which of them are dropped, why nobody misses them, and what they tell of a page. Pure. Used by: `sequence`.

use super::place::Place;
use super::{MOST_HELD, Sequence};
use crate::frame::Frame;
use crate::position::{Epoch, Lineage};
use std::sync::Arc;

/// A frame that waits.
#[derive(Clone, Debug)]
pub struct Held {
    pub frame: Arc<Frame>,
    /// The subscription was interrupted before it came, and after the one before it.
    pub broken: bool,
}

impl Sequence {
    pub(super) fn hold(&mut self, frame: Arc<Frame>) {
        if self.held.len() == MOST_HELD {
            let dropped = self.held.pop_front();
            self.asked = self.asked.saturating_sub(1);
            if let Some(next) = self.held.front_mut() {
                next.broken |= dropped.is_some_and(|dropped| dropped.broken);
            }
        }
        let broken = std::mem::take(&mut self.interrupted);
        self.held.push_back(Held { frame, broken });
    }

    /// Drops what came before the server said what it remembers, and what came before that: it is behind, or
    /// forgotten, and was told to nobody. Without history nobody can be asked what the rest is.
    pub(super) fn drop_older(&mut self) {
        let lineage = &self.lineage;
        let older = |held: &Held| {
            let place = super::place::of(lineage, &held.frame);
            matches!(place, Place::Past | Place::Stale)
        };
        let begins = |held: &Held| held.frame.position().is_none_or(|at| at.offset == 1);
        let count = if lineage.epochs.is_empty() && !self.keeps {
            let first = self.held.iter().rposition(begins);
            first.unwrap_or(self.held.len())
        } else {
            let last = self.held.iter().rposition(older);
            last.map_or(0, |last| last + 1)
        };
        for held in self.held.drain(..count).collect::<Vec<_>>() {
            self.heard(&held.frame);
        }
    }

    /// Drops held frames that had come before the read began and whose epoch the server forgot since. The next
    /// epoch tells it.
    pub(super) fn forget(&mut self, lineage: &Lineage) {
        let mut index = 0;
        let (before, asked) = (self.held.len(), self.asked);
        self.held.retain(|held| {
            index += 1;
            let epoch = held.frame.position().map(|at| at.epoch);
            index > asked || epoch.is_none_or(|epoch| lineage.lists(epoch))
        });
        let dropped = before - self.held.len();
        self.asked -= dropped;
        if dropped > 0 {
            // What stood behind it may have been handed on, out of a page. To hear that live takes no doubt away: it
            // came before something was forgotten, or after, nobody knows.
            self.drop_past();
            self.broken = true;
        }
    }

    /// Drops in front what was handed on since.
    pub(super) fn drop_past(&mut self) {
        while let Some(held) = self.held.front()
            && matches!(self.place(&held.frame), Place::Past)
        {
            let frame = held.frame.clone();
            self.broken |= held.broken;
            self.heard(&frame);
            self.held.pop_front();
            self.asked = self.asked.saturating_sub(1);
        }
    }

    /// Whether the next frame is held, and nothing may stand before it.
    pub(super) fn next_is_held(&self) -> bool {
        self.held.front().is_some_and(|held| {
            let doubtful = (self.broken || held.broken) && self.crosses(&held.frame);
            matches!(self.place(&held.frame), Place::Next) && !doubtful
        })
    }

    /// Whether what was handed on last is of an epoch that the server left again: it numbers in an earlier one.
    pub(super) fn stale_is_held(&self) -> bool {
        let front = self.held.front();
        front.is_some_and(|held| matches!(self.place(&held.frame), Place::Stale))
    }

    /// Whether by `lineage` a frame was heard live, on the subscription on which the last one was, in the epoch
    /// `into` or a later one: then nothing was lost on the way into it.
    pub(super) fn is_vouched(&self, lineage: &Lineage, into: Epoch) -> bool {
        let held = self.held.front().filter(|held| !held.broken);
        let Some(at) = held.and_then(|held| held.frame.position()) else {
            return false;
        };
        let listed = |epoch| {
            lineage
                .epochs
                .iter()
                .position(|&(listed, _)| listed == epoch)
        };
        !self.lineage.lists(at.epoch)
            && listed(at.epoch).is_some_and(|heard| listed(into) <= Some(heard))
    }
}
