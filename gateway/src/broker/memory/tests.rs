//! Memory alone: its bounds, and what it forgets. The promises that Redis shares are in `contract`.

use super::*;
use crate::broker::contract::{self, Keeper, Recorder, publication, target};
use crate::clock;
use crate::close::GapReason;

struct World {
    memory: Arc<Memory>,
    arrivals: Recorder,
    now: Arc<Mutex<Now>>,
}

fn world(most_bytes: usize) -> World {
    let arrivals = Recorder::default();
    let now = Arc::new(Mutex::new(clock::now()));
    let read = now.clone();
    let clock = Box::new(move || *read.lock());
    let memory = Memory::with_room(arrivals.sink(), 7, clock, most_bytes);
    World {
        memory: Arc::new(memory),
        arrivals,
        now,
    }
}

impl World {
    fn later(&self, by: Duration) {
        let mut now = self.now.lock();
        *now = now.plus(by);
    }

    fn publish(&self, target: &Target, data: &str) -> Result<Position, PublishError> {
        let published = self.memory.number(&publication(target, data));
        published.map(|published| published.position)
    }

    fn lost(&self, target: &Target, cursor: Position) -> (Option<GapReason>, usize) {
        let page = self.memory.look(&target.address, |kept| kept.page(cursor));
        (page.lost, page.frames.len())
    }
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    let world = world(MOST_BYTES);
    contract::all(&Keeper {
        broker: world.memory,
        arrivals: world.arrivals,
    })
    .await;
}

#[test]
fn idle_history_expires_and_its_numbers_go_on() {
    let world = world(MOST_BYTES);
    let target = target(&Arc::new(contract::policy("a", 10, false)), "a");
    let first = world.publish(&target, "1").expect("published");
    world.later(Duration::from_secs(3599));
    let second = world.publish(&target, "2").expect("published");
    world.later(Duration::from_secs(3599));
    assert_eq!(world.lost(&target, first), (None, 1));
    world.later(Duration::from_secs(1));
    assert_eq!(world.lost(&target, first), (Some(GapReason::TooOld), 0));
    assert_eq!(world.lost(&target, second), (None, 0));
    let third = world.publish(&target, "3").expect("published");
    assert_eq!((third.epoch, third.offset), (first.epoch, 3));
}

#[test]
fn numbers_idle_for_a_day_are_forgotten_and_begin_a_new_epoch() {
    let world = world(MOST_BYTES);
    let target = target(&Arc::new(contract::policy("a", 0, false)), "a");
    let first = world.publish(&target, "1").expect("published");
    world.later(Duration::from_secs(24 * 3600));
    world.memory.tend(*world.now.lock());
    assert!(world.memory.store.find(&target.address).is_none());
    let next = world.publish(&target, "2").expect("published");
    assert_eq!(next.offset, 1);
    assert_ne!(next.epoch, first.epoch);
    assert_eq!(world.lost(&target, first), (Some(GapReason::Epoch), 0));
}

#[test]
fn beyond_the_bytes_the_longest_idle_topic_is_forgotten() {
    let world = world(100_000);
    let policy = Arc::new(contract::policy("a", 1000, false));
    let (old, new) = (target(&policy, "old"), target(&policy, "new"));
    let cursor = world.publish(&old, &"x".repeat(10_000)).expect("published");
    let mut last = cursor;
    for index in 0..20 {
        world.later(Duration::from_secs(1));
        last = world
            .publish(&new, &format!("{index}{}", "x".repeat(10_000)))
            .expect("published");
    }
    assert_eq!(world.lost(&old, cursor), (Some(GapReason::Epoch), 0));
    assert!(!world.memory.store.is_full());
    assert_eq!(last.offset, 20, "the busy topic keeps its numbers");
    let (lost, kept) = world.lost(&new, Position { offset: 1, ..last });
    assert_eq!(lost, Some(GapReason::TooOld));
    assert!(kept > 0, "and its newest messages");
}

#[test]
fn a_forgotten_topic_that_is_heard_goes_on_in_a_new_epoch() {
    let world = world(50_000);
    let policy = Arc::new(contract::policy("a", 1000, false));
    let (old, new) = (target(&policy, "old"), target(&policy, "new"));
    world.memory.hear(&old.address);
    let before = world.publish(&old, "1").expect("published");
    world.later(Duration::from_secs(1));
    for index in 0..3 {
        let data = format!("{index}{}", "x".repeat(10_000));
        world.publish(&new, &data).expect("published");
    }
    let after = world.publish(&old, "2").expect("published");
    assert_ne!(before.epoch, after.epoch);
    let arrived = world.arrivals.arrived(&old.address);
    assert_eq!(contract::offsets(&arrived), [1, 1]);
}

#[test]
fn a_channel_has_at_most_its_topics_and_says_so() {
    let world = world(MOST_BYTES);
    let mut policy = contract::policy("a", 10, false);
    policy.limits.topics = 2;
    let policy = Arc::new(policy);
    for topic in ["a", "b"] {
        world
            .publish(&target(&policy, topic), "1")
            .expect("published");
    }
    let refused = world.publish(&target(&policy, "c"), "1");
    assert!(
        matches!(&refused, Err(PublishError::Full(why)) if why.contains("limits.topics")),
        "{refused:?}"
    );
    world
        .publish(&target(&policy, "a"), "2")
        .expect("a known topic goes on");
    world.later(Duration::from_secs(3600));
    world
        .publish(&target(&policy, "c"), "1")
        .expect("a topic whose messages are overdue made room");
}

#[test]
fn the_topics_of_a_deleted_channel_are_forgotten() {
    let world = world(MOST_BYTES);
    let gone = target(&Arc::new(contract::policy("gone", 10, false)), "gone");
    let kept_policy = Arc::new(contract::policy("kept", 10, false));
    let kept = target(&kept_policy, "kept");
    let cursor = world.publish(&gone, "1").expect("published");
    let other = world.publish(&kept, "1").expect("published");
    world.memory.apply(vec![kept_policy]);
    assert_eq!(world.lost(&gone, cursor), (Some(GapReason::Epoch), 0));
    assert_eq!(world.lost(&kept, other), (None, 0));
}

#[test]
fn publishers_on_many_threads_make_one_order() {
    let world = world(MOST_BYTES);
    let policy = Arc::new(contract::policy("a", 10, true));
    let topics = ["a", "b"].map(|topic| target(&policy, topic));
    let feed = topics[0].address.feed().expect("a feed");
    for address in [&topics[0].address, &topics[1].address, &feed] {
        world.memory.hear(address);
    }
    std::thread::scope(|scope| {
        for index in 0..4 {
            let (world, target) = (&world, &topics[index % 2]);
            scope.spawn(move || {
                for _ in 0..500 {
                    world.publish(target, "x").expect("published");
                }
            });
        }
    });
    for (address, count) in [
        (&topics[0].address, 1000),
        (&topics[1].address, 1000),
        (&feed, 2000),
    ] {
        let arrived = contract::offsets(&world.arrivals.arrived(address));
        assert_eq!(arrived, Vec::from_iter(1..=count));
    }
}
