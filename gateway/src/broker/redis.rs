//! Keeps messages in Redis, so that many gateways serve the same topics.
//!
//! Owns: the few connections to each server of one Redis and the tasks that keep them. Never: one connection
//! per topic or stream. Used by: `topics`, as a [`Broker`]. `redis` the crate is named only here and below.

mod answers;
mod backoff;
mod commands;
mod declined;
mod door;
mod ears;
mod follow;
mod gate;
mod history;
mod ingest;
mod joined;
mod keys;
mod lease;
mod link;
mod newest;
mod nodes;
mod notes;
mod number;
mod presence;
mod publish;
mod pump;
mod raw;
mod server;
mod sessions;
mod standing;
mod start;
#[cfg(test)]
mod tests;
mod topology;
mod wanted;
mod wire;

pub use backoff::Complaint;
pub use server::Source;

use crate::address::Address;
use crate::broker::{
    Broker, LocalPresence, Newest, Page, Pick, PresencePart, Publication, PublishError, Published,
    Since, Sink, Target, Unavailable,
};
use crate::clock::Now;
use crate::message::Session;
use crate::metrics::Metrics;
use crate::position::{Lineage, Position};
use crate::tasks::Essential;
use commands::Commands;
use crds::policy::Policy;
use futures_util::future::BoxFuture;
use history::History;
use ingest::Ingest;
use joined::Joined;
use keys::Keys;
use lease::Desk;
use presence::Presence;
use publish::Publisher;
use sessions::Sessions;
use standing::Standing;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;
use wanted::{Name, Wanted};

/// Time to have one address subscribed to and its lineage read.
const SUBSCRIBE: Duration = Duration::from_secs(9);

/// How long a join waits for somebody to number raw messages; a lease that nobody renews is over before.
const NUMBERED: Duration = Duration::from_secs(5);

/// What a keeper is told once.
pub struct Settings {
    /// Where the server is; asked before each connect, so that a changed password is used.
    pub source: Source,
    /// Put before every key and channel, for installs that share a server.
    pub key_prefix: String,
    /// The name of the fleet: its pods share one ingest lease for each server.
    pub gateway: String,
    /// The name of this process: unique, without `:` and braces.
    pub id: String,
    /// Random in production: makes epochs, keys and jitter.
    pub seed: u64,
}

/// One server, as `topics` sees it. Its tasks end when it is dropped.
pub struct Redis {
    keys: Keys,
    commands: Commands,
    history: History,
    publisher: Arc<Publisher>,
    wanted: Arc<Wanted>,
    joined: Arc<Joined>,
    ingest: Arc<Ingest>,
    desk: Arc<Desk>,
    presence: Arc<Presence>,
    sessions: Sessions,
    standing: Arc<Standing>,
    metrics: Arc<Metrics>,
    /// Its name in metrics.
    label: String,
    /// Whether a configuration was applied, and then whether somebody has to number raw messages.
    applied: watch::Sender<Option<bool>>,
    /// Dropped with this: ends the tasks.
    _alive: watch::Sender<()>,
}

impl Redis {
    /// Starts the tasks on the current runtime. Connects in its own time.
    #[must_use]
    pub fn new(
        settings: Settings,
        metrics: Arc<Metrics>,
        sink: Sink,
        essential: &Essential,
    ) -> Arc<Self> {
        start::start(settings, metrics, sink, essential)
    }

    /// Whether all servers answer and all subscriptions stand.
    #[must_use]
    pub fn up(&self) -> bool {
        self.commands.up() && self.standing.all()
    }

    /// Waits for the first configuration, and then until somebody numbers raw messages if any are to be
    /// numbered, but not for ever. The server should be [`Self::up`].
    pub async fn numbering(&self) {
        let mut applied = self.applied.subscribe();
        // The senders live in `self`.
        drop(applied.wait_for(Option::is_some).await);
        let mut ready = self.desk.ready.subscribe();
        if timeout(NUMBERED, ready.wait_for(|ready| *ready))
            .await
            .is_err()
        {
            tracing::warn!("nobody numbers raw messages yet");
        }
    }

    /// Waits until raw messages of `policy` are numbered by somebody, but not for ever: without a holder of
    /// the lease there is still what others publish.
    async fn numbered(&self, policy: &Policy) {
        if policy.history.is_none() || !policy.ingest.any() {
            return;
        }
        let mut ready = self.desk.ready.subscribe();
        let numbered = async {
            drop(ready.wait_for(|ready| *ready).await);
            if self.ingest.gate.is_open() {
                self.wanted
                    .standing(&raw::names_of(&self.keys, policy))
                    .await;
            }
        };
        if timeout(NUMBERED, numbered).await.is_err() {
            tracing::warn!(channel = %policy.channel, "nobody numbers raw messages");
        }
    }

    async fn join(&self, target: &Target, channel: &str) -> Result<Lineage, Unavailable> {
        self.numbered(&target.policy).await;
        loop {
            // A new configuration may ask for others at any time.
            let names = || self.joined.names(channel);
            let session = self.wanted.standing_of(names).await;
            let lineage = self.history.lineage(&target.address).await?;
            // If the connection was lost in between, something may have passed unheard.
            let stands = |names: &[Name]| self.wanted.stand(names) == Some(session);
            if self.joined.activate(channel, stands).unwrap_or(true) {
                return Ok(lineage);
            }
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // A server that nobody names any more is not down. A child that is gone already is no error.
        let label = [&*self.label];
        drop(self.metrics.redis_up.remove_label_values(&label));
        drop(self.metrics.redis_reconnects.remove_label_values(&label));
    }
}

impl Broker for Redis {
    fn kind(&self) -> &'static str {
        "redis"
    }

    fn reaches(&self, address: &Address) -> bool {
        let channel = self.keys.channel(address);
        let server = self.commands.reached(&channel);
        let heard = server.is_some_and(|server| self.standing.of(&self.keys.hears_at(server)));
        // A new configuration may have asked for others a moment ago.
        heard
            && self
                .joined
                .stands(&channel, |names| self.wanted.stand(names).is_some())
    }

    fn tend(&self, _now: Now) {
        self.standing.tell(self.commands.up());
    }

    fn apply(&self, policies: Vec<Arc<Policy>>) {
        self.ingest.apply(&policies);
        let needed = self.ingest.needed();
        let before = self.applied.send_replace(Some(needed));
        if before != Some(needed) {
            self.desk.ready.send_replace(!needed);
        }
        self.desk.due.notify_one();
    }

    fn hand_over(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.sessions.flush().await;
            self.desk.leave().await;
        })
    }

    fn publish(&self, publication: Publication) -> BoxFuture<'_, Result<Published, PublishError>> {
        Box::pin(async move { self.publisher.publish(&self.commands, &publication).await })
    }

    fn subscribe(&self, target: Target) -> BoxFuture<'_, Result<Lineage, Unavailable>> {
        Box::pin(async move {
            let channel = self.keys.channel(&target.address);
            let names = self.ingest.names_for(&target);
            self.wanted.want(&names);
            let earlier = self
                .joined
                .insert(channel.as_str().into(), target.clone(), names);
            self.wanted.unwant(&earlier);
            let joining = self.join(&target, &channel);
            let answer = timeout(SUBSCRIBE, joining).await;
            let answer = answer.unwrap_or_else(|_| {
                Err(Unavailable {
                    step: "subscribe",
                    cause: "the server did not confirm in time".into(),
                })
            });
            if answer.is_err() {
                self.wanted.unwant(&self.joined.remove(&channel));
            }
            answer
        })
    }

    fn unsubscribe(&self, address: Address) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let channel = self.keys.channel(&address);
            self.wanted.unwant(&self.joined.remove(&channel));
        })
    }

    fn lineage(&self, address: Address) -> BoxFuture<'_, Result<Lineage, Unavailable>> {
        Box::pin(async move { self.history.lineage(&address).await })
    }

    fn read(&self, target: Target, cursor: Position) -> BoxFuture<'_, Result<Page, Unavailable>> {
        Box::pin(async move { self.history.read(&target, cursor).await })
    }

    fn newest(&self, target: Target, pick: Pick) -> BoxFuture<'_, Result<Newest, Unavailable>> {
        Box::pin(async move { self.history.newest(&target, pick).await })
    }

    fn since(
        &self,
        address: Address,
        since: Since,
    ) -> BoxFuture<'_, Result<Position, Unavailable>> {
        Box::pin(async move { self.history.since(&address, since).await })
    }

    fn ask_presence(&self, address: Address) -> BoxFuture<'_, Vec<Option<PresencePart>>> {
        Box::pin(async move { self.presence.ask(&address).await })
    }

    fn answer_presence(&self, local: LocalPresence) {
        self.presence.answer_with(local);
    }

    fn session_opened(&self, target: &Target, identity: Option<&Arc<str>>, session: Session) {
        self.sessions
            .opened(target, identity.map(|name| &**name), session);
    }

    fn session_closed(&self, target: &Target, identity: Option<&Arc<str>>, session: Session) {
        self.sessions
            .closed(target, identity.map(|name| &**name), session);
    }
}
