//! Which Pods are new, and which are asked in a hurry.

use super::super::fixtures::{pods, reports};
use super::*;
use std::slice::from_ref;

const SECOND: Duration = Duration::from_secs(1);

/// What a Pod says that has applied revision `r`.
fn report() -> Report {
    let pods = pods(&["a"]);
    reports(&pods, "", 0).of(&pods[0]).unwrap().clone()
}

/// Reports in which one Pod was seen ready just now.
fn seen() -> (Reports, Pod, Instant) {
    let (pod, begin) = (pods(&["a"]).remove(0), clock::now().steady);
    let mut reports = Reports::default();
    reports.see(from_ref(&pod), begin);
    (reports, pod, begin)
}

#[test]
fn a_pod_is_new_until_it_reports_or_five_seconds_have_passed() {
    let (mut reports, pod, begin) = seen();
    assert!(Reports::default().is_new(&pod, begin), "nobody saw it yet");
    reports.see(from_ref(&pod), begin + 3 * SECOND);
    assert!(reports.is_new(&pod, begin + 4 * SECOND));
    assert!(!reports.is_new(&pod, begin + 5 * SECOND));
    reports.heard(&pod, report(), begin + SECOND);
    assert!(!reports.is_new(&pod, begin + 2 * SECOND));
}

#[test]
fn what_a_pod_said_before_it_was_ready_says_nothing() {
    let (mut reports, mut pod, begin) = seen();
    reports.heard(&pod, report(), begin);
    pod.ready = false;
    reports.see(from_ref(&pod), begin + SECOND);
    assert!(!reports.is_new(&pod, begin + SECOND), "it is not ready");
    pod.ready = true;
    reports.see(from_ref(&pod), begin + 2 * SECOND);
    assert!(reports.is_new(&pod, begin + 2 * SECOND));
    reports.heard(&pod, report(), begin + 3 * SECOND);
    assert!(!reports.is_new(&pod, begin + 3 * SECOND));
}

#[test]
fn a_pod_that_falls_silent_is_not_new() {
    let (mut reports, pod, begin) = seen();
    reports.heard(&pod, report(), begin);
    let late = begin + GOOD_FOR + SECOND;
    reports.retain(from_ref(&pod), late);
    assert!(reports.of(&pod).is_none());
    assert!(!reports.is_new(&pod, late));
}

#[test]
fn who_lags_is_asked_in_a_hurry_after_publishing_and_when_it_became_ready() {
    let (mut reports, mut pod, begin) = seen();
    let long_ago = begin.checked_sub(60 * SECOND).unwrap();
    let urgent =
        |reports: &Reports, pod: &Pod, published, now| reports.is_urgent(pod, "r", published, now);
    let unseen = Reports::default();
    assert!(urgent(&unseen, &pod, long_ago, begin), "at once");
    assert!(urgent(&reports, &pod, long_ago, begin + 9 * SECOND));
    assert!(!urgent(&reports, &pod, long_ago, begin + 10 * SECOND));
    let later = begin + 60 * SECOND;
    assert!(urgent(&reports, &pod, later, later + 9 * SECOND));
    assert!(!urgent(&reports, &pod, later, later + 10 * SECOND));
    reports.heard(&pod, report(), begin);
    assert!(!urgent(&reports, &pod, later, later), "it does not lag");
    assert!(reports.is_urgent(&pod, "next", later, later));
    pod.ready = false;
    let starting = urgent(&unseen, &pod, long_ago, begin);
    assert!(!starting, "until it is ready it has nothing to say");
}
