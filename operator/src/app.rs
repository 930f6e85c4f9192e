//! Wires everything, and lets it run.
//!
//! Owns: the order of the start, and which part gets which other. Never: decides anything about Channels or
//! fleets. Used by: `main`, and by nobody else.

mod announce;
mod signals;

use crate::admin;
use crate::args::Settings;
use crate::lease::{self, Keeper, Place};
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::tasks::Essential;
use announce::Addresses;
use anyhow::Context;
use kube::Config;
use prometheus::Registry;
use rand::distr::{Distribution, StandardUniform};
use signals::Signals;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By a signal.
    Stopped,
    /// A task without which nothing works ended.
    Failed(&'static str),
}

/// Starts the operator and returns when it has ended. The calling thread does all of its work.
pub fn run(settings: Settings) -> anyhow::Result<End> {
    let runtime = Builder::new_current_thread()
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
    let state = admin::State {
        registry,
        readiness: Readiness::new(),
        alive: Arc::new(|| Ok(())),
    };
    // Up before the lease, which the standby may wait for as long as it lives.
    essential.start("admin", admin::serve(listener, state));
    let config = Config::infer().await.context("find the API server")?;
    let place = Place {
        namespace: settings.namespace,
        name: settings.lease,
        identity: settings.identity,
    };
    let client = lease::client(config).context("make the client of the lease")?;
    let (_leadership, keeper) = lease::new(client, place, metrics, random());
    tracing::info!(%admin, "listening");
    if let Some(path) = &settings.ready_file {
        announce::write_ready_file(path, &Addresses { admin }).context("write the ready file")?;
    }
    Ok(keeper)
}

/// The seeds that everybody else's choices come from.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "seeds are drawn here and handed down"
)]
pub fn random<T>() -> T
where
    StandardUniform: Distribution<T>,
{
    rand::random()
}
