//! Who may come in.
//!
//! Owns: [`decide`], the only maker of a [`Grant`]. Never: waits, reads a clock, keeps a token. Pure. Used
//! by: `http`, and by `worker` through the Grant to decide again what was decided before.

mod grant;
#[cfg(test)]
mod tests;

pub use grant::{Again, Grant};

use crate::metrics::Denied;
use crds::name::Topic;
use crds::policy::{Policy, Rule};
use grant::Item;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

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
}

/// The SHA-256 of a bearer token: all that is kept of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Forgets `token` but for its hash.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Whether it is `other`, in a time that tells nothing about where they differ.
    fn is(&self, other: &[u8; 32]) -> bool {
        let pairs = self.0.iter().zip(other);
        let difference = pairs.fold(0, |sum, (a, b)| sum | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What is known of who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub token: Option<TokenHash>,
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

/// Whether somebody may.
#[derive(Debug)]
pub enum Decision {
    Granted(Grant),
    Denied(Denial),
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
pub fn decide(action: Action, asks: Vec<Ask>, request: &Request) -> Decision {
    let mut items = Vec::with_capacity(asks.len());
    for ask in asks {
        match admit(action.rules(&ask.policy), request) {
            Ok(identity) => items.push(Item {
                policy: ask.policy,
                subject: ask.subject,
                identity,
            }),
            Err(reason) => return Decision::Denied(Denial { reason, ask }),
        }
    }
    Decision::Granted(Grant::new(action, *request, items.into()))
}

/// The identity under which the first rule that admits does so. A token that some rule reads and none can
/// verify is refused even where `anonymous` would have admitted: never a silent downgrade.
fn admit(rules: &[Rule], request: &Request) -> Result<Option<Arc<str>>, Denied> {
    let reads_tokens = rules.iter().any(Rule::reads_tokens);
    if let Some(token) = &request.token
        && reads_tokens
        && !rules.iter().any(|rule| holder(rule, token).is_some())
    {
        return Err(Denied::BadToken);
    }
    for rule in rules {
        match rule {
            Rule::Anonymous => return Ok(None),
            Rule::Tokens(_) => {
                let holder = request.token.as_ref().and_then(|token| holder(rule, token));
                if let Some(name) = holder {
                    return Ok(Some(name));
                }
            }
        }
    }
    Err(match request.token {
        None if reads_tokens => Denied::NoToken,
        _ => Denied::NotAdmitted,
    })
}

/// Whose token it is. All are compared, so the time tells nothing about which one it was.
fn holder(rule: &Rule, token: &TokenHash) -> Option<Arc<str>> {
    let Rule::Tokens(holders) = rule else {
        return None;
    };
    let found = holders.iter().fold(None, |found, holder| {
        let same = token.is(&holder.sha256);
        found.or(same.then_some(holder))
    });
    found.map(|holder| holder.name.clone())
}
