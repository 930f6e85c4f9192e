//! All Channels of one gateway.

use crate::name::{ChannelName, Topic};
use crate::policy::Policy;
use std::sync::Arc;

/// Every Channel of one gateway with its Secrets resolved; never changed afterwards.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Hash of the content, hex; empty before the first.
    pub revision: Arc<str>,
    policies: Vec<Arc<Policy>>,
}

impl Snapshot {
    /// The Channel that owns `topic` in `namespace`.
    #[must_use]
    pub fn find(&self, namespace: &str, topic: &Topic) -> Option<&Arc<Policy>> {
        self.policies
            .iter()
            .find(|policy| **policy.channel.namespace() == *namespace && policy.owns(topic))
    }

    /// The Channel of this name.
    #[must_use]
    pub fn channel(&self, name: &ChannelName) -> Option<&Arc<Policy>> {
        self.policies.iter().find(|policy| policy.channel == *name)
    }

    /// All Channels, in order of their names.
    #[must_use]
    pub fn policies(&self) -> &[Arc<Policy>] {
        &self.policies
    }
}
