//! What reviewers are asked.
//!
//! Owns: all that they are told, and what makes two questions the same. Never: prints a token. Pure. Used by:
//! `reviews`, which asks it; `webhook`, `cluster`, which tell it.

use crate::access::review::{Review, Reviewer};
use crate::access::{Action, Ask, Request, Subject, Token};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Tells questions apart.
pub type Fingerprint = [u8; 32];

/// Everything that a reviewer is told.
#[derive(Clone, Debug)]
pub struct Question {
    pub action: Action,
    pub namespace: Arc<str>,
    pub name: String,
    /// In the order of the request; `*` for all topics of a Channel at once.
    pub topics: Vec<String>,
    pub token: Option<Token>,
    pub ip: String,
    pub origin: String,
    pub path: String,
}

impl Question {
    pub fn new(review: &Review, action: Action, asks: &[Ask], request: &Request) -> Self {
        let channel = &review.channel;
        let here = asks.iter().filter(|ask| ask.policy.channel == *channel);
        let topics = here.map(|ask| match &ask.subject {
            Subject::Topic(topic) => topic.to_string(),
            Subject::Feed => "*".to_owned(),
        });
        let facts = request.facts.as_deref().cloned().unwrap_or_default();
        Self {
            action,
            namespace: channel.namespace().clone(),
            name: channel.name().to_string(),
            topics: topics.collect(),
            token: request.token.clone(),
            ip: facts.ip.into(),
            origin: facts.origin.into(),
            path: facts.path.into(),
        }
    }

    /// Differs when anything differs that the reviewer is told; the API server is told of the Channel and the
    /// token alone.
    pub fn fingerprint(&self, reviewer: &Reviewer) -> Fingerprint {
        let token = self.token.as_ref().map_or("", |token| token.text.expose());
        let (kind, whom, further) = match reviewer {
            Reviewer::Webhook(webhook) => {
                let topics = self.topics.join("\0");
                let further = [&*topics, &*self.ip, &*self.origin, &*self.path].map(str::to_owned);
                ("webhook", webhook.url.to_string(), further)
            }
            Reviewer::Cluster(accounts) => {
                ("cluster", accounts.audiences.join("\0"), Default::default())
            }
        };
        let mut hash = Sha256::new();
        let about = [
            kind,
            &whom,
            self.action.word(),
            &self.namespace,
            &self.name,
            token,
        ];
        for part in about.into_iter().chain(further.iter().map(|part| &**part)) {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}
