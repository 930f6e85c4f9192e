//! The sequence over every order of what can happen in a small server.
//!
//! Whatever the order: what is handed on is dense or has a gap before it, nothing comes twice, nothing
//! that the server still has is missing, and no gap is told without cause.

mod epochs;
mod model;

use model::{Bounds, MOVES, World};
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

/// Plays a long run, and judges it.
fn play(moves: &[usize], history: Option<usize>, page: usize, calm: bool) {
    let disasters = if calm { 0 } else { 2 };
    let mut world = World::new(Bounds {
        publishes: 60,
        losses: 20,
        failures: 4,
        restarts: disasters,
        flushes: disasters,
        page,
        history: history.map(|size| if calm { 60 } else { size }),
    });
    for &index in moves {
        world.go(MOVES[index]);
    }
    world.end();
}

/// Found by the runs below: the server forgot an epoch of which a frame was held, before one that a page had brought.
#[test]
fn what_was_held_behind_a_forgotten_frame_comes_once() {
    let moves = [
        0, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 3, 0, 4, 2, 0, 0, 1, 4, 4, 1, 0, 0, 1, 1, 7, 0, 0, 0,
        0, 3, 0, 0, 0, 0, 0,
    ];
    play(&moves, Some(1), 1, false);
}

proptest! {
    #[test]
    fn long_runs_keep_the_same_promises(
        moves in prop::collection::vec(0..MOVES.len(), 0..300),
        history in prop::option::of(1_usize..40),
        page in 1_usize..5,
        calm in any::<bool>(),
    ) {
        play(&moves, history, page, calm);
    }
}
