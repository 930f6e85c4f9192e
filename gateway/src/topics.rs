//! What this process hears: the topics that its workers joined, and the keepers behind them.
//!
//! Owns: which keeper serves which Channel, and the way from a publisher through it to the mailboxes.
//! Never: knows of streams. Used by: `worker`, which joins and reads; `http`, which publishes and asks.

mod entry;
mod hand_over;
mod hub;
pub mod mailbox;
mod places;
pub mod presence;
pub mod sequence;
mod servers;
#[cfg(test)]
mod tests;

pub use mailbox::{Mail, Mailbox, TopicId};
pub use presence::Presence;
pub use servers::Make;

use crate::address::Address;
use crate::broker::{
    Broker, Newest, Pick, Publication, PublishError, Published, Since, Sink, Target, Unavailable,
};
use crate::clock::{self, Now};
use crate::message::Session;
use crate::metrics::Metrics;
use crate::position::Position;
use crate::tasks::{Busy, Control};
use crds::name::Topic;
use crds::policy::Policy;
use crds::snapshot::Snapshot;
use entry::{Entry, Mailboxes};
use futures_util::future::BoxFuture;
use hub::{Directory, Hub, PATIENCE, unavailable};
use servers::Servers;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long a publisher to memory waits for room in the mailboxes of the workers.
pub const ROOM_WAIT: Duration = Duration::from_secs(1);
/// How long other gateways have to say who listens; the keeper itself waits no longer than that.
const PRESENCE_WAIT: Duration = Duration::from_millis(300);
/// How often, and with which pauses, a server that does not answer is looked at before a stream is turned
/// away: for a second.
const REACH_TRIES: u32 = 20;
const REACH_PAUSE: Duration = Duration::from_millis(50);
/// How often lingering topics and idle history are looked at.
const TICK: Duration = Duration::from_secs(1);

/// How keepers are made.
pub struct Brokers {
    /// The gateway's own, for every Channel that names no server.
    pub own: Box<dyn FnOnce(Sink) -> Arc<dyn Broker> + Send>,
    /// For a server that Channels name. Called on the control runtime.
    pub named: Make,
}

/// Everything that is heard.
pub struct Topics {
    control: Control,
    mailboxes: Mailboxes,
    metrics: Arc<Metrics>,
    directory: Arc<Directory>,
    own: Arc<Hub>,
    servers: Servers,
}

impl Topics {
    /// Makes the gateway's own keeper. `mailboxes` are those of the workers, in their order. Until it is
    /// dropped, what is due once a second is done on the control runtime.
    #[must_use]
    pub fn new(
        control: Control,
        mailboxes: Vec<Arc<Mailbox>>,
        metrics: Arc<Metrics>,
        brokers: Brokers,
    ) -> Arc<Self> {
        let mailboxes: Mailboxes = mailboxes.into();
        let directory = Arc::<Directory>::default();
        let own = Hub::new(
            control.clone(),
            directory.clone(),
            mailboxes.clone(),
            metrics.clone(),
            brokers.own,
        );
        let (make, parts) = (
            brokers.named,
            (
                control.clone(),
                directory.clone(),
                mailboxes.clone(),
                metrics.clone(),
            ),
        );
        let servers = Servers::new(Box::new(move |server| {
            let (control, directory, mailboxes, metrics) = parts.clone();
            Hub::new(control, directory, mailboxes, metrics, |sink| {
                make(server, sink)
            })
        }));
        let topics = Arc::new(Self {
            control,
            mailboxes,
            metrics,
            directory,
            own,
            servers,
        });
        if topics.control.tell(tend(Arc::downgrade(&topics))).is_err() {
            tracing::error!("the control runtime is full at the start");
        }
        topics
    }

    /// Tells all keepers their Channels. Those of servers are made when `snapshot` names them first, told
    /// of changed credentials, and dropped when it names them no longer. Call it on the control runtime
    /// before the workers see the Snapshot.
    pub fn apply(&self, snapshot: &Snapshot) {
        let policies = snapshot.policies().iter().cloned();
        let (others, own) = policies.partition(|policy| policy.redis.is_some());
        self.servers.apply(others);
        self.own.apply(own);
    }

    /// What a stream on `name` or a publisher to it has to do with.
    #[must_use]
    pub fn target(&self, policy: &Arc<Policy>, name: &Topic) -> Target {
        let topic = name.clone();
        let address = if policy.wildcard {
            Address::Member {
                channel: policy.channel.clone(),
                topic,
            }
        } else {
            Address::Topic {
                namespace: policy.channel.namespace().clone(),
                topic,
            }
        };
        self.to(policy, name.clone(), address)
    }

    /// All topics of a Channel with `wildcard` at once; its name in `siar.gap` is the Channel's.
    #[must_use]
    pub fn feed(&self, policy: &Arc<Policy>) -> Target {
        let channel = policy.channel.clone();
        let name = Topic::new(channel.name()).expect("the name of a Channel is a topic");
        self.to(policy, name, Address::Feed { channel })
    }

    fn to(&self, policy: &Arc<Policy>, name: Topic, address: Address) -> Target {
        Target {
            address,
            name,
            policy: policy.clone(),
            metrics: self.metrics.channel(&policy.channel),
        }
    }

    /// Has `worker` hear the topic. `Mail::Joined` or `Mail::NotJoined` follows, in order with the frames.
    pub fn join(&self, worker: usize, target: &Target) -> TopicId {
        match self.hub(target) {
            Ok(hub) => hub.join(worker, target),
            Err(error) => {
                let topic = self.directory.name();
                if let Some(mailbox) = self.mailboxes.get(worker) {
                    mailbox.post(Mail::NotJoined { topic, error });
                }
                topic
            }
        }
    }

    /// `worker` has no stream on the topic any more.
    pub fn leave(&self, worker: usize, topic: TopicId) {
        if let Some((hub, entry)) = self.directory.find(topic) {
            hub.leave(worker, &entry, clock::now());
        }
    }

    /// Reads what is kept after `cursor`; `Mail::Page` follows within 10 s.
    pub fn read(&self, worker: usize, topic: TopicId, cursor: Position) {
        if let Some((hub, entry)) = self.directory.find(topic) {
            hub.read(worker, entry, cursor);
        } else if let Some(mailbox) = self.mailboxes.get(worker) {
            let page = Err(unavailable("read history", &"the topic is not joined"));
            let mail = Mail::Page {
                topic,
                cursor,
                page,
            };
            mailbox.post(mail);
        }
    }

    /// A stream opened on the topic. With a session, raw publishers that want to know are told.
    pub fn entered(&self, topic: TopicId, identity: Option<&Arc<str>>, session: Option<Session>) {
        if let Some((hub, entry)) = self.directory.find(topic) {
            entry.listeners.lock().enter(identity);
            tell_session(&hub, &entry, identity, session, Happened::Opened);
        }
    }

    /// It closed.
    pub fn left(&self, topic: TopicId, identity: Option<&Arc<str>>, session: Option<Session>) {
        if let Some((hub, entry)) = self.directory.find(topic) {
            entry.listeners.lock().leave(identity);
            tell_session(&hub, &entry, identity, session, Happened::Closed);
        }
    }

    /// Numbers, keeps and passes on. To memory it first waits for room in the mailboxes, at most
    /// [`ROOM_WAIT`].
    pub async fn publish(&self, publication: Publication) -> Result<Published, PublishError> {
        let hub = self
            .hub(&publication.target)
            .map_err(|error| PublishError::Refused(error.to_string()))?;
        if hub.local {
            self.room().await?;
            return hub.broker.publish(publication).await;
        }
        let broker = hub.broker.clone();
        let asked = async move { broker.publish(publication).await };
        self.control
            .ask(asked)
            .await
            .unwrap_or(Err(PublishError::Busy))
    }

    /// Waits until the server of `target` answers and is heard. A short interruption is waited for, a longer
    /// one is told: a stream that opened meanwhile would look alive and hear nothing.
    pub async fn reach(&self, target: &Target) -> Result<(), Unavailable> {
        let hub = self.hub(target)?;
        for _ in 0..REACH_TRIES {
            if hub.broker.reaches(&target.address) {
                return Ok(());
            }
            tokio::time::sleep(REACH_PAUSE).await;
        }
        Err(unavailable("reach the server", &"it does not answer"))
    }

    /// Those of the newest messages kept that `pick` wants.
    pub async fn newest(&self, target: &Target, pick: Pick) -> Result<Newest, Unavailable> {
        let owned = target.clone();
        self.asks("read the newest messages", target, move |broker| {
            broker.newest(owned, pick)
        })
        .await
    }

    /// The position just before the first message that `since` asks for.
    pub async fn since(&self, target: &Target, since: Since) -> Result<Position, Unavailable> {
        let address = target.address.clone();
        self.asks("find the start", target, move |broker| {
            broker.since(address, since)
        })
        .await
    }

    /// Who listens, over all gateways that answer in time.
    pub async fn presence(&self, target: &Target) -> Presence {
        let Ok(hub) = self.hub(target) else {
            return Presence::default();
        };
        let (local, mut complete) = hub.listeners(&target.address);
        let mut parts = vec![local];
        if !hub.local {
            let (broker, address) = (hub.broker.clone(), target.address.clone());
            let asked = self.control.ask(async move {
                let asked = broker.ask_presence(address);
                tokio::time::timeout(PRESENCE_WAIT * 2, asked).await
            });
            match asked.await {
                Ok(Ok(others)) => {
                    complete &= others.iter().all(Option::is_some);
                    parts.extend(others.into_iter().flatten());
                }
                Ok(Err(_)) | Err(Busy) => complete = false,
            }
        }
        presence::merge(parts, complete)
    }

    /// `memory` or `redis`: the gateway's own keeper.
    #[must_use]
    pub fn broker_kind(&self) -> &'static str {
        self.own.broker.kind()
    }

    fn hub(&self, target: &Target) -> Result<Arc<Hub>, Unavailable> {
        let Some(server) = &target.policy.redis else {
            return Ok(self.own.clone());
        };
        let known = self.servers.find(&server.id);
        known.ok_or_else(|| unavailable("find the Channel's server", &"it is not configured now"))
    }

    async fn asks<T: Send + 'static>(
        &self,
        step: &'static str,
        target: &Target,
        ask: impl FnOnce(&dyn Broker) -> BoxFuture<'_, Result<T, Unavailable>> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let hub = self.hub(target)?;
        if hub.local {
            return ask(&*hub.broker).await;
        }
        let asked = async move { tokio::time::timeout(PATIENCE, ask(&*hub.broker)).await };
        match self.control.ask(asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(elapsed)) => Err(unavailable(step, &elapsed)),
            Err(busy) => Err(unavailable(step, &busy)),
        }
    }

    async fn room(&self) -> Result<(), PublishError> {
        if self.mailboxes.iter().all(|mailbox| mailbox.has_room()) {
            return Ok(());
        }
        let room = async {
            while let Some(full) = self.mailboxes.iter().find(|mailbox| !mailbox.has_room()) {
                full.room().await;
            }
        };
        tokio::time::timeout(ROOM_WAIT, room)
            .await
            .or(Err(PublishError::Busy))
    }

    /// What is due, once a second.
    pub fn tick(&self, now: Now) {
        let named = self.servers.all();
        for hub in named.iter().chain([&self.own]) {
            hub.tick(now);
        }
        self.servers.forget();
    }
}

enum Happened {
    Opened,
    Closed,
}

/// Hands the event to the keeper where it lives, so that a stream's two events stay in order.
fn tell_session(
    hub: &Hub,
    entry: &Entry,
    identity: Option<&Arc<str>>,
    session: Option<Session>,
    happened: Happened,
) {
    let Some(session) = session else { return };
    let target = match happened {
        Happened::Opened => entry.opened(session),
        Happened::Closed => entry.closed(session),
    };
    let Some(target) = target else { return };
    let (broker, identity) = (hub.broker.clone(), identity.cloned());
    let told = hub.run(async move {
        match happened {
            Happened::Opened => broker.session_opened(&target, identity.as_ref(), session),
            Happened::Closed => broker.session_closed(&target, identity.as_ref(), session),
        }
    });
    if told.is_err() {
        tracing::warn!("an event of a session was lost: the control runtime is full");
    }
}

async fn tend(topics: Weak<Topics>) {
    loop {
        tokio::time::sleep(TICK).await;
        let Some(topics) = topics.upgrade() else {
            return;
        };
        topics.tick(clock::now());
    }
}
