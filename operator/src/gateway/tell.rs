//! Writes statuses, and says as Events what a person should know.
//!
//! Owns: how many writes are on their way, that a failed one waits, and that none is about another version of the
//! Channel than the one that was looked at. Never: decides what a status says. Used by: `gateway`.

use super::Outcome;
use super::collect::{self, Pod};
use super::conditions;
use super::reports::Reports;
use super::status::{Due, Ledger, View};
use crate::backoff::Backoff;
use crate::calls::{CallError, call};
use crate::clock;
use crate::context::Context;
use crate::events::Reason;
use crate::metrics::StatusPatch;
use crate::stores::stored::Stored;
use crds::channel::{Channel, ChannelStatus};
use crds::compile::Verdict;
use crds::name::ChannelName;
use futures_util::{StreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::{Api, Patch, PatchParams};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Writes on their way at once.
const AT_ONCE: usize = 8;
/// How soon it is looked again when numbers wait for their time.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two looks: every write comes back as a change, and a thousand of them are one.
const REST: Duration = Duration::from_millis(50);

/// What is told of one fleet.
struct Teller {
    context: Arc<Context>,
    gateway: String,
    ledger: Ledger,
    failed: Backoff<ChannelName>,
}

/// One write.
struct Write {
    stored: Arc<Stored>,
    /// The version that it replaces.
    replaces: Option<String>,
    status: ChannelStatus,
    due: Due,
    /// What a person should know of it.
    notices: Vec<(Reason, String)>,
}

/// A Channel as its status is written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<S> {
    api_version: String,
    kind: String,
    metadata: ObjectMeta,
    status: S,
}

/// A status as a merge patch, which leaves alone what it does not name.
#[derive(Debug, Serialize)]
struct Merged<'a> {
    #[serde(flatten)]
    status: ChannelStatus,
    /// The only part that may go again.
    url: Option<&'a str>,
}

impl<'a> Merged<'a> {
    fn of(status: &'a ChannelStatus) -> Self {
        Self {
            status: ChannelStatus {
                url: None,
                ..status.clone()
            },
            url: status.url.as_deref(),
        }
    }
}

/// Tells for ever.
pub async fn run(
    context: Arc<Context>,
    gateway: String,
    mut outcomes: watch::Receiver<Option<Arc<Outcome>>>,
    mut reports: watch::Receiver<Reports>,
) {
    let mut changes = context.stores.changes();
    let mut teller = Teller {
        failed: context.backoff(),
        context,
        gateway,
        ledger: Ledger::default(),
    };
    loop {
        changes.borrow_and_update();
        let heard = reports.borrow_and_update().clone();
        let outcome = outcomes.borrow_and_update().clone();
        if let Some(outcome) = outcome {
            teller.turn(&outcome, &heard).await;
        }
        tokio::time::sleep(REST).await;
        let ended = tokio::select! {
            biased;
            changed = outcomes.changed() => changed.is_err(),
            changed = reports.changed() => changed.is_err(),
            changed = changes.changed() => changed.is_err(),
            () = tokio::time::sleep(LOOK_EVERY) => false,
        };
        if ended {
            return;
        }
    }
}

impl Teller {
    /// Writes what is due of all Channels, words before numbers.
    async fn turn(&mut self, outcome: &Outcome, reports: &Reports) {
        let stores = &self.context.stores;
        let channels = collect::channels(stores, &self.gateway);
        // Without its Deployment the fleet is gone, whoever of its Pods is still on the way out.
        let none = Reports::default();
        let (pods, reports) = match collect::deployment(stores, &self.gateway) {
            Some(_) => (collect::pods(stores, &self.gateway), reports),
            None => (Vec::new(), &none),
        };
        self.ledger.retain(|name| channels.contains_key(name));
        self.failed.retain(|name| channels.contains_key(name));
        let metrics = &self.context.metrics;
        metrics.retain_channels(&self.gateway, |name| channels.contains_key(name));
        let mut writes = Vec::new();
        for verdict in &outcome.verdicts {
            let Some(stored) = channels.get(&verdict.channel) else {
                continue;
            };
            // Else it was changed, or deleted and made anew, since it was compiled: that will be done in a moment.
            let same = stored.metadata.generation.unwrap_or_default() == verdict.generation;
            if same && stored.uid() == verdict.uid {
                writes.extend(self.write(outcome, verdict, stored, &pods, reports));
            }
        }
        writes.sort_by_key(|write| write.due);
        let patches: Vec<_> = writes
            .into_iter()
            .map(|write| write.send(self.context.clone()))
            .collect();
        let mut answers = stream::iter(patches).buffer_unordered(AT_ONCE);
        while let Some((write, answer)) = answers.next().await {
            match answer {
                Ok(version) => {
                    self.context.metrics.status_patch(StatusPatch::Ok);
                    self.failed.reset(&write.stored.name());
                    let now = clock::now().steady;
                    self.ledger
                        .wrote(&write.stored, &version, write.status, now);
                    let about = write.stored.object_ref(&());
                    for (reason, note) in write.notices {
                        self.context.events.publish(&about, reason, &note).await;
                    }
                }
                Err(error) => self.not_written(&write.stored, &error),
            }
        }
    }

    /// What is to be written of one Channel now; none when nothing is.
    fn write(
        &mut self,
        outcome: &Outcome,
        verdict: &Verdict,
        stored: &Arc<Stored>,
        pods: &[Pod],
        reports: &Reports,
    ) -> Option<Write> {
        let now = clock::now();
        let programmed = conditions::programmed(verdict, pods, reports, now.steady);
        self.context.metrics.channel_gateways(
            &self.gateway,
            &verdict.channel,
            programmed.serving,
            programmed.expected,
        );
        if self.ledger.is_contested(stored, now.steady) {
            self.context.metrics.status_contested();
            tracing::warn!(channel = %verdict.channel, "somebody else writes its status; it is left to them for 10 minutes");
        }
        let before = self.ledger.current(stored).clone();
        let view = View {
            verdict,
            policy: outcome
                .snapshot
                .channel(&verdict.channel)
                .map(AsRef::as_ref),
            facts: &outcome.facts,
            programmed: &programmed,
            reports,
        };
        let status = view.status(&before, &now.time());
        let waits = !self.failed.is_due(&verdict.channel, now.steady);
        let mut due = || self.ledger.due(stored, &status, now.steady);
        let Some(due) = (if waits { None } else { due() }) else {
            self.context.metrics.status_patch(StatusPatch::Skipped);
            return None;
        };
        Some(Write {
            notices: notices(&before, verdict),
            replaces: self.ledger.replaces(stored),
            stored: stored.clone(),
            status,
            due,
        })
    }

    fn not_written(&mut self, stored: &Stored, error: &CallError) {
        if error.is_not_found() {
            return;
        }
        // Somebody else wrote meanwhile; the watch brings what, and that is looked at anew.
        if error.is_conflict() {
            self.context.metrics.status_patch(StatusPatch::Skipped);
            return;
        }
        self.context.metrics.status_patch(StatusPatch::Error);
        let (name, problem) = (stored.name(), error.to_string());
        tracing::warn!(channel = %name, problem, "a status cannot be written");
        self.failed.failed(&name, clock::now().steady);
    }
}

impl Write {
    async fn send(self, context: Arc<Context>) -> (Self, Result<String, CallError>) {
        let answer = patch(&context, &self).await;
        (self, answer)
    }
}

/// Writes a status; answers the version that the Channel has with it.
async fn patch(context: &Context, write: &Write) -> Result<String, CallError> {
    let Write { stored, status, .. } = write;
    let name = stored.name();
    let channels = Api::<Stored>::namespaced(context.client.clone(), name.namespace());
    let manager = &context.status_manager;
    let written = if stored.misfit {
        let body = body(write, Merged::of(status));
        let params = PatchParams {
            field_manager: Some(manager.clone()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(&body);
        call(channels.patch_status(name.name(), &params, &patch)).await?
    } else {
        let (body, params) = (body(write, status), PatchParams::apply(manager).force());
        let patch = Patch::Apply(&body);
        call(channels.patch_status(name.name(), &params, &patch)).await?
    };
    Ok(written.metadata.resource_version.unwrap_or_default())
}

fn body<S>(write: &Write, status: S) -> Written<S> {
    let stored = &write.stored;
    Written {
        api_version: Channel::api_version(&()).into_owned(),
        kind: Channel::kind(&()).into_owned(),
        metadata: ObjectMeta {
            name: stored.metadata.name.clone(),
            namespace: stored.metadata.namespace.clone(),
            // With the uid nothing is said of a Channel of the same name that was made meanwhile.
            uid: stored.metadata.uid.clone(),
            // With the version whoever led before says nothing of what it has not seen.
            resource_version: write.replaces.clone(),
            ..ObjectMeta::default()
        },
        status,
    }
}

/// What a person should know of a change: what compiling came to fails, or holds again. That pods come and go is told
/// by others.
fn notices(before: &ChannelStatus, verdict: &Verdict) -> Vec<(Reason, String)> {
    let Verdict {
        accepted,
        resolved_refs,
        ..
    } = verdict;
    let findings = [("Accepted", accepted), ("ResolvedRefs", resolved_refs)];
    let changes = findings.into_iter().filter_map(|(type_, now)| {
        let was = before.conditions.iter().find(|was| was.type_ == type_);
        let failed = was.filter(|was| was.status == "False");
        let reason = if !now.holds {
            let told = failed.is_some_and(|was| was.reason == now.reason.as_str());
            (!told).then_some(Reason::Fails(now.reason))
        } else {
            failed.map(|_| Reason::Holds(now.reason))
        };
        Some((reason?, now.message.clone()))
    });
    changes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::compile::Finding;
    use crds::reason::Reason as Condition;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition as Stands;

    /// The condition was `before`, and compiling came to `after`.
    #[track_caller]
    fn check(type_: &str, before: (&str, Condition), after: Condition, expected: Option<Reason>) {
        let condition = Stands {
            type_: type_.to_owned(),
            status: before.0.to_owned(),
            reason: before.1.to_string(),
            message: "why".to_owned(),
            observed_generation: None,
            last_transition_time: serde_json::from_str("\"2026-01-01T00:00:00Z\"").unwrap(),
        };
        let before = ChannelStatus {
            conditions: vec![condition],
            ..ChannelStatus::default()
        };
        let finding = |reason| Finding {
            holds: matches!(reason, Condition::Accepted | Condition::ResolvedRefs),
            reason,
            message: "why".to_owned(),
        };
        let good = (
            finding(Condition::Accepted),
            finding(Condition::ResolvedRefs),
        );
        let (accepted, resolved_refs) = match type_ {
            "Accepted" => (finding(after), good.1),
            _ => (good.0, finding(after)),
        };
        let verdict = Verdict {
            channel: ChannelName::new("shop", "orders"),
            uid: "u".to_owned(),
            generation: 1,
            accepted,
            resolved_refs,
            in_force: None,
        };
        let told: Vec<Reason> = notices(&before, &verdict)
            .into_iter()
            .map(|(reason, _)| reason)
            .collect();
        assert_eq!(told, Vec::from_iter(expected));
    }

    #[test]
    fn what_fails_and_what_holds_again_is_told_once() {
        let (good, bad) = (Condition::Accepted, Condition::InvalidSpec);
        let unknown = ("Unknown", Condition::Pending);
        check("Accepted", unknown, good, None);
        check("Accepted", unknown, bad, Some(Reason::Fails(bad)));
        check("Accepted", ("True", good), bad, Some(Reason::Fails(bad)));
        check("Accepted", ("False", bad), bad, None);
        let worse = Condition::TopicConflict;
        check(
            "Accepted",
            ("False", bad),
            worse,
            Some(Reason::Fails(worse)),
        );
        check("Accepted", ("False", bad), good, Some(Reason::Holds(good)));
        check("Accepted", ("True", good), good, None);
        let missing = Condition::SecretMissing;
        let there = ("True", Condition::ResolvedRefs);
        check("ResolvedRefs", there, missing, Some(Reason::Fails(missing)));
    }
}
