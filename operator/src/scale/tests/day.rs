//! A simulated day of a fleet: many streams by day, few by night, with noise, rollouts and silence.

use super::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const EVERY: Duration = Duration::from_secs(5);
const TICKS: u32 = 24 * 3600 / 5;
const PER_REPLICA: f64 = 20_000.0;

/// What happened in one tick.
struct Tick {
    at: Duration,
    replicas: u32,
    wanted: u32,
    complete: bool,
    step: Option<Change>,
}

/// Streams between 20,000 at 3 in the night and 300,000 at 3 in the afternoon, give or take 10 %.
fn streams(at: Duration, chance: &mut StdRng) -> f64 {
    let part = (at.as_secs_f64() / 86_400.0 - 0.125) * std::f64::consts::TAU;
    let mean = 160_000.0 - 140_000.0 * part.cos();
    mean * chance.random_range(0.9..=1.1)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "some pods"
)]
fn day(seed: u64) -> Vec<Tick> {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut scene = Scene::of(1);
    let begin = scene.now;
    let mut ticks = Vec::new();
    for _ in 0..TICKS {
        let at = scene.now - begin;
        scene.counts.needed = (streams(at, &mut chance) / PER_REPLICA).ceil() as u32;
        // In one tick of fifty a pod is silent, for ten minutes every two hours there is a rollout.
        scene.counts.silent = usize::from(chance.random_ratio(1, 50));
        scene.facts.settled = at.as_secs() % 7_200 >= 600;
        let (replicas, wanted) = (scene.facts.replicas, wanted(&scene.facts, &scene.counts));
        let step = match scene.follow() {
            Step::Scale(change) => Some(change),
            Step::HandsOff | Step::Stay | Step::Held(_) => None,
        };
        ticks.push(Tick {
            at,
            replicas,
            wanted,
            complete: scene.counts.silent == 0 && scene.facts.settled,
            step,
        });
        scene.pass(EVERY);
    }
    ticks
}

fn steps(day: &[Tick]) -> impl Iterator<Item = (&Tick, Change)> {
    day.iter().filter_map(|tick| Some((tick, tick.step?)))
}

#[test]
fn a_day_has_few_steps_and_always_enough_pods() {
    for seed in 0..5 {
        let day = day(seed);
        let (up, down): (Vec<_>, Vec<_>) =
            steps(&day).partition(|(_, change)| change.direction() == Direction::Up);
        // From 1 to 17 and back: with perfect foresight it is 15 each way. Noise may not double it.
        assert!((10..=30).contains(&up.len()), "{} up", up.len());
        assert!((14..=30).contains(&down.len()), "{} down", down.len());
        let short = day.iter().filter(|tick| tick.replicas < tick.wanted);
        assert!(short.count() <= 30, "the step comes in the same tick");
    }
}

#[test]
fn no_step_leaves_the_bounds() {
    for (_, change) in steps(&day(1)) {
        assert!((2..=20).contains(&change.to), "{change:?}");
    }
}

#[test]
fn no_step_down_is_made_on_partial_counts_or_in_a_rollout() {
    let day = day(2);
    for (tick, change) in steps(&day) {
        assert!(
            tick.complete || change.direction() == Direction::Up,
            "{change:?}"
        );
    }
    let up_on_partial = steps(&day).any(|(tick, _)| !tick.complete);
    assert!(
        up_on_partial,
        "the day has partial counts when more is needed"
    );
}

#[test]
fn steps_down_are_of_one_pod_and_a_minute_apart() {
    let mut last = None;
    let day = day(3);
    let down = steps(&day).filter(|(_, change)| change.direction() == Direction::Down);
    for (tick, change) in down {
        assert_eq!(change.to, change.from - 1);
        assert!(
            last.is_none_or(|last| tick.at - last >= MINUTE),
            "{change:?}"
        );
        last = Some(tick.at);
    }
}

#[test]
fn no_step_down_goes_below_what_was_wanted_within_five_minutes() {
    let day = day(4);
    for (tick, change) in steps(&day).filter(|(_, change)| change.to < change.from) {
        let window = day
            .iter()
            .filter(|before| before.at <= tick.at && tick.at - before.at <= 5 * MINUTE);
        let highest = window.map(|before| before.wanted).max();
        assert!(
            highest.is_some_and(|highest| highest <= change.to),
            "{change:?}"
        );
    }
}

#[test]
fn a_fleet_doubles_at_most_within_fifteen_seconds_but_for_its_first_step() {
    let day = day(0);
    for (index, tick) in day.iter().enumerate() {
        let later = day[index..]
            .iter()
            .take_while(|later| later.at - tick.at < Duration::from_secs(15));
        let most = later.map(|later| later.replicas).max();
        let first = tick.replicas == 1;
        assert!(first || most <= Some(2 * tick.replicas), "{:?}", tick.at);
    }
}
