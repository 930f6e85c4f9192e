//! Every key, pub/sub channel and time to live in Redis.
//!
//! Owns: their spelling, so that two gateways and two versions find the same ones. Never: talks to a
//! server. Pure. Used by: everything else under `redis`.

use super::topology::{Node, Place};
use super::wanted::Name;
use crate::address::Address;
use std::sync::Arc;
use std::time::Duration;

/// The meta of a topic outlives its history by far, so that old cursors are still judged.
const META_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the ingest lease holds without being renewed.
pub const LEASE_TTL: Duration = Duration::from_secs(3);
/// How long a gateway that says nothing still counts as alive, for the sessions that it told of.
pub const ALIVE_TTL: Duration = Duration::from_secs(10);
/// How long the list of told sessions outlives its gateway.
pub const SESSIONS_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Spells keys under one prefix.
#[derive(Clone, Debug)]
pub struct Keys {
    prefix: Arc<str>,
    gateway: Arc<str>,
    id: Arc<str>,
    /// Whether messages are published by sharded pub/sub, as in a cluster.
    sharded: bool,
}

/// The keys and channel of one sequence of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Where its messages are published; every key begins with it.
    pub channel: String,
    /// The hash of what is remembered of it.
    pub meta: String,
    /// The stream of what is kept of it.
    pub history: String,
}

impl Keys {
    /// `prefix` is that of the whole install, `gateway` the name of the fleet, `id` this process.
    #[must_use]
    pub fn new(prefix: &str, gateway: &str, id: &str) -> Self {
        Self {
            prefix: prefix.into(),
            gateway: gateway.into(),
            id: id.into(),
            sharded: false,
        }
    }

    /// The same for a cluster, where only the server of its slot publishes a message.
    #[must_use]
    pub fn sharded(self, sharded: bool) -> Self {
        Self { sharded, ..self }
    }

    /// The command by which a message is published.
    #[must_use]
    pub fn publishes_by(&self) -> &'static str {
        if self.sharded { "SPUBLISH" } else { "PUBLISH" }
    }

    /// The connection that hears what `node` numbers.
    #[must_use]
    pub fn hears_at(&self, node: Node) -> Place {
        let sharded = self.sharded;
        Place { node, sharded }
    }

    /// The subscription that hears what is numbered at `channel`, see [`Self::channel`].
    #[must_use]
    pub fn subscription(&self, channel: &str) -> Name {
        if self.sharded {
            Name::Sharded(channel.into())
        } else {
            Name::channel(channel)
        }
    }

    /// This process.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Where messages of `address` are published.
    #[must_use]
    pub fn channel(&self, address: &Address) -> String {
        format!("{}:{{{}}}{}", self.prefix, address.tag(), address.suffix())
    }

    /// All names of `address` but those of idempotency keys.
    #[must_use]
    pub fn names(&self, address: &Address) -> Names {
        let channel = self.channel(address);
        Names {
            meta: format!("{channel}:m"),
            history: format!("{channel}:h"),
            channel,
        }
    }

    /// The key that remembers that a publication happened.
    #[must_use]
    pub fn publication(&self, address: &Address, key: &str) -> String {
        format!("{}:k:{key}", self.channel(address))
    }

    /// Whether a raw publisher's channel is one of ours, of the server's or of Juggernaut's events.
    #[must_use]
    pub fn reserved(&self, raw: &str) -> bool {
        let own = raw
            .strip_prefix(&*self.prefix)
            .is_some_and(|rest| rest.starts_with(':'));
        own || raw.starts_with("siar:") || raw.starts_with("__key") || raw.starts_with(JUGGERNAUT)
    }

    /// Where the gateways of one fleet talk to each other.
    #[must_use]
    pub fn control(&self) -> String {
        format!("{}:control:{}", self.prefix, self.gateway)
    }

    /// Where answers for this process arrive.
    #[must_use]
    pub fn own(&self) -> String {
        self.own_of(&self.id)
    }

    /// The same of another process.
    #[must_use]
    pub fn own_of(&self, id: &str) -> String {
        format!("{}:gateway:{id}", self.prefix)
    }

    /// Where this process hears itself on the connection at `place`.
    #[must_use]
    pub fn probe(&self, place: &Place) -> String {
        let kind = if place.sharded { "s" } else { "p" };
        format!("{}:probe:{}:{kind}:{}", self.prefix, self.id, place.node)
    }

    /// The key whose server hears and is told what belongs to no topic.
    #[must_use]
    pub fn home(&self) -> String {
        self.ledger()
    }

    /// Who holds the ingest lease; expires.
    #[must_use]
    pub fn lease(&self) -> String {
        format!("{}:{{ingest:{}}}:lease", self.prefix, self.gateway)
    }

    /// What outlives the lease: its newest token, the number of the newest loss, whether raw messages
    /// may have been missed since its last holder.
    #[must_use]
    pub fn ledger(&self) -> String {
        format!("{}:{{ingest:{}}}:ledger", self.prefix, self.gateway)
    }

    /// Which gateways told raw publishers of sessions.
    #[must_use]
    pub fn tellers(&self) -> String {
        format!("{}:{{ingest:{}}}:tellers", self.prefix, self.gateway)
    }

    /// The sessions that a gateway told of.
    #[must_use]
    pub fn sessions(&self, id: &str) -> String {
        format!("{}:{{gateway:{id}}}:sessions", self.prefix)
    }

    /// Exists while a gateway lives.
    #[must_use]
    pub fn alive(&self, id: &str) -> String {
        format!("{}:{{gateway:{id}}}:alive", self.prefix)
    }
}

/// Where Juggernaut's publishers publish, after the Channel's prefix; its events begin with it.
pub const JUGGERNAUT: &str = "juggernaut";

/// How long the meta of a topic is remembered after its last message.
#[must_use]
pub fn meta_ttl(history: Duration) -> Duration {
    META_TTL.max(history * 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::name::{ChannelName, Topic};

    fn keys() -> Keys {
        Keys::new("siar", "default", "g1")
    }

    #[test]
    fn keys_of_a_topic_share_the_tag_that_decides_the_slot() {
        let address = Address::Topic {
            namespace: "shop".into(),
            topic: Topic::new("orders.42").unwrap(),
        };
        let names = keys().names(&address);
        assert_eq!(names.channel, "siar:{shop/orders.42}");
        assert_eq!(names.meta, "siar:{shop/orders.42}:m");
        assert_eq!(names.history, "siar:{shop/orders.42}:h");
        assert_eq!(
            keys().publication(&address, "ab"),
            "siar:{shop/orders.42}:k:ab"
        );
    }

    #[test]
    fn topics_of_a_wildcard_channel_share_its_tag() {
        let channel = ChannelName::new("shop", "orders");
        let topic = Topic::new("orders.42").unwrap();
        let member = Address::Member {
            channel: channel.clone(),
            topic,
        };
        assert_eq!(keys().channel(&member), "siar:{shop/orders}:t:orders.42");
        let feed = Address::Feed { channel };
        assert_eq!(keys().names(&feed).meta, "siar:{shop/orders}:f:m");
    }

    #[test]
    fn channels_of_ours_and_of_others_are_never_ingested() {
        let keys = Keys::new("blue", "default", "g1");
        for name in [
            "blue:x",
            "siar:x",
            "__keyspace@0__:x",
            "juggernaut",
            "juggernaut:subscribe",
        ] {
            assert!(keys.reserved(name), "{name}");
        }
        for name in ["blue", "bluebird", "sse", "siar"] {
            assert!(!keys.reserved(name), "{name}");
        }
    }

    #[test]
    fn the_meta_outlives_the_history() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        assert_eq!(meta_ttl(hours(1)), hours(24));
        assert_eq!(meta_ttl(hours(100)), hours(200));
    }
}
