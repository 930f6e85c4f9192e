//! Wires everything, and lets it run.
//!
//! Owns: the order of the start, and which part gets which other. Never: decides anything about streams
//! or requests. Used by: `main`, and by nobody else.

mod announce;
mod brokers;
pub mod check;
pub mod drain;
mod listen;
mod report;

use crate::admin;
use crate::args::Settings;
use crate::clock;
use crate::config::{Config, files::Files};
use crate::http;
use crate::limits::{self, Limits};
use crate::metrics::Metrics;
use crate::readiness::{Guard, Phase, Readiness};
use crate::tasks::{Control, Essential, background};
use crate::topics::{Mailbox, Topics};
use crate::worker::{Equipment, Worker};
use announce::Addresses;
use anyhow::Context;
use crds::fleet::Fleet;
use crds::report::BrokerKind;
use crds::snapshot::Snapshot;
use drain::{Drain, End, Signals};
use listen::Sockets;
use prometheus::Registry;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, watch};

/// How often the series of deleted Channels are dropped whose last streams are gone.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// A gateway that serves.
struct Running {
    parts: Parts,
    signals: Signals,
    ended: mpsc::Receiver<&'static str>,
}

/// What there is one of in the process.
struct Parts {
    settings: Settings,
    registry: Registry,
    metrics: Arc<Metrics>,
    config: Config,
    topics: Arc<Topics>,
    limits: Arc<Limits>,
    readiness: Readiness,
    phase: Arc<watch::Sender<Phase>>,
    essential: Essential,
}

/// Starts the gateway and returns when it has ended. The calling thread is the control runtime.
pub fn run(settings: Settings) -> anyhow::Result<End> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("make the control runtime")?;
    runtime.block_on(async { start(settings)?.wait().await })
}

fn start(settings: Settings) -> anyhow::Result<Running> {
    let signals = Signals::new().context("hear signals")?;
    let sockets = Sockets::bind(&settings)?;
    let addresses = sockets.addresses;
    let (essential, ended) = Essential::new();
    let mailboxes: Vec<Arc<Mailbox>> = (0..settings.workers).map(|_| Arc::default()).collect();
    let parts = Parts::new(settings, essential, mailboxes.clone())?;
    parts.start_config(addresses);
    parts.start_admin(sockets.admin)?;
    if let Some(watcher) = sockets.certificate {
        parts.essential.start("certificate", watcher.run());
    }
    let tls = sockets.tls.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
    for (index, (listener, tls)) in sockets.public.into_iter().zip(tls).enumerate() {
        parts.start_worker(index, mailboxes[index].clone(), listener, tls)?;
    }
    tracing::info!(public = ?addresses.public, tls = ?addresses.tls, admin = ?addresses.admin, "listening");
    Ok(Running {
        parts,
        signals,
        ended,
    })
}

impl Parts {
    fn new(
        settings: Settings,
        essential: Essential,
        mailboxes: Vec<Arc<Mailbox>>,
    ) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry, &settings.gateway).context("make the metrics")?;
        let readiness = Readiness::new();
        let (brokers, own_redis) = brokers::brokers(&settings, &metrics, &essential, random);
        let control = Control::new(Handle::current());
        let topics = Topics::new(control, mailboxes, metrics.clone(), brokers);
        if let Some(redis) = own_redis {
            let guard = readiness.wait_for("no answer from redis yet");
            background(brokers::first_contact(redis, guard));
        }
        Ok(Self {
            limits: Limits::new(metrics.clone(), limits::most_connections()),
            config: Config::new(metrics.clone()),
            phase: Arc::new(watch::Sender::new(Phase::Serving)),
            settings,
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

    fn start_config(&self, addresses: Addresses) {
        let fleet = Fleet {
            gateway: self.settings.gateway.clone(),
            default_namespace: self.settings.default_namespace.clone(),
            broker: self.broker(),
        };
        let files = Files::new(self.settings.channels.clone(), fleet, self.metrics.clone());
        let topics = self.topics.clone();
        let prepare = move |snapshot: &Snapshot| topics.apply(snapshot);
        self.essential
            .start("configuration", self.config.clone().follow(files, prepare));
        background(first_configuration(
            self.config.clone(),
            self.readiness.wait_for("no configuration yet"),
            addresses,
            self.settings.default_namespace.clone(),
        ));
        if let Some(path) = self.settings.ready_file.clone() {
            let readiness = self.readiness.clone();
            self.essential
                .start("sweep", sweep(self.config.clone(), self.metrics.clone(), self.limits.clone()));
            background(async move {
                readiness.ready().await;
                if let Err(error) = announce::write_ready_file(&path, &addresses) {
                    tracing::error!(?path, ?error, "the ready file cannot be written");
                }
            });
        }
    }
}
