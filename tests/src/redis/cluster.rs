//! A Redis Cluster: three masters with a replica each.
//!
//! Owns: its making, and moving slots in the order that leaves none without an owner. Never: needs a program besides
//! redis-server. Used by: tests of clusters.

use super::{Redis, Setup};
use crate::certs::Certs;
use crate::proxy::Proxy;
use crate::wait::{until, until_time};
use futures_util::StreamExt as _;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisResult};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

mod map;
mod wires;
use map::Map;

/// How many slots there are.
pub const SLOTS: u16 = 16_384;
const MASTERS: usize = 3;
/// So long a node may be silent before the others take it for dead.
const NODE_TIMEOUT: &str = "1500";
/// How long all nodes may take to say the same: a death, an election, gossip.
const AGREEMENT: Duration = Duration::from_secs(40);
/// Keys in one `MIGRATE`.
const BATCH: usize = 100;
/// How long one `MIGRATE` may take, in milliseconds.
const MIGRATE: usize = 5_000;
/// Slots that move at the same time.
const AT_ONCE: usize = 8;
/// How often a slot's move is begun again when a node was failing meanwhile; each step may be repeated.
const TRIES: usize = 5;

/// The running nodes; the first three begin as masters, the other three as their replicas, in that order.
pub struct RedisCluster {
    nodes: Vec<Redis>,
    ids: Vec<String>,
    /// The way to each node that it tells others, if that is not its own address.
    wires: Vec<Proxy>,
}

impl RedisCluster {
    /// Six nodes that agree, each third of the slots on a master of its own.
    pub async fn start() -> Self {
        Self::begin(Setup::default).await
    }

    /// The same with TLS, among themselves, too.
    pub async fn tls(certs: &Arc<Certs>) -> Self {
        Self::begin(|| Setup::default().tls(certs.clone())).await
    }

    /// The same with a password, which replicas give their masters, too.
    pub async fn protected(password: &str) -> Self {
        let setup = || Setup::default().password(password);
        Self::begin(|| setup().directive("masterauth", password)).await
    }

    async fn begin(setup: impl Fn() -> Setup) -> Self {
        let mut nodes = Vec::new();
        for _ in 0..2 * MASTERS {
            let setup = setup()
                .node()
                .directive("cluster-node-timeout", NODE_TIMEOUT)
                .directive("cluster-replica-validity-factor", "0")
                .directive("enable-debug-command", "yes")
                .directive("repl-diskless-sync-delay", "0");
            nodes.push(setup.start().await);
        }
        let mut ids = Vec::new();
        for (index, node) in nodes.iter_mut().enumerate() {
            ids.push(node.run::<String>(&mut cluster(&["MYID"])).await);
            // Before they meet each is told another epoch: two with the same would have to sort that out first.
            let () = node
                .run(cluster(&["SET-CONFIG-EPOCH"]).arg(index + 1))
                .await;
        }
        for (index, slots) in thirds().enumerate() {
            let mut add = cluster(&["ADDSLOTSRANGE"]);
            let () = nodes[index]
                .run(add.arg(slots.start).arg(slots.end - 1))
                .await;
        }
        let meet: Vec<(u16, u16)> = nodes
            .iter()
            .map(|node| (node.ports.clients, node.ports.bus))
            .collect();
        for (clients, bus) in &meet[1..] {
            let mut meet = cluster(&["MEET", "127.0.0.1"]);
            let () = nodes[0].run(meet.arg(clients).arg(bus)).await;
        }
        let wires = Vec::new();
        let mut made = Self { nodes, ids, wires };
        made.until_met().await;
        for index in MASTERS..2 * MASTERS {
            let master = made.ids[index - MASTERS].clone();
            let () = made.nodes[index]
                .run(&mut cluster(&["REPLICATE", &master]))
                .await;
        }
        made.until_agreed().await;
        made
    }

    /// The URL that names the first three nodes.
    #[must_use]
    pub fn url(&self) -> String {
        let nodes = self.nodes.iter().map(Redis::address);
        let wires = self.wires.iter().map(Proxy::address);
        // With wires these come first, and there are as many.
        let first = wires.chain(nodes).take(MASTERS);
        let hosts: Vec<String> = first.map(|address| address.to_string()).collect();
        format!(
            "{}+cluster://{}",
            self.nodes[0].setup.scheme(),
            hosts.join(",")
        )
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: there are six.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// One of the nodes, to be killed, frozen, started again.
    pub fn node(&mut self, index: usize) -> &mut Redis {
        &mut self.nodes[index]
    }

    /// All nodes.
    pub fn nodes(&mut self) -> &mut [Redis] {
        &mut self.nodes
    }

    /// The node that owns a slot, as most nodes that answer say.
    pub async fn owner(&self, slot: u16) -> usize {
        let mut votes = BTreeMap::<String, usize>::new();
        for map in self.maps().await.into_iter().flatten() {
            if let Some(id) = map.owner(slot) {
                *votes.entry(id.into()).or_default() += 1;
            }
        }
        let most = votes.into_iter().max_by_key(|(_, votes)| *votes);
        let (id, _) = most.unwrap_or_else(|| panic!("nobody owns slot {slot}"));
        self.index(&id).expect("owners are nodes of this cluster")
    }

    /// The slot of a key.
    pub async fn slot(&self, key: &str) -> u16 {
        for node in &self.nodes {
            if let Some(slot) = node.soon(&cluster(&["KEYSLOT", key])).await {
                return slot;
            }
        }
        panic!("no node answers");
    }

    /// The node that owns a key.
    pub async fn owner_of(&self, key: &str) -> usize {
        self.owner(self.slot(key).await).await
    }

    /// A replica of that master that lives, as the master says.
    pub async fn replica_of(&self, master: usize) -> usize {
        until("a replica", || async {
            for (index, map) in self.maps().await.into_iter().enumerate() {
                if map.is_some_and(|map| map.follows(&self.ids[index], &self.ids[master])) {
                    return Ok(index);
                }
            }
            Err(format!("nobody follows node {master}"))
        })
        .await
    }

    /// Makes a replica the master of its master's slots, as an operator does, and waits until it is.
    pub async fn failover(&mut self, replica: usize) -> Instant {
        let () = self.nodes[replica].run(&mut cluster(&["FAILOVER"])).await;
        self.nodes[replica].until_master().await
    }

    /// Waits until `node`, which is no master yet, has been elected.
    pub async fn until_elected(&self, node: usize) -> Instant {
        until_time(AGREEMENT, format!("node {node} to be elected"), || async {
            let elected = self.nodes[node].is_master().await;
            elected
                .then(Instant::now)
                .ok_or_else(|| "it follows".into())
        })
        .await
    }

    /// Waits until the cluster is well to `node`: after a start it answers PING, but takes no commands for 2 s, whatever the
    /// others say (`CLUSTER_WRITABLE_DELAY`).
    pub async fn until_well(&self, node: usize) -> Instant {
        until(format!("the cluster to be well to node {node}"), || async {
            let well = well(&self.nodes[node]).await;
            well.filter(|well| *well)
                .map(|_| Instant::now())
                .ok_or_else(|| format!("it says {well:?}"))
        })
        .await
    }

    /// Moves a slot with its keys.
    pub async fn move_slot(&mut self, slot: u16, to: usize) {
        self.move_slots(&[slot], to).await;
    }

    /// Moves slots with their keys, several at the same time; all have moved as a whole when it returns.
    pub async fn move_slots(&mut self, slots: &[u16], to: usize) {
        let mut doors = Vec::new();
        for node in &mut self.nodes {
            doors.push(node.own().await);
        }
        let this = &*self;
        let moves = slots.iter().map(|&slot| this.carry(&doors, slot, to));
        let moves = futures_util::stream::iter(moves).buffer_unordered(AT_ONCE);
        moves.collect::<Vec<()>>().await;
    }

    /// Moves one slot, from the beginning again if a node refuses a step.
    async fn carry(&self, doors: &[MultiplexedConnection], slot: u16, to: usize) {
        let mut failed = String::new();
        for _ in 0..TRIES {
            let from = self.owner(slot).await;
            match self.try_carry(doors, slot, from, to).await {
                Ok(()) => return,
                Err(error) => failed = error.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("slot {slot} does not move to node {to}: {failed}");
    }

    async fn try_carry(
        &self,
        doors: &[MultiplexedConnection],
        slot: u16,
        from: usize,
        to: usize,
    ) -> RedisResult<()> {
        let on = |node: usize| doors[node].clone();
        if from != to {
            let importing = setslot(slot, "IMPORTING", &self.ids[from]);
            importing.exec_async(&mut on(to)).await?;
            let migrating = setslot(slot, "MIGRATING", &self.ids[to]);
            migrating.exec_async(&mut on(from)).await?;
            self.carry_keys(&mut on(from), slot, to).await?;
        }
        // The target first: if all ended here, the others would learn it from the target, and no slot has two owners.
        let owned = setslot(slot, "NODE", &self.ids[to]);
        owned.exec_async(&mut on(to)).await?;
        if from != to {
            owned.exec_async(&mut on(from)).await?;
        }
        for (node, map) in self.maps().await.into_iter().enumerate() {
            let master = map.is_some_and(|map| map.is_master(&self.ids[node]));
            if master && node != to && node != from {
                owned.exec_async(&mut on(node)).await?;
            }
        }
        Ok(())
    }

    async fn carry_keys(
        &self,
        from: &mut MultiplexedConnection,
        slot: u16,
        to: usize,
    ) -> RedisResult<()> {
        let port = self.nodes[to].ports.clients;
        loop {
            let mut list = cluster(&["GETKEYSINSLOT"]);
            let keys: Vec<Vec<u8>> = list.arg(slot).arg(BATCH).query_async(from).await?;
            if keys.is_empty() {
                return Ok(());
            }
            let mut migrate = redis::cmd("MIGRATE");
            migrate
                .arg("127.0.0.1")
                .arg(port)
                .arg("")
                .arg(0)
                .arg(MIGRATE);
            migrate.arg("REPLACE").arg("KEYS").arg(&keys);
            migrate.exec_async(from).await?;
        }
    }

    /// Waits until all nodes that live say that all is well, and the same of each slot: no slot is on its way.
    pub async fn until_agreed(&mut self) {
        let living: Vec<bool> = self
            .nodes
            .iter_mut()
            .map(|node| node.process.ended().is_none())
            .collect();
        let this = &*self;
        until_time(AGREEMENT, "all nodes to agree", || async {
            let maps = this.maps().await;
            let living = maps.iter().zip(&living).filter(|(_, lives)| **lives);
            let maps: Vec<&Option<Map>> = living.map(|(map, _)| map).collect();
            let first = maps.first().and_then(|map| map.as_ref());
            let Some(first) = first.filter(|first| first.covers_all()) else {
                return Err(format!(
                    "of some slots nobody says who owns them: {first:?}"
                ));
            };
            for map in &maps {
                let map = map.as_ref().ok_or("a node does not answer")?;
                if !map.agrees_with(first) {
                    return Err(format!("they differ: {map:?} and {first:?}"));
                }
            }
            for (index, node) in this.nodes.iter().enumerate() {
                if well(node).await == Some(false) {
                    return Err(format!("to node {index} the cluster has failed"));
                }
            }
            Ok(())
        })
        .await;
    }

    /// Waits until each node knows all others by their true names.
    async fn until_met(&self) {
        until("all nodes to have met", || async {
            for (index, map) in self.maps().await.into_iter().enumerate() {
                let map = map.ok_or("a node does not answer")?;
                if !map.knows(&self.ids) {
                    return Err(format!("node {index} knows {map:?}"));
                }
            }
            Ok(())
        })
        .await;
    }

    /// What each node says of all, or none if it does not answer.
    async fn maps(&self) -> Vec<Option<Map>> {
        let asked = self.nodes.iter().map(|node| async move {
            let text: Option<String> = node.soon(&cluster(&["NODES"])).await;
            text.map(|text| Map::read(&text))
        });
        futures_util::future::join_all(asked).await
    }

    fn index(&self, id: &str) -> Option<usize> {
        self.ids.iter().position(|known| known == id)
    }
}

/// The slots in three equal parts.
fn thirds() -> impl Iterator<Item = Range<u32>> {
    let bound = |part: usize| u32::from(SLOTS) * part as u32 / MASTERS as u32;
    (0..MASTERS).map(move |part| bound(part)..bound(part + 1))
}

/// Whether a node, if it answers, takes the cluster for well: only then it takes commands.
async fn well(node: &Redis) -> Option<bool> {
    let info: Option<String> = node.soon(&cluster(&["INFO"])).await;
    info.map(|info| info.contains("cluster_state:ok"))
}

fn cluster(words: &[&str]) -> Cmd {
    let mut command = redis::cmd("CLUSTER");
    command.arg(words);
    command
}

fn setslot(slot: u16, state: &str, node: &str) -> Cmd {
    let mut command = cluster(&["SETSLOT"]);
    command.arg(slot).arg(state).arg(node);
    command
}
