//! Which Channels the names in a request mean.
//!
//! Owns: when a name with `*` at its end is a selector, and that nothing is listened to twice. Pure. Used by:
//! `stream`, and `http` for preflights.

use super::Refusal;
use super::request::{Bad, Name};
use crate::access::{Ask, Subject};
use crate::position::MOST_TOPICS;
use crate::worker::opening::Selector;
use crds::name::Topic;
use crds::policy::Policy;
use crds::snapshot::Snapshot;
use std::sync::Arc;

/// What a stream listens to: a topic, or the feed of a Channel as far as its selectors want it.
#[derive(Debug)]
pub struct Wanted {
    pub policy: Arc<Policy>,
    pub subject: Subject,
    /// For a feed, at least one; for a topic none.
    pub selectors: Vec<Selector>,
}

impl Wanted {
    /// What access is asked for.
    #[must_use]
    pub fn ask(&self) -> Ask {
        Ask {
            policy: self.policy.clone(),
            subject: self.subject.clone(),
        }
    }
}

/// The Channels of `names`, in order of the names, 1–32. What selectors ask for of a Channel with `wildcard`
/// becomes one place in its feed, together with topics of the same Channel, so nothing comes twice.
pub fn find(names: &[Name], namespace: &str, snapshot: &Snapshot) -> Result<Vec<Wanted>, Refusal> {
    let mut wanted: Vec<Wanted> = Vec::with_capacity(names.len());
    for name in names {
        match name {
            Name::Topic(topic) => wanted.push(topic_of(topic, namespace, snapshot)?),
            Name::Starred { prefix, literal } => {
                let before = wanted.len();
                wanted.extend(feeds(prefix, namespace, snapshot));
                match literal {
                    _ if wanted.len() > before => {}
                    Some(topic) => wanted.push(topic_of(topic, namespace, snapshot)?),
                    None => return Err(Refusal::UnknownTopic(name.text())),
                }
            }
        }
    }
    let wanted = merge_feeds(wanted);
    if wanted.len() > MOST_TOPICS {
        return Err(Bad::TooManyTopics.into());
    }
    Ok(wanted)
}

fn topic_of(topic: &Topic, namespace: &str, snapshot: &Snapshot) -> Result<Wanted, Refusal> {
    let policy = snapshot
        .find(namespace, topic)
        .ok_or_else(|| Refusal::UnknownTopic(topic.to_string()))?;
    Ok(Wanted {
        policy: policy.clone(),
        subject: Subject::Topic(topic.clone()),
        selectors: Vec::new(),
    })
}

/// The feeds in which topics that begin with `prefix` may come.
fn feeds<'a>(
    prefix: &'a str,
    namespace: &'a str,
    snapshot: &'a Snapshot,
) -> impl Iterator<Item = Wanted> + 'a {
    let meant = move |policy: &&Arc<Policy>| {
        policy.wildcard
            && **policy.channel.namespace() == *namespace
            && policy.topics.iter().any(|pattern| pattern.reaches(prefix))
    };
    snapshot
        .policies()
        .iter()
        .filter(meant)
        .map(move |policy| Wanted {
            policy: policy.clone(),
            subject: Subject::Feed,
            selectors: vec![Selector::Prefix(prefix.into())],
        })
}

/// Leaves one entry for each feed, with all that is wanted of its Channel.
fn merge_feeds(wanted: Vec<Wanted>) -> Vec<Wanted> {
    let feeds: Vec<_> = wanted
        .iter()
        .filter(|wanted| wanted.subject == Subject::Feed)
        .map(|wanted| wanted.policy.channel.clone())
        .collect();
    let mut kept: Vec<Wanted> = Vec::with_capacity(wanted.len());
    for next in wanted {
        if !feeds.contains(&next.policy.channel) {
            kept.push(next);
            continue;
        }
        let selectors = match next.subject {
            Subject::Topic(topic) => vec![Selector::Exact(topic)],
            Subject::Feed => next.selectors,
        };
        let feed = kept
            .iter_mut()
            .find(|kept| kept.policy.channel == next.policy.channel);
        match feed {
            Some(feed) => feed.selectors.extend(selectors),
            None => kept.push(Wanted {
                policy: next.policy,
                subject: Subject::Feed,
                selectors,
            }),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::super::query::Query;
    use super::super::request::SubscribeRequest;
    use super::*;
    use crate::fixtures::{open, snapshot, with};
    use http::HeaderMap;
    use serde_json::json;

    fn channels() -> Arc<Snapshot> {
        let wild = |topics: &[&str]| with(open(), json!({"wildcard": true, "topics": topics}));
        snapshot(&[
            ("any", wild(&["any{n}"])),
            ("chat", with(open(), json!({"topics": ["chat.{room}"]}))),
            ("orders", wild(&["orders", "orders.{id}", "orders.{id}.x"])),
        ])
    }

    #[track_caller]
    fn check(query: &str, expected: Result<&[&str], &str>) {
        let request = SubscribeRequest::parse(&Query::parse(query), &HeaderMap::new()).unwrap();
        let found = find(&request.names, "shop", &channels());
        let shown = |wanted: Wanted| match wanted.subject {
            Subject::Topic(topic) => topic.to_string(),
            Subject::Feed => {
                let selectors = wanted.selectors.iter().map(|selector| match selector {
                    Selector::Exact(topic) => topic.to_string(),
                    Selector::Prefix(prefix) => format!("{prefix}*"),
                });
                let selectors: Vec<_> = selectors.collect();
                format!("{}[{}]", wanted.policy.channel.name(), selectors.join(" "))
            }
        };
        let shown = found
            .map(|all| all.into_iter().map(shown).collect::<Vec<_>>())
            .map_err(|refusal| refusal.word());
        let expected = expected.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(shown, expected, "{query}");
    }

    #[test]
    fn a_topic_is_itself_in_any_channel() {
        check(
            "channel=orders.7&channel=chat.a",
            Ok(&["chat.a", "orders.7"]),
        );
        check("channel=a.b", Err("unknown-topic"));
        check("channel=chat.a&channel=a.b", Err("unknown-topic"));
    }

    #[test]
    fn a_star_selects_from_the_feeds_that_it_may_reach() {
        check("channel=orders.*", Ok(&["orders[orders.*]"]));
        check("channel=*", Ok(&["any[*]", "orders[*]"]));
        check("channel=any*", Ok(&["any[any*]"]));
        check("channel=ord*", Ok(&["orders[ord*]"]));
    }

    #[test]
    fn selectors_and_topics_of_one_channel_share_its_feed() {
        check(
            "channel=orders.1*&channel=orders.2*&channel=orders&channel=chat.a",
            Ok(&["chat.a", "orders[orders orders.1* orders.2*]"]),
        );
    }

    #[test]
    fn without_a_wildcard_channel_a_star_is_a_character() {
        check("channel=chat.*", Ok(&["chat.*"]));
        check("channel=chat.a.*", Err("unknown-topic"));
    }

    #[test]
    fn selectors_reach_at_most_as_many_channels_as_a_stream_may_name() {
        let names: Vec<String> = (0..33).map(|index| format!("c{index}")).collect();
        let spec = with(open(), json!({"wildcard": true}));
        let specs: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), spec.clone()))
            .collect();
        let request = SubscribeRequest::parse(&Query::parse("channel=*"), &HeaderMap::new());
        let found = find(&request.unwrap().names, "shop", &snapshot(&specs));
        assert_eq!(found.unwrap_err().word(), "malformed");
    }
}
