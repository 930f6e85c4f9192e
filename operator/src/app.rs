//! Wires everything, and lets it run.
//!
//! Owns: the order of the start, and which part gets which other. Never: decides anything about Channels or
//! fleets. Used by: `main`, and by nobody else.

mod announce;
mod signals;

use crate::admin;
use crate::api;
use crate::args::Settings;
use crate::chance;
use crate::context::Context;
use crate::events::Events;
use crate::fleets;
use crate::lease::{self, Keeper, Place};
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::scale::act::Scaler;
use crate::stores::Stores;
use crate::tasks::{Essential, background};
use announce::Addresses;
use anyhow::Context as _;
use kube::{Client, Config};
use prometheus::Registry;
use signals::Signals;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

/// Threads: a long compilation or a burst of events must not keep a probe waiting.
const THREADS: usize = 2;
/// How long the address of the API server may take to be found.
const LOOKUP_TIME: Duration = Duration::from_secs(3);
/// How long connecting to a gateway's Pod may take.
const CONNECT_TIME: Duration = Duration::from_secs(1);

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By a signal.
    Stopped,
    /// A task without which nothing works ended.
    Failed(&'static str),
}

/// Starts the operator and returns when it has ended.
pub fn run(settings: Settings) -> anyhow::Result<End> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .context("make the runtime")?;
    runtime.block_on(async {
        let mut signals = Signals::new().context("hear signals")?;
        let (essential, mut ended) = Essential::new();
        let keeper = start(settings, &essential).await?;
        // The keeper gives the Lease back before it returns.
        Ok(tokio::select! {
            biased;
            // The receiver never runs dry: `essential` is a sender.
            task = ended.recv() => End::Failed(task.unwrap_or("nobody")),
            () = keeper.run(signals.next()) => End::Stopped,
        })
    })
}

async fn start(settings: Settings, essential: &Essential) -> anyhow::Result<Keeper> {
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).context("make the metrics")?;
    let listener = TcpListener::bind(settings.admin)
        .await
        .with_context(|| format!("listen on --admin {}", settings.admin))?;
    let admin = listener.local_addr().context("read the bound address")?;
    let (client, config) = api::client().await.context("find the API server")?;
    let readiness = Readiness::new();
    let stores = Stores::start(
        &client,
        &settings.namespace,
        settings.watch_namespace.as_deref(),
        &metrics,
        essential,
        &readiness,
    );
    let state = admin::State {
        registry,
        readiness: readiness.clone(),
        alive: alive(stores.clone()),
    };
    // Up before the lease, which the standby may wait for as long as it lives.
    essential.start("admin", admin::serve(listener, state));
    tracing::info!(%admin, namespace = settings.namespace, "listening");
    if let Some(path) = settings.ready_file.clone() {
        background(async move {
            readiness.ready().await;
            if let Err(error) = announce::write_ready_file(&path, &Addresses { admin }) {
                tracing::error!(?path, ?error, "the ready file cannot be written");
            }
        });
    }
    let (context, keeper) = context(settings, client, config, stores, metrics).await?;
    let fleets = fleets::run(Arc::new(context), essential.clone());
    essential.start("fleets", fleets);
    Ok(keeper)
}

/// What writes, and the task that keeps the right to.
async fn context(
    settings: Settings,
    client: Client,
    config: Config,
    stores: Arc<Stores>,
    metrics: Arc<Metrics>,
) -> anyhow::Result<(Context, Keeper)> {
    // A list that is given stands for itself.
    let targets = match settings.allow_targets[..] {
        [] => settings.targets(addresses(&config).await?),
        [..] => settings.targets([]),
    };
    let home = settings.namespace;
    let place = Place {
        namespace: home.clone(),
        name: settings.lease,
        identity: settings.identity.clone(),
    };
    let lease_client = lease::client(config).context("make the client of the lease")?;
    let (leadership, keeper) = lease::new(lease_client, place, metrics.clone(), chance::random());
    let events = Events::new(
        client.clone(),
        leadership.clone(),
        &settings.identity,
        metrics.clone(),
    );
    let scaler = Scaler::new(
        client.clone(),
        &home,
        leadership.clone(),
        events.clone(),
        metrics.clone(),
    );
    let context = Context {
        client,
        stores,
        leadership,
        metrics,
        events,
        http: http()?,
        targets,
        status_manager: format!("siar-operator-status.{home}"),
        scaler,
        down_after: settings.scale_down_after,
        down_every: settings.scale_down_every,
        home,
    };
    Ok((context, keeper))
}

/// What `/livez` asks.
fn alive(stores: Arc<Stores>) -> Arc<dyn Fn() -> Result<(), String> + Send + Sync> {
    Arc::new(move || match stores.too_old() {
        None => Ok(()),
        Some(kind) => Err(format!(
            "for too long nothing new is known of {}",
            kind.word()
        )),
    })
}

/// For the reports of Pods: straight to them, whatever proxy there is.
fn http() -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIME)
        .no_proxy()
        .build()
        .context("make the client for reports")
}

/// Where the API server is, which no Channel may send a gateway to.
async fn addresses(config: &Config) -> anyhow::Result<Vec<IpAddr>> {
    let host = config.cluster_url.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let lookup = tokio::net::lookup_host((host, 0));
    let found = tokio::time::timeout(LOOKUP_TIME, lookup).await;
    let found = found
        .map_err(anyhow::Error::from)
        .and_then(|found| Ok(found?));
    let found = found.with_context(|| {
        format!("forbid Channels the addresses of {host:?}, the API server; --allow-targets lists others")
    })?;
    Ok(found.map(|address: SocketAddr| address.ip()).collect())
}
