//! A small server and the way from it: it numbers, keeps, forgets and rolls back; live frames, the answer
//! to the subscription and pages come late or not at all. It judges what the sequence made of it.

use super::super::{Sequence, Step, Steps};
use crate::broker::{Page, Plan, Unavailable};
use crate::frame::Frame;
use crate::message::Message;
use crate::position::{Epoch, Lineage, Position};
use crds::name::Topic;
use std::collections::VecDeque;
use std::sync::Arc;

/// What may happen in one run.
#[derive(Clone, Copy)]
pub struct Bounds {
    pub publishes: u32,
    pub losses: u32,
    pub failures: u32,
    pub restarts: u32,
    pub flushes: u32,
    /// Messages in one page.
    pub page: usize,
    /// Messages kept; none: live only.
    pub history: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    Publish,
    /// The next live frame arrives.
    Arrive,
    /// The next live frame is lost on the way.
    Lose,
    /// The server answers what was asked: lineage or page.
    Execute,
    /// The answer arrives.
    Answer,
    /// What was asked fails.
    Fail,
    /// The server goes on from older state: the newest message is gone, the next one begins an epoch.
    Restart,
    /// The server forgets the topic.
    Flush,
}

pub const MOVES: [Move; 8] = [
    Move::Publish,
    Move::Arrive,
    Move::Lose,
    Move::Execute,
    Move::Answer,
    Move::Fail,
    Move::Restart,
    Move::Flush,
];

#[derive(Clone)]
pub enum Question {
    None,
    Lineage,
    Page(Position),
    LineageIs(Lineage),
    PageIs(Position, Page),
}

#[derive(Clone)]
pub struct World {
    left: Bounds,
    pub lineage: Lineage,
    pub kept: VecDeque<Arc<Frame>>,
    pub fresh: bool,
    epochs: u64,
    pub on_the_way: VecDeque<Arc<Frame>>,
    question: Question,
    sequence: Sequence,
    joined: Option<Position>,
    pub told: Vec<Step>,
    /// Something happened that may cost messages or make the server forget.
    excuse: bool,
}

impl World {
    pub fn new(left: Bounds) -> Self {
        Self {
            left,
            lineage: Lineage::default(),
            kept: VecDeque::new(),
            fresh: true,
            epochs: 0,
            on_the_way: VecDeque::new(),
            question: Question::Lineage,
            sequence: Sequence::new(left.history.is_some()),
            joined: None,
            told: Vec::new(),
            excuse: left
                .history
                .is_none_or(|size| size < usize::try_from(left.publishes).expect("few")),
        }
    }

    pub fn publish(&mut self) {
        let offset = self.lineage.last + 1;
        let (epoch, first) = match self.lineage.epochs.last() {
            Some(&newest) if !self.fresh => newest,
            _ => {
                self.epochs += 1;
                (Epoch::draw(self.epochs), offset)
            }
        };
        self.fresh = false;
        self.lineage.advance(epoch, first, offset);
        let position = Some(Position { epoch, offset });
        let topic = Topic::new("t").expect("a topic");
        let message = Message::new("x").expect("text");
        let frame = Arc::new(Frame::new(topic, message, position, first, 0));
        self.kept.push_back(frame.clone());
        while self.kept.len() > self.left.history.unwrap_or(0) {
            self.kept.pop_front();
        }
        self.on_the_way.push_back(frame);
    }

    fn page(&self, cursor: Position) -> Page {
        let kept = u64::try_from(self.kept.len()).expect("few");
        let plan = Plan::of(&self.lineage, self.lineage.last + 1 - kept, cursor);
        let after = |frame: &&Arc<Frame>| frame.position().expect("numbered").offset > plan.after;
        let all: Vec<_> = self.kept.iter().filter(after).cloned().collect();
        Page {
            lineage: self.lineage.clone(),
            lost: plan.lost,
            from: self.lineage.at(plan.after),
            more: all.len() > self.left.page,
            frames: all.into_iter().take(self.left.page).collect(),
        }
    }

    pub fn think(&mut self, think: impl FnOnce(&mut Sequence, Steps<'_>)) {
        let (told, question) = (&mut self.told, &mut self.question);
        think(&mut self.sequence, &mut |step| match step {
            Step::Read(cursor) | Step::ReadLater(cursor) => {
                assert!(matches!(question, Question::None), "one read at a time");
                *question = Question::Page(cursor);
            }
            Step::Frame(_) | Step::Gap { .. } => told.push(step),
        });
    }

    /// Makes the move, if it is possible now.
    pub fn go(&mut self, next: Move) -> bool {
        let take = |left: &mut u32| {
            let possible = *left > 0;
            *left = left.saturating_sub(1);
            possible
        };
        match next {
            Move::Publish if take(&mut self.left.publishes) => self.publish(),
            Move::Arrive | Move::Lose => {
                if self.on_the_way.is_empty()
                    || (next == Move::Lose && !take(&mut self.left.losses))
                {
                    return false;
                }
                let frame = self.on_the_way.pop_front().expect("not empty");
                if next == Move::Arrive {
                    self.think(|sequence, out| sequence.frame(frame, out));
                }
            }
            Move::Execute => {
                self.question = match std::mem::replace(&mut self.question, Question::None) {
                    Question::Lineage => Question::LineageIs(self.lineage.clone()),
                    Question::Page(cursor) => Question::PageIs(cursor, self.page(cursor)),
                    other => {
                        self.question = other;
                        return false;
                    }
                }
            }
            Move::Answer => match std::mem::replace(&mut self.question, Question::None) {
                Question::LineageIs(lineage) => {
                    self.joined = Some(lineage.position());
                    self.think(|sequence, out| sequence.joined(lineage, out));
                }
                Question::PageIs(cursor, page) => {
                    self.think(|sequence, out| sequence.page(cursor, Ok(&page), out));
                }
                other => {
                    self.question = other;
                    return false;
                }
            },
            Move::Fail => {
                let Question::Page(cursor) = self.question else {
                    return false;
                };
                if !take(&mut self.left.failures) {
                    return false;
                }
                self.question = Question::None;
                self.think(|sequence, out| sequence.page(cursor, Err(&down()), out));
            }
            Move::Restart if self.lineage.last > 0 && take(&mut self.left.restarts) => {
                self.excuse = true;
                self.fresh = true;
                let newest = self.lineage.epochs.last().expect("numbered").1;
                if self.lineage.last > newest {
                    self.lineage.last -= 1;
                    self.kept.pop_back();
                }
            }
            // A page that overtakes live frames from before a flush is beyond what is promised.
            Move::Flush if !self.on_the_way.is_empty() => return false,
            Move::Flush if self.lineage.last > 0 && take(&mut self.left.flushes) => {
                self.excuse = true;
                self.lineage = Lineage::default();
                self.kept.clear();
            }
            Move::Publish | Move::Restart | Move::Flush => return false,
        }
        true
    }

    /// Lets everything on its way arrive and the subscription stand again, then judges the whole run.
    pub fn end(mut self) {
        for _ in 0..2 {
            while self.go(Move::Arrive) || self.go(Move::Execute) || self.go(Move::Answer) {}
            let lineage = self.lineage.clone();
            self.think(|sequence, out| sequence.resumed(lineage, out));
        }
        assert!(
            matches!(self.question, Question::None),
            "nothing is asked for ever"
        );
        let mut at = self.joined.expect("joined");
        let mut seen = Vec::new();
        for step in &self.told {
            match step {
                Step::Frame(frame) => {
                    let position = frame.position().expect("numbered");
                    assert!(!seen.contains(&position), "twice: {}", self.story());
                    seen.push(position);
                    let next = position.epoch == at.epoch && position.offset == at.offset + 1;
                    let new_epoch = position.epoch != at.epoch
                        && position.offset == frame.first()
                        && position.offset <= at.offset + 1;
                    assert!(next || new_epoch, "a hole after {at}: {}", self.story());
                    at = position;
                }
                Step::Gap { position, .. } => {
                    assert!(self.excuse, "a gap without cause: {}", self.story());
                    // Without one it came late, for what is told already.
                    at = position.unwrap_or(at);
                }
                Step::Read(_) | Step::ReadLater(_) => {}
            }
        }
        let complete = at == self.lineage.position() || at.offset >= self.lineage.last;
        assert!(
            complete,
            "{at} is not the end {:?}: {}",
            self.lineage,
            self.story()
        );
    }
}

fn down() -> Unavailable {
    Unavailable {
        step: "read",
        cause: "down".into(),
    }
}

impl World {
    fn story(&self) -> String {
        let told = self.told.iter().map(|step| match step {
            Step::Frame(frame) => frame.position().expect("numbered").to_string(),
            Step::Gap { reason, position } => format!("{reason:?} {position:?}"),
            Step::Read(_) | Step::ReadLater(_) => String::new(),
        });
        Vec::from_iter(told).join(", ")
    }
}
