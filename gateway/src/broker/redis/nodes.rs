//! The connections to all servers of one Redis, each as long as its server serves something.
//!
//! Owns: beginning and ending them as servers come and go. Never: uses them. Used by: `start`, which runs it.

use super::backoff::Backoff;
use super::commands::Doors;
use super::door::Door;
use super::link::{Link, Parts};
use super::topology::{Node, Place, Topology};
use crate::tasks::Essential;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;

/// What begins and ends connections.
pub struct Nodes {
    pub parts: Parts,
    pub essential: Essential,
    /// The slot whose server hears what is not sharded.
    pub home: u16,
    /// Makes pauses.
    pub seed: u64,
}

/// Ends the task of a connection when it is dropped.
type Alive = watch::Sender<()>;

/// What runs.
#[derive(Default)]
struct Running {
    doors: HashMap<Node, (Door, Alive)>,
    links: HashMap<Place, Alive>,
}

impl Nodes {
    /// Works for as long as the topology may change.
    pub async fn run(
        self,
        mut topology: watch::Receiver<Arc<Topology>>,
        doors: watch::Sender<Arc<Doors>>,
    ) {
        let mut random = StdRng::seed_from_u64(self.seed);
        let mut running = Running::default();
        while topology.changed().await.is_ok() {
            let now = topology.borrow_and_update().clone();
            self.parts.wanted.serve(&now);
            self.change(&mut running, &now, &mut random);
            let by_node = running.doors.iter();
            let by_node = by_node.map(|(node, (door, _))| (node.clone(), door.clone()));
            doors.send_replace(Arc::new(Doors {
                by_node: by_node.collect(),
                topology: now,
            }));
        }
    }

    fn change(&self, running: &mut Running, topology: &Topology, random: &mut StdRng) {
        let places = topology.places(self.home);
        running.links.retain(|place, _| {
            let stays = places.contains(place);
            if !stays {
                self.parts.standing.forget(place);
            }
            stays
        });
        running.doors.retain(|node, _| {
            let stays = topology.nodes().contains(node);
            if !stays {
                tracing::info!(server = %node, "a redis server serves nothing any more");
            }
            stays
        });
        for node in topology.nodes() {
            let doors = &mut running.doors;
            doors
                .entry(node.clone())
                .or_insert_with(|| self.open(node, random));
        }
        for place in places {
            if let Some((door, _)) = running.doors.get(&place.node) {
                let links = running.links.entry(place);
                links.or_insert_with_key(|place| self.link(place, door, random));
            }
        }
    }

    fn open(&self, node: &Node, random: &mut StdRng) -> (Door, Alive) {
        let backoff = Backoff::new(random.next_u64());
        let (hints, source) = (self.parts.hints.clone(), self.parts.source.clone());
        let (door, keep) = Door::new(source, node.clone(), hints, backoff);
        (door, self.start("redis commands", keep))
    }

    fn link(&self, place: &Place, door: &Door, random: &mut StdRng) -> Alive {
        let link = Link {
            parts: self.parts.clone(),
            place: place.clone(),
            door: door.clone(),
        };
        let backoff = Backoff::new(random.next_u64());
        self.start("redis subscription", link.run(backoff))
    }

    fn start(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> Alive {
        let (alive, mut end) = watch::channel(());
        // The sender is never used: its end is the sign.
        let stop = async move { drop(end.changed().await) };
        self.essential.until(name, stop, task);
        alive
    }
}
