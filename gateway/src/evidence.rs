//! What decisions need from elsewhere.
//!
//! Owns: the keys of issuers, the verdicts of reviewers, and the rounds of a decision: it names what it lacks,
//! that one thing is got, and it is asked again. Never: decides (`access`). Used by: the routes; `worker`, for
//! open streams.

mod cluster;
mod issuers;
mod places;
mod question;
mod reviews;
mod schedule;
mod webhook;

use crate::access::{
    Action, Ask, Decision, Denial, Findings, Grant, Known, Memo, Need, Request, decide,
};
use crate::clock::{self, Now};
use crate::metrics::Metrics;
use crate::outbound::Outbound;
use crate::tasks::Control;
use crds::policy::{JwtKeys, Policy, Rule, RuleKind};
use crds::snapshot::Snapshot;
use issuers::Issuers;
use places::Places;
use question::Question;
use reviews::Reviews;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How long a decision may take with all that it needs; then it is one that will pass.
const DECISION_TIME: Duration = Duration::from_secs(15);

/// Gets evidence for all routes and workers of the process.
pub struct Evidence {
    control: Control,
    rechecks: Places,
    issuers: Arc<Issuers>,
    reviews: Reviews,
    memo: Memo,
    failed: OnFailure,
}

/// Told of a condition that could not be evaluated, and why.
type OnFailure = Box<dyn Fn(&Policy, &'static str) + Send + Sync>;

/// What came of a decision.
#[derive(Debug)]
pub enum Outcome {
    Granted(Grant),
    Denied(Denial),
    /// What it needs cannot be had now; it will pass.
    Unreachable,
}

/// For whom reviewers are asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asking {
    /// For a request: an answer of a few seconds ago will do.
    First,
    /// For an open stream, already on the control runtime.
    Again,
}

/// Tells what came of a recheck, also when its task ends before it knows.
struct Answer<F: FnOnce(Outcome)>(Option<F>);

impl<F: FnOnce(Outcome)> Answer<F> {
    fn tell(mut self, outcome: Outcome) {
        if let Some(answer) = self.0.take() {
            answer(outcome);
        }
    }
}

impl<F: FnOnce(Outcome)> Drop for Answer<F> {
    fn drop(&mut self) {
        if let Some(answer) = self.0.take() {
            answer(Outcome::Unreachable);
        }
    }
}

impl Evidence {
    /// `control` is a door of its own: what tenants have asked for must not keep Redis waiting. `changed` is
    /// called when open streams must be decided again.
    #[must_use]
    pub fn new(
        control: Control,
        outbound: Outbound,
        metrics: Arc<Metrics>,
        changed: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let reviews = Reviews::new(control.clone(), outbound.clone());
        let issuers = Issuers::new(
            control.clone(),
            outbound,
            metrics.clone(),
            Box::new(changed),
        );
        let failed = move |policy: &Policy, problem: &'static str| {
            metrics.channel(&policy.channel).condition_errors.inc();
            tracing::debug!(channel = %policy.channel, problem, "a condition cannot be evaluated");
        };
        Self {
            control,
            rechecks: Places::default(),
            issuers: Arc::new(issuers),
            reviews,
            memo: Memo::default(),
            failed: Box::new(failed),
        }
    }

    /// What is known without asking anybody.
    #[must_use]
    pub fn known(&self, now: Now) -> Known<'_> {
        Known {
            keyring: self.issuers.keyring(),
            memo: &self.memo,
            now,
            failed: &*self.failed,
        }
    }

    /// Decides, and gets what that takes.
    pub async fn decide(&self, action: Action, asks: &[Ask], request: &Request) -> Outcome {
        self.find_out(action, asks, request, Asking::First).await
    }

    /// Asks the reviewers of an open stream again, past what is remembered. `answer` is called once in any
    /// case; false: no place is free, and nobody is asked.
    pub fn recheck(
        evidence: &Arc<Self>,
        grant: &Grant,
        answer: impl FnOnce(Outcome) + Send + 'static,
    ) -> bool {
        let place = grant
            .reviewed_in()
            .map(|channel| evidence.rechecks.enter(channel));
        let Some(Some(place)) = place else {
            return false;
        };
        let (action, asks, request) = grant.question();
        let answer = Answer(Some(answer));
        let asked = evidence.clone();
        let recheck = async move {
            let _place = place;
            let outcome = asked.find_out(action, &asks, &request, Asking::Again).await;
            answer.tell(outcome);
        };
        if evidence.control.tell(recheck).is_err() {
            tracing::debug!("too much is asked of issuers and reviewers");
        }
        true
    }

    async fn find_out(
        &self,
        action: Action,
        asks: &[Ask],
        request: &Request,
        asking: Asking,
    ) -> Outcome {
        let rounds = self.rounds(action, asks, request, asking);
        let outcome = tokio::time::timeout(DECISION_TIME, rounds).await;
        outcome.unwrap_or(Outcome::Unreachable)
    }

    /// Each round but the last asks what the ones before did not.
    async fn rounds(
        &self,
        action: Action,
        asks: &[Ask],
        request: &Request,
        asking: Asking,
    ) -> Outcome {
        let mut findings = Findings::default();
        loop {
            let decision = decide(action, asks, request, &self.known(clock::now()), &findings);
            match decision {
                // Another rule would admit now, perhaps as nobody. The one that did may again in a while.
                Decision::Granted(_) if asking == Asking::Again && findings.lacks_a_verdict() => {
                    return Outcome::Unreachable;
                }
                Decision::Granted(grant) => return Outcome::Granted(grant),
                Decision::Denied(denial) => return Outcome::Denied(denial),
                Decision::Unreachable | Decision::Needs(Need::Anew) => return Outcome::Unreachable,
                Decision::Needs(Need::Review(review)) => {
                    let question = Question::new(&review, action, asks, request);
                    let verdict = self.reviews.ask(&review.reviewer, question, asking).await;
                    findings.verdicts.push((review, verdict));
                }
                Decision::Needs(Need::Keys(url)) => {
                    let found = Issuers::fetch_for(&self.issuers, &url).await;
                    let list = if found {
                        &mut findings.fetched
                    } else {
                        &mut findings.unreachable
                    };
                    list.push(url);
                }
            }
        }
    }

    /// Takes over which issuers the Channels name; new ones are asked for their keys at once.
    pub fn apply(&self, snapshot: &Snapshot) {
        let policies = snapshot.policies().iter();
        let rules = policies.flat_map(|policy| {
            let access = &policy.access;
            access.subscribe.iter().chain(&access.publish)
        });
        let rules: Vec<&Rule> = rules.collect();
        self.reviews.apply(&rules);
        Issuers::apply(
            &self.issuers,
            rules.into_iter().filter_map(published).collect(),
        );
    }

    /// Keeps the keys fresh, for ever.
    pub fn tend(&self) -> impl Future<Output = ()> + Send + use<> {
        issuers::tend(self.issuers.clone())
    }
}

/// Where the keys of a rule are published.
fn published(rule: &Rule) -> Option<Arc<str>> {
    let RuleKind::Jwt(jwt) = &rule.kind else {
        return None;
    };
    match &jwt.keys {
        JwtKeys::Url(url) => Some(url.clone()),
        JwtKeys::Fixed(_) => None,
    }
}

/// The addresses of key sets.
type Urls = BTreeSet<Arc<str>>;
