//! Which raw publishers' channels concern which Channel, and by which subscription one is taken.
//!
//! Owns: the names to subscribe to, the way from a raw name to topics, and that one raw message is taken
//! once. Never: talks to a server, reads a payload. Pure. Used by: `ingest`.

use super::keys::{JUGGERNAUT, Keys};
use super::wanted::Name;
use crate::address::Address;
use crate::broker::Target;
use crds::name::Topic;
use crds::policy::Policy;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The Channels that hear raw publishers, ready to be found by a raw name.
#[derive(Default)]
pub struct Index {
    policies: Vec<Arc<Policy>>,
    /// Those that own one topic by its raw name.
    literal: HashMap<String, Vec<usize>>,
    /// Those that own topics by a pattern with captures.
    patterned: Vec<usize>,
    juggernaut: HashMap<String, Vec<usize>>,
}

impl Index {
    /// Takes those of `policies` that hear somebody.
    #[must_use]
    pub fn new(policies: &[Arc<Policy>]) -> Self {
        let mut index = Self::default();
        let heard = policies.iter().filter(|policy| policy.ingest.any());
        for (number, policy) in heard.enumerate() {
            index.policies.push(policy.clone());
            if policy.ingest.juggernaut {
                let name = juggernaut(policy);
                index.juggernaut.entry(name).or_default().push(number);
            }
            if !by_name(policy) {
                continue;
            }
            for pattern in policy.topics.iter().filter(|topic| topic.is_literal()) {
                let name = format!("{}{}", policy.prefix, pattern.as_str());
                index.literal.entry(name).or_default().push(number);
            }
            if policy.topics.iter().any(|topic| !topic.is_literal()) {
                index.patterned.push(number);
            }
        }
        index
    }

    /// The Channels in force.
    #[must_use]
    pub fn policies(&self) -> &[Arc<Policy>] {
        &self.policies
    }

    /// Who takes a message published at `raw`, each Channel once, with the topic it is for.
    #[must_use]
    pub fn takers(&self, keys: &Keys, raw: &str) -> Vec<(Arc<Policy>, Topic)> {
        if keys.reserved(raw) {
            return Vec::new();
        }
        let literal = self.literal.get(raw).into_iter().flatten();
        let mut seen = HashSet::new();
        let numbers = literal.chain(&self.patterned);
        let found = numbers.filter(|number| seen.insert(**number));
        let takers = found.filter_map(|&number| {
            let policy = self.policies.get(number)?;
            let topic = Topic::new(raw.strip_prefix(&*policy.prefix)?).ok()?;
            let taken = !keys.reserved(topic.as_str()) && policy.owns(&topic);
            taken.then(|| (policy.clone(), topic))
        });
        takers.collect()
    }

    /// The Channels that hear Juggernaut's publishers at `raw`.
    #[must_use]
    pub fn juggernauts(&self, raw: &str) -> Vec<Arc<Policy>> {
        let numbers = self.juggernaut.get(raw).into_iter().flatten();
        numbers
            .filter_map(|&number| self.policies.get(number).cloned())
            .collect()
    }
}

/// Whether topics are heard at their own raw names.
fn by_name(policy: &Policy) -> bool {
    policy.ingest.flask_sse || policy.ingest.raw
}

fn juggernaut(policy: &Policy) -> String {
    format!("{}{JUGGERNAUT}", policy.prefix)
}

/// The subscriptions that hear everything raw for a Channel.
#[must_use]
pub fn names_of(keys: &Keys, policy: &Policy) -> Vec<Name> {
    let mut names = Vec::new();
    if policy.ingest.juggernaut {
        names.push(Name::channel(juggernaut(policy)));
    }
    if by_name(policy) {
        for pattern in &policy.topics {
            if !pattern.is_literal() {
                let glob = format!("{}{}", escaped(&policy.prefix), pattern.redis_glob());
                names.push(Name::Pattern(glob.into()));
            } else if !keys.reserved(pattern.as_str()) {
                let name = format!("{}{}", policy.prefix, pattern.as_str());
                names.push(Name::channel(name));
            }
        }
    }
    names
}

/// The subscriptions that hear what nobody numbers, for one joined address.
#[must_use]
pub fn names_for(keys: &Keys, target: &Target) -> Vec<Name> {
    let policy = &target.policy;
    if policy.history.is_some() {
        return Vec::new();
    }
    let topic = match &target.address {
        Address::Feed { .. } => return names_of(keys, policy),
        Address::Topic { topic, .. } | Address::Member { topic, .. } => topic,
    };
    let mut names = Vec::new();
    if policy.ingest.juggernaut {
        names.push(Name::channel(juggernaut(policy)));
    }
    let raw = format!("{}{topic}", policy.prefix);
    if by_name(policy) && !keys.reserved(&raw) && !keys.reserved(topic.as_str()) {
        names.push(Name::channel(raw));
    }
    names
}

/// What a raw message of `policy` for `topic` is addressed to.
#[must_use]
pub fn address(policy: &Policy, topic: &Topic) -> Address {
    let (channel, topic) = (policy.channel.clone(), topic.clone());
    if policy.wildcard {
        return Address::Member { channel, topic };
    }
    let namespace = channel.namespace().clone();
    Address::Topic { namespace, topic }
}

fn escaped(text: &str) -> String {
    let mut glob = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            glob.push('\\');
        }
        glob.push(character);
    }
    glob
}

/// What the server has confirmed on this connection, in the order of its confirmations.
#[derive(Default)]
pub struct Confirmed {
    literal: HashSet<Arc<str>>,
    patterns: Vec<Arc<str>>,
}

impl Confirmed {
    /// The server hears `name` from here on.
    pub fn add(&mut self, name: Name) {
        match name {
            Name::Channel(name) => {
                self.literal.insert(name);
            }
            Name::Pattern(name) if !self.patterns.contains(&name) => self.patterns.push(name),
            Name::Pattern(_) | Name::Sharded(_) => {}
        }
    }

    /// It hears it no longer.
    pub fn remove(&mut self, name: &Name) {
        match name {
            Name::Channel(name) => {
                self.literal.remove(name);
            }
            Name::Pattern(name) => self.patterns.retain(|known| known != name),
            Name::Sharded(_) => {}
        }
    }

    /// A new connection begins.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether a message that came by `pattern` (none: by the literal subscription) is the one to take:
    /// the literal one if there is one, else that of the first pattern.
    #[must_use]
    pub fn takes(&self, pattern: Option<&str>, channel: &str) -> bool {
        let Some(pattern) = pattern else { return true };
        if self.literal.contains(channel) {
            return false;
        }
        let first = self
            .patterns
            .iter()
            .find(|known| glob_matches(known, channel));
        first.is_none_or(|first| **first == *pattern)
    }
}

/// Whether `text` matches a glob of `*` and escaped characters, as Redis would say.
fn glob_matches(glob: &str, text: &str) -> bool {
    let (glob, text) = (glob.as_bytes(), text.as_bytes());
    let (mut at, mut rest) = (0, 0);
    // Where the last star stands, and how far it has swallowed.
    let mut star: Option<(usize, usize)> = None;
    while rest < text.len() {
        let (width, same) = match glob.get(at) {
            Some(b'*') => {
                star = Some((at + 1, rest));
                at += 1;
                continue;
            }
            Some(b'\\') => (2, glob.get(at + 1) == text.get(rest)),
            Some(byte) => (1, Some(byte) == text.get(rest)),
            None => (0, false),
        };
        if same {
            at += width;
            rest += 1;
        } else if let Some((after, swallowed)) = star {
            star = Some((after, swallowed + 1));
            at = after;
            rest = swallowed + 1;
        } else {
            return false;
        }
    }
    glob[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests;
