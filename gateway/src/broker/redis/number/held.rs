//! Raw messages whose server does not take them now.
//!
//! Owns: that what follows them at the same server or topic waits behind them, so that a topic keeps its order and
//! others go on. Never: asks a server. Pure. Used by: `number`.

use super::Waiting;
use crate::broker::redis::topology::Node;
use std::collections::HashSet;
use std::mem;
use std::time::{Duration, Instant};

/// Messages that are held; with one more it is lost, and that is told.
const MOST: usize = 4096;
/// Between two attempts.
pub const PAUSE: Duration = Duration::from_millis(100);

/// Where a message is numbered.
#[derive(Clone, Debug)]
pub struct Place {
    pub server: Option<Node>,
    /// That of the topic.
    pub channel: String,
}

/// What is held, oldest first.
#[derive(Default)]
pub struct Held {
    waiting: Vec<Waiting>,
    servers: HashSet<Option<Node>>,
    /// A slot may move while its messages are held: those that follow have another server then.
    channels: HashSet<String>,
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
        self.servers.contains(&place.server) || self.channels.contains(&place.channel)
    }

    /// Holds one more: whether there was room for it.
    pub fn hold(&mut self, waiting: Waiting, place: Place, now: Instant) -> bool {
        let room = self.waiting.len() < MOST;
        if room {
            self.again.get_or_insert(now + PAUSE);
            self.servers.insert(place.server);
            self.channels.insert(place.channel);
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

    fn place(port: u16, channel: &str) -> Place {
        Place {
            server: Some(Node::new("redis", port)),
            channel: channel.into(),
        }
    }

    fn waiting() -> Waiting {
        let (gate, mut items) = Gate::new();
        gate.open(1, clock::now().steady);
        let target = contract::target(&Arc::new(contract::policy("a", 10, false)), "a");
        gate.offer(contract::publication(&target, "x"), Source::Raw);
        match items.try_recv().unwrap() {
            Item::Message(waiting) => *waiting,
            Item::End(_) => unreachable!("a message was offered"),
        }
    }

    #[test]
    fn what_follows_at_the_same_server_or_topic_waits_and_nothing_else() {
        let (mut held, now) = (Held::default(), clock::now().steady);
        assert!(!held.stands_before(&place(1, "a")) && held.again().is_none());
        assert!(held.hold(waiting(), place(1, "a"), now));
        assert!(held.stands_before(&place(1, "b")));
        assert!(held.stands_before(&place(2, "a")), "its slot has moved");
        assert!(!held.stands_before(&place(2, "b")));
        assert!(held.hold(waiting(), place(2, "c"), now + PAUSE / 2));
        assert_eq!(held.again(), Some(now + PAUSE));
        assert_eq!(held.take().len(), 2);
        assert!(!held.stands_before(&place(1, "a")) && held.again().is_none());
    }

    #[test]
    fn there_is_room_for_so_many() {
        let (mut held, now) = (Held::default(), clock::now().steady);
        for _ in 0..MOST {
            assert!(held.hold(waiting(), place(1, "a"), now));
        }
        assert!(!held.hold(waiting(), place(2, "b"), now));
        assert!(!held.stands_before(&place(2, "b")));
    }
}
