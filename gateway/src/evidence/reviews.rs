//! What webhooks and the cluster say about a request.
//!
//! Owns: what is remembered of their answers for a few seconds, and that they are asked on the control runtime.
//! Used by: `evidence`.

use super::cluster::Cluster;
use super::question::{Fingerprint, Question};
use super::webhook::Webhooks;
use crate::access::review::{Review, Reviewer, Verdict};
use crate::access::{Action, Ask, Request};
use crate::clock;
use crate::outbound::Outbound;
use crate::tasks::Control;
use crds::policy::Rule;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an answer is good for the same question.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Answers remembered at once.
const MOST_REMEMBERED: usize = 4096;

/// Asks reviewers.
pub struct Reviews {
    control: Control,
    webhooks: Arc<Webhooks>,
    cluster: Arc<Cluster>,
    recent: Mutex<Recent>,
}

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
    use sha2::{Digest, Sha256};

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
