//! One topic of a worker: what it says to those who join, and how far a pass over its members is.
//!
//! Never: walks itself. Used by: `table`.

use super::{HashMap, Joining, Local, Walk};
use crate::broker::Target;
use crate::position::{Lineage, Position};
use crate::topics::TopicId;
use crate::worker::ring::Ring;
use tokio::sync::oneshot;

impl Local {
    pub(super) fn new(id: TopicId, target: Target) -> Self {
        Self {
            id,
            target,
            ring: Ring::new(Position::NEVER),
            members: Vec::new(),
            delivered: 0,
            lineage: Lineage::default(),
            joined: false,
            waiting: Vec::new(),
            pins: 0,
            walk: Walk::default(),
            asking: HashMap::new(),
        }
    }

    /// Nobody waits for anything.
    pub(super) fn all_offered(&mut self) {
        (self.walk.until, self.walk.offered) = (self.ring.end(), self.ring.end());
    }

    pub(super) fn begin_pass(&mut self) {
        self.walk.left = self.members.len();
        self.walk.until = self.ring.end();
    }

    /// Every member was visited; once more if something came meanwhile.
    pub(super) fn end_pass(&mut self) {
        self.walk.offered = self.walk.until;
        if self.ring.end() > self.walk.until {
            self.begin_pass();
        }
    }

    pub(super) fn joining(&mut self) -> Joining {
        if self.joined {
            let mut lineage = self.lineage.clone();
            lineage.last = self.ring.position().offset;
            return Joining::Done(lineage);
        }
        let (sender, answer) = oneshot::channel();
        self.waiting.push(sender);
        Joining::Waits(answer)
    }

    /// Takes in the epoch of a frame.
    pub fn learn(&mut self, position: Position, first: u64) {
        if self
            .lineage
            .epochs
            .last()
            .is_none_or(|&(epoch, _)| epoch != position.epoch)
        {
            self.lineage.advance(position.epoch, first, position.offset);
        }
    }

    /// Moves the frames written since the last time into the metrics.
    pub fn count(&mut self) {
        if self.delivered > 0 {
            self.target
                .metrics
                .delivered
                .inc_by(std::mem::take(&mut self.delivered));
        }
    }
}
