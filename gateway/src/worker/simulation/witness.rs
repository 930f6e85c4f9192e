//! What one client saw over all its streams, and the judgement on it.
//!
//! Owns: what must never happen. A message comes once and in order; between two of them none is missing that the
//! server did not forget, unless a gap stands there; a gap is told only where something is lost. Beyond what is
//! promised: messages that the server forgot before anybody here heard of them are missed by nobody; each time that
//! it forgets, whoever had more may be told a gap by history and by a ring that hears late, and what is kept comes again to those whose epoch it forgot.
//! Without history a gap is told to all of a gateway, also to a stream that is ahead of what the gateway heard.

use super::keeper::{Keeper, Serial};
use crate::close::GapReason;
use crate::position::Position;
use crate::topics::sequence::MOST_FAILURES;

/// One client.
#[derive(Default)]
pub struct Witness {
    /// The id that it saw last and comes back with; none before its first opening.
    pub id: Option<Position>,
    /// Everything up to here it has got, or was told to be lost.
    at: Serial,
    /// The newest message that it got.
    newest: Serial,
    /// Gaps that it was told although it had missed nothing that is left.
    idle_gaps: u32,
    /// A gap that comes after the message that it belongs before.
    owed: bool,
    pub frames: u32,
    pub gaps: u32,
}

impl Witness {
    /// A stream opened, and this is the id in its opening block.
    pub fn opened(&mut self, keeper: &Keeper, id: Position) {
        if self.id.is_none() {
            self.at = keeper.find(id).expect("the id of an opening");
        }
        self.id = Some(id);
    }

    /// A message came.
    pub fn frame(&mut self, keeper: &Keeper, serial: usize) {
        let node = &keeper.nodes[serial];
        let at = node.frame.position();
        assert!(self.newest < Some(serial), "{at:?} came twice or late");
        let all_between = keeper.leads(node.parent, self.at);
        // Without history it is told when the subscription stands again that an epoch passed unheard.
        self.owed |= !all_between;
        assert!(
            all_between || (!keeper.keeps() && node.offset == node.frame.first()),
            "something is missing before {at:?}"
        );
        (self.at, self.newest) = (Some(serial), Some(serial));
        self.id = at;
        self.frames += 1;
    }

    /// A gap was told; delivery goes on after `id`.
    pub fn gap(&mut self, keeper: &Keeper, reason: GapReason, id: Position) {
        let to = keeper.find(id).expect("the id of a gap");
        let mut lost = keeper.between(self.at, to).peekable();
        if lost.peek().is_none() {
            self.idle_gaps += 1;
            let forgot = reason == GapReason::Epoch && self.idle_gaps <= 2 * keeper.disasters;
            assert!(
                forgot || !keeper.keeps(),
                "a gap {reason:?} to {id} where nothing is lost"
            );
        }
        let given_up = keeper.failures >= MOST_FAILURES;
        for node in lost {
            let at = node.frame.position();
            assert!(
                node.unread || given_up,
                "a gap {reason:?} to {id} over {at:?}, which can be read"
            );
        }
        if self
            .id
            .is_some_and(|id| keeper.forgotten.contains(&id.epoch))
        {
            // Where it stood means nothing to the server: all that is kept comes, seen or not.
            self.newest = self.newest.min(to);
        }
        self.owed = false;
        self.at = to;
        self.id = Some(id);
        self.gaps += 1;
    }

    /// Whether it stands at the end of all that the server has not forgotten, and not beyond.
    pub fn stands_at_the_end(&self, keeper: &Keeper) -> bool {
        self.at == keeper.tip()
    }

    /// Everything has settled: it must have all that the server has not forgotten.
    pub fn settled(&self, keeper: &Keeper) {
        assert!(!self.owed, "a gap was never told");
        let (id, tip) = (self.id, keeper.lineage().position());
        assert!(
            keeper.leads(keeper.tip(), self.at),
            "{id:?} is not the end, {tip}"
        );
    }
}
