//! A Redis Cluster whose nodes tell clients and replicas of a wire that leads to them, in place of their own address.
//!
//! Owns: that all nodes tell so before it is used. Never: has a wire carry what nodes say to each other. Used by: tests of
//! bad networks.

use super::{RedisCluster, cluster};
use crate::proxy::Proxy;
use crate::wait::until;

impl RedisCluster {
    /// [`RedisCluster::start`] with a wire to each node for clients and replicas. Nodes speak with each other beside it, so
    /// none is taken for dead, whatever happens to its wire.
    pub async fn behind_wires() -> Self {
        let mut made = Self::start().await;
        for (index, node) in made.nodes.iter_mut().enumerate() {
            let wire = Proxy::seeded(node.address(), index as u64).await;
            let mut set = redis::cmd("CONFIG");
            set.arg("SET").arg("cluster-announce-port");
            let () = node.run(set.arg(wire.address().port())).await;
            made.wires.push(wire);
        }
        made.until_announced().await;
        made
    }

    /// The wires to all nodes, in the same order.
    #[must_use]
    pub fn wires(&self) -> &[Proxy] {
        &self.wires
    }

    /// Waits until each node tells of all others that they are reached through their wires, and follows its master through
    /// one, if it follows any.
    async fn until_announced(&self) {
        let wires = || self.wires.iter().map(Proxy::address);
        for node in &self.nodes {
            until("all wires to be known", || async {
                let text: Option<String> = node.soon(&cluster(&["NODES"])).await;
                let text = text.unwrap_or_default();
                let known = wires().all(|wire| text.contains(&format!(" {wire}@")));
                known.then_some(()).ok_or(text)
            })
            .await;
            until("replicas to follow through wires", || async {
                let info: Option<String> = node.soon(redis::cmd("INFO").arg("replication")).await;
                let info = info.unwrap_or_default();
                let follows = |port| format!("master_port:{port}\r\nmaster_link_status:up");
                let follows = wires().any(|wire| info.contains(&follows(wire.port())));
                let good = follows || info.contains("role:master");
                good.then_some(()).ok_or(info)
            })
            .await;
        }
    }
}
