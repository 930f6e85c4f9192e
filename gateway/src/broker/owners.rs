//! Which Channel owns what is joined.
//!
//! Owns: that a topic goes with its Channel, or passes to another one. Never: looks at other servers' Channels.
//! Pure. Used by: `topics`, for what its workers joined; the Redis keeper, for what it hears.

use super::Target;
use crate::address::Address;
use crds::name::ChannelName;
use crds::policy::Policy;
use std::collections::HashMap;
use std::sync::Arc;

/// The Channels of one server. They own different topics.
#[derive(Default)]
pub struct Owners {
    channels: HashMap<ChannelName, Arc<Policy>>,
    /// Those without `wildcard`: what is joined of the others is theirs by name.
    namespaces: HashMap<Arc<str>, Vec<Arc<Policy>>>,
}

impl Owners {
    #[must_use]
    pub fn new(policies: &[Arc<Policy>]) -> Self {
        let mut owners = Self::default();
        for policy in policies {
            let channel = policy.channel.clone();
            if !policy.wildcard {
                let namespace = channel.namespace().clone();
                let neighbours = owners.namespaces.entry(namespace).or_default();
                neighbours.push(policy.clone());
            }
            owners.channels.insert(channel, policy.clone());
        }
        owners
    }

    /// The Channel that `target` belongs to now: its own as long as that has the topic, then whichever has it.
    /// None: its Channel is gone, and nobody took the topic over.
    #[must_use]
    pub fn of(&self, target: &Target) -> Option<&Arc<Policy>> {
        let own = self.channels.get(&target.policy.channel);
        let Address::Topic { namespace, topic } = &target.address else {
            return own;
        };
        let has = |policy: &&Arc<Policy>| !policy.wildcard && policy.owns(topic);
        let neighbours = self.namespaces.get(namespace);
        let other = || neighbours?.iter().find(has);
        own.filter(has).or_else(other).or(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::contract;
    use crds::pattern::TopicPattern;

    fn channel(name: &str, topics: &[&str], wildcard: bool) -> Arc<Policy> {
        let mut policy = contract::policy(name, 0, wildcard);
        let topics = topics.iter().map(|topic| TopicPattern::parse(topic));
        policy.topics = topics.collect::<Result<_, _>>().expect("patterns");
        Arc::new(policy)
    }

    #[track_caller]
    fn check(target: &Target, policies: &[Arc<Policy>], expected: Option<&str>) {
        let owners = Owners::new(policies);
        let owner = owners.of(target).map(|policy| &**policy.channel.name());
        assert_eq!(owner, expected);
    }

    #[test]
    fn a_topic_goes_with_its_channel_or_passes_to_the_one_that_has_it() {
        let (a, b) = (channel("a", &["x"], false), channel("b", &["{any}"], false));
        let x = contract::target(&a, "x");
        check(&x, &[b.clone(), a.clone()], Some("a"));
        check(&x, std::slice::from_ref(&b), Some("b"));
        check(&x, &[channel("a", &["y"], false), b], Some("b"));
        check(&x, &[channel("a", &["y"], false)], Some("a"));
        check(&x, &[channel("b", &["y"], false)], None);
        check(&x, &[channel("b", &["x"], true)], None);
    }

    #[test]
    fn a_topic_of_a_wildcard_channel_is_its_own_for_ever() {
        let a = channel("a", &["{any}"], true);
        let x = contract::target(&a, "x");
        check(&x, &[channel("b", &["x"], false), a], Some("a"));
        check(&x, &[channel("b", &["x"], false)], None);
    }
}
