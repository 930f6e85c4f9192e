//! What one client saw over all its streams, and the judgement on it.
//!
//! Owns: what must never happen. Between two messages that come one after the other none was acknowledged, also
//! none that the server forgot later, unless a gap stands there; a message comes once and in order; a gap is told
//! only over what cannot be read any more or where an epoch begins, and there once. Beyond what is promised: who
//! has seen nothing of a topic, and comes with `0-0`, cannot miss what was forgotten; what is kept comes again to
//! those whose epoch the server forgot; a gap for all, over what its gateway lost for good, may find a stream that
//! is ahead of it.

use super::keeper::{Keeper, Serial};
use crate::close::GapReason;
use crate::position::{Epoch, Position};
use crate::topics::sequence::MOST_FAILURES;

/// One client.
#[derive(Default)]
pub struct Witness {
    /// Where its stream is.
    pub gateway: usize,
    /// The id that it saw last and comes back with; none before its first opening.
    pub id: Option<Position>,
    /// Everything up to here it has got, or was told to be lost.
    at: Serial,
    /// The newest message that it got.
    newest: Serial,
    /// The epochs that it went over to.
    entered: Vec<Epoch>,
    pub frames: u32,
    pub gaps: u32,
}

impl Witness {
    /// A stream opened, and this is the id in its opening block.
    pub fn opened(&mut self, keeper: &Keeper, id: Position) {
        if self.id.is_none() {
            self.at = keeper.find(id).expect("the id of an opening");
            self.entered.push(id.epoch);
        }
        self.id = Some(id);
    }

    /// A message came.
    pub fn frame(&mut self, keeper: &Keeper, serial: usize) {
        let node = &keeper.nodes[serial];
        let at = node.position();
        assert!(self.newest < Some(serial), "{at} came twice or late");
        let begins = self.id.is_none_or(|id| id == Position::NEVER) && node.offset == 1;
        let follows = self.id.and_then(|id| keeper.next_after(id)) == Some(serial);
        assert!(
            begins || follows,
            "something acknowledged is missing before {at}, after {:?}",
            self.id
        );
        (self.at, self.newest) = (Some(serial), Some(serial));
        self.id = Some(at);
        if self.entered.last() != Some(&at.epoch) {
            self.entered.push(at.epoch);
        }
        self.frames += 1;
    }

    /// A gap was told, perhaps `live`; delivery goes on after `id`.
    pub fn gap(&mut self, keeper: &Keeper, reason: GapReason, id: Position, live: bool) {
        let to = keeper.find(id).expect("the id of a gap");
        let before = self.id.unwrap_or(Position::NEVER);
        let given_up = keeper.failures >= MOST_FAILURES;
        let crosses = before.epoch != id.epoch;
        let mut lost = keeper.between(self.at, to).peekable();
        let gone = to.is_some_and(|to| keeper.nodes[to].unread);
        let lost_for_all = live && gone && keeper.lossy.contains(&self.gateway);
        let ahead = lost_for_all || (!keeper.keeps() && reason == GapReason::Overflow);
        let unbroken = live && keeper.unbroken.contains(&(self.gateway, id.epoch));
        assert!(
            (crosses && !unbroken) || lost.peek().is_some() || given_up || ahead,
            "a gap {reason:?} from {before} to {id} where nothing is lost"
        );
        for node in lost {
            let at = node.position();
            assert!(
                node.unread || given_up,
                "a gap {reason:?} to {id} over {at}, which can be read"
            );
        }
        if keeper.forgotten.contains(&before.epoch) {
            // Where it stood means nothing to the server: all that is kept comes, seen or not.
            self.newest = self.newest.min(to);
            self.entered.clear();
        }
        assert!(
            !crosses || !self.entered.contains(&id.epoch),
            "the way from {before} to {id} is told twice"
        );
        self.entered.push(id.epoch);
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
        let (id, tip) = (self.id, keeper.lineage().position());
        assert!(
            keeper.leads(keeper.tip(), self.at),
            "{id:?} is not the end, {tip}"
        );
    }
}
