//! What is numbered, kept and joined: a topic in its namespace, or the feed of a wildcard Channel.
//!
//! Owns: the identity of such a thing across the gateway. Pure. Used by: `topics`, `broker`, `worker`.

use crds::name::{ChannelName, Topic};
use std::fmt;
use std::sync::Arc;

/// The identity of a sequence of messages on one server.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A topic of an ordinary Channel.
    Topic { namespace: Arc<str>, topic: Topic },
    /// A topic of a Channel with `wildcard`: numbered together with the Channel's feed.
    Member { channel: ChannelName, topic: Topic },
    /// All topics of a Channel with `wildcard`, in one sequence.
    Feed { channel: ChannelName },
}

impl Address {
    /// The part between braces that decides the slot in a Redis Cluster, without the braces.
    #[must_use]
    pub fn tag(&self) -> String {
        match self {
            Self::Topic { namespace, topic } => format!("{namespace}/{topic}"),
            Self::Member { channel, .. } | Self::Feed { channel } => channel.to_string(),
        }
    }

    /// What follows the tag in keys and pub/sub channels.
    #[must_use]
    pub fn suffix(&self) -> String {
        match self {
            Self::Topic { .. } => String::new(),
            Self::Member { topic, .. } => format!(":t:{topic}"),
            Self::Feed { .. } => ":f".into(),
        }
    }

    /// The topic, unless it is a feed.
    #[must_use]
    pub fn topic(&self) -> Option<&Topic> {
        match self {
            Self::Topic { topic, .. } | Self::Member { topic, .. } => Some(topic),
            Self::Feed { .. } => None,
        }
    }

    /// The feed that a message to this address enters as well.
    #[must_use]
    pub fn feed(&self) -> Option<Self> {
        match self {
            Self::Member { channel, .. } => Some(Self::Feed {
                channel: channel.clone(),
            }),
            Self::Topic { .. } | Self::Feed { .. } => None,
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.tag(), self.suffix())
    }
}
