//! Topics over the memory keeper and real mailboxes: what comes to the workers, in which order.

mod follow;
mod remote;
mod servers;

use super::*;
use crate::broker::PAGE_MESSAGES;
use crate::broker::contract::{offsets, policy, publication, the_last};
use crate::broker::memory::Memory;
use crds::policy::RedisServer;
use std::collections::VecDeque;
use tokio::runtime::Handle;

struct World {
    topics: Arc<Topics>,
    mailboxes: Vec<Arc<Mailbox>>,
    policy: Arc<Policy>,
}

fn world_of(own: impl FnOnce(Sink) -> Arc<dyn Broker> + Send + 'static) -> World {
    let mailboxes = vec![Arc::<Mailbox>::default(), Arc::default()];
    let metrics = Metrics::new(&prometheus::Registry::new(), "test").expect("fresh registry");
    let brokers = Brokers {
        own: Box::new(own),
        named: Box::new(|_, _| unreachable!("no Channel names a server")),
    };
    World {
        topics: Topics::new(
            Control::new(Handle::current()),
            mailboxes.clone(),
            metrics,
            brokers,
        ),
        mailboxes,
        policy: Arc::new(policy("orders", 1000, false)),
    }
}

fn world() -> World {
    world_of(|sink| Arc::new(Memory::new(sink, 7, Box::new(clock::now))))
}

impl World {
    fn target(&self, name: &str) -> Target {
        let topic = Topic::new(name).expect("a topic");
        self.topics.target(&self.policy, &topic)
    }

    async fn publish(&self, name: &str, data: &str) -> Position {
        let publication = publication(&self.target(name), data);
        let published = self.topics.publish(publication).await;
        published.expect("published").position
    }

    /// The mail of `worker`, each as a few words.
    fn mail(&self, worker: usize) -> Vec<String> {
        let mut mail = VecDeque::new();
        self.mailboxes[worker].take(&mut mail);
        mail.iter().map(words).collect()
    }
}

fn words(mail: &Mail) -> String {
    match mail {
        Mail::Joined { topic, lineage } => format!("{} joined at {}", topic.0, lineage.last),
        Mail::NotJoined { topic, error } => format!("{} not joined: {error}", topic.0),
        Mail::Frame { topic, frame } => match frame.position() {
            Some(position) => format!("{} frame {}", topic.0, position.offset),
            None => format!("{} raw frame", topic.0),
        },
        Mail::Gap {
            topic,
            reason,
            position,
        } => format!(
            "{} gap {} {:?}",
            topic.0,
            reason.word(),
            position.map(|position| position.offset)
        ),
        Mail::Overflow { topic, .. } => format!("{} overflow", topic.0),
        Mail::Page {
            topic,
            cursor,
            page,
        } => match page {
            Ok(page) => {
                let offsets = offsets(&page.frames);
                format!("{} page after {}: {offsets:?}", topic.0, cursor.offset)
            }
            Err(error) => format!("{} no page: {error}", topic.0),
        },
    }
}

#[tokio::test]
async fn frames_follow_the_join_in_order_for_each_worker() {
    let world = world();
    world.publish("a", "1").await;
    world.topics.join(0, &world.target("a"));
    world.publish("a", "2").await;
    world.topics.join(1, &world.target("a"));
    world.publish("a", "3").await;
    world.publish("b", "1").await;
    let all = ["1 joined at 1", "1 frame 2", "1 frame 3"];
    assert_eq!(world.mail(0), all);
    assert_eq!(world.mail(1), ["1 joined at 2", "1 frame 3"]);
}

#[tokio::test]
async fn a_page_is_read_once_for_all_and_comes_to_who_asked() {
    let world = world();
    let last = world.publish("a", "1").await;
    world.publish("a", "2").await;
    let id = world.topics.join(0, &world.target("a"));
    world.topics.read(0, id, last);
    assert_eq!(world.mail(0), ["1 joined at 2", "1 page after 1: [2]"]);
    assert!(world.mail(1).is_empty());
    world.topics.read(1, TopicId(99), last);
    assert_eq!(
        world.mail(1),
        ["99 no page: read history: the topic is not joined"]
    );
}

#[tokio::test]
async fn a_worker_that_left_hears_nothing_and_the_topic_lingers() {
    let world = world();
    let target = world.target("a");
    let id = world.topics.join(0, &target);
    world.topics.leave(0, id);
    world.mail(0);
    world.publish("a", "1").await;
    assert!(world.mail(0).is_empty());
    assert_eq!(world.topics.join(0, &target), id, "still subscribed");
    assert_eq!(world.mail(0), ["1 joined at 1"]);
    world.topics.leave(0, id);
    world
        .topics
        .tick(clock::now().plus(Duration::from_secs(11)));
    let anew = world.topics.join(0, &target);
    assert_ne!(anew, id, "a name is never used twice");
    world.publish("a", "2").await;
    assert_eq!(world.mail(0), ["2 joined at 1", "2 frame 2"]);
}

#[tokio::test]
async fn a_member_and_its_feed_are_heard_each_in_its_own_numbers() {
    let mut world = world();
    world.policy = Arc::new(policy("orders", 10, true));
    world.topics.join(0, &world.target("a"));
    let feed = world.topics.feed(&world.policy);
    assert_eq!(feed.name.as_str(), "orders");
    world.topics.join(0, &feed);
    world.publish("b", "1").await;
    world.publish("a", "2").await;
    let joined = ["1 joined at 0", "2 joined at 0"];
    let frames = ["2 frame 1", "1 frame 1", "2 frame 2"];
    assert_eq!(world.mail(0), [&joined[..], &frames[..]].concat());
}

#[tokio::test(start_paused = true)]
async fn a_publisher_waits_for_room_and_is_told_busy_before_a_number_is_given() {
    let world = world();
    let target = world.target("a");
    world.topics.join(0, &target);
    let mut last = Position::NEVER;
    while world.mailboxes[0].has_room() {
        last = world.publish("a", &last.offset.to_string()).await;
    }
    let publish = || world.topics.publish(publication(&target, "more"));
    let refused = publish().await;
    assert!(matches!(refused, Err(PublishError::Busy)), "{refused:?}");
    let waiting = publish();
    let emptied = async { world.mail(0).len() };
    let (published, mail) = tokio::join!(waiting, emptied);
    assert_eq!(
        published.expect("room now").position.offset,
        last.offset + 1
    );
    assert_eq!(mail, usize::try_from(last.offset).expect("few") + 1);
    assert_eq!(world.mail(0), [format!("1 frame {}", last.offset + 1)]);
}

#[tokio::test]
async fn presence_names_each_identity_once_and_counts_all_streams() {
    let world = world();
    let target = world.target("a");
    let id = world.topics.join(0, &target);
    let ana: Arc<str> = "ana".into();
    for identity in [Some(&ana), Some(&ana), None] {
        world.topics.entered(id, identity, None);
    }
    let presence = world.topics.presence(&target).await;
    assert_eq!((presence.streams, presence.complete), (3, true));
    assert_eq!(presence.identities, std::slice::from_ref(&ana));
    for _ in 0..2 {
        world.topics.left(id, Some(&ana), None);
    }
    assert_eq!(world.topics.presence(&target).await.streams, 1);
    assert_eq!(world.topics.presence(&world.target("b")).await.streams, 0);
}

#[tokio::test]
async fn the_newest_and_a_start_are_answered() {
    let world = world();
    for index in 0..PAGE_MESSAGES + 5 {
        world.publish("a", &index.to_string()).await;
    }
    let target = world.target("a");
    let page = world
        .topics
        .newest(&target, the_last(2))
        .await
        .expect("a page");
    assert_eq!(offsets(&page.frames), [104, 105]);
    let since = world.topics.since(&target, Since::Messages(5)).await;
    assert_eq!(since.expect("a position").offset, 100);
    assert_eq!(world.topics.broker_kind(), "memory");
}

#[tokio::test]
async fn a_channel_whose_server_is_not_configured_is_not_joined() {
    let mut world = world();
    let mut policy = policy("orders", 10, false);
    let server = RedisServer::open("redis://127.0.0.1".parse().unwrap());
    policy.redis = Some(Arc::new(server));
    world.policy = Arc::new(policy);
    world.topics.join(0, &world.target("a"));
    let told = world.mail(0);
    assert!(
        told[0].contains("1 not joined: find the Channel's server"),
        "{told:?}"
    );
    let published = world.topics.publish(publication(&world.target("a"), "1"));
    assert!(matches!(published.await, Err(PublishError::Refused(_))));
}
