//! What others decide: webhooks of teams, and the cluster.
//!
//! Owns: which one a rule asks, and its verdict. Never: asks (`evidence` does). Pure. Used by: `admit`, `grant`.

use crds::name::ChannelName;
use crds::policy::{RuleKind, ServiceAccounts, Webhook};
use std::sync::Arc;
use std::time::Duration;

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reviewer {
    Webhook(Arc<Webhook>),
    /// The API server: whose token it is, and what RBAC says.
    Cluster(Arc<ServiceAccounts>),
}

/// One question: a reviewer about a Channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    pub channel: ChannelName,
    pub reviewer: Reviewer,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub allow: bool,
    /// Whose request it is. With a no it says: I know who this is, and not here.
    pub identity: Option<Arc<str>>,
    /// Seconds since 1970; none as long as the reviewer says yes.
    pub expires: Option<u64>,
}

/// Verdicts by their questions; none where the reviewer could not be asked.
pub type Verdicts = Vec<(Review, Option<Verdict>)>;

impl Reviewer {
    /// Who decides about a rule; none where the gateway does itself.
    #[must_use]
    pub fn of(rule: &RuleKind) -> Option<Self> {
        match rule {
            RuleKind::Webhook(webhook) => Some(Self::Webhook(webhook.clone())),
            RuleKind::ServiceAccounts(accounts) => Some(Self::Cluster(accounts.clone())),
            RuleKind::Anonymous | RuleKind::Tokens(_) | RuleKind::Jwt(_) => None,
        }
    }

    /// How often to ask again about an open stream.
    #[must_use]
    pub fn recheck(&self) -> Duration {
        match self {
            Self::Webhook(webhook) => webhook.recheck,
            Self::Cluster(accounts) => accounts.recheck,
        }
    }

    /// Whether there is nothing to ask without a token.
    #[must_use]
    pub fn needs_token(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}

/// What was said about `review`.
pub fn find<'a>(
    verdicts: &'a [(Review, Option<Verdict>)],
    review: &Review,
) -> Option<&'a Option<Verdict>> {
    verdicts
        .iter()
        .find(|(known, _)| known == review)
        .map(|(_, verdict)| verdict)
}
