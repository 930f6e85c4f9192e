//! Who may come in.
//!
//! Owns: [`decide`], the only maker of a [`Grant`]. Never: waits, reads a clock, keeps a token. Pure. Used
//! by: `http`, and by `worker` through the Grant to decide again what was decided before. What a decision
//! needs from elsewhere it names; `evidence` gets it, and asks again.

mod admit;
mod claims;
mod condition;
mod grant;
mod jwt;
mod kept;
pub mod keyring;
mod request;
pub mod review;
#[cfg(test)]
mod tests;

pub use grant::{Again, Grant};
pub use jwt::Memo;
pub use request::{Facts, Request, Token, TokenHash};

use crate::clock::Now;
use crate::metrics::Denied;
use admit::{Admitted, Case, Refused as Refusal, Shown};
use crds::name::Topic;
use crds::policy::{Policy, Rule};
use keyring::Keyring;
use review::{Review, Reviewer, Verdicts};
use std::sync::Arc;

/// The most bytes of an identity: presence and limits keep many of them.
const IDENTITY_BYTES: usize = 255;

/// Whether a text can name somebody: it stands in presence, and in the keys of what is published once.
#[must_use]
pub fn is_identity(text: &str) -> bool {
    (1..=IDENTITY_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Subscribe,
    Publish,
}

impl Action {
    /// The word in `spec.access` and in messages for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Publish => "publish",
        }
    }

    fn rules(self, policy: &Policy) -> &[Rule] {
        match self {
            Self::Subscribe => &policy.access.subscribe,
            Self::Publish => &policy.access.publish,
        }
    }

    /// Whether `policy` has a rule for this that looks at a presented token.
    #[must_use]
    pub fn reads_tokens(self, policy: &Policy) -> bool {
        self.rules(policy).iter().any(Rule::reads_tokens)
    }

    /// Whether a condition or a reviewer of `policy` for this reads the request itself.
    #[must_use]
    pub fn reads_requests(self, policy: &Policy) -> bool {
        self.rules(policy).iter().any(|rule| {
            let condition = rule.when.as_ref();
            condition.is_some_and(|condition| condition.reads().request)
                || Reviewer::of(&rule.kind).is_some()
        })
    }
}

/// What of a Channel is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    Topic(Topic),
    /// All topics of a Channel with `wildcard`.
    Feed,
}

/// One thing that is asked for, with the Channel that owns it.
#[derive(Clone, Debug)]
pub struct Ask {
    pub policy: Arc<Policy>,
    pub subject: Subject,
}

impl Ask {
    /// What it is called in messages for people.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.subject {
            Subject::Topic(topic) => topic.as_str(),
            Subject::Feed => self.policy.channel.name(),
        }
    }
}

/// What a decision knows beside the request.
pub struct Known<'a> {
    pub keyring: &'a Keyring,
    pub memo: &'a Memo,
    pub now: Now,
    /// Told of a condition that could not be evaluated, and why, without a value.
    pub failed: &'a (dyn Fn(&Policy, &'static str) + Sync),
}

/// What a decision needs from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The keys that an issuer publishes there: there are none yet, or none of the token's name.
    Keys(Arc<str>),
    /// What a reviewer says.
    Review(Review),
    /// The request itself, which a stream does not keep.
    Anew,
}

/// What was got for one request so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Sets that were fetched for it: what they lack is not there.
    pub fetched: Vec<Arc<str>>,
    /// Sets that cannot be fetched now.
    pub unreachable: Vec<Arc<str>>,
    /// What reviewers said.
    pub verdicts: Verdicts,
}

impl Findings {
    /// Whether a reviewer could not be asked.
    #[must_use]
    pub fn lacks_a_verdict(&self) -> bool {
        self.verdicts.iter().any(|(_, verdict)| verdict.is_none())
    }
}

/// Whether somebody may.
#[derive(Debug)]
pub enum Decision {
    Granted(Grant),
    Denied(Denial),
    /// Get this and ask again.
    Needs(Need),
    /// What it needs cannot be had now; it will pass.
    Unreachable,
}

/// Why somebody may not, and for which of the things asked for.
#[derive(Clone, Debug)]
pub struct Denial {
    pub reason: Denied,
    pub ask: Ask,
}

/// Decides about everything in `asks` together: all is granted, or the first refusal in their order is the
/// answer.
#[must_use]
pub fn decide(
    action: Action,
    asks: &[Ask],
    request: &Request,
    known: &Known<'_>,
    findings: &Findings,
) -> Decision {
    match judge(action, asks, &shown(request), known, findings) {
        Ok(admitted) => Decision::Granted(Grant::new(action, request, findings, admitted)),
        Err((ask, Refusal::Denied(reason))) => Decision::Denied(Denial {
            reason,
            ask: ask.clone(),
        }),
        Err((_, Refusal::Needs(need))) => Decision::Needs(need),
        Err((_, Refusal::Unreachable)) => Decision::Unreachable,
    }
}

/// Whether some rule of `policy` would admit if its condition held: before it is known what exactly is asked
/// for. What cannot be said yet might.
pub fn first_look(
    action: Action,
    policy: &Arc<Policy>,
    request: &Request,
    known: &Known<'_>,
) -> Result<(), Denial> {
    let case = Case {
        policy,
        topic: None,
        shown: &shown(request),
        known,
        findings: &Findings::default(),
    };
    let rules = action.rules(policy);
    if case.might_admit(rules) {
        return Ok(());
    }
    let reason = match case.admit(rules) {
        Err(Refusal::Denied(reason)) => reason,
        _ => Denied::NotAdmitted,
    };
    let (policy, subject) = (policy.clone(), Subject::Feed);
    Err(Denial {
        reason,
        ask: Ask { policy, subject },
    })
}

fn shown(request: &Request) -> Shown<'_> {
    Shown::Request {
        token: request.token.as_ref(),
        facts: request.facts.as_deref(),
    }
}

fn judge<'a>(
    action: Action,
    asks: &'a [Ask],
    shown: &Shown<'_>,
    known: &Known<'_>,
    findings: &Findings,
) -> Result<Vec<(Ask, Admitted)>, (&'a Ask, Refusal)> {
    let mut all = Vec::with_capacity(asks.len());
    for ask in asks {
        let topic = match &ask.subject {
            Subject::Topic(topic) => Some(topic),
            Subject::Feed => None,
        };
        let case = Case {
            policy: &ask.policy,
            topic,
            shown,
            known,
            findings,
        };
        match case.admit(action.rules(&ask.policy)) {
            Ok(admitted) => all.push((ask.clone(), admitted)),
            Err(refusal) => return Err((ask, refusal)),
        }
    }
    Ok(all)
}
