//! Who owns a topic, where two Channels of a namespace claim it.
//!
//! Owns: the first claim wins; `compile` asks in order of age. Never: looks across namespaces, since
//! URLs carry them. Used by: `compile`.

use crate::name::ChannelName;
use crate::pattern::TopicPattern;
use crate::policy::{Policy, Rejection};
use crate::reason::Reason;
use std::collections::HashMap;
use std::sync::Arc;

/// The topics claimed so far.
#[derive(Debug, Default)]
pub struct Claims(HashMap<Arc<str>, Namespace>);

#[derive(Debug, Default)]
struct Namespace {
    literals: HashMap<TopicPattern, ChannelName>,
    shapes: Vec<(TopicPattern, ChannelName)>,
}

impl Claims {
    /// Claims all topics of `policy`, or none when another Channel has one of them.
    pub fn claim(&mut self, policy: &Policy) -> Result<(), Rejection> {
        let channel = &policy.channel;
        let namespace = self.0.entry(channel.namespace().clone()).or_default();
        for pattern in &policy.topics {
            if let Some((theirs, owner)) = namespace.owner(pattern) {
                return Err(Rejection::new(
                    Reason::TopicConflict,
                    format!(
                        "topic {pattern:?} meets {theirs:?} of the older Channel {:?}; change spec.topics of one of them.",
                        owner.name()
                    ),
                ));
            }
        }
        for pattern in &policy.topics {
            if pattern.is_literal() {
                namespace.literals.insert(pattern.clone(), channel.clone());
            } else {
                namespace.shapes.push((pattern.clone(), channel.clone()));
            }
        }
        Ok(())
    }
}

impl Namespace {
    /// A claim that shares a topic with `pattern`; of several the least, so that the message does
    /// not depend on chance.
    fn owner(&self, pattern: &TopicPattern) -> Option<(&TopicPattern, &ChannelName)> {
        if let Some(found) = self.literals.get_key_value(pattern) {
            return Some(found);
        }
        let shapes = self.shapes.iter().map(|(theirs, owner)| (theirs, owner));
        let shape = shapes.filter(|(theirs, _)| theirs.overlaps(pattern)).min();
        if shape.is_some() || pattern.is_literal() {
            return shape;
        }
        let literals = self.literals.iter();
        literals
            .filter(|(theirs, _)| pattern.matches(theirs.as_str()))
            .min()
    }
}
