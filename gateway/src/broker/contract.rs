//! The contract of a keeper as tests: the same run over memory and over a real Redis.
//!
//! Owns: what the promises need, among it the recorder that stands for `topics`. Used by: the tests of
//! both keepers, through [`all`].

mod promises;

pub use promises::all;

use super::{Arrival, Broker, Idempotency, OWN_KEY_TTL, Pick, Publication, Sink, Target};
use crate::address::Address;
use crate::frame::Frame;
use crate::message::Message;
use crate::metrics::Metrics;
use crate::position::Position;
use crds::name::{ChannelName, Topic};
use crds::policy::{Access, History, IngestSet, Limits, Policy, Timing};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How long an arrival may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes what a keeper hands on.
#[derive(Clone, Default)]
pub struct Recorder(Arc<(Mutex<Vec<Arrival>>, Notify)>);

impl Recorder {
    /// The sink to make the keeper with.
    pub fn sink(&self) -> Sink {
        let recorder = self.clone();
        Arc::new(move |arrival| {
            recorder.0.0.lock().push(arrival);
            recorder.0.1.notify_waiters();
        })
    }

    /// The offsets that arrived for `address`, as soon as there are `count`.
    pub async fn offsets(&self, address: &Address, count: usize) -> Vec<u64> {
        let frames = self.frames(address, count).await;
        offsets(&frames)
    }

    /// The frames that arrived for `address`, as soon as there are `count`.
    pub async fn frames(&self, address: &Address, count: usize) -> Vec<Arc<Frame>> {
        let enough = async {
            loop {
                let more = self.0.1.notified();
                let frames = self.arrived(address);
                if frames.len() >= count {
                    return frames;
                }
                more.await;
            }
        };
        let arrived = tokio::time::timeout(PATIENCE, enough).await;
        arrived.unwrap_or_else(|_| panic!("{count} frames did not come for {address:?}"))
    }

    /// The frames that have arrived for `wanted` so far.
    pub fn arrived(&self, wanted: &Address) -> Vec<Arc<Frame>> {
        let arrivals = self.0.0.lock();
        arrivals
            .iter()
            .filter_map(|arrival| match arrival {
                Arrival::Frame { address, frame } if address == wanted => Some(frame.clone()),
                Arrival::Frame { .. }
                | Arrival::Interrupted { .. }
                | Arrival::Resumed { .. }
                | Arrival::Lost { .. } => None,
            })
            .collect()
    }
}

/// A Channel `shop/<name>` that keeps `size` messages for an hour; 0: live only.
pub fn policy(name: &str, size: u32, wildcard: bool) -> Policy {
    Policy {
        channel: ChannelName::new("shop", name),
        uid: String::new(),
        generation: 1,
        digest: "".into(),
        topics: Vec::new(),
        wildcard,
        redis: None,
        prefix: "".into(),
        ingest: IngestSet::default(),
        history: (size > 0).then_some(History {
            size,
            ttl: Duration::from_secs(3600),
        }),
        access: Access::default(),
        stream: Timing {
            heartbeat: Duration::from_secs(15),
            retry: Duration::from_secs(2),
            max_age: None,
        },
        limits: Limits {
            streams: 100,
            message_bytes: 65536,
            topics: 100,
            publish_per_second: 1000,
            streams_per_client: None,
        },
    }
}

/// `topic` of the Channel.
pub fn target(policy: &Arc<Policy>, topic: &str) -> Target {
    let name = Topic::new(topic).expect("a topic");
    let channel = policy.channel.clone();
    let metrics = Metrics::new(&prometheus::Registry::new(), "test").expect("fresh registry");
    Target {
        address: if policy.wildcard {
            let topic = name.clone();
            Address::Member { channel, topic }
        } else {
            Address::Topic {
                namespace: channel.namespace().clone(),
                topic: name.clone(),
            }
        },
        name,
        metrics: metrics.channel(&policy.channel),
        policy: policy.clone(),
    }
}

/// `data` for `target`, under a key that nobody repeats.
pub fn publication(target: &Target, data: &str) -> Publication {
    Publication {
        target: target.clone(),
        message: Message::new(data.to_owned()).expect("text"),
        time: 1_000,
        key: Idempotency {
            key: format!("{}-{data}", target.name),
            content: data.into(),
            ttl: OWN_KEY_TTL,
        },
    }
}

/// The last `messages`, however large they are.
pub const fn the_last(messages: usize) -> Pick {
    let bytes = usize::MAX;
    Pick::Last { messages, bytes }
}

/// The offsets of numbered frames.
pub fn offsets(frames: &[Arc<Frame>]) -> Vec<u64> {
    let offset = |frame: &Arc<Frame>| frame.position().map(|position| position.offset);
    frames.iter().filter_map(offset).collect()
}

/// One keeper with what it hands on.
pub struct Keeper {
    pub broker: Arc<dyn Broker>,
    pub arrivals: Recorder,
}

impl Keeper {
    fn channel(&self, name: &str, size: u32, wildcard: bool) -> Arc<Policy> {
        let policy = Arc::new(policy(&format!("contract-{name}"), size, wildcard));
        self.broker.apply(vec![policy.clone()]);
        policy
    }

    /// The offsets of what is answered.
    async fn newest(&self, target: &Target, pick: Pick) -> Vec<u64> {
        let newest = self.broker.newest(target.clone(), pick).await;
        offsets(&newest.expect("an answer").frames)
    }

    async fn publish(&self, target: &Target, data: &str) -> Position {
        let published = self.broker.publish(publication(target, data)).await;
        published.expect("published").position
    }

    async fn publish_all(&self, target: &Target, count: u64) -> Position {
        let mut last = Position::NEVER;
        for index in 1..=count {
            last = self.publish(target, &index.to_string()).await;
        }
        last
    }
}
