//! The sequence against a small server, over every order of what can happen.
//!
//! The server numbers, keeps, forgets and rolls back; live frames, the answer to the subscription and
//! pages come late or not at all. Whatever the order: what is handed on is dense or has a gap before it,
//! nothing comes twice, nothing that the server still has is missing, and no gap is told without cause.

use super::{Sequence, Step};
use crate::broker::{Page, Plan, Unavailable};
use crate::close::GapReason;
use crate::frame::Frame;
use crate::message::Message;
use crate::position::{Epoch, Lineage, Position};
use crds::name::Topic;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;

/// What may happen in one run.
#[derive(Clone, Copy)]
struct Bounds {
    publishes: u32,
    losses: u32,
    failures: u32,
    restarts: u32,
    flushes: u32,
    /// Messages in one page.
    page: usize,
    /// Messages kept; none: live only.
    history: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
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

const MOVES: [Move; 8] = [
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
enum Question {
    None,
    Lineage,
    Page(Position),
    LineageIs(Lineage),
    PageIs(Position, Page),
}

#[derive(Clone)]
struct World {
    left: Bounds,
    lineage: Lineage,
    kept: VecDeque<Arc<Frame>>,
    fresh: bool,
    epochs: u64,
    on_the_way: VecDeque<Arc<Frame>>,
    question: Question,
    sequence: Sequence,
    joined: Option<Position>,
    told: Vec<Step>,
    /// Something happened that may cost messages or make the server forget.
    excuse: bool,
}

impl World {
    fn new(left: Bounds) -> Self {
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

    fn publish(&mut self) {
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

    fn think(&mut self, think: impl FnOnce(&mut Sequence, super::Steps<'_>)) {
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
    fn go(&mut self, next: Move) -> bool {
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
                let error = Unavailable {
                    step: "read",
                    cause: "down".into(),
                };
                self.think(|sequence, out| sequence.page(cursor, Err(&error), out));
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
    fn end(mut self) {
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
                    at = position.expect("all are numbered");
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

fn explore(world: &World, runs: &mut u32) {
    let mut last = true;
    for next in MOVES {
        let mut then = world.clone();
        if then.go(next) {
            last = false;
            explore(&then, runs);
        }
    }
    if last {
        *runs += 1;
        world.clone().end();
    }
}

#[track_caller]
fn check(bounds: Bounds, at_least: u32) {
    let mut runs = 0;
    explore(&World::new(bounds), &mut runs);
    assert!(runs >= at_least, "only {runs} runs");
}

const BOUNDS: Bounds = Bounds {
    publishes: 4,
    losses: 4,
    failures: 0,
    restarts: 0,
    flushes: 0,
    page: 2,
    history: Some(4),
};

#[test]
fn whatever_is_lost_live_is_filled_from_history_without_a_gap() {
    check(BOUNDS, 1000);
}

#[test]
fn a_read_that_fails_changes_nothing_but_the_time() {
    let failures = 2;
    check(
        Bounds {
            publishes: 3,
            failures,
            ..BOUNDS
        },
        1000,
    );
}

#[test]
fn what_history_no_longer_holds_is_told() {
    for history in [None, Some(1), Some(2)] {
        let page = 1;
        check(
            Bounds {
                history,
                page,
                ..BOUNDS
            },
            100,
        );
    }
}

#[test]
fn a_server_that_went_back_costs_at_most_a_gap() {
    for history in [None, Some(1), Some(4)] {
        check(
            Bounds {
                publishes: 3,
                losses: 2,
                restarts: 1,
                history,
                ..BOUNDS
            },
            100,
        );
    }
}

#[test]
fn a_server_that_forgot_costs_at_most_a_gap() {
    for history in [None, Some(1), Some(4)] {
        check(
            Bounds {
                publishes: 3,
                losses: 2,
                flushes: 1,
                history,
                ..BOUNDS
            },
            100,
        );
    }
}

proptest! {
    #[test]
    fn long_runs_keep_the_same_promises(
        moves in prop::collection::vec(0..MOVES.len(), 0..300),
        history in prop::option::of(1_usize..40),
        page in 1_usize..5,
        calm in any::<bool>(),
    ) {
        let disasters = if calm { 0 } else { 2 };
        let bounds = Bounds {
            publishes: 60,
            losses: 20,
            failures: 4,
            restarts: disasters,
            flushes: disasters,
            page,
            history: history.map(|size| if calm { 60 } else { size }),
        };
        let mut world = World::new(bounds);
        for index in moves {
            world.go(MOVES[index]);
        }
        world.end();
    }
}

#[test]
fn a_new_epoch_on_an_unbroken_subscription_is_no_loss() {
    let mut world = World::new(BOUNDS);
    for next in [Move::Publish, Move::Publish, Move::Execute, Move::Answer] {
        assert!(world.go(next));
    }
    world.fresh = true;
    world.lineage.last = 1;
    world.publish();
    while world.go(Move::Arrive) {}
    let gaps = |told: &[Step]| {
        let gap = |step: &&Step| matches!(step, Step::Gap { .. });
        told.iter().filter(gap).count()
    };
    assert_eq!((world.told.len(), gaps(&world.told)), (1, 0));
}

#[test]
fn a_lost_tail_of_another_epoch_is_one_gap() {
    let mut world = World::new(BOUNDS);
    for next in [Move::Execute, Move::Answer, Move::Publish, Move::Publish] {
        assert!(world.go(next));
    }
    while world.go(Move::Arrive) {}
    world.lineage.last = 1;
    world.kept.pop_back();
    world.fresh = true;
    world.publish();
    world.on_the_way.clear();
    let lineage = world.lineage.clone();
    world.think(|sequence, out| sequence.resumed(lineage, out));
    assert!(world.go(Move::Execute) && world.go(Move::Answer));
    let reasons: Vec<_> = world
        .told
        .iter()
        .filter_map(|step| match step {
            Step::Gap { reason, .. } => Some(*reason),
            Step::Frame(_) | Step::Read(_) | Step::ReadLater(_) => None,
        })
        .collect();
    assert_eq!(reasons, [GapReason::Epoch]);
    assert_eq!(world.told.len(), 4, "two, the gap, and the new second one");
}
