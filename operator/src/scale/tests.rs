//! One fact for each rule of scaling.

mod day;

use super::*;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// One fleet with everything as it should be: it wants what it has.
struct Scene {
    facts: Facts,
    counts: Counts,
    past: Past,
    now: Instant,
}

impl Scene {
    fn of(replicas: u32) -> Self {
        let now = crate::clock::now().steady;
        Self {
            facts: Facts {
                rules: Rules {
                    mode: Mode::Operator,
                    min: 2,
                    max: 20,
                },
                broker: BrokerKind::Redis,
                replicas,
                settled: true,
            },
            counts: Counts {
                needed: replicas,
                ready: 2,
                ..Counts::default()
            },
            past: Past::new(5 * MINUTE, MINUTE, now),
            now,
        }
    }

    /// The same, with a past of so few needs that a step down may be made.
    fn long_idle(replicas: u32, needed: u32) -> Self {
        let mut scene = Self::of(replicas);
        scene.counts.needed = needed;
        scene.past.note(needed, scene.now);
        scene.pass(5 * MINUTE);
        scene
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn plan(&mut self) -> Step {
        plan(&self.facts, &self.counts, &mut self.past, self.now)
    }

    /// Plans, and has the Deployment follow.
    fn follow(&mut self) -> Step {
        let step = self.plan();
        if let Step::Scale(change) = step {
            self.facts.replicas = change.to;
        }
        step
    }

    #[track_caller]
    fn check(&mut self, expected: Step) {
        assert_eq!(self.plan(), expected);
    }
}

fn step(from: u32, to: u32) -> Step {
    Step::Scale(Change { from, to })
}

#[test]
fn what_is_wanted_already_stays() {
    let mut scene = Scene::of(4);
    scene.check(Step::Stay);
}

#[test]
fn somebody_elses_fleet_is_not_touched() {
    for mode in [Mode::Hpa, Mode::Keda, Mode::None] {
        let mut scene = Scene::of(1);
        scene.facts.rules.mode = mode;
        scene.counts.needed = 9;
        scene.check(Step::HandsOff);
    }
}

#[test]
fn a_fleet_that_somebody_stopped_stays_stopped() {
    let mut scene = Scene::of(0);
    scene.counts.needed = 9;
    scene.check(Step::Held(Hold::Stopped));
}

#[test]
fn it_goes_up_at_once_and_doubles_at_most_every_fifteen_seconds() {
    let mut scene = Scene::of(2);
    scene.counts.needed = 19;
    assert_eq!(scene.follow(), step(2, 4));
    scene.pass(Duration::from_millis(14_900));
    scene.check(Step::Held(Hold::Doubled));
    scene.pass(Duration::from_millis(100));
    assert_eq!(scene.follow(), step(4, 8));
    scene.pass(Duration::from_secs(15));
    assert_eq!(scene.follow(), step(8, 16));
    scene.pass(Duration::from_secs(15));
    assert_eq!(scene.follow(), step(16, 19));
}

#[test]
fn small_steps_up_need_no_pause_as_long_as_they_double_at_most_together() {
    let mut scene = Scene::of(4);
    for needed in 5..=8 {
        scene.counts.needed = needed;
        assert_eq!(scene.follow(), step(needed - 1, needed));
        scene.pass(Duration::from_secs(1));
    }
    scene.counts.needed = 9;
    scene.check(Step::Held(Hold::Doubled));
    // 15 s after the step from 4, the one from 5 counts.
    scene.pass(Duration::from_secs(11));
    assert_eq!(scene.follow(), step(8, 9));
}

#[test]
fn partial_counts_are_enough_to_go_up() {
    let mut scene = Scene::of(2);
    scene.counts.needed = 3;
    scene.counts.silent = 1;
    scene.check(step(2, 3));
    let mut scene = Scene::of(2);
    scene.counts.needed = 3;
    scene.counts.ready = 0;
    scene.facts.settled = false;
    scene.check(step(2, 3));
}

#[test]
fn a_new_deployment_steps_to_the_minimum_at_once_without_any_channel() {
    let mut scene = Scene::of(1);
    scene.facts.rules.min = 5;
    scene.counts = Counts::default();
    scene.check(step(1, 5));
}

#[test]
fn a_step_that_the_watch_has_not_shown_yet_is_not_made_twice() {
    let mut scene = Scene::of(2);
    scene.counts.needed = 3;
    scene.check(step(2, 3));
    scene.check(Step::Held(Hold::Unseen));
    scene.pass(Duration::from_secs(5));
    scene.check(step(2, 3));
}

#[test]
fn it_goes_down_one_pod_a_minute() {
    let mut scene = Scene::long_idle(5, 3);
    assert_eq!(scene.follow(), step(5, 4));
    scene.pass(MINUTE / 2);
    scene.check(Step::Held(Hold::Pace));
    scene.pass(MINUTE / 2);
    assert_eq!(scene.follow(), step(4, 3));
    scene.pass(MINUTE);
    scene.check(Step::Stay);
}

#[test]
fn it_goes_down_to_the_highest_wanted_of_five_minutes_only() {
    let mut scene = Scene::long_idle(5, 2);
    scene.counts.needed = 4;
    assert_eq!(scene.follow(), step(5, 4));
    scene.counts.needed = 2;
    scene.pass(5 * MINUTE);
    scene.check(Step::Held(Hold::WantedBefore));
    scene.pass(Duration::from_millis(1));
    assert_eq!(scene.follow(), step(4, 3));
}

#[test]
fn a_new_leader_knows_nothing_and_waits_a_whole_window() {
    let mut scene = Scene::of(5);
    scene.counts.needed = 2;
    scene.check(Step::Held(Hold::Young));
    scene.pass(5 * MINUTE - Duration::from_millis(1));
    scene.check(Step::Held(Hold::Young));
    scene.pass(Duration::from_millis(2));
    scene.check(step(5, 4));
}

#[test]
fn without_a_window_a_new_leader_still_leaves_a_minute_to_the_step_before() {
    let mut scene = Scene::of(5);
    scene.past = Past::new(Duration::ZERO, MINUTE, scene.now);
    scene.counts.needed = 2;
    scene.check(Step::Held(Hold::Young));
    scene.pass(MINUTE);
    scene.check(step(5, 4));
}

#[test]
fn who_takes_a_fleet_back_knows_nothing_either() {
    let mut scene = Scene::long_idle(5, 2);
    scene.facts.rules.mode = Mode::Hpa;
    scene.check(Step::HandsOff);
    scene.facts.rules.mode = Mode::Operator;
    scene.check(Step::Held(Hold::Young));
}

#[test]
fn it_never_goes_down_in_a_rollout() {
    let mut scene = Scene::long_idle(5, 2);
    scene.facts.settled = false;
    scene.check(Step::Held(Hold::Rollout));
}

#[test]
fn it_never_goes_down_on_partial_counts() {
    let mut scene = Scene::long_idle(5, 2);
    scene.counts.silent = 1;
    scene.check(Step::Held(Hold::SilentPod));
    let mut scene = Scene::long_idle(5, 2);
    scene.counts.ready = 0;
    scene.check(Step::Held(Hold::NoReadyPod));
}

#[test]
fn a_fleet_on_memory_has_one_pod_whatever_the_bounds() {
    let mut scene = Scene::of(1);
    scene.facts.broker = BrokerKind::Memory;
    scene.counts.needed = 9;
    scene.counts.fewest = Some(4);
    scene.check(Step::Stay);
    let mut scene = Scene::long_idle(3, 9);
    scene.facts.broker = BrokerKind::Memory;
    scene.check(step(3, 2));
}

#[test]
fn a_maximum_that_was_lowered_is_reached_pod_by_pod() {
    let mut scene = Scene::long_idle(9, 9);
    scene.facts.rules.max = 4;
    assert_eq!(scene.follow(), step(9, 8));
    scene.check(Step::Held(Hold::Pace));
}

#[track_caller]
fn check_wanted(needed: u32, fleet: (u32, u32), fewest: u32, expected: u32) {
    let mut scene = Scene::of(1);
    (scene.facts.rules.min, scene.facts.rules.max) = fleet;
    scene.counts.needed = needed;
    scene.counts.fewest = (fewest > 0).then_some(fewest);
    let told = wanted(&scene.facts, &scene.counts);
    assert_eq!(told, expected, "{needed} {fleet:?} {fewest}");
}

#[test]
fn channels_may_raise_the_fewest_within_the_bounds_of_the_fleet_and_the_upper_wins() {
    check_wanted(0, (2, 20), 0, 2);
    check_wanted(99, (2, 20), 0, 20);
    check_wanted(0, (2, 20), 5, 5);
    check_wanted(0, (2, 20), 1, 2);
    check_wanted(0, (2, 20), 30, 20);
    check_wanted(0, (5, 3), 0, 3);
    check_wanted(4, (2, 20), 3, 4);
}

#[test]
fn a_deployment_is_settled_when_all_its_pods_are_new_and_its_status_is() {
    let read = |generation: i64, observed: i64, replicas: i32, all: i32, updated: i32| {
        let deployment = serde_json::json!({
            "metadata": {"name": "edge", "generation": generation},
            "spec": {"replicas": replicas, "selector": {}, "template": {}},
            "status": {"observedGeneration": observed, "replicas": all, "updatedReplicas": updated},
        });
        let deployment: Deployment = serde_json::from_value(deployment).unwrap();
        Facts::read(&deployment, BrokerKind::Redis).unwrap().settled
    };
    assert!(read(3, 3, 2, 2, 2));
    assert!(!read(4, 3, 2, 2, 2), "the status is of an older template");
    assert!(!read(3, 3, 2, 3, 1), "a rollout has begun");
    assert!(!read(3, 3, 2, 3, 2), "the last old pod is still there");
    assert!(!read(3, 3, 4, 2, 2), "pods of the last step up are to come");
}

#[test]
fn a_deployment_that_says_nothing_has_one_pod_and_is_not_touched() {
    let facts = Facts::read(&Deployment::default(), BrokerKind::Redis).unwrap();
    assert_eq!((facts.replicas, facts.rules.mode), (1, Mode::None));
    assert!(!facts.settled);
}
