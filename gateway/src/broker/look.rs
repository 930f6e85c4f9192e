//! Which of the newest messages somebody wants.
//!
//! Owns: when looking back ends, and what of it is answered. Never: reads. Pure.
//! Used by: both keepers, which show it what they keep from the newest message backwards.

use crate::frame::Frame;
use crate::position::Lineage;
use std::ops::ControlFlow;
use std::sync::Arc;

/// How many of the newest messages are looked at for any question.
pub const NEWEST_MESSAGES: usize = 1000;

/// A question about the newest messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The last of them, at most so many messages and bytes of data; the very last in any case.
    Last { messages: usize, bytes: usize },
    /// The last one that its publisher gave this id.
    Id(String),
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Newest {
    /// What the server remembered before the messages were read.
    pub lineage: Lineage,
    /// Oldest first, of whatever epochs: nobody goes on from the one to the other here.
    pub frames: Vec<Arc<Frame>>,
}

/// Looks at messages, the newest first.
#[derive(Debug)]
pub struct Look {
    pick: Pick,
    looked: usize,
    bytes: usize,
    taken: Vec<Arc<Frame>>,
}

impl Look {
    #[must_use]
    pub const fn new(pick: Pick) -> Self {
        Self {
            pick,
            looked: 0,
            bytes: 0,
            taken: Vec::new(),
        }
    }

    /// How many messages may still be wanted; 0 ends the looking.
    #[must_use]
    pub fn left(&self) -> usize {
        let most = match &self.pick {
            Pick::Last { messages, .. } => *messages.min(&NEWEST_MESSAGES),
            Pick::Id(_) => NEWEST_MESSAGES,
        };
        most.saturating_sub(self.looked)
    }

    /// Shows it the next older message; none in place of one that this version cannot read. Breaks when it has enough.
    pub fn at(&mut self, frame: Option<&Arc<Frame>>) -> ControlFlow<()> {
        if self.left() == 0 {
            return ControlFlow::Break(());
        }
        self.looked += 1;
        match (&self.pick, frame) {
            (Pick::Last { bytes, .. }, Some(frame)) => {
                self.bytes += frame.message().data().len();
                if self.bytes > *bytes && !self.taken.is_empty() {
                    return ControlFlow::Break(());
                }
                self.taken.push(frame.clone());
            }
            (Pick::Id(id), Some(frame)) if frame.message().id() == Some(id) => {
                self.taken.push(frame.clone());
                return ControlFlow::Break(());
            }
            _ => {}
        }
        if self.left() == 0 {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// What was wanted of all that it was shown.
    #[must_use]
    pub fn answer(self, lineage: Lineage) -> Newest {
        let mut frames = self.taken;
        frames.reverse();
        Newest { lineage, frames }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crds::name::Topic;

    /// Asks about messages with these ids, the oldest first; the data of each is its id.
    #[track_caller]
    fn check(pick: Pick, ids: &[&str], expected: &[usize]) {
        let frames = ids.iter().map(|id| {
            let message = Message::new((*id).to_owned()).unwrap().with_id(id).unwrap();
            let topic = Topic::new("t").unwrap();
            Arc::new(Frame::new(topic, message, None, 1, 7))
        });
        let frames: Vec<_> = frames.collect();
        let mut look = Look::new(pick);
        let mut back = frames.iter().rev();
        _ = back.try_for_each(|frame| look.at(Some(frame)));
        let answer = look.answer(Lineage::default());
        let places = answer.frames.iter().map(|taken| {
            let same = |frame: &Arc<Frame>| Arc::ptr_eq(frame, taken);
            frames.iter().position(same).unwrap()
        });
        assert_eq!(places.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_last_messages_stay_within_both_bounds() {
        let last = |messages, bytes| Pick::Last { messages, bytes };
        check(last(9, 10), &[], &[]);
        check(last(9, 10), &["aaa", "bbb", "ccc"], &[0, 1, 2]);
        check(last(2, 10), &["aaa", "bbb", "ccc"], &[1, 2]);
        check(last(9, 10), &["aaaaa", "bbbbb", "ccccc"], &[1, 2]);
        check(last(9, 10), &["a", "b", "cccccccccccc"], &[2]);
        check(last(9, 10), &["aaaaaaaaaaaa", "b", "c"], &[1, 2]);
        check(last(0, 10), &["aaa"], &[]);
    }

    #[test]
    fn an_own_id_means_its_newest_message() {
        let id = |id: &str| Pick::Id(id.to_owned());
        check(id("5"), &["5", "6", "5", "7"], &[2]);
        check(id("8"), &["5", "6", "5", "7"], &[]);
        let many = vec!["5"; NEWEST_MESSAGES];
        check(id("6"), &[&["6"][..], &many].concat(), &[]);
        check(id("6"), &[&["6"][..], &many[1..]].concat(), &[0]);
    }

    #[test]
    fn what_cannot_be_read_counts_but_is_not_answered() {
        let mut look = Look::new(Pick::Last {
            messages: 2,
            bytes: 9,
        });
        assert_eq!(look.at(None), ControlFlow::Continue(()));
        assert_eq!((look.left(), look.at(None)), (1, ControlFlow::Break(())));
        assert_eq!((look.left(), look.at(None)), (0, ControlFlow::Break(())));
    }
}
