//! Sizes one fleet, while this process leads.
//!
//! Owns: when it is looked, and what is told of it. Never: decides a size (`scale`) or writes one (`scale::act`). Used by:
//! `gateway`.

use super::reports::Reports;
use super::{Outcome, collect};
use crate::clock;
use crate::context::Context;
use crate::events::Reason;
use crate::scale::act::{Order, Outcome as Acted, PodLoad};
use crate::scale::{Counts, Facts, Mode, Past, Pod, SCALING, Step, plan, wanted};
use crds::channel::ScalingSpec;
use crds::name::ChannelName;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Resource;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often it is looked without news: some steps only wait for their time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// One fleet.
struct Sizer {
    context: Arc<Context>,
    gateway: String,
    past: Past,
    /// An annotation that is wrong, which was told.
    told: Option<String>,
    /// Channels that were told that their scaling is ignored, in this generation.
    ignored: BTreeSet<(ChannelName, i64)>,
}

/// Sizes the fleet for ever.
pub async fn run(
    context: Arc<Context>,
    gateway: String,
    outcomes: watch::Receiver<Option<Arc<Outcome>>>,
    reports: watch::Receiver<Reports>,
) {
    let begin = clock::now().steady;
    let mut sizer = Sizer {
        past: Past::new(context.down_after, context.down_every, begin),
        context,
        gateway,
        told: None,
        ignored: BTreeSet::new(),
    };
    loop {
        let outcome = outcomes.borrow().clone();
        let heard = reports.borrow().clone();
        if let Some(outcome) = outcome {
            sizer.look(&outcome, &heard).await;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl Sizer {
    async fn look(&mut self, outcome: &Outcome, reports: &Reports) {
        let stores = &self.context.stores;
        let Some(deployment) = collect::deployment(stores, &self.gateway) else {
            return;
        };
        let broker = outcome.facts.fleet.broker;
        let facts = match Facts::read(&deployment, broker) {
            Ok(facts) => facts,
            Err(error) => return self.tell(&error.to_string()),
        };
        self.told = None;
        let pods = collect::pods(stores, &self.gateway);
        let heard: Vec<Pod<'_>> = pods
            .iter()
            .map(|pod| Pod {
                ready: pod.ready,
                report: reports.of(pod),
            })
            .collect();
        let counts = Counts::of(scalings(outcome), &heard);
        let wanted = wanted(&facts, &counts);
        let metrics = &self.context.metrics;
        metrics.replicas(&self.gateway, wanted, facts.replicas);
        match plan(&facts, &counts, &mut self.past, clock::now().steady) {
            Step::HandsOff => self.hands_off(facts.rules.mode, outcome).await,
            Step::Stay => {}
            Step::Held(hold) => tracing::debug!(gateway = self.gateway, ?hold, "not scaled yet"),
            Step::Scale(change) => {
                let loads: Vec<PodLoad> = pods
                    .iter()
                    .filter(|pod| pod.ready)
                    .map(|pod| load(pod, reports))
                    .collect();
                let order = Order {
                    gateway: &self.gateway,
                    deployment: &reference(&deployment),
                    change,
                    wanted,
                    streams: counts.streams,
                    pods: &loads,
                };
                self.act(&order).await;
            }
        }
    }

    async fn act(&self, order: &Order<'_>) {
        match self.context.scaler.act(order).await {
            Ok(Acted::Done) => {}
            Ok(Acted::NotLeader | Acted::Outdated) => {
                tracing::debug!(gateway = self.gateway, "a step is planned anew");
            }
            Err(error) => {
                let error = error.to_string();
                tracing::warn!(gateway = self.gateway, error, "not scaled");
            }
        }
    }

    /// Somebody else sizes the fleet: a Channel that says how is told so, once for each of its generations.
    async fn hands_off(&mut self, mode: Mode, outcome: &Outcome) {
        let asked = outcome.verdicts.iter().filter(|verdict| {
            let form = outcome.snapshot.form(&verdict.channel);
            form.is_some_and(|form| form.spec.scaling.is_some())
        });
        let asked: BTreeSet<(ChannelName, i64)> = asked
            .map(|verdict| (verdict.channel.clone(), verdict.generation))
            .collect();
        self.ignored.retain(|told| asked.contains(told));
        let news: Vec<_> = asked.difference(&self.ignored).cloned().collect();
        if news.is_empty() {
            return;
        }
        let channels = collect::channels(&self.context.stores, &self.gateway);
        let note = format!(
            "spec.scaling changes nothing: the Deployment of the gateway leaves its size to {}; set {}=operator there, or remove spec.scaling.",
            mode.word(),
            SCALING
        );
        for news in news {
            if let Some(stored) = channels.get(&news.0) {
                let (about, events) = (stored.object_ref(&()), &self.context.events);
                events.publish(&about, Reason::ScalingIgnored, &note).await;
                self.ignored.insert(news);
            }
        }
    }

    fn tell(&mut self, problem: &str) {
        if self.told.as_deref() != Some(problem) {
            tracing::warn!(gateway = self.gateway, problem, "not scaled");
            self.told = Some(problem.to_owned());
        }
    }
}

/// What the Channels in force ask for.
fn scalings(outcome: &Outcome) -> impl Iterator<Item = (&ChannelName, Option<&ScalingSpec>)> {
    let policies = outcome.snapshot.policies().iter();
    policies.map(|policy| {
        let form = outcome.snapshot.form(&policy.channel);
        let scaling = form.and_then(|form| form.spec.scaling.as_ref());
        (&policy.channel, scaling)
    })
}

fn load(pod: &collect::Pod, reports: &Reports) -> PodLoad {
    PodLoad {
        name: pod.name.clone(),
        uid: pod.uid.clone(),
        streams: reports.of(pod).map_or(0, |report| report.streams),
        cost: pod.cost.clone(),
    }
}

fn reference(deployment: &Deployment) -> k8s_openapi::api::core::v1::ObjectReference {
    deployment.object_ref(&())
}
