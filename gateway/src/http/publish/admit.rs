//! Whether somebody may publish, with the page that posts.
//!
//! Owns: what is known before a list is read. Used by: `publish`.

use super::super::{Asked, Refusal};
use crate::access::{Action, Ask, Denial, Grant, Request, Subject, first_look};
use crate::clock;
use crds::name::Topic;

/// Decides about all `topics` together, and about the page that posts.
pub async fn all<'a>(
    asked: &mut Asked,
    topics: impl Iterator<Item = &'a Topic>,
) -> Result<Grant, Refusal> {
    let snapshot = asked.snapshot()?;
    let mut asks: Vec<Ask> = Vec::new();
    for topic in topics {
        let policy = snapshot
            .find(&asked.namespace, topic)
            .ok_or_else(|| Refusal::UnknownTopic(topic.to_string()))?;
        let subject = Subject::Topic(topic.clone());
        let ask = Ask {
            policy: policy.clone(),
            subject,
        };
        if !asks.iter().any(|known| known.subject == ask.subject) {
            asks.push(ask);
        }
    }
    let verdict = asked.judge_origin(asks.iter().map(|ask| &ask.policy))?;
    let presented = asked.presented(Action::Publish, &asks, verdict)?;
    asked.decide(Action::Publish, &asks, &presented).await
}

/// Whether there is any Channel in the namespace to which somebody may publish.
pub enum Standing {
    Somewhere,
    /// With what a Channel says about it, if there is one.
    Nowhere(Option<Denial>),
}

/// Looks at all Channels: before a list is read it is not known for which topics it is, so conditions are
/// left out, and nobody is asked for anything.
pub fn standing(asked: &mut Asked) -> Result<Standing, Refusal> {
    let snapshot = asked.snapshot()?;
    let presented = Request {
        token: asked.evidence().unwrap_or_default().token(true),
        facts: None,
    };
    let known = asked.state.evidence.known(clock::now());
    let policies = snapshot.policies().iter();
    let here = policies.filter(|policy| **policy.channel.namespace() == *asked.namespace);
    let mut refused = None;
    for policy in here {
        match first_look(Action::Publish, policy, &presented, &known) {
            Ok(()) => return Ok(Standing::Somewhere),
            Err(denial) => refused = Some(denial),
        }
    }
    Ok(Standing::Nowhere(refused))
}
