//! What is refused at each bound, and that everything is given back.

use super::*;
use crate::clock;
use crate::fixtures::{open, policy, with};
use prometheus::Registry;
use serde_json::json;

fn limits(connections: usize) -> Arc<Limits> {
    let metrics = Metrics::new(&Registry::new(), "default").unwrap();
    Limits::new(metrics, connections)
}

fn address(text: &str) -> Option<Client> {
    Some(Client::at(text.parse().unwrap()))
}

#[track_caller]
fn refused(taken: Result<Permit, CloseReason>, expected: CloseReason) {
    assert_eq!(taken.err(), Some(expected));
}

#[test]
fn a_place_comes_back_when_its_permit_is_dropped() {
    let limits = limits(10);
    let policy = policy(with(open(), json!({"limits": {"streams": 1}})));
    let first = limits.stream([(&*policy, None)]).unwrap();
    assert_eq!(
        (limits.streams(&policy.channel), limits.all_streams()),
        (1, 1)
    );
    refused(limits.stream([(&*policy, None)]), CloseReason::Capacity);
    drop(first);
    assert_eq!(
        (limits.streams(&policy.channel), limits.all_streams()),
        (0, 0)
    );
    assert!(limits.stream([(&*policy, None)]).is_ok());
}

#[test]
fn what_one_channel_refuses_is_not_taken_in_another() {
    let limits = limits(10);
    let snapshot = crate::fixtures::snapshot(&[
        ("a", open()),
        ("b", with(open(), json!({"limits": {"streams": 1}}))),
    ]);
    let [a, b] = snapshot.policies() else {
        panic!("two")
    };
    let held = limits.stream([(&**b, None)]).unwrap();
    refused(
        limits.stream([(&**a, None), (&**b, None)]),
        CloseReason::Capacity,
    );
    assert_eq!(limits.streams(&a.channel), 0);
    drop(held);
    let both = limits.stream([(&**a, None), (&**b, None)]).unwrap();
    assert_eq!((limits.streams(&a.channel), limits.all_streams()), (1, 1));
    drop(both);
}

#[test]
fn a_client_is_counted_by_identity_or_address() {
    let limits = limits(10);
    let policy = policy(with(open(), json!({"limits": {"streamsPerClient": 1}})));
    let take = |client| limits.stream([(&*policy, client)]);
    let held = [
        take(address("203.0.113.7")).unwrap(),
        take(address("2001:db8::1")).unwrap(),
        take(Some(Client::Identity("ana".into()))).unwrap(),
    ];
    refused(take(address("203.0.113.7")), CloseReason::ClientLimit);
    refused(
        take(address("::ffff:203.0.113.7")),
        CloseReason::ClientLimit,
    );
    refused(take(address("2001:db8::2")), CloseReason::ClientLimit);
    refused(
        take(Some(Client::Identity("ana".into()))),
        CloseReason::ClientLimit,
    );
    assert!(take(address("2001:db8:0:1::1")).is_ok());
    assert!(take(None).is_ok());
    drop(held);
    assert!(take(address("203.0.113.7")).is_ok());
    assert!(limits.channel(&policy.channel).lock().clients.is_empty());
}

#[test]
fn only_what_was_opened_is_counted_as_closed() {
    let limits = limits(10);
    let policy = policy(open());
    let metrics = limits.metrics.channel(&policy.channel);
    drop(limits.stream([(&*policy, None)]).unwrap());
    let mut told = limits.stream([(&*policy, None)]).unwrap();
    told.opened();
    assert_eq!((metrics.streams.get(), metrics.opened.get()), (1, 1));
    told.close(CloseReason::Rotated);
    drop(told);
    let mut gone = limits.stream([(&*policy, None)]).unwrap();
    gone.opened();
    drop(gone);
    assert_eq!(metrics.streams.get(), 0);
    for reason in CloseReason::ALL {
        let expected = matches!(reason, CloseReason::Rotated | CloseReason::ClientGone);
        assert_eq!(metrics.closed[reason.index()].get(), u64::from(expected));
    }
}

#[test]
fn connections_beyond_the_limit_get_one_answer_and_then_none() {
    let limits = limits(1);
    let (first, full) = limits.connection().unwrap();
    assert!(!full);
    let spare: Vec<_> = (0..SPARE_CONNECTIONS)
        .map(|_| limits.connection().unwrap())
        .collect();
    assert!(spare.iter().all(|(_, full)| *full));
    assert!(limits.connection().is_none());
    drop(spare);
    assert_eq!(limits.metrics.connections.get(), 1);
    drop(first);
    assert!(!limits.connection().unwrap().1);
}

#[test]
fn publishing_too_fast_is_told_when_to_come_back() {
    let limits = limits(1);
    let policy = policy(with(open(), json!({"limits": {"publishPerSecond": 2}})));
    let now = clock::now().steady;
    assert_eq!(limits.publish(&policy, 2, now), Ok(()));
    assert_eq!(
        limits.publish(&policy, 1, now),
        Err(Duration::from_millis(500))
    );
    limits.unpublish(&policy, 2);
    assert_eq!(limits.publish(&policy, 1, now), Ok(()));
}

#[test]
fn channels_that_nobody_uses_are_forgotten() {
    let limits = limits(1);
    for index in 0..10 * FIRST_PRUNE {
        drop(limits.channel(&ChannelName::new("shop", &index.to_string())));
    }
    assert!(limits.channels.read().known.len() <= FIRST_PRUNE);
}

#[test]
fn the_limit_of_open_files_is_read_where_linux_tells_it() {
    let told = "Limit                     Soft Limit           Hard Limit           Units\n\
                Max open files            20000                1048576              files\n";
    assert_eq!(open_files(told), Some(20_000));
    assert_eq!(open_files("Max open files unlimited unlimited files"), None);
    assert_eq!(open_files(""), None);
}
