//! Wires everything, and lets it run.
//!
//! Owns: the order of the start, and which part gets which other. Never: decides anything about streams
//! or requests. Used by: `main`, and by nobody else.

mod announce;
mod brokers;
pub mod check;
pub mod drain;
mod feed;
mod listen;
mod report;
pub mod token;

use crate::admin;
use crate::args::Settings;
use crate::clock;
use crate::config::{Config, Source, files::Files, secret::Secret};
use crate::evidence::Evidence;
use crate::http::{self, chance::Chance};
use crate::limits::{self, Limits};
use crate::metrics::Metrics;
use crate::outbound::Outbound;
use crate::readiness::{Phase, Readiness};
use crate::tasks::{Control, Essential, background};
use crate::topics::{Mailbox, Topics};
use crate::worker::{Equipment, Worker};
use announce::Addresses;
use anyhow::Context;
use crds::fleet::Fleet;
use crds::report::BrokerKind;
use crds::snapshot::Snapshot;
use crds::targets::Targets;
use drain::{Drain, End, Signals};
use feed::Feed;
use listen::{Ports, Sockets};
use prometheus::Registry;
use rand::distr::{Distribution, StandardUniform};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, watch};
use tracing::field::display;

/// How often the series of deleted Channels are dropped whose last streams are gone.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// So long connections wait in the kernel for the first configuration; afterwards they are accepted, and
/// streams are told `starting`. It usually takes a twentieth of a second, and 3 s when the API server does not
/// answer and the mounted copy of its Secret is read.
const FIRST_CONFIGURATION: Duration = Duration::from_secs(4);

/// What there is one of in the process.
struct Parts {
    settings: Settings,
    targets: Targets,
    registry: Registry,
    metrics: Arc<Metrics>,
    config: Config,
    topics: Arc<Topics>,
    limits: Arc<Limits>,
    evidence: Arc<Evidence>,
    readiness: Readiness,
    phase: Arc<watch::Sender<Phase>>,
    essential: Essential,
}

/// Starts the gateway and returns when it has ended. The calling thread becomes the control runtime.
pub fn run(settings: Settings) -> anyhow::Result<End> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("make the control runtime")?;
    runtime.block_on(async {
        let signals = Signals::new().context("hear signals")?;
        let (essential, ended) = Essential::new();
        let parts = start(settings, essential).await?;
        Ok(parts.wait(signals, ended).await)
    })
}

async fn start(settings: Settings, essential: Essential) -> anyhow::Result<Parts> {
    let sockets = Sockets::bind(&settings)?;
    let addresses = sockets.addresses;
    let mailboxes: Vec<Arc<Mailbox>> = (0..settings.workers).map(|_| Arc::default()).collect();
    let feed = Feed::of(&settings.channels).await?;
    let targets = match settings.allow_targets.clone() {
        Some(listed) => listed,
        None => feed.targets().await?,
    };
    let parts = Parts::new(settings, targets, essential, mailboxes.clone())?;
    parts.start_config(feed, addresses)?;
    parts.start_admin(sockets.admin)?;
    if let Some(watcher) = sockets.certificate {
        parts.essential.start("certificate", watcher.run());
    }
    let mut snapshots = parts.config.watch();
    let first = snapshots.wait_for(Option::is_some);
    if tokio::time::timeout(FIRST_CONFIGURATION, first)
        .await
        .is_err()
    {
        tracing::warn!("no configuration yet; streams are asked to come back");
    }
    for (index, (ports, mailbox)) in sockets.workers.into_iter().zip(mailboxes).enumerate() {
        parts
            .start_worker(index, ports, mailbox)
            .context("start a worker")?;
    }
    let Addresses { public, tls, admin } = addresses;
    let (tls, broker) = (tls.map(display), parts.topics.broker_kind());
    tracing::info!(%public, tls, %admin, broker, "listening");
    Ok(parts)
}

impl Parts {
    fn new(
        settings: Settings,
        targets: Targets,
        essential: Essential,
        mailboxes: Vec<Arc<Mailbox>>,
    ) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry, &settings.gateway).context("make the metrics")?;
        for worker in 0..settings.workers {
            // From the start, also while a worker has not begun yet.
            metrics
                .worker_busy
                .with_label_values(&[&worker.to_string()]);
        }
        let readiness = Readiness::new();
        let (brokers, answer) = brokers::make(&settings, &targets, &metrics, &essential, random);
        let control = Control::new(Handle::current());
        let config = Config::new(metrics.clone());
        let outbound = Outbound::new(Arc::new(targets.clone()))?;
        let nudged = config.clone();
        let asking = Control::new(Handle::current());
        let evidence = Evidence::new(asking, outbound, metrics.clone(), move || {
            nudged.again();
        });
        essential.start("keys", evidence.tend());
        let topics = Topics::new(control, mailboxes, metrics.clone(), brokers);
        if let Some(answer) = answer {
            let guard = readiness.wait_for("no answer from redis yet");
            background(async move {
                answer.await;
                drop(guard);
            });
        }
        Ok(Self {
            limits: Limits::new(metrics.clone(), limits::most_connections()),
            config,
            evidence: Arc::new(evidence),
            phase: Arc::new(watch::Sender::new(Phase::Serving)),
            settings,
            targets,
            registry,
            metrics,
            topics,
            readiness,
            essential,
        })
    }

    fn broker(&self) -> BrokerKind {
        match self.settings.redis {
            None => BrokerKind::Memory,
            Some(_) => BrokerKind::Redis,
        }
    }

    fn start_config(&self, feed: Feed, addresses: Addresses) -> anyhow::Result<()> {
        let metrics = self.metrics.clone();
        match feed {
            Feed::Files(path) => {
                let fleet = Fleet {
                    gateway: self.settings.gateway.clone(),
                    default_namespace: self.settings.default_namespace.clone(),
                    broker: self.broker(),
                    reviews: true,
                    targets: self.targets.clone(),
                };
                self.follow(Files::new(path, fleet, metrics), addresses);
            }
            Feed::Secret(settings, server) => {
                let secret = Secret::new(&server, settings, metrics);
                let secret = secret.context("make the client of the API server")?;
                self.follow(secret, addresses);
            }
        }
        let sweep = sweep(
            self.config.clone(),
            self.metrics.clone(),
            self.limits.clone(),
        );
        self.essential.start("sweep", sweep);
        if let Some(path) = self.settings.ready_file.clone() {
            let readiness = self.readiness.clone();
            background(async move {
                readiness.ready().await;
                if let Err(error) = announce::write_ready_file(&path, &addresses) {
                    tracing::error!(?path, ?error, "the ready file cannot be written");
                }
            });
        }
        Ok(())
    }

    /// Puts into force what `source` says, for ever.
    fn follow(&self, source: impl Source, addresses: Addresses) {
        let (topics, evidence) = (self.topics.clone(), self.evidence.clone());
        let metrics = self.metrics.clone();
        let before = move |snapshot: &Snapshot| {
            // Its series begin at 0, and not with the first thing counted: an increase would miss that one.
            for policy in snapshot.policies() {
                let channel = metrics.channel(&policy.channel);
                channel.streams_limit.set(policy.limits.streams.into());
            }
            topics.apply(snapshot);
            evidence.apply(snapshot);
        };
        let mut loaded = Some(self.readiness.wait_for("no configuration yet"));
        let namespace = self.settings.default_namespace.clone();
        let after = move |snapshot: &Snapshot| {
            if loaded.take().is_some() {
                announce::show_command(addresses.public, &namespace, snapshot);
            }
        };
        let follow = self.config.clone().follow(source, before, after);
        self.essential.start("configuration", follow);
    }

    fn start_admin(&self, listener: std::net::TcpListener) -> anyhow::Result<()> {
        let (config, limits) = (self.config.clone(), self.limits.clone());
        let (phase, broker) = (self.phase.clone(), self.broker());
        let state = admin::State {
            registry: self.registry.clone(),
            readiness: self.readiness.clone(),
            report: Arc::new(move || report::report(&config, &limits, &phase, broker)),
        };
        let listener =
            tokio::net::TcpListener::from_std(listener).context("open the admin port")?;
        self.essential.start("admin", admin::serve(listener, state));
        Ok(())
    }

    fn start_worker(
        &self,
        index: usize,
        ports: Ports,
        mailbox: Arc<Mailbox>,
    ) -> std::io::Result<()> {
        let worker = Worker::new(index, self.topics.clone());
        let router = http::router(http::State {
            snapshots: self.config.watch(),
            phase: self.phase.subscribe(),
            topics: self.topics.clone(),
            evidence: self.evidence.clone(),
            limits: self.limits.clone(),
            metrics: self.metrics.clone(),
            door: worker.door(),
            chance: Chance::seeded(random()),
            settings: http::Settings {
                default_namespace: self.settings.default_namespace.clone(),
                trusted_proxies: self.settings.trusted_proxies.clone(),
                cookie: self.settings.cookie.clone(),
            },
        });
        worker.start(Equipment {
            listener: ports.public,
            tls: ports.tls,
            router,
            mailbox,
            snapshots: self.config.watch(),
            phase: self.phase.subscribe(),
            limits: self.limits.clone(),
            evidence: self.evidence.clone(),
            metrics: self.metrics.clone(),
            essential: self.essential.clone(),
        })
    }

    /// Waits for a signal or a failure, and ends accordingly.
    async fn wait(self, mut signals: Signals, mut ended: mpsc::Receiver<&'static str>) -> End {
        // The receiver never runs dry: `self` holds a sender.
        let mut failed = async move || ended.recv().await.unwrap_or("nobody");
        tokio::select! {
            biased;
            task = failed() => return End::Failed(task),
            () = signals.next() => {}
        }
        let drain = Drain {
            readiness: self.readiness,
            phase: self.phase,
            metrics: self.metrics,
            endpoint_delay: self.settings.endpoint_delay,
            window: self.settings.drain,
        };
        let limits = self.limits;
        let closed = async {
            let left = drain
                .run(|| clock::now().steady, || limits.all_streams())
                .await;
            self.topics.hand_over().await;
            left
        };
        drain::race(failed(), signals.next(), closed).await
    }
}

/// Drops what was counted for Channels that are gone.
async fn sweep(config: Config, metrics: Arc<Metrics>, limits: Arc<Limits>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        if let Some(snapshot) = config.current() {
            metrics.retain_channels(|channel| {
                snapshot.channel(channel).is_some() || limits.streams(channel) > 0
            });
        }
    }
}

/// The seeds that everybody else's choices come from.
#[expect(
    clippy::disallowed_methods,
    reason = "seeds are drawn here and handed down"
)]
fn random<T>() -> T
where
    StandardUniform: Distribution<T>,
{
    rand::random()
}
