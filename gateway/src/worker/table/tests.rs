//! Walks over members: nobody whose socket takes bytes is overtaken by the ring, whatever the order of things.

use super::*;
use crate::broker::Broker;
use crate::broker::contract::{policy, target};
use crate::broker::memory::Memory;
use crate::clock;
use crate::message::Message;
use crate::metrics::Metrics;
use crate::tasks::Control;
use crate::topics::{Brokers, Mail, Mailbox};
use crate::worker::ring::{MOST_BYTES, MOST_FRAMES};
use crds::name::Topic;
use proptest::prelude::*;
use tokio::runtime::Runtime;

/// A table with one joined topic, and for each member what it has written.
struct World {
    table: Table,
    id: TopicId,
    key: Key,
    bytes: usize,
    offset: u64,
    /// Where each member stands, and its place; none when it left.
    members: Vec<Option<(u64, u32)>>,
    _runtime: Runtime,
}

impl World {
    fn new(bytes: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mailbox = Arc::<Mailbox>::default();
        let brokers = Brokers {
            own: Box::new(|sink| -> Arc<dyn Broker> {
                Arc::new(Memory::new(sink, 7, Box::new(clock::now)))
            }),
            named: Box::new(|_, _| unreachable!("no Channel names a server")),
        };
        let metrics = Metrics::new(&prometheus::Registry::new(), "test").unwrap();
        let control = Control::new(runtime.handle().clone());
        let topics = Topics::new(control, vec![mailbox.clone()], metrics, brokers);
        let mut table = Table::new(0, topics);
        let policy = Arc::new(policy("orders", 0, false));
        let (key, _joining) = table.join(&target(&policy, "orders"));
        let id = table.get(key).unwrap().id;
        let mut mail = VecDeque::new();
        while mail.is_empty() {
            runtime.block_on(tokio::task::yield_now());
            mailbox.take(&mut mail);
        }
        let Some(Mail::Joined { topic, lineage }) = mail.pop_front() else {
            panic!("a join is answered")
        };
        table.joined(topic, lineage);
        Self {
            table,
            id,
            key,
            bytes,
            offset: 0,
            members: Vec::new(),
            _runtime: runtime,
        }
    }

    fn enter(&mut self) {
        let slot = u32::try_from(self.members.len()).unwrap();
        let member = Member {
            stream: Key {
                slot,
                generation: 0,
            },
            subscription: 0,
        };
        let place = self.table.enter(self.key, member);
        let at = self.table.get(self.key).unwrap().ring.end();
        self.members.push(Some((at, place)));
    }

    fn exit(&mut self, number: usize) {
        let Some((_, place)) = self.members.get_mut(number).and_then(Option::take) else {
            return;
        };
        if let Some(moved) = self.table.exit(self.key, place) {
            self.members[moved.stream.slot as usize].as_mut().unwrap().1 = place;
        }
    }

    /// The next message comes, if there is room for it.
    fn frame(&mut self) -> bool {
        let position = Position {
            epoch: "aaaaaa".parse().unwrap(),
            offset: self.offset + 1,
        };
        let message = Message::new("x".repeat(self.bytes)).unwrap();
        let topic = Topic::new("orders").unwrap();
        let frame = Arc::new(Frame::new(topic, message, Some(position), 1, 0));
        let room = self.table.has_room(self.id, &frame);
        if room {
            self.offset += 1;
            self.table.feed(self.id, |local| local.ring.push(frame));
        }
        room
    }

    /// Visits at most `most` members, who write all that is pending.
    fn step(&mut self, most: usize) {
        let mut visit = Vec::new();
        self.table.step(most, &mut visit);
        let end = self.table.get(self.key).unwrap().ring.end();
        for member in visit {
            self.members[member.stream.slot as usize]
                .as_mut()
                .unwrap()
                .0 = end;
        }
    }

    #[track_caller]
    fn check(&mut self) {
        let ring = &self.table.get(self.key).unwrap().ring;
        for (at, _) in self.members.iter().flatten() {
            assert!(
                *at >= ring.first(),
                "a member at {at} was overtaken: {}",
                ring.first()
            );
        }
    }
}

#[test]
fn a_full_ring_waits_until_everybody_was_visited() {
    let mut world = World::new(1);
    (0..3).for_each(|_| world.enter());
    while world.frame() {}
    assert_eq!(world.offset, MOST_FRAMES as u64);
    world.step(2);
    assert!(!world.frame(), "the third one was not visited");
    world.step(1);
    // The pass began with the first message: one more, and all are offered.
    world.step(3);
    assert!(world.frame());
    world.check();
    assert!(world.table.has_walks(), "what came is still to be written");
}

#[test]
fn without_members_a_ring_takes_everything() {
    let mut world = World::new(1);
    (0..2 * MOST_FRAMES).for_each(|_| assert!(world.frame()));
    world.enter();
    (0..MOST_FRAMES).for_each(|_| assert!(world.frame()));
    assert!(!world.frame());
}

#[test]
fn a_second_answer_leaves_everybody_behind_and_nobody_ahead() {
    let mut world = World::new(1);
    (0..3).for_each(|_| assert!(world.frame()));
    let followed = world.table.get(world.key).unwrap().ring.end();
    let mut lineage = Lineage::default();
    lineage.advance("aaaaaa".parse().unwrap(), 1, 5);
    world.table.joined(world.id, lineage);
    let ring = &world.table.get(world.key).unwrap().ring;
    assert!(ring.first() > followed, "4 and 5 came to nobody here");
    assert_eq!(ring.position().offset, 5);
}

#[test]
fn a_name_that_is_joined_again_outlives_the_join_that_failed() {
    let mut world = World::new(1);
    let error = Unavailable {
        step: "subscribe",
        cause: "down".into(),
    };
    let local = world.table.get(world.key).unwrap();
    local.joined = false;
    let target = local.target.clone();
    world.table.not_joined(world.id, &error);
    let (again, _joining) = world.table.join(&target);
    assert_eq!(world.table.get(again).unwrap().id, world.id);
    world.table.release(world.key);
    let found = world.table.find(world.id).map(|(key, _)| key);
    assert_ne!(again, world.key);
    assert_eq!(found, Some(again), "its mail still finds it");
}

#[test]
fn a_topic_with_streams_that_could_not_be_joined_is_joined_again() {
    let mut world = World::new(1);
    world.enter();
    let error = Unavailable {
        step: "subscribe",
        cause: "down".into(),
    };
    world.table.not_joined(world.id, &error);
    let local = world.table.get(world.key).unwrap();
    let (id, target) = (local.id, local.target.clone());
    let found = world.table.find(id).map(|(key, _)| key);
    assert_eq!(found, Some(world.key));
    let (key, joining) = world.table.join(&target);
    assert_eq!(key, world.key, "whoever comes stands beside them");
    assert!(matches!(joining, Joining::Done(_)));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Frame,
    Visit(usize),
    Enter,
    Exit(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Frame),
        3 => (1_usize..4).prop_map(Step::Visit),
        1 => Just(Step::Enter),
        1 => (0_usize..6).prop_map(Step::Exit),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nobody_who_takes_bytes_is_overtaken_and_everything_arrives(steps in steps()) {
        // A ring holds three of these.
        let mut world = World::new(MOST_BYTES / 8);
        world.enter();
        for step in steps {
            match step {
                Step::Frame => drop(world.frame()),
                Step::Visit(most) => world.step(most),
                Step::Enter => world.enter(),
                Step::Exit(number) => world.exit(number),
            }
            world.check();
        }
        for _ in 0..200 {
            world.step(4);
        }
        prop_assert!(!world.table.has_walks());
        let end = world.table.get(world.key).unwrap().ring.end();
        prop_assert!(world.members.iter().flatten().all(|(at, _)| *at == end));
        prop_assert!(world.frame(), "what everybody has makes room");
    }
}
