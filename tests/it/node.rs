//! The chart on a real node: real Pods, Services, probes, rollouts, and everything that goes wrong with them.
//!
//! All tests share one node and one release, and take turns: what each needs of the release it says first.

use tests::crowd::Verdict;
use tests::manifest::Channel;

mod change; // rollouts, evictions and sizes under streams
mod faults; // a part that is killed, deleted or gone for a while
mod install; // the first install: every Pod, its rights, its image, `helm test`
mod readme; // its installation section, line by line
mod serve; // from `kubectl apply` to a page

/// Windows that a test can wait for.
const QUICK: [&str; 4] = [
    "gateway.endpointDelay=3s",
    "gateway.drain=5s",
    "operator.scaleDownAfter=10s",
    "operator.scaleDownEvery=2s",
];

/// A Channel of which everything is kept, whose streams come back soon.
fn kept(name: &str) -> Channel {
    let channel = Channel::open(name).history(100_000);
    channel.stream("5s", "500ms", "30m")
}

/// Every stream has every message once and in order, and no page was given an answer at which it stops.
#[track_caller]
fn nothing_lost(verdict: &Verdict) {
    let faults = (
        verdict.out_of_turn,
        verdict.gaps.len(),
        verdict.refused.len(),
    );
    assert_eq!(faults, (0, 0, 0), "{verdict:?}");
    assert_eq!(verdict.complete, verdict.streams, "{verdict:?}");
}

/// The same, and nobody had to try anything twice.
#[track_caller]
fn nothing_noticed(verdict: &Verdict) {
    nothing_lost(verdict);
    assert!(verdict.repeated.is_empty(), "{verdict:?}");
    assert!(verdict.unreached.is_empty(), "{verdict:?}");
}
