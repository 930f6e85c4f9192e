//! Whether somebody may publish, with the page that posts.
//!
//! Owns: what a cookie is worth here: a page of another site may make the browser send it. Used by: `publish`.

use super::super::{Asked, Refusal, Site, Verdict};
use crate::access::{Action, Ask, Decision, Denial, Grant, Subject, decide};
use crds::name::Topic;

/// Decides about all `topics` together, and about the page that posts.
pub fn all<'a>(
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
    let reads_tokens = asks
        .iter()
        .any(|ask| Action::Publish.reads_tokens(&ask.policy));
    let evidence = if reads_tokens {
        asked.evidence()?
    } else {
        Default::default()
    };
    if evidence.from_cookie && asked.site == Site::Absent {
        return Err(Refusal::CookieWithoutOrigin);
    }
    asked.decide(
        Action::Publish,
        asks,
        &evidence.request(verdict != Verdict::Any),
    )
}

/// Whether there is any Channel in the namespace to which somebody may publish.
pub enum Standing {
    Somewhere,
    /// With what a Channel says about it, if there is one.
    Nowhere(Option<Denial>),
}

/// Looks at all Channels: before a list is read it is not known for which topics it is.
pub fn standing(asked: &mut Asked) -> Result<Standing, Refusal> {
    let snapshot = asked.snapshot()?;
    let evidence = asked.evidence().unwrap_or_default().request(true);
    let policies = snapshot.policies().iter();
    let here = policies.filter(|policy| **policy.channel.namespace() == *asked.namespace);
    let mut refused = None;
    for policy in here {
        let ask = Ask {
            policy: policy.clone(),
            subject: Subject::Feed,
        };
        match decide(Action::Publish, vec![ask], &evidence) {
            Decision::Granted(_) => return Ok(Standing::Somewhere),
            Decision::Denied(denial) => refused = Some(denial),
        }
    }
    Ok(Standing::Nowhere(refused))
}
