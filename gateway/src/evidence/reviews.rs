//! What webhooks and the cluster say about a request.
//!
//! Owns: the question that they are asked, and what is remembered of the answers for a few seconds. Never:
//! keeps a token longer than the question. Used by: `evidence`.

use super::cluster::Cluster;
use super::webhook::Webhooks;
use crate::access::review::{Review, Reviewer, Verdict};
use crate::access::{Action, Ask, Request, Subject, Token};
use crate::clock;
use crate::outbound::Outbound;
use crate::tasks::Control;
use crds::policy::Rule;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an answer is good for the same question.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Answers remembered at once.
const MOST_REMEMBERED: usize = 4096;

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

/// Asks reviewers.
pub struct Reviews {
    control: Control,
    webhooks: Arc<Webhooks>,
    cluster: Arc<Cluster>,
    recent: Mutex<Recent>,
}

type Fingerprint = [u8; 32];

#[derive(Default)]
struct Recent {
    verdicts: HashMap<Fingerprint, (Verdict, Instant)>,
    oldest_first: VecDeque<Fingerprint>,
}

impl Reviews {
    pub fn new(control: Control, outbound: Outbound) -> Self {
        Self {
            control,
            webhooks: Arc::new(Webhooks::new(outbound)),
            cluster: Arc::default(),
            recent: Mutex::default(),
        }
    }

    /// Takes over which webhooks the Channels name.
    pub fn apply(&self, rules: &[&Rule]) {
        self.webhooks.apply(rules);
    }

    /// The verdict; none when it cannot be had now. `fresh`: an answer that is remembered will not do.
    pub async fn ask(
        &self,
        review: &Review,
        action: Action,
        asks: &[Ask],
        request: &Request,
        fresh: bool,
    ) -> Option<Verdict> {
        let question = Question::new(review, action, asks, request);
        let fingerprint = question.fingerprint(&review.reviewer);
        if !fresh && let Some(verdict) = self.recent.lock().find(&fingerprint, clock::now().steady)
        {
            return Some(verdict);
        }
        let asked = match &review.reviewer {
            Reviewer::Webhook(webhook) => {
                let (webhooks, webhook) = (self.webhooks.clone(), webhook.clone());
                self.control
                    .ask(async move { webhooks.ask(&webhook, &question).await })
                    .await
            }
            Reviewer::Cluster(accounts) => {
                let (cluster, accounts) = (self.cluster.clone(), accounts.clone());
                self.control
                    .ask(async move { cluster.ask(&accounts, &question).await })
                    .await
            }
        };
        let verdict = asked.ok().flatten()?;
        self.recent
            .lock()
            .remember(fingerprint, verdict.clone(), clock::now().steady);
        Some(verdict)
    }
}

impl Question {
    fn new(review: &Review, action: Action, asks: &[Ask], request: &Request) -> Self {
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

    /// Differs when anything differs that the reviewer is told.
    fn fingerprint(&self, reviewer: &Reviewer) -> Fingerprint {
        let token = self.token.as_ref().map_or("", |token| token.text.expose());
        let (kind, whom) = match reviewer {
            Reviewer::Webhook(webhook) => ("webhook", webhook.url.to_string()),
            Reviewer::Cluster(accounts) => ("cluster", accounts.audiences.join("\0")),
        };
        let topics = self.topics.join("\0");
        let mut hash = Sha256::new();
        for part in [
            kind,
            &whom,
            self.action.word(),
            &self.namespace,
            &self.name,
            &topics,
            token,
            &self.ip,
            &self.origin,
            &self.path,
        ] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

impl Recent {
    fn find(&self, fingerprint: &Fingerprint, now: Instant) -> Option<Verdict> {
        let (verdict, at) = self.verdicts.get(fingerprint)?;
        (now.saturating_duration_since(*at) < REMEMBERED).then(|| verdict.clone())
    }

    fn remember(&mut self, fingerprint: Fingerprint, verdict: Verdict, now: Instant) {
        if self.verdicts.insert(fingerprint, (verdict, now)).is_some() {
            return;
        }
        self.oldest_first.push_back(fingerprint);
        if self.oldest_first.len() > MOST_REMEMBERED
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.verdicts.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_good_for_five_seconds_and_so_many_are_kept() {
        let now = clock::now().steady;
        let mut recent = Recent::default();
        let key = |number: usize| <Fingerprint>::from(Sha256::digest(number.to_le_bytes()));
        recent.remember(key(0), Verdict::default(), now);
        assert!(
            recent
                .find(&key(0), now + Duration::from_millis(4999))
                .is_some()
        );
        assert!(recent.find(&key(0), now + Duration::from_secs(5)).is_none());
        for number in 1..=MOST_REMEMBERED {
            recent.remember(key(number), Verdict::default(), now);
        }
        assert!(recent.find(&key(0), now).is_none());
        assert!(recent.find(&key(1), now).is_some());
        assert_eq!(recent.verdicts.len(), MOST_REMEMBERED);
    }
}
