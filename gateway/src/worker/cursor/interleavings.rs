//! The hand-over from history to live over every order in which things can happen.
//!
//! A server numbers three messages, the ring hears of them later, pages are read at one moment and arrive
//! at another, and the stream takes what it gets in between. Whatever the order: nothing lost, nothing twice.

use super::*;
use crate::broker::Plan;
use crate::message::Message;
use crate::position::{Epoch, Lineage};
use crds::name::Topic;

const MESSAGES: u64 = 4;

/// One thing that can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The server numbers the next message.
    Publish,
    /// The ring hears of the next message.
    Hear,
    /// The server answers the read that was asked for.
    Read,
    /// The answer arrives at the stream.
    Arrive,
    /// The stream takes all that it gets.
    Take,
    /// The mailbox overflowed: the ring starts anew behind the next message.
    Overflow,
}

const STEPS: [Step; 6] = [
    Step::Publish,
    Step::Hear,
    Step::Read,
    Step::Arrive,
    Step::Take,
    Step::Overflow,
];

struct World {
    /// The first offset of the second epoch; above `MESSAGES` there is none.
    turn: u64,
    page_size: u64,
    published: u64,
    heard: u64,
    overflows: u32,
    ring: Ring,
    cursor: Cursor,
    asked: Option<Position>,
    page: Option<Arc<Page>>,
    got: Vec<u64>,
    gaps: usize,
}

impl World {
    fn new(turn: u64, page_size: u64, published: u64, start: u64) -> Self {
        let mut world = Self {
            turn,
            page_size,
            published,
            heard: published,
            overflows: 0,
            ring: Ring::new(Position::NEVER),
            cursor: Cursor::new(Start::Live, &Ring::new(Position::NEVER)).0,
            asked: None,
            page: None,
            got: Vec::new(),
            gaps: 0,
        };
        world.ring = Ring::new(world.position(published));
        let (cursor, asked) = Cursor::new(Start::After(world.position(start)), &world.ring);
        (world.cursor, world.asked) = (cursor, asked);
        world
    }

    fn epoch(&self, offset: u64) -> Epoch {
        if offset >= self.turn {
            "bbbbbb"
        } else {
            "aaaaaa"
        }
        .parse()
        .unwrap()
    }

    fn position(&self, offset: u64) -> Position {
        if offset == 0 {
            return Position::NEVER;
        }
        Position {
            epoch: self.epoch(offset),
            offset,
        }
    }

    fn frame(&self, offset: u64) -> Arc<Frame> {
        let message = Message::new(offset.to_string()).unwrap();
        Arc::new(Frame::new(
            Topic::new("t").unwrap(),
            message,
            Some(self.position(offset)),
            1,
            0,
        ))
    }

    fn lineage(&self) -> Lineage {
        let mut lineage = Lineage::default();
        for offset in 1..=self.published {
            let first = if offset >= self.turn { self.turn } else { 1 };
            lineage.advance(self.epoch(offset), first, offset);
        }
        lineage
    }

    fn can(&self, step: Step) -> bool {
        match step {
            Step::Publish => self.published < MESSAGES,
            Step::Hear => self.heard < self.published,
            Step::Read => self.asked.is_some() && self.page.is_none(),
            Step::Arrive => self.page.is_some(),
            Step::Take => true,
            Step::Overflow => self.heard < self.published && self.overflows == 0,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish => self.published += 1,
            Step::Hear => {
                self.heard += 1;
                self.ring.push(self.frame(self.heard));
            }
            Step::Read => self.page = self.asked.map(|cursor| self.read(cursor)),
            Step::Arrive => {
                if let (Some(asked), Some(page)) = (self.asked.take(), self.page.take()) {
                    self.cursor.paged(asked, &page);
                }
            }
            Step::Take => self.take(),
            Step::Overflow => {
                self.overflows += 1;
                self.heard += 1;
                self.ring.restart(self.position(self.heard));
            }
        }
    }

    fn read(&self, cursor: Position) -> Arc<Page> {
        let lineage = self.lineage();
        let plan = Plan::of(&lineage, 1, cursor);
        let mut page = plan.page(lineage, cursor);
        let most = usize::try_from(self.page_size).expect("few");
        let after = (plan.after + 1..=self.published).map(|offset| self.frame(offset));
        let admitted = after.take(most).take_while(|frame| page.admits(frame));
        page.frames = admitted.collect();
        page.more = plan.after + page.frames.len() as u64 != self.published;
        Arc::new(page)
    }

    fn take(&mut self) {
        loop {
            match self.cursor.next(&self.ring, true) {
                Next::Frame { frame, .. } => self.got.push(frame.message().data().parse().unwrap()),
                Next::Gap(_) => self.gaps += 1,
                Next::Ask(position) => self.asked = Some(position),
                Next::PageDone => self.asked = self.cursor.turn_page(&self.ring),
                Next::Idle => return,
            }
        }
    }

    /// Lets everything happen that is still to happen, and takes the result.
    fn settle(mut self) -> (Vec<u64>, usize) {
        for _ in 0..100 {
            let order = [Step::Publish, Step::Hear, Step::Read, Step::Arrive];
            let next = order.into_iter().find(|&step| self.can(step));
            self.step(next.unwrap_or(Step::Take));
            self.take();
        }
        (self.got, self.gaps)
    }
}

/// Plays every order of at most `depth` steps, and then lets the world settle.
fn check(turn: u64, page_size: u64, published: u64, start: u64) {
    let mut schedules: Vec<Vec<Step>> = vec![Vec::new()];
    let mut played = 0;
    while let Some(schedule) = schedules.pop() {
        let mut world = World::new(turn, page_size, published, start);
        schedule.iter().for_each(|&step| world.step(step));
        if schedule.len() < 8 {
            let useless = |step| step == Step::Take && schedule.last() == Some(&Step::Take);
            for step in STEPS
                .into_iter()
                .filter(|&step| world.can(step) && !useless(step))
            {
                schedules.push([&schedule[..], &[step]].concat());
            }
        }
        played += 1;
        let (got, gaps) = world.settle();
        assert_eq!(got, Vec::from_iter(start + 1..=MESSAGES), "{schedule:?}");
        // History tells the way into an epoch, the ring of an unbroken subscription does not.
        let most = usize::from(turn <= MESSAGES);
        assert!(gaps <= most, "{gaps} {schedule:?}");
    }
    assert!(played > 100, "{played} orders");
}

#[test]
fn nothing_is_lost_or_told_twice_in_one_epoch() {
    for (page_size, published, start) in [(1, 2, 0), (1, 2, 1), (2, 3, 1), (100, 2, 0), (100, 2, 2)]
    {
        check(u64::MAX, page_size, published, start);
    }
}

#[test]
fn nothing_is_lost_or_told_twice_over_a_new_epoch() {
    for (turn, page_size, published, start) in
        [(3, 1, 2, 1), (3, 100, 2, 0), (2, 1, 2, 0), (4, 2, 2, 1)]
    {
        check(turn, page_size, published, start);
    }
}
