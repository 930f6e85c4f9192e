//! Raw messages whose server does not take them now.
//!
//! Owns: that what follows them at the same server or slot waits behind them, so that a topic keeps its order and others
//! go on. Never: asks a server. Pure. Used by: `number`.

use super::Waiting;
use crate::broker::redis::topology::Node;
use std::collections::HashSet;
use std::mem;
use std::time::Instant;

/// Messages that are held; with one more it is lost, and that is told.
const MOST: usize = 4096;
/// Bytes of those; the same happens at this bound. It is half of all that may wait, so that others have room.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Where a message is numbered.
#[derive(Clone, Debug)]
pub struct Place {
    pub server: Option<Node>,
    /// That of its topic; all topics of a selector share one.
    pub slot: u16,
}

/// What is held, oldest first.
#[derive(Default)]
pub struct Held {
    waiting: Vec<Waiting>,
    bytes: usize,
    servers: HashSet<Option<Node>>,
    /// One may move while its messages are held: those that follow have another server then.
    slots: HashSet<u16>,
    again: Option<Instant>,
}

impl Held {
    /// When these are tried again, if there are any.
    #[must_use]
    pub const fn again(&self) -> Option<Instant> {
        self.again
    }

    /// Whether what is numbered there has to wait behind these.
    #[must_use]
    pub fn stands_before(&self, place: &Place) -> bool {
        self.servers.contains(&place.server) || self.slots.contains(&place.slot)
    }

    /// Holds one more, all to be tried not before `again`: whether there was room for it.
    pub fn hold(&mut self, waiting: Waiting, place: Place, again: Instant) -> bool {
        let bytes = self.bytes + waiting.publication.message.bytes();
        let room = self.waiting.len() < MOST && bytes <= MOST_BYTES;
        if room {
            self.again = self.again.max(Some(again));
            self.bytes = bytes;
            self.servers.insert(place.server);
            self.slots.insert(place.slot);
            self.waiting.push(waiting);
        }
        room
    }

    /// All of them, to be tried again; none are held any more.
    #[must_use]
    pub fn take(&mut self) -> Vec<Waiting> {
        mem::take(self).waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::contract;
    use crate::broker::redis::gate::{Gate, Item};
    use crate::clock;
    use crate::metrics::Source;
    use std::sync::Arc;
    use std::time::Duration;

    fn place(port: u16, slot: u16) -> Place {
        let server = Some(Node::new("redis", port));
        Place { server, slot }
    }

    fn waiting(data: &str) -> Waiting {
        let (gate, mut items) = Gate::new();
        gate.open(1, clock::now().steady);
        let target = contract::target(&Arc::new(contract::policy("a", 10, false)), "a");
        gate.offer(contract::publication(&target, data), Source::Raw);
        match items.try_recv().unwrap() {
            Item::Message(waiting) => *waiting,
            Item::End(_) => unreachable!("a message was offered"),
        }
    }

    #[test]
    fn what_follows_at_the_same_server_or_slot_waits_and_nothing_else() {
        let (mut held, now) = (Held::default(), clock::now().steady);
        assert!(!held.stands_before(&place(1, 10)) && held.again().is_none());
        assert!(held.hold(waiting("x"), place(1, 10), now));
        assert!(held.stands_before(&place(1, 20)));
        assert!(held.stands_before(&place(2, 10)), "the slot has moved");
        assert!(!held.stands_before(&place(2, 20)));
        let later = now + Duration::from_secs(1);
        assert!(held.hold(waiting("y"), place(2, 30), later));
        assert!(held.hold(waiting("z"), place(1, 10), now));
        assert_eq!(held.again(), Some(later));
        assert_eq!(held.take().len(), 3);
        assert!(!held.stands_before(&place(1, 10)) && held.again().is_none());
    }

    #[test]
    fn there_is_room_for_so_many() {
        let (mut held, now) = (Held::default(), clock::now().steady);
        for _ in 0..MOST {
            assert!(held.hold(waiting("x"), place(1, 10), now));
        }
        assert!(!held.hold(waiting("x"), place(2, 20), now));
        assert!(!held.stands_before(&place(2, 20)));
    }

    #[test]
    fn there_is_room_for_so_many_bytes() {
        let (mut held, now) = (Held::default(), clock::now().steady);
        let half = "x".repeat(MOST_BYTES / 2);
        assert!(held.hold(waiting(&half), place(1, 10), now));
        assert!(held.hold(waiting(&half), place(1, 10), now));
        assert!(!held.hold(waiting("x"), place(1, 10), now));
        drop(held.take());
        assert!(held.hold(waiting("x"), place(1, 10), now));
    }
}
