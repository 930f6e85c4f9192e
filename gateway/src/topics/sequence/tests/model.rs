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
    /// None: what follows comes on another connection.
    pub on_the_way: VecDeque<Option<Arc<Frame>>>,
    question: Question,
    sequence: Sequence,
    /// The position then, and how many messages had been numbered.
    joined: Option<(Position, u64)>,
    numbered: u64,
    /// Something was lost on the way.
    lost: bool,
    moves: Vec<Move>,
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
            numbered: 0,
            lost: false,
            moves: Vec::new(),
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
        let frame = Arc::new(Frame::new(topic, message, position, first, self.numbered));
        self.numbered += 1;
        self.kept.push_back(frame.clone());
        while self.kept.len() > self.left.history.unwrap_or(0) {
            self.kept.pop_front();
        }
        self.on_the_way.push_back(Some(frame));
    }

    fn page(&self, cursor: Position) -> Page {
        let kept = u64::try_from(self.kept.len()).expect("few");
        let plan = Plan::of(&self.lineage, self.lineage.last + 1 - kept, cursor);
        let after = |frame: &&Arc<Frame>| frame.position().expect("numbered").offset > plan.after;
        let all: Vec<_> = self.kept.iter().filter(after).cloned().collect();
        let mut page = plan.page(self.lineage.clone(), cursor);
        let admitted = all.iter().take(self.left.page);
        let admitted = admitted.take_while(|frame| page.admits(frame));
        page.frames = admitted.cloned().collect();
        page.more = all.len() > page.frames.len();
        page
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

    /// The subscription begins anew, and its answer is one of the new connection.
    fn interrupt(&mut self) {
        self.on_the_way.push_back(None);
        if matches!(self.question, Question::LineageIs(_)) {
            self.question = Question::Lineage;
        }
    }

    fn answer(&mut self) -> bool {
        match std::mem::replace(&mut self.question, Question::None) {
            Question::LineageIs(lineage) => {
                self.joined = Some((lineage.position(), self.numbered));
                self.think(|sequence, out| sequence.joined(lineage, out));
            }
            Question::PageIs(cursor, page) => {
                self.think(|sequence, out| sequence.page(cursor, Ok(&page), out));
            }
            other => {
                self.question = other;
                return false;
            }
        }
        self.moves.push(Move::Answer);
        true
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
            Move::Arrive => match self.on_the_way.pop_front() {
                Some(Some(frame)) => self.think(|sequence, out| sequence.frame(frame, out)),
                Some(None) => self.think(|sequence, _| sequence.interrupted()),
                None => return false,
            },
            Move::Lose => {
                let is_frame = matches!(self.on_the_way.front(), Some(Some(_)));
                if !is_frame || !take(&mut self.left.losses) {
                    return false;
                }
                self.on_the_way.pop_front();
                self.lost = true;
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
            Move::Answer => return self.answer(),
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
                self.interrupt();
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
                if self.lost {
                    // What is lost on the way and then flushed leaves no trace in an unbroken subscription.
                    self.interrupt();
                }
                self.lineage = Lineage::default();
                self.kept.clear();
            }
            Move::Publish | Move::Restart | Move::Flush => return false,
        }
        self.moves.push(next);
        true
    }

    /// Lets everything on its way arrive and the subscription stand again, then judges the whole run.
    pub fn end(mut self) {
        for _ in 0..2 {
            while self.go(Move::Arrive) || self.go(Move::Execute) || self.go(Move::Answer) {}
            let lineage = self.lineage.clone();
            self.think(|sequence, out| {
                sequence.interrupted();
                sequence.resumed(lineage, out);
            });
        }
        assert!(
            matches!(self.question, Question::None),
            "nothing is asked for ever"
        );
        let (mut at, numbered) = self.joined.expect("joined");
        let mut seen = Vec::new();
        // The numbers in time that may come next without a gap; none: one was told.
        let mut due = Some(0..=numbered);
        for step in &self.told {
            match step {
                Step::Frame(frame) => {
                    let position = frame.position().expect("numbered");
                    assert!(!seen.contains(&position), "twice: {}", self.story());
                    seen.push(position);
                    let dense = at.offset + 1 == position.offset;
                    let follows = due.map_or(dense, |due| due.contains(&frame.time()));
                    assert!(
                        follows,
                        "something acknowledged is missing before {position}: {}",
                        self.story()
                    );
                    due = Some(frame.time() + 1..=frame.time() + 1);
                    at = position;
                }
                &Step::Gap { position, .. } => {
                    let position = position.expect("told where it belongs");
                    // What was never heard of may have been forgotten during an interruption.
                    let first = at == Position::NEVER && position.offset == 0;
                    assert!(
                        self.excuse || first,
                        "a gap without cause: {}",
                        self.story()
                    );
                    assert!(position != at, "told twice: {}", self.story());
                    due = None;
                    at = position;
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
        format!("{:?}: {}", self.moves, Vec::from_iter(told).join(", "))
    }
}
