//! Keeps messages in Redis, so that many gateways serve the same topics.
//!
//! Owns: the two connections to one server and the tasks that keep them. Never: one connection per
//! topic or stream. Used by: `topics`, as a [`Broker`]. `redis` the crate is named only here and below.

mod backoff;
mod commands;
mod history;
mod joined;
mod keys;
mod link;
mod publish;
mod pump;
mod server;
#[cfg(test)]
mod tests;
mod wanted;
mod wire;

pub use server::Source;

use crate::address::Address;
use crate::broker::{
    Broker, LocalPresence, Page, PresencePart, Publication, PublishError, Published, Since, Sink,
    Target, Unavailable,
};
use crate::message::Session;
use crate::metrics::Metrics;
use crate::position::{Lineage, Position};
use crate::tasks::Essential;
use backoff::Backoff;
use commands::Commands;
use crds::policy::Policy;
use futures_util::future::BoxFuture;
use history::History;
use joined::Joined;
use keys::Keys;
use link::Link;
use publish::Publisher;
use pump::{Inlet, Pump};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;
use wanted::{Name, Wanted};

/// Time to have one address subscribed to and its lineage read.
const SUBSCRIBE: Duration = Duration::from_secs(9);

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
    standing: watch::Receiver<(u64, bool)>,
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
        let Settings {
            source,
            key_prefix,
            gateway,
            id,
            seed,
        } = settings;
        let keys = Keys::new(&key_prefix, &gateway, &id);
        let (alive, end) = watch::channel(());
        let start = |name, task: BoxFuture<'static, ()>| {
            let mut end = end.clone();
            essential.until(name, async move { drop(end.changed().await) }, task);
        };
        let (commands, keep) = Commands::new(source.clone(), Backoff::new(seed));
        start("redis commands", Box::pin(keep));
        let (inlet, outlet) = Inlet::new();
        let (wanted, joined) = (Arc::<Wanted>::default(), Arc::<Joined>::default());
        let standing = watch::Sender::new((0, false));
        let heard = standing.subscribe();
        let link = Link {
            keys: keys.clone(),
            source,
            wanted: wanted.clone(),
            joined: joined.clone(),
            inlet,
            metrics,
            standing,
        };
        start(
            "redis subscription",
            Box::pin(link.run(Backoff::new(!seed))),
        );
        let pump = Pump {
            outlet,
            joined: joined.clone(),
            sink,
        };
        start("redis pump", Box::pin(pump.run()));
        let history = History {
            keys: keys.clone(),
            commands: commands.clone(),
        };
        Arc::new(Self {
            publisher: Arc::new(Publisher::new(keys.clone(), seed)),
            keys,
            commands,
            history,
            wanted,
            joined,
            standing: heard,
            _alive: alive,
        })
    }

    async fn join(
        &self,
        target: &Target,
        channel: &str,
        names: &[Name],
    ) -> Result<Lineage, Unavailable> {
        loop {
            let session = self.wanted.standing(names).await;
            let lineage = self.history.lineage(&target.address).await?;
            // If the connection was lost in between, something may have passed unheard.
            let stands = || self.wanted.session() == session;
            if self.joined.activate(channel, stands).unwrap_or(true) {
                return Ok(lineage);
            }
        }
    }
}

impl Broker for Redis {
    fn kind(&self) -> &'static str {
        "redis"
    }

    fn up(&self) -> bool {
        self.commands.up() && self.standing.borrow().1
    }

    fn apply(&self, _policies: Vec<Arc<Policy>>) {}

    fn publish(&self, publication: Publication) -> BoxFuture<'_, Result<Published, PublishError>> {
        Box::pin(async move { self.publisher.publish(&self.commands, &publication).await })
    }

    fn subscribe(&self, target: Target) -> BoxFuture<'_, Result<Lineage, Unavailable>> {
        Box::pin(async move {
            let channel = self.keys.channel(&target.address);
            let names = vec![Name::channel(&*channel)];
            self.wanted.want(&names);
            let earlier =
                self.joined
                    .insert(channel.as_str().into(), target.clone(), names.clone());
            self.wanted.unwant(&earlier);
            let joining = self.join(&target, &channel, &names);
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

    fn read(&self, address: Address, cursor: Position) -> BoxFuture<'_, Result<Page, Unavailable>> {
        Box::pin(async move { self.history.read(&address, cursor).await })
    }

    fn newest(&self, address: Address, limit: usize) -> BoxFuture<'_, Result<Page, Unavailable>> {
        Box::pin(async move { self.history.newest(&address, limit).await })
    }

    fn since(
        &self,
        address: Address,
        since: Since,
    ) -> BoxFuture<'_, Result<Position, Unavailable>> {
        Box::pin(async move { self.history.since(&address, since).await })
    }

    fn ask_presence(&self, _address: Address) -> BoxFuture<'_, Option<Vec<PresencePart>>> {
        Box::pin(async { None })
    }

    fn answer_presence(&self, _local: LocalPresence) {}

    fn session_opened(&self, _: &Target, _: Option<&Arc<str>>, _: Session) {}

    fn session_closed(&self, _: &Target, _: Option<&Arc<str>>, _: Session) {}
}
