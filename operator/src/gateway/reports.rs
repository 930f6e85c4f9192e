//! What the Pods of a fleet report.
//!
//! Owns: asking them, often while they lag behind and seldom otherwise; the last report of each for a while; which
//! are so new that nothing is known of them yet. Never: judges a report. Used by: `gateway`; read by `conditions`,
//! `scale`.

use super::collect::Pod;
use crate::clock;
use crds::report::Report;
use futures_util::{StreamExt, stream};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long one Pod may take.
const ASK_TIME: Duration = Duration::from_secs(2);
/// The most bytes of a report.
const REPORT_BYTES: usize = 4 * 1024 * 1024;
/// Pods that are asked at once.
const AT_ONCE: usize = 16;
/// How often Pods that lag are asked …
const LAGGING_EVERY: Duration = Duration::from_millis(250);
/// … so long after publishing, and after they became ready.
const LAGGING_FOR: Duration = Duration::from_secs(10);
/// A Pod that became ready is new for so long, unless it reports. What it lacks afterwards is told to people.
const NEW_FOR: Duration = Duration::from_secs(5);
/// How often all are asked.
const ALL_EVERY: Duration = Duration::from_secs(5);
/// A report is taken for true so long after it was heard, if the Pod answers no more.
const GOOD_FOR: Duration = Duration::from_secs(15);

/// Whom to ask, and what is hoped for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub pods: Vec<Pod>,
    /// The revision that was published last.
    pub revision: Arc<str>,
}

/// What is known of the Pods, by their uids.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reports {
    /// The last report of each that has one.
    heard: BTreeMap<String, Heard>,
    /// Since when each that is ready was seen so.
    ready: BTreeMap<String, Instant>,
}

/// One report; clones share it.
#[derive(Clone, Debug, PartialEq)]
struct Heard {
    report: Arc<Report>,
    at: Instant,
}

impl Reports {
    /// What a Pod reported last, if that was a moment ago.
    #[must_use]
    pub fn of(&self, pod: &Pod) -> Option<&Report> {
        self.heard.get(&pod.uid).map(|heard| &*heard.report)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Report> {
        self.heard.values().map(|heard| &*heard.report)
    }

    /// A Pod has reported.
    pub fn heard(&mut self, pod: &Pod, report: Report, at: Instant) {
        let report = Arc::new(report);
        self.heard.insert(pod.uid.clone(), Heard { report, at });
    }

    /// These are the Pods now.
    pub fn see(&mut self, pods: &[Pod], now: Instant) {
        let before = std::mem::take(&mut self.ready);
        let ready = pods.iter().filter(|pod| pod.ready);
        let since = |pod: &Pod| before.get(&pod.uid).copied().unwrap_or(now);
        self.ready = ready.map(|pod| (pod.uid.clone(), since(pod))).collect();
    }

    /// Whether a Pod has just become ready, and has not reported since. What it said before is no evidence: it may
    /// have had nothing to serve yet.
    #[must_use]
    pub fn is_new(&self, pod: &Pod, now: Instant) -> bool {
        let (heard, ready) = (self.heard.get(&pod.uid), self.ready.get(&pod.uid));
        let reported = heard
            .zip(ready)
            .is_some_and(|(heard, since)| heard.at >= *since);
        self.is_fresh(pod, NEW_FOR, now) && !reported
    }

    /// Whether a Pod has been ready for less than `time`. That holds of one that was not seen here yet: who reads the
    /// store may know it first.
    fn is_fresh(&self, pod: &Pod, time: Duration, now: Instant) -> bool {
        let since = self.ready.get(&pod.uid);
        pod.ready && since.is_none_or(|since| now < *since + time)
    }

    /// Whether a Pod lags, and is expected to catch up at any moment.
    fn is_urgent(&self, pod: &Pod, revision: &str, published: Instant, now: Instant) -> bool {
        let hurry = now < published + LAGGING_FOR || self.is_fresh(pod, LAGGING_FOR, now);
        hurry && self.lags(pod, revision)
    }

    /// Forgets Pods that are gone, and those that have been silent for long.
    fn retain(&mut self, pods: &[Pod], now: Instant) {
        self.heard.retain(|uid, heard| {
            let there = pods.iter().any(|pod| pod.uid == *uid);
            there && now.saturating_duration_since(heard.at) <= GOOD_FOR
        });
    }

    fn lags(&self, pod: &Pod, revision: &str) -> bool {
        self.of(pod)
            .is_none_or(|report| report.revision != revision)
    }
}

/// Asks the Pods that are `wanted`, for ever, and tells what they say.
pub async fn ask(
    http: reqwest::Client,
    mut wanted: watch::Receiver<Wanted>,
    told: watch::Sender<Reports>,
) {
    let mut published = (Arc::from(""), clock::now().steady);
    let mut asked_all: Option<Instant> = None;
    loop {
        let now = clock::now().steady;
        let want = wanted.borrow_and_update().clone();
        if want.revision != published.0 {
            published = (want.revision.clone(), now);
        }
        let all = asked_all.is_none_or(|at| now >= at + ALL_EVERY);
        let mut reports = told.borrow().clone();
        reports.see(&want.pods, now);
        let due = |pod: &&Pod| all || reports.is_urgent(pod, &want.revision, published.1, now);
        let due: Vec<Pod> = want.pods.iter().filter(due).cloned().collect();
        if all {
            asked_all = Some(now);
        }
        let heard = ask_all(&http, due).await;
        let now = clock::now().steady;
        for (pod, report) in heard {
            reports.heard(&pod, report, now);
        }
        reports.retain(&want.pods, now);
        let urgent = |pod| reports.is_urgent(pod, &want.revision, published.1, now);
        let pause = if want.pods.iter().any(urgent) {
            LAGGING_EVERY
        } else {
            ALL_EVERY
        };
        told.send_replace(reports);
        tokio::select! {
            biased;
            changed = wanted.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn ask_all(http: &reqwest::Client, pods: Vec<Pod>) -> Vec<(Pod, Report)> {
    let asks: Vec<_> = pods
        .into_iter()
        .map(|pod| ask_one(http.clone(), pod))
        .collect();
    let answers: Vec<_> = stream::iter(asks).buffer_unordered(AT_ONCE).collect().await;
    answers.into_iter().flatten().collect()
}

/// None when there is no report in time.
async fn ask_one(http: reqwest::Client, pod: Pod) -> Option<(Pod, Report)> {
    let url = format!("http://{}/status", pod.admin?);
    let report = tokio::time::timeout(ASK_TIME, get(&http, &url)).await;
    let report = report.ok().flatten();
    if report.is_none() {
        tracing::debug!(pod = pod.name, url, "a gateway gave no report");
    }
    Some((pod, report?))
}

async fn get(http: &reqwest::Client, url: &str) -> Option<Report> {
    let mut answer = http.get(url).send().await.ok()?;
    if !answer.status().is_success() {
        return None;
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        body.extend_from_slice(&chunk);
        if body.len() > REPORT_BYTES {
            return None;
        }
    }
    serde_json::from_slice(&body).ok()
}

#[cfg(test)]
mod tests;
