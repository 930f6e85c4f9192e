//! Puts the parts of one keeper together and starts their tasks.
//!
//! Owns: which part knows which. Never: does anything afterwards. Used by: `redis` alone.

use super::backoff::Backoff;
use super::commands::Commands;
use super::gate::Gate;
use super::history::History;
use super::ingest::Ingest;
use super::joined::Joined;
use super::keys::Keys;
use super::lease::{Desk, Lease};
use super::link::Link;
use super::number::Numbering;
use super::presence::Presence;
use super::publish::Publisher;
use super::pump::{Inlet, Pump};
use super::server;
use super::sessions::{Sessions, Sweep};
use super::wanted::Wanted;
use super::{Redis, Settings};
use crate::broker::Sink;
use crate::metrics::Metrics;
use crate::tasks::Essential;
use std::sync::Arc;
use tokio::sync::watch;

/// Starts tasks that end with the keeper.
struct Tasks<'a> {
    essential: &'a Essential,
    end: watch::Receiver<()>,
}

impl Tasks<'_> {
    fn run(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let mut end = self.end.clone();
        // The sender is never used: its end is the sign.
        let stop = async move { drop(end.changed().await) };
        self.essential.until(name, stop, task);
    }
}

/// Starts everything on the current runtime.
pub fn start(
    settings: Settings,
    metrics: Arc<Metrics>,
    sink: Sink,
    essential: &Essential,
) -> Arc<Redis> {
    let Settings {
        source,
        key_prefix,
        gateway,
        id,
        seed,
    } = settings;
    let label = server::label(&source.server());
    let (alive, end) = watch::channel(());
    let tasks = Tasks { essential, end };
    let keys = Keys::new(&key_prefix, &gateway, &id);
    let (commands, keep) = Commands::new(source.clone(), Backoff::new(seed));
    tasks.run("redis commands", keep);
    let history = History {
        keys: keys.clone(),
        commands: commands.clone(),
    };
    let (wanted, joined) = (Arc::<Wanted>::default(), Arc::<Joined>::default());
    let publisher = Arc::new(Publisher::new(keys.clone(), seed));
    let gate = number(&tasks, &history, publisher.clone());
    let subscriptions = (joined.clone(), wanted.clone());
    let (heard, told) = (metrics.clone(), sink.clone());
    let ingest = Ingest::new(keys.clone(), subscriptions, gate, heard, told, seed);
    let ingest = Arc::new(ingest);
    let standing = watch::Sender::new((0, false));
    let stands = standing.subscribe();
    let desk = lead(&tasks, &history, ingest.clone(), stands.clone());
    let presence = Presence::new(keys.clone(), commands.clone(), joined.clone());
    let presence = Arc::new(presence);
    let (sessions, teller) = Sessions::new(keys.clone(), commands.clone());
    tasks.run("redis sessions", teller.run());
    let (inlet, outlet) = Inlet::new();
    let link = Link {
        keys: keys.clone(),
        source,
        wanted: wanted.clone(),
        joined: joined.clone(),
        inlet,
        metrics: metrics.clone(),
        standing,
    };
    tasks.run("redis subscription", link.run(Backoff::new(!seed)));
    let pump = Pump {
        outlet,
        keys: keys.clone(),
        joined: joined.clone(),
        ingest: ingest.clone(),
        presence: presence.clone(),
        desk: desk.clone(),
        sink,
    };
    tasks.run("redis pump", pump.run());
    Arc::new(Redis {
        keys,
        commands,
        history,
        publisher,
        wanted,
        joined,
        ingest,
        desk,
        presence,
        sessions,
        standing: stands,
        metrics,
        label,
        applied: watch::Sender::new(None),
        _alive: alive,
    })
}

/// What numbers raw messages.
fn number(tasks: &Tasks<'_>, history: &History, publisher: Arc<Publisher>) -> Arc<Gate> {
    let (gate, queue) = Gate::new();
    let gate = Arc::new(gate);
    let numbering = Numbering {
        gate: gate.clone(),
        queue,
        publisher,
        commands: history.commands.clone(),
        keys: history.keys.clone(),
    };
    tasks.run("redis numbering", numbering.run());
    gate
}

/// What decides who numbers.
fn lead(
    tasks: &Tasks<'_>,
    history: &History,
    ingest: Arc<Ingest>,
    standing: watch::Receiver<(u64, bool)>,
) -> Arc<Desk> {
    let (desk, tray) = Desk::new();
    let sweep = Sweep {
        keys: history.keys.clone(),
        commands: history.commands.clone(),
    };
    let lease = Lease {
        keys: history.keys.clone(),
        commands: history.commands.clone(),
        ingest,
        desk: desk.clone(),
        sweep,
        standing,
    };
    tasks.run("redis lease", lease.run(tray));
    desk
}
