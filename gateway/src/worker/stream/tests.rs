//! When something is due for a stream, and in which order reasons are told.

use super::*;
use crate::access::keyring::Keyring;
use crate::access::{Action, Ask, Decision, Findings, Known, Memo, Request, Subject, decide};
use crate::clock;
use crate::fixtures;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::worker::cursor::Start;
use crate::worker::ring::Ring;
use crds::name::Topic;

/// A stream on as many topics as `rings`, at their ends, that rotates after ten minutes.
pub fn stream(rings: &[Ring], framing: Framing, now: Now) -> Stream {
    let policy = fixtures::policy(fixtures::open());
    let subject = Subject::Topic(Topic::new("orders").unwrap());
    let asks = [Ask {
        policy: policy.clone(),
        subject,
    }];
    let known = Known {
        keyring: &Keyring::default(),
        memo: &Memo::default(),
        now,
        failed: &|_, _| {},
    };
    let (request, findings) = (Request::default(), Findings::default());
    let decided = decide(Action::Subscribe, &asks, &request, &known, &findings);
    let Decision::Granted(grant) = decided else {
        panic!("an open Channel admits")
    };
    let metrics = Metrics::new(&prometheus::Registry::new(), "default").unwrap();
    let permit = Limits::new(metrics, 10).stream([(&*policy, None)]).unwrap();
    let subs: Vec<Sub> = (0..)
        .zip(rings)
        .map(|(slot, ring)| Sub {
            topic: Key {
                slot,
                generation: 0,
            },
            place: 0,
            cursor: Cursor::new(Start::Live, ring).0,
            filter: None,
        })
        .collect();
    let opening = Opening {
        head: Vec::new(),
        subscriptions: Vec::new(),
        grant,
        permit,
        envelope: false,
        control: false,
        session: Some(Session::draw(1)),
        resumed: false,
        heartbeat: Duration::from_secs(15),
        retry: Duration::from_secs(2),
        max_age: Some(Duration::from_secs(600)),
        recheck: None,
    };
    Stream::new(opening, subs.into(), framing, now)
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[track_caller]
fn check(stream: &Stream, now: Now, after: u64, expected: Due) {
    assert_eq!(
        stream.due((now.plus(seconds(after))).steady),
        expected,
        "after {after} s"
    );
}

#[test]
fn a_heartbeat_is_due_only_after_silence() {
    let now = clock::now();
    let mut stream = stream(&[], Framing::Chunked, now);
    check(&stream, now, 14, Due::Nothing);
    check(&stream, now, 15, Due::Heartbeat);
    stream.drained(now.plus(seconds(10)).steady);
    check(&stream, now, 20, Due::Nothing);
    assert_eq!(stream.deadline(), now.plus(seconds(25)).steady);
}

#[test]
fn a_parked_stream_gets_no_heartbeat_and_stalls_without_progress() {
    let now = clock::now();
    let mut stream = stream(&[], Framing::Chunked, now);
    stream.park(VecDeque::new(), true, now.steady);
    stream.park(VecDeque::new(), false, now.plus(seconds(10)).steady);
    check(&stream, now, 14, Due::Nothing);
    check(&stream, now, 15, Due::End(CloseReason::Stalled));
    stream.park(VecDeque::new(), true, now.plus(seconds(14)).steady);
    check(&stream, now, 28, Due::Nothing);
}

#[test]
fn expiry_comes_before_stalling_before_rotation() {
    let now = clock::now();
    let mut stream = stream(&[], Framing::Chunked, now);
    check(&stream, now, 600, Due::End(CloseReason::Rotated));
    stream.park(VecDeque::new(), true, now.steady);
    check(&stream, now, 600, Due::End(CloseReason::Stalled));
    stream.expires = Some(now.plus(seconds(600)).steady);
    check(&stream, now, 600, Due::End(CloseReason::Expired));
    assert_eq!(CloseReason::Expired.word(), "expired");
}

#[test]
fn the_first_reason_to_end_stays_and_last_words_have_a_second() {
    let now = clock::now();
    let mut stream = stream(&[], Framing::Chunked, now);
    stream.end(CloseReason::Revoked, now.steady);
    stream.end(CloseReason::Draining, now.plus(seconds(1)).steady);
    check(&stream, now, 0, Due::Nothing);
    check(&stream, now, 1, Due::Close(CloseReason::Revoked));
}
