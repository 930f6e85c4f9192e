//! The sequence over every order of what can happen in a small server.
//!
//! Whatever the order: what is handed on is dense or has a gap before it, nothing comes twice, nothing
//! that the server still has is missing, and no gap is told without cause.

mod epochs;
mod model;

use super::Step;
use crate::close::GapReason;
use model::{Bounds, MOVES, Move, World};
use proptest::prelude::*;

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
    while world.go(Move::Arrive) || world.go(Move::Execute) || world.go(Move::Answer) {}
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
