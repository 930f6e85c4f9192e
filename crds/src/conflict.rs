//! Who owns a topic, where two Channels of a namespace claim it.
//!
//! Owns: the first claim wins; `compile` asks in order of age. Never: looks across namespaces, since
//! URLs carry them. Used by: `compile`.

use crate::name::ChannelName;
use crate::pattern::{Reader, TopicPattern};
use crate::policy::{Policy, Rejection};
use crate::reason::Reason;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The most patterns with captures that a gateway takes of a namespace. Each new one is compared with all
/// that are there, so this bounds how long the Channels of one namespace delay everybody's compilation.
/// A Channel that would exceed it is rejected; older ones keep theirs.
const SHAPES: usize = 1_000;

/// The topics claimed so far.
#[derive(Debug, Default)]
pub struct Claims(HashMap<Arc<str>, Namespace>);

/// Both in order, so that the first that is found is the least.
#[derive(Debug, Default)]
struct Namespace {
    literals: BTreeMap<TopicPattern, ChannelName>,
    /// Patterns with captures.
    shapes: BTreeMap<TopicPattern, ChannelName>,
}

impl Claims {
    /// Claims all topics of `policy`, or none when another Channel has one of them or the namespace has
    /// too many.
    pub fn claim(&mut self, policy: &Policy) -> Result<(), Rejection> {
        let channel = &policy.channel;
        let namespace = self.0.entry(channel.namespace().clone()).or_default();
        namespace.has_room(policy)?;
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
            let claims = if pattern.is_literal() {
                &mut namespace.literals
            } else {
                &mut namespace.shapes
            };
            claims.insert(pattern.clone(), channel.clone());
        }
        Ok(())
    }
}

impl Namespace {
    /// Asked before any pattern is compared: what is rejected here costs nothing.
    fn has_room(&self, policy: &Policy) -> Result<(), Rejection> {
        let shapes = policy.topics.iter().filter(|topic| !topic.is_literal());
        let (there, more) = (self.shapes.len(), shapes.count());
        if there + more <= SHAPES {
            return Ok(());
        }
        Err(Rejection::new(
            Reason::TooLarge,
            format!(
                "spec.topics has {more} patterns with captures where older Channels of the namespace have {there}, and a gateway takes at most {SHAPES} of a namespace; use fewer, or move Channels to another namespace or gateway."
            ),
        ))
    }

    /// A claim that shares a topic with `pattern`; of several the least, so that the message does
    /// not depend on chance.
    fn owner(&self, pattern: &TopicPattern) -> Option<(&TopicPattern, &ChannelName)> {
        if pattern.is_literal() {
            let matches =
                |(theirs, _): &(&TopicPattern, &ChannelName)| theirs.matches(pattern.as_str());
            let same = self.literals.get_key_value(pattern);
            return same.or_else(|| self.shapes.iter().find(matches));
        }
        let reader = Reader::new(pattern);
        let meets = |(theirs, _): &(&TopicPattern, &ChannelName)| reader.overlaps(theirs);
        let shape = self.shapes.iter().find(meets);
        shape.or_else(|| self.literals.iter().find(meets))
    }
}

#[cfg(test)]
mod tests;
