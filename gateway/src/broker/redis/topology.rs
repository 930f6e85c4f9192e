//! Which server of a Redis serves which key.
//!
//! Owns: the 16,384 slots of a Redis Cluster, and that one server serves them all elsewhere. Never: asks a
//! server. Pure. Used by: `follow`, which learns it; `commands`, `wanted` and `nodes`, which go by it.

use std::fmt;
use std::sync::Arc;

/// The slots of a Redis Cluster.
pub const SLOTS: u16 = 16_384;
/// Masters of one cluster; with more the cluster counts as out of reach, and the log says so.
pub const MOST_NODES: usize = 256;

/// One server, by the address at which it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// A name or a literal address, without brackets.
    pub host: Arc<str>,
    pub port: u16,
}

impl Node {
    /// `host` may be a literal address.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        let host = host.into();
        Self { host, port }
    }

    /// Reads `host:port` as Redis writes it: the last colon parts them, since an IPv6 address has no brackets.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        (!host.is_empty()).then(|| Self::new(host, port))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// One connection for subscriptions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub node: Node,
    /// It hears sharded channels alone. A server that gives away a slot ends such a connection, and with it must
    /// not go what raw publishers publish.
    pub sharded: bool,
}

/// Who serves what. By default nobody is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Each once; with no slots the first serves all.
    nodes: Vec<Node>,
    /// For each slot one more than the index of its node; 0 is nobody. Empty without a cluster.
    slots: Vec<u16>,
}

impl Topology {
    /// One server for everything.
    #[must_use]
    pub fn one(node: Node) -> Self {
        Self {
            nodes: vec![node],
            slots: Vec::new(),
        }
    }

    /// A cluster without any slot yet.
    #[must_use]
    pub fn cluster() -> Self {
        Self {
            nodes: Vec::new(),
            slots: vec![0; usize::from(SLOTS)],
        }
    }

    /// All servers.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Who serves `slot`.
    #[must_use]
    pub fn owner(&self, slot: u16) -> Option<&Node> {
        if self.slots.is_empty() {
            return self.nodes.first();
        }
        let index = self.slots.get(usize::from(slot))?.checked_sub(1)?;
        self.nodes.get(usize::from(index))
    }

    /// The connections for subscriptions that it takes; what is not sharded is heard by the server of the slot
    /// `home`.
    #[must_use]
    pub fn places(&self, home: u16) -> Vec<Place> {
        let sharded = !self.slots.is_empty();
        let nodes = self.nodes.iter().filter(|_| sharded);
        let places = nodes.map(|node| (node, true));
        let plain = self.owner(home).map(|node| (node, false));
        let places = places.chain(plain);
        places
            .map(|(node, sharded)| Place {
                node: node.clone(),
                sharded,
            })
            .collect()
    }

    /// Has `node` serve the slots from `first` to `last`. False: there are too many nodes.
    #[must_use]
    pub fn assign(&mut self, node: &Node, first: u16, last: u16) -> bool {
        let index = self.nodes.iter().position(|known| known == node);
        let index = index.unwrap_or_else(|| {
            self.nodes.push(node.clone());
            self.nodes.len() - 1
        });
        for slot in first..=last.min(SLOTS - 1) {
            if let (Some(owner), Ok(index)) = (
                self.slots.get_mut(usize::from(slot)),
                u16::try_from(index + 1),
            ) {
                *owner = index;
            }
        }
        self.nodes.len() <= MOST_NODES
    }
}

/// The slot of a key or a sharded channel: CRC16 (XMODEM) of what stands between the first brace and the next
/// closing one, or of all, as the Redis Cluster specification has it.
#[must_use]
pub fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| {
        let (tag, _) = rest.split_once('}')?;
        (!tag.is_empty()).then_some(tag)
    });
    let mut crc = 0_u16;
    for byte in tag.unwrap_or(key).bytes() {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            };
        }
    }
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot("123456789"), 0x31C3);
        assert_eq!(slot("foo"), 12_182);
        assert_eq!(slot("{user1000}.following"), slot("{user1000}.followers"));
        assert_eq!(slot("foo{}{bar}"), slot("foo{}{bar}"));
        assert_ne!(slot("foo{}{bar}"), slot("bar"));
        assert_eq!(slot("siar:{shop/a}:h"), slot("siar:{shop/a}"));
    }

    #[test]
    fn one_server_serves_every_slot() {
        let node = Node::new("redis", 6379);
        let topology = Topology::one(node.clone());
        assert_eq!(topology.owner(0), Some(&node));
        assert_eq!(topology.owner(SLOTS - 1), Some(&node));
        assert_eq!(Topology::default().owner(0), None);
    }

    #[test]
    fn slots_of_a_cluster_have_their_owners_or_nobody() {
        let (a, b) = (Node::new("a", 1), Node::new("b", 2));
        let mut topology = Topology::cluster();
        assert!(topology.assign(&a, 0, 99) && topology.assign(&b, 100, 200));
        assert!(topology.assign(&b, 50, 50));
        assert_eq!(topology.owner(49), Some(&a));
        assert_eq!(topology.owner(50), Some(&b));
        assert_eq!(topology.owner(200), Some(&b));
        assert_eq!(topology.owner(201), None);
        assert_eq!(topology.nodes(), [a, b.clone()]);
        let places = topology.places(100);
        assert_eq!(places.iter().filter(|place| place.sharded).count(), 2);
        let plain = Place {
            node: b,
            sharded: false,
        };
        assert!(places.len() == 3 && places.contains(&plain));
    }

    #[test]
    fn addresses_read_as_redis_writes_them() {
        let node = Node::read("::1:6379").unwrap();
        assert_eq!((&*node.host, node.port), ("::1", 6379));
        assert_eq!(node.to_string(), "[::1]:6379");
        assert_eq!(
            Node::read("redis-0.redis:6380").unwrap().to_string(),
            "redis-0.redis:6380"
        );
        for text in ["", "a", "a:", ":1", "a:0", "a:x"] {
            assert_eq!(Node::read(text), None, "{text}");
        }
    }
}
