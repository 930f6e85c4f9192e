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

    /// Drops what was numbered by a server that had forgotten it when the subscription stood.
    pub(super) fn drop_stale(&mut self) {
        let lineage = &self.lineage;
        self.held
            .retain(|held| !matches!(super::place::of(lineage, &held.frame), Place::Stale));
    }

    /// Drops in front what was handed on since.
    pub(super) fn drop_past(&mut self) {
        while let Some(held) = self.held.front()
            && matches!(self.place(&held.frame), Place::Past)
        {
            self.broken |= held.broken;
            self.broken &= self.crosses(&held.frame);
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
        let listed = |epoch| lineage.epochs.iter().position(|&(listed, _)| listed == epoch);
        !self.lineage.lists(at.epoch) && listed(at.epoch).is_some_and(|heard| listed(into) <= Some(heard))
    }
}
