//! What webhooks and the cluster say about a request.
//!
//! Owns: what is remembered of their answers for a few seconds, and that they are asked on the control runtime.
//! Used by: `evidence`.

use super::Asking;
use super::cluster::{Cluster, REVIEW_TIME};
use super::question::{Fingerprint, Question};
use super::webhook::Webhooks;
use crate::access::review::{Reviewer, Verdict};
use crate::clock;
use crate::newest::Newest;
use crate::outbound::Outbound;
use crate::tasks::Control;
use crds::policy::Rule;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;

/// How long an answer is good for the same question.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Answers remembered at once.
const MOST_REMEMBERED: usize = 4096;

/// Asks reviewers.
pub struct Reviews {
    control: Control,
    webhooks: Arc<Webhooks>,
    cluster: Arc<Cluster>,
    recent: Mutex<Newest<Fingerprint, (Verdict, Instant)>>,
}

impl Reviews {
    pub fn new(control: Control, outbound: Outbound) -> Self {
        Self {
            control,
            webhooks: Arc::new(Webhooks::new(outbound)),
            cluster: Arc::default(),
            recent: Mutex::new(Newest::new(MOST_REMEMBERED)),
        }
    }

    /// Takes over which webhooks the Channels name.
    pub fn apply(&self, rules: &[&Rule]) {
        self.webhooks.apply(rules);
    }

    /// The verdict; none when it cannot be had now. Whoever asks waits for a place itself, so that those who
    /// wait take no room at the door to the control runtime, and wait no longer when they leave.
    pub(super) async fn ask(
        &self,
        reviewer: &Reviewer,
        question: Question,
        asking: Asking,
    ) -> Option<Verdict> {
        let fingerprint = question.fingerprint(reviewer);
        if asking == Asking::First
            && let Some(verdict) = self.remembered(&fingerprint)
        {
            return Some(verdict);
        }
        let (gate, time) = match reviewer {
            Reviewer::Webhook(webhook) => (self.webhooks.gate(&webhook.url)?, webhook.timeout),
            Reviewer::Cluster(_) => (self.cluster.gate(), REVIEW_TIME),
        };
        let asked = async {
            let place = gate.acquire_owned().await.ok()?;
            let review = self.review(reviewer, question, place);
            match asking {
                Asking::First => self.control.ask(review).await.ok().flatten(),
                Asking::Again => review.await,
            }
        };
        let verdict = tokio::time::timeout(time, asked).await.ok().flatten()?;
        let now = clock::now().steady;
        self.recent.lock().put(fingerprint, (verdict.clone(), now));
        Some(verdict)
    }

    fn remembered(&self, fingerprint: &Fingerprint) -> Option<Verdict> {
        let recent = self.recent.lock();
        let (verdict, at) = recent.find(fingerprint)?;
        let age = clock::now().steady.saturating_duration_since(*at);
        (age < REMEMBERED).then(|| verdict.clone())
    }

    /// Asks, and gives the place back when that has an end.
    fn review(
        &self,
        reviewer: &Reviewer,
        question: Question,
        place: OwnedSemaphorePermit,
    ) -> BoxFuture<'static, Option<Verdict>> {
        match reviewer {
            Reviewer::Webhook(webhook) => {
                let (webhooks, webhook) = (self.webhooks.clone(), webhook.clone());
                let ask = async move {
                    let _place = place;
                    webhooks.ask(&webhook, &question).await
                };
                ask.boxed()
            }
            Reviewer::Cluster(accounts) => {
                let (cluster, accounts) = (self.cluster.clone(), accounts.clone());
                let ask = async move {
                    let _place = place;
                    cluster.ask(&accounts, &question).await
                };
                ask.boxed()
            }
        }
    }
}
