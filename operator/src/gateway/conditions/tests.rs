//! What is said of a Channel, by what compiling and the Pods say.

use super::super::fixtures::{compiled, facts, orders, pods, reports};
use super::*;
use crate::clock;
use serde_json::json;
use std::time::{Duration, Instant};

/// When no Pod is new any more.
fn later() -> Instant {
    clock::now().steady + Duration::from_secs(60)
}

/// Reports in which all Pods were seen ready since then, and `serving` of them serve the form in force.
fn seen(verdict: &Verdict, serving: &[&str], all: &[&str], since: Instant) -> Reports {
    let digest = verdict.in_force.as_ref().map_or("", |form| &*form.digest);
    let mut reports = reports(&pods(serving), digest, 1);
    reports.see(&pods(all), since);
    reports
}

/// Of a Channel with that spec, while `serving` of the Pods report its form and the others an older one.
#[track_caller]
fn check(spec: &serde_json::Value, facts: &Facts, serving: &[&str], all: &[&str], reason: Reason) {
    let compiled = compiled(&orders(spec));
    let verdict = &compiled.verdicts[0];
    let reports = seen(verdict, serving, all, clock::now().steady);
    let programmed = programmed(verdict, &pods(all), &reports, later());
    let policy = compiled.snapshot.channel(&verdict.channel);
    let ready = ready(
        verdict,
        &programmed.finding,
        policy.map(AsRef::as_ref),
        facts,
    );
    assert_eq!(ready.reason, reason, "{ready:?}");
    let holds = matches!(reason, Reason::Ready | Reason::Degraded);
    assert_eq!(ready.holds, holds, "{ready:?}");
    assert_eq!(
        (programmed.serving, programmed.expected),
        (serving.len(), all.len())
    );
}

#[test]
fn a_channel_is_ready_when_every_ready_pod_serves_it() {
    let spec = json!({});
    check(&spec, &facts(), &["a", "b"], &["a", "b"], Reason::Ready);
    check(&spec, &facts(), &["a"], &["a", "b"], Reason::Pending);
    check(&spec, &facts(), &[], &["a", "b"], Reason::Pending);
    check(&spec, &facts(), &[], &[], Reason::NoGateways);
}

#[test]
fn a_new_pod_makes_nothing_pending_for_its_first_seconds() {
    let compiled = compiled(&orders(&json!({})));
    let verdict = &compiled.verdicts[0];
    let since = clock::now().steady;
    let check = |reports: &Reports, seconds, holds, numbers| {
        let now = since + Duration::from_secs(seconds);
        let programmed = programmed(verdict, &pods(&["a", "b"]), reports, now);
        let Programmed {
            finding,
            serving,
            expected,
        } = &programmed;
        assert_eq!(finding.holds, holds, "{finding:?}");
        assert_eq!((*serving, *expected), numbers, "after {seconds} s");
    };
    let reports = seen(verdict, &["a"], &["a", "b"], since);
    check(&reports, 4, true, (1, 1));
    check(&reports, 5, false, (1, 2));
    // The store may show it before anybody was asked.
    check(&seen(verdict, &["a"], &["a"], since), 60, true, (1, 1));
    // What it serves counts at once.
    let both = seen(verdict, &["a", "b"], &["a"], since);
    check(&both, 0, true, (2, 2));
    // With nobody else there is nothing to leave it out of.
    check(&seen(verdict, &[], &["a", "b"], since), 0, false, (0, 2));
}

#[test]
fn what_is_not_accepted_is_not_ready_for_the_same_reason() {
    let spec = json!({"topics": ["{"]});
    check(&spec, &facts(), &[], &["a"], Reason::InvalidTopic);
    let compiled = compiled(&orders(&spec));
    let programmed = programmed(
        &compiled.verdicts[0],
        &pods(&["a"]),
        &Reports::default(),
        later(),
    );
    assert_eq!(programmed.finding.reason, Reason::NotAccepted);
}

#[test]
fn a_missing_secret_alone_leaves_it_ready_and_degraded() {
    let rule = json!({"tokens": {"secretRef": {"name": "readers"}}});
    let spec = json!({"access": {"subscribe": [rule]}});
    check(&spec, &facts(), &["a"], &["a"], Reason::Degraded);
}

#[test]
fn the_memory_of_several_pods_is_no_shared_broker() {
    let mut memory = facts();
    memory.fleet.broker = BrokerKind::Memory;
    let spec = json!({});
    check(&spec, &memory, &["a"], &["a"], Reason::NoSharedBroker);
    let own = json!({"redis": {"url": "redis://redis.shop"}});
    check(&own, &memory, &["a"], &["a"], Reason::Ready);
    memory.replicas = 1;
    // A Pod more while the Deployment rolls out does not make it several.
    check(&spec, &memory, &["a", "b"], &["a", "b"], Reason::Ready);
}

#[test]
fn pods_that_are_not_ready_do_not_count_and_their_streams_do() {
    let compiled = compiled(&orders(&json!({})));
    let verdict = &compiled.verdicts[0];
    let digest = &verdict.in_force.as_ref().unwrap().digest;
    let mut all = pods(&["a", "b"]);
    all[1].ready = false;
    let mut reports = reports(&pods(&["a"]), digest, 2);
    let late = super::super::fixtures::reports(&pods(&["b"]), "older", 5);
    for pod in &pods(&["b"]) {
        reports.heard(pod, late.of(pod).unwrap().clone(), clock::now().steady);
    }
    let programmed = programmed(verdict, &all, &reports, later());
    assert!(programmed.finding.holds);
    assert_eq!((programmed.serving, programmed.expected), (1, 1));
    assert_eq!(streams(&verdict.channel, &reports), 7);
}

#[test]
fn of_many_that_lag_a_few_are_named() {
    let compiled = compiled(&orders(&json!({})));
    let all = pods(&["a", "b", "c", "d", "e"]);
    let programmed = programmed(&compiled.verdicts[0], &all, &Reports::default(), later());
    let said = &programmed.finding.message;
    assert!(said.ends_with("yet: a, b, c and 2 more."), "{said}");
}
