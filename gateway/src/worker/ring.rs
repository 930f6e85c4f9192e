//! The recent messages of one topic, shared by all of its streams on a worker.
//!
//! Owns: their order under a local sequence, the bounds in messages and bytes, and finding the place of a
//! position. Never: encodes, knows of streams. Pure. Used by: `worker::table`, `worker::cursor`.

use crate::close::GapReason;
use crate::frame::Frame;
use crate::position::Position;
use std::collections::VecDeque;
use std::sync::Arc;

/// Messages in a ring; the oldest goes when one more comes.
pub const MOST_FRAMES: usize = 1024;
/// Bytes in a ring; the oldest go until the newest fits, which stays in any case.
pub const MOST_BYTES: usize = 1024 * 1024;

/// What stands at a place of the sequence.
#[derive(Clone, Debug)]
pub enum Item {
    Frame(Arc<Frame>),
    /// Messages before `position` are lost for everybody who comes by.
    Gap {
        reason: GapReason,
        position: Option<Position>,
    },
}

#[derive(Debug)]
struct Entry {
    item: Item,
    /// The position that a stream has after this entry.
    after: Position,
    bytes: usize,
}

/// Where a position is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// What comes next has, or will have, this sequence number.
    At(u64),
    /// The position lies ahead of what has come: follow from the end, and skip what is behind it.
    Ahead,
    /// Not here any more, or of another epoch: history knows.
    Behind,
}

/// The ring. Sequence numbers only rise; positions may fall when a server rolled back.
#[derive(Debug)]
pub struct Ring {
    entries: VecDeque<Entry>,
    /// The sequence number of the first entry.
    first: u64,
    /// The position just before the first entry.
    before: Position,
    /// From this sequence number on positions rise without a break.
    run: u64,
    /// The position just before the entry at `run`.
    run_before: Position,
    bytes: usize,
}

impl Ring {
    /// An empty ring that goes on after `position`.
    #[must_use]
    pub fn new(position: Position) -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
            before: position,
            run: 0,
            run_before: position,
            bytes: 0,
        }
    }

    /// The sequence number that the next entry will get.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The sequence number of the oldest entry.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The position of the newest entry.
    #[must_use]
    pub fn position(&self) -> Position {
        self.entries.back().map_or(self.before, |entry| entry.after)
    }

    /// The position just before the oldest entry.
    #[must_use]
    pub fn before(&self) -> Position {
        self.before
    }

    /// Bytes of all entries.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The entry at a sequence number, with the position that a stream has after it.
    #[must_use]
    pub fn get(&self, at: u64) -> Option<(&Item, Position)> {
        let index = usize::try_from(at.checked_sub(self.first)?).ok()?;
        self.entries
            .get(index)
            .map(|entry| (&entry.item, entry.after))
    }

    /// The entries from a sequence number on.
    fn from(&self, at: u64) -> impl Iterator<Item = &Item> {
        let index = usize::try_from(at.saturating_sub(self.first))
            .unwrap_or(usize::MAX)
            .min(self.entries.len());
        self.entries.range(index..).map(|entry| &entry.item)
    }

    /// The messages from a sequence number on, up to the first gap.
    pub fn frames(&self, at: u64) -> impl Iterator<Item = &Arc<Frame>> {
        self.from(at).map_while(|item| match item {
            Item::Frame(frame) => Some(frame),
            Item::Gap { .. } => None,
        })
    }

    /// Adds the next message.
    pub fn push(&mut self, frame: Arc<Frame>) {
        let last = self.position();
        let after = frame.position().unwrap_or(last);
        if after.offset < last.offset || (after.offset == last.offset && frame.position().is_some())
        {
            self.run = self.end();
            self.run_before = last;
        }
        let bytes = frame.bytes();
        self.add(Entry {
            item: Item::Frame(frame),
            after,
            bytes,
        });
    }

    /// Adds a loss; delivery goes on after `position`.
    pub fn push_gap(&mut self, reason: GapReason, position: Option<Position>) {
        let after = position.unwrap_or(self.position());
        self.add(Entry {
            item: Item::Gap { reason, position },
            after,
            bytes: 0,
        });
        if position.is_some() {
            self.run = self.end();
            self.run_before = after;
        }
    }

    fn add(&mut self, entry: Entry) {
        self.bytes += entry.bytes;
        self.entries.push_back(entry);
        while self.entries.len() > MOST_FRAMES
            || (self.bytes > MOST_BYTES && self.entries.len() > 1)
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry.bytes;
            self.before = entry.after;
            self.first += 1;
        }
    }

    /// Whether `bytes` more find room without dropping an entry at or after `needed`. Where nothing is needed
    /// any more there is always room.
    #[must_use]
    pub fn has_room(&self, bytes: usize, needed: u64) -> bool {
        let mut left = self.bytes + bytes;
        let mut count = self.entries.len() + 1;
        for (at, entry) in (self.first..).zip(&self.entries) {
            if count <= MOST_FRAMES && left <= MOST_BYTES {
                return true;
            }
            if at >= needed {
                return false;
            }
            left -= entry.bytes;
            count -= 1;
        }
        true
    }

    /// Drops the older half, for the bound of the whole worker.
    pub fn halve(&mut self) {
        for _ in 0..self.entries.len().div_ceil(2) {
            self.drop_oldest();
        }
    }

    /// Starts anew after `position`: whoever follows is now behind.
    pub fn restart(&mut self, position: Position) {
        self.first = self.end() + 1;
        self.entries.clear();
        self.bytes = 0;
        self.before = position;
        self.run = self.first;
        self.run_before = position;
    }

    /// From which sequence number on positions rise without a break, and the position just before it.
    #[must_use]
    pub fn run(&self) -> (u64, Position) {
        if self.run >= self.first {
            (self.run, self.run_before)
        } else {
            (self.first, self.before)
        }
    }

    /// Finds what comes after `position`.
    #[must_use]
    pub fn seek(&self, position: Position) -> Seek {
        let newest = self.position();
        if position == newest {
            return Seek::At(self.end());
        }
        if position.epoch == newest.epoch && position.offset > newest.offset {
            return Seek::Ahead;
        }
        let (run, before) = self.run();
        if position == before {
            return Seek::At(run);
        }
        let skip = usize::try_from(run - self.first)
            .unwrap_or(usize::MAX)
            .min(self.entries.len());
        let (mut low, mut high) = (skip, self.entries.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.entries[middle].after.offset <= position.offset {
                low = middle + 1
            } else {
                high = middle
            }
        }
        match low.checked_sub(1).filter(|&index| index >= skip) {
            Some(index) if self.entries[index].after == position => {
                Seek::At(self.first + low as u64)
            }
            _ => Seek::Behind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crds::name::Topic;

    fn position(text: &str) -> Position {
        text.parse().unwrap()
    }

    fn frame(at: &str, data: &str) -> Arc<Frame> {
        let topic = Topic::new("orders").unwrap();
        Arc::new(Frame::new(
            topic,
            Message::new(data.to_owned()).unwrap(),
            Some(position(at)),
            1,
            0,
        ))
    }

    fn ring(before: &str, frames: &[&str]) -> Ring {
        let mut ring = Ring::new(position(before));
        frames.iter().for_each(|at| ring.push(frame(at, "x")));
        ring
    }

    #[track_caller]
    fn check(ring: &Ring, at: &str, expected: Seek) {
        assert_eq!(ring.seek(position(at)), expected, "{at}");
    }

    #[test]
    fn a_position_is_found_by_what_comes_after_it() {
        let ring = ring("aaaaaa-3", &["aaaaaa-4", "aaaaaa-5", "bbbbbb-6"]);
        check(&ring, "aaaaaa-3", Seek::At(0));
        check(&ring, "aaaaaa-4", Seek::At(1));
        check(&ring, "aaaaaa-5", Seek::At(2));
        check(&ring, "bbbbbb-6", Seek::At(3));
        check(&ring, "bbbbbb-7", Seek::Ahead);
        check(&ring, "aaaaaa-2", Seek::Behind);
        check(&ring, "aaaaaa-6", Seek::Behind);
        check(&ring, "cccccc-5", Seek::Behind);
    }

    #[test]
    fn after_a_rollback_only_the_new_run_is_searched() {
        let ring = ring(
            "aaaaaa-6",
            &["aaaaaa-7", "aaaaaa-8", "bbbbbb-6", "bbbbbb-7"],
        );
        check(&ring, "aaaaaa-8", Seek::At(2));
        check(&ring, "bbbbbb-6", Seek::At(3));
        check(&ring, "aaaaaa-7", Seek::Behind);
        check(&ring, "aaaaaa-6", Seek::Behind);
    }

    #[test]
    fn a_rollback_of_one_begins_a_new_run_too() {
        let ring = ring("aaaaaa-6", &["aaaaaa-7", "bbbbbb-7"]);
        check(&ring, "aaaaaa-7", Seek::At(1));
        check(&ring, "bbbbbb-7", Seek::At(2));
    }

    #[test]
    fn a_full_ring_forgets_the_oldest() {
        let mut ring = Ring::new(Position::NEVER);
        for offset in 1..=1030 {
            ring.push(frame(&format!("aaaaaa-{offset}"), "x"));
        }
        assert_eq!((ring.first(), ring.end()), (6, 1030));
        check(&ring, "aaaaaa-6", Seek::At(6));
        check(&ring, "aaaaaa-5", Seek::Behind);
        ring.push(frame("aaaaaa-1031", &"x".repeat(2 * MOST_BYTES)));
        assert_eq!((ring.first(), ring.end()), (1030, 1031));
    }

    #[test]
    fn there_is_room_while_nothing_needed_would_go() {
        let mut ring = Ring::new(Position::NEVER);
        assert!(ring.has_room(2 * MOST_BYTES, 0), "what stands alone fits");
        for offset in 1..=MOST_FRAMES {
            assert!(ring.has_room(1, 0));
            ring.push(frame(&format!("aaaaaa-{offset}"), "x"));
        }
        assert!(!ring.has_room(1, 0));
        assert!(ring.has_room(1, 1), "the first one may go");
        assert!(!ring.has_room(MOST_BYTES, 1), "but not all of them");
        assert!(ring.has_room(MOST_BYTES, ring.end()));
    }

    #[test]
    fn a_restart_leaves_everybody_behind() {
        let mut ring = ring("aaaaaa-3", &["aaaaaa-4"]);
        let followed = ring.end();
        ring.restart(position("aaaaaa-9"));
        assert!(ring.first() > followed);
        check(&ring, "aaaaaa-9", Seek::At(ring.first()));
        check(&ring, "aaaaaa-4", Seek::Behind);
    }

    #[test]
    fn a_gap_moves_the_position() {
        let mut ring = ring("aaaaaa-3", &["aaaaaa-4"]);
        ring.push_gap(GapReason::Epoch, Some(position("bbbbbb-9")));
        ring.push(frame("bbbbbb-10", "x"));
        check(&ring, "bbbbbb-9", Seek::At(2));
        check(&ring, "aaaaaa-4", Seek::Behind);
    }
}
