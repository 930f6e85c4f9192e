//! Raw messages while one master numbers none.
//!
//! Owns: that they wait for it, that others do not, and that none comes twice however long it takes.

use super::patient;
use crate::{Channel, Gateway, GatewaySetup};
use serde_json::json;
use std::time::Duration;
use tests::follow::Follower;
use tests::redis::RedisCluster;
use tests::wait::within;

/// The masters.
const MASTERS: usize = 3;
/// Longer than Redis remembers that a message was numbered (30 s), and its gateway no longer tries.
const FOR_LONG: Duration = Duration::from_secs(33);

/// A topic for each master, the first for the one to which it happens: one that is neither asked for the lease nor
/// hears raw publishers.
struct World {
    cluster: RedisCluster,
    gateways: [Gateway; 2],
    listener: Follower,
    victim: usize,
    topics: [String; MASTERS],
    published: usize,
}

impl World {
    async fn begin(mut cluster: RedisCluster) -> Self {
        patient(&mut cluster).await;
        let lease = cluster.owner_of("siar:{ingest:default}:ledger").await;
        let victim = if lease == 1 { 2 } else { 1 };
        let mut topics: [String; MASTERS] = Default::default();
        for n in 0..64 {
            let topic = format!("raw.{n}");
            let owner = cluster.owner_of(&super::key(&topic)).await;
            topics[(owner + MASTERS - victim) % MASTERS] = topic;
        }
        let channel = Channel::open("raw").topics(&["raw.{n}"]);
        let channel = channel.ingest(&["FlaskSse"]).history(100);
        let setup = GatewaySetup::new().channel(&channel).redis(&cluster.url());
        let gateways = [setup.clone().start().await, setup.start().await];
        let [first, more @ ..] = &topics;
        let listen = more
            .iter()
            .fold(gateways[1].listen(first), |listen, topic| {
                listen.channel(topic)
            });
        let listener = Follower::start(vec![listen]).await;
        let mut world = Self {
            cluster,
            gateways,
            listener,
            victim,
            topics,
            published: 0,
        };
        world.publish().await;
        world.until_all(0..MASTERS).await;
        world
    }

    /// One message for each topic, at a node to which nothing happens.
    async fn publish(&mut self) {
        self.published += 1;
        for topic in &self.topics {
            let payload = json!({ "data": format!("{topic} {}", self.published) });
            self.cluster
                .node(0)
                .publish(topic, payload.to_string())
                .await;
        }
    }

    /// Waits for the newest message of these topics.
    async fn until_all(&self, topics: std::ops::Range<usize>) {
        for topic in &self.topics[topics] {
            let newest = format!("{topic} {}", self.published);
            self.listener.until_data(&newest).await;
        }
    }

    /// One master hangs, and what is published meanwhile comes of all topics but its own.
    async fn hang(&mut self) {
        let victim = self.victim;
        self.cluster.node(victim).freeze();
        for _ in 0..20 {
            self.publish().await;
            self.until_all(1..MASTERS).await;
        }
        assert_eq!(self.heard(0), [1]);
        self.cluster.node(victim).thaw();
    }

    /// Waits until messages of all topics come again: nobody may hear the first of them.
    async fn goes_on(&mut self) {
        let before = self.published;
        within("all topics to go on", async {
            while (0..MASTERS).any(|topic| self.heard(topic).last() <= Some(&before)) {
                self.publish().await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
        .await;
        self.until_all(0..MASTERS).await;
    }

    /// The numbers of the messages that came of a topic.
    fn heard(&self, topic: usize) -> Vec<usize> {
        let topic = format!("{} ", self.topics[topic]);
        let messages = self.listener.messages().into_iter();
        let numbers =
            messages.filter_map(|message| message.data.strip_prefix(&topic)?.parse().ok());
        numbers.collect()
    }

    /// Nothing came twice, or out of its order.
    fn is_heard_once(&self) {
        for topic in 0..MASTERS {
            let heard = self.heard(topic);
            assert!(heard.is_sorted_by(|one, next| one < next), "{heard:?}");
        }
    }

    /// Whether raw messages were said to be missing.
    fn told(&self) -> bool {
        let gaps = self.listener.gaps();
        gaps.iter().any(|gap| gap.data.contains("ingest"))
    }

    fn all(&self) -> Vec<usize> {
        (1..=self.published).collect()
    }
}

#[tokio::test]
async fn raw_messages_wait_for_a_master_that_hangs_and_others_do_not() {
    let mut world = World::begin(RedisCluster::start().await).await;
    world.hang().await;
    world.until_all(0..MASTERS).await;
    for topic in 0..MASTERS {
        assert_eq!(world.heard(topic), world.all(), "{}", world.topics[topic]);
    }
    assert_eq!(world.listener.gaps(), []);
}

#[tokio::test]
async fn what_waits_for_a_master_is_numbered_or_told_when_its_gateway_leaves() {
    let mut world = World::begin(RedisCluster::start().await).await;
    world.hang().await;
    world.gateways[0].term();
    assert!(world.gateways[0].exit().await.success());
    world.goes_on().await;
    world.is_heard_once();
    let all = |topic| world.heard(topic) == world.all();
    assert!(world.told() || (0..MASTERS).all(all));
}

#[tokio::test]
async fn a_raw_message_comes_once_or_its_loss_is_told_however_long_its_master_says_nothing() {
    let mut world = World::begin(RedisCluster::behind_wires().await).await;
    world.cluster.wires()[world.victim].mute();
    world.publish().await;
    world.until_all(1..MASTERS).await;
    tokio::time::sleep(FOR_LONG).await;
    world.cluster.wires()[world.victim].heal_cut();
    world.goes_on().await;
    world.is_heard_once();
    assert!(world.told());
}
