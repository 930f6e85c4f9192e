//! Puts the parts of one keeper together and starts their tasks.
//!
//! Owns: which part knows which. Never: does anything afterwards. Used by: `redis` alone.

use super::backoff::{Backoff, Complaint};
use super::commands::{Commands, Doors};
use super::follow::{Follower, Hint, Hints};
use super::gate::Gate;
use super::history::History;
use super::ingest::Ingest;
use super::joined::Joined;
use super::keys::Keys;
use super::lease::{Desk, Lease};
use super::link::Parts;
use super::nodes::Nodes;
use super::number::Numbering;
use super::presence::Presence;
use super::publish::Publisher;
use super::pump::{Inlet, Pump};
use super::sessions::{Sessions, Sweep};
use super::standing::{Plain, Standing};
use super::topology::{Topology, slot};
use super::wanted::{Name, Wanted};
use super::{Redis, Settings};
use crate::broker::Sink;
use crate::metrics::Metrics;
use crate::tasks::Essential;
use crds::redis_url::Kind;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

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
    let (source, seed) = (settings.source, settings.seed);
    let url = source.server().id.url;
    let label = url.label();
    let (alive, end) = watch::channel(());
    let tasks = Tasks { essential, end };
    let keys = Keys::new(&settings.key_prefix, &settings.gateway, &settings.id);
    let keys = keys.sharded(*url.kind() == Kind::Cluster);
    let (hints, given) = Hints::new();
    let doors = watch::Sender::<Arc<Doors>>::default();
    let commands = Commands::new(doors.subscribe(), hints.clone());
    let history = History::new(keys.clone(), commands.clone());
    let home = slot(&keys.home());
    let wanted = Arc::new(Wanted::new(home));
    wanted.want(&[keys.control(), keys.own()].map(Name::channel));
    let joined = Arc::<Joined>::default();
    let publisher = Arc::new(Publisher::new(keys.clone(), seed));
    let gate = number(&tasks, &history, publisher.clone());
    let subscriptions = (joined.clone(), wanted.clone());
    let told = (metrics.clone(), sink.clone());
    let ingest = Arc::new(Ingest::new(keys.clone(), subscriptions, gate, told, seed));
    let standing = Arc::new(Standing::new(metrics.clone(), label.clone()));
    let desk = lead(&tasks, &history, ingest.clone(), standing.plain());
    let presence = Presence::new(keys.clone(), commands.clone(), joined.clone());
    let presence = Arc::new(presence);
    let (sessions, teller) = Sessions::new(keys.clone(), commands.clone());
    tasks.run("redis sessions", teller.run());
    let (inlet, outlet) = Inlet::new();
    let parts = Parts {
        keys: keys.clone(),
        source,
        wanted: wanted.clone(),
        joined: joined.clone(),
        inlet,
        standing: standing.clone(),
        hints,
    };
    connect(&tasks, parts, given, doors, (home, seed));
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
        standing,
        metrics,
        label,
        applied: watch::Sender::new(None),
        _alive: alive,
    })
}

/// What learns who serves, and keeps the connections to them.
fn connect(
    tasks: &Tasks<'_>,
    parts: Parts,
    hints: mpsc::Receiver<Hint>,
    doors: watch::Sender<Arc<Doors>>,
    (home, seed): (u16, u64),
) {
    let topology = watch::Sender::<Arc<Topology>>::default();
    let follower = Follower {
        source: parts.source.clone(),
        topology,
        hints,
        backoff: Backoff::new(!seed),
        complaint: Complaint::default(),
    };
    let nodes = Nodes {
        parts,
        essential: tasks.essential.clone(),
        home,
        seed,
    };
    let known = follower.topology.subscribe();
    tasks.run("redis servers", nodes.run(known, doors));
    tasks.run("redis topology", follower.run());
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
    standing: watch::Receiver<Plain>,
) -> Arc<Desk> {
    let (desk, tray) = Desk::new();
    let sweep = Sweep {
        keys: history.keys.clone(),
        commands: history.commands.clone(),
        due: Arc::default(),
    };
    let due = sweep.due.clone();
    tasks.run("redis sweep", sweep.run());
    let lease = Lease {
        keys: history.keys.clone(),
        commands: history.commands.clone(),
        ingest,
        desk: desk.clone(),
        sweep: due,
        standing,
    };
    tasks.run("redis lease", lease.run(tray));
    desk
}
