//! What is written of a status, when, and what is not.

use super::super::fixtures::{compiled, facts, orders, pods, reports};
use super::*;
use k8s_openapi::jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

const SECOND: Duration = Duration::from_secs(1);

fn moment(text: &str) -> Time {
    Time(text.parse().unwrap())
}

fn noon() -> Time {
    moment("2026-01-01T12:00:00Z")
}

/// The status of `shop/orders` with so many streams on each of two Pods.
fn status(before: &ChannelStatus, streams: u64, now: &Time) -> ChannelStatus {
    status_of(&["a", "b"], before, streams, now)
}

/// The same on Pods of these names.
fn status_of(names: &[&str], before: &ChannelStatus, streams: u64, now: &Time) -> ChannelStatus {
    let stored = orders(&json!({"topics": ["orders.{user}", "b"]}));
    let compiled = compiled(&stored);
    let verdict = &compiled.verdicts[0];
    let (pods, facts) = (pods(names), facts());
    let digest = &verdict.in_force.as_ref().unwrap().digest;
    let reports = reports(&pods, digest, streams);
    let programmed = conditions::programmed(verdict, &pods, &reports, crate::clock::now().steady);
    let policy = compiled.snapshot.channel(&verdict.channel);
    let view = View {
        verdict,
        policy: policy.map(AsRef::as_ref),
        facts: &facts,
        programmed: &programmed,
        reports: &reports,
    };
    view.status(before, now)
}

/// The Channel with that status in that version.
fn stored(status: &ChannelStatus, version: u64) -> Stored {
    let mut stored = orders(&json!({}));
    stored.metadata.resource_version = Some(version.to_string());
    stored.status = status.clone();
    stored
}

#[test]
fn the_whole_status_is_said() {
    let status = status(&ChannelStatus::default(), 3, &noon());
    let text = serde_json::to_value(&status).unwrap();
    assert_eq!(text["observedGeneration"], 3);
    assert_eq!(text["programmed"], "2/2");
    assert_eq!(text["streams"], 6);
    let url = "https://events.example.com/shop/stream?channel=orders.{user}";
    assert_eq!(text["url"], url);
    let conditions = text["conditions"].as_array().unwrap();
    let types: Vec<_> = conditions.iter().map(|one| one["type"].clone()).collect();
    assert_eq!(types, CONDITION_TYPES);
    for condition in conditions {
        assert_eq!(condition["status"], "True", "{condition}");
        assert_eq!(condition["observedGeneration"], 3);
        assert_eq!(condition["lastTransitionTime"], "2026-01-01T12:00:00Z");
    }
    let back: ChannelStatus = serde_json::from_value(text).unwrap();
    assert_eq!(
        back, status,
        "it survives the way to the API server and back"
    );
}

#[test]
fn a_message_is_as_long_as_the_schema_takes() {
    let finding = Finding {
        holds: false,
        reason: Reason::InvalidSpec,
        message: "ø".repeat(40_000),
    };
    let told = condition("Accepted", &finding, 1, &ChannelStatus::default(), &noon());
    assert_eq!(told.message.len(), MESSAGE_BYTES);
}

#[test]
fn a_time_of_transition_moves_on_a_flip_alone() {
    let first = status(&ChannelStatus::default(), 3, &noon());
    let later = moment("2026-01-01T13:00:00Z");
    assert_eq!(status(&first, 3, &later), first);
    let mut flipped = first.clone();
    flipped.conditions[2].status = "False".to_owned();
    let again = status(&flipped, 3, &later);
    let times: Vec<String> = again
        .conditions
        .iter()
        .map(|one| one.last_transition_time.0.to_string())
        .collect();
    let (old, new) = ("2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z");
    assert_eq!(times, [old, old, new, old]);
}

#[test]
fn words_go_at_once_and_numbers_once_a_minute() {
    let (mut ledger, now) = (Ledger::default(), crate::clock::now().steady);
    let first = status(&ChannelStatus::default(), 100, &noon());
    let unknown = stored(&ChannelStatus::default(), 1);
    assert_eq!(ledger.due(&unknown, &first, now), Some(Due::Words));
    ledger.wrote(&unknown, "2", first.clone(), now);
    // The store still shows the old one.
    assert_eq!(ledger.due(&unknown, &first, now), None);
    assert_eq!(ledger.current(&unknown), &first);
    let shown = stored(&first, 2);
    let more = status(&first, 200, &noon());
    assert_eq!(ledger.due(&shown, &more, now + 59 * SECOND), None);
    let due = ledger.due(&shown, &more, now + 60 * SECOND);
    assert_eq!(due, Some(Due::Numbers));
    let mut worse = more.clone();
    worse.conditions[3].reason = "Pending".to_owned();
    assert_eq!(ledger.due(&shown, &worse, now), Some(Due::Words));
}

#[test]
fn a_fleet_that_catches_up_is_told_when_it_begins_and_when_all_do() {
    let (mut ledger, now) = (Ledger::default(), crate::clock::now().steady);
    let served = status(&ChannelStatus::default(), 1, &noon());
    let behind = |pods: &str| {
        let mut status = served.clone();
        for condition in &mut status.conditions[2..] {
            "False".clone_into(&mut condition.status);
            condition.reason = Reason::Pending.to_string();
            condition.message = format!("behind: {pods}");
        }
        status
    };
    let channel = stored(&served, 1);
    let begins = behind("a, b");
    assert_eq!(ledger.due(&channel, &begins, now), Some(Due::Words));
    ledger.wrote(&channel, "2", begins.clone(), now);
    let channel = stored(&begins, 2);
    let one = behind("b");
    assert_eq!(ledger.due(&channel, &one, now), None);
    let due = ledger.due(&channel, &one, now + NUMBERS_EVERY);
    assert_eq!(
        due,
        Some(Due::Numbers),
        "who stays behind is told in the end"
    );
    assert_eq!(ledger.due(&channel, &served, now), Some(Due::Words));
}

#[test]
fn a_fleet_that_is_gone_is_told_once() {
    let (mut ledger, now) = (Ledger::default(), crate::clock::now().steady);
    let served = stored(&status(&ChannelStatus::default(), 3, &noon()), 1);
    let gone = status_of(&[], &served.status, 0, &noon());
    let words = |at: usize| {
        let condition = &gone.conditions[at];
        (&*condition.status, &*condition.reason)
    };
    assert_eq!(words(0), ("True", "Accepted"));
    assert_eq!(words(2), ("False", "NoGateways"));
    assert_eq!(words(3), ("False", "NoGateways"));
    assert_eq!(gone.programmed.as_deref(), Some("0/0"));
    assert_eq!(gone.streams, Some(0));
    assert_eq!(ledger.due(&served, &gone, now), Some(Due::Words));
    ledger.wrote(&served, "2", gone.clone(), now);
    let again = status_of(&[], ledger.current(&served), 0, &noon());
    assert_eq!(ledger.due(&served, &again, now + NUMBERS_EVERY), None);
}

#[test]
fn small_changes_are_none_but_the_first_and_the_last_stream_are_told() {
    let base = status(&ChannelStatus::default(), 100, &noon());
    let notable = |before: u64, after: u64| {
        let (before, after) = (
            status(&base, before, &noon()),
            status(&base, after, &noon()),
        );
        are_notable(&before, &after)
    };
    assert!(!notable(100, 100));
    assert!(!notable(100, 104) && !notable(104, 100));
    assert!(notable(100, 105) && notable(100, 95));
    assert!(notable(0, 1) && notable(1, 0));
}

#[test]
fn numbers_of_many_channels_share_ten_writes_a_second() {
    let (mut ledger, now) = (Ledger::default(), crate::clock::now().steady);
    let (before, after) = (
        status(&ChannelStatus::default(), 1, &noon()),
        status(&ChannelStatus::default(), 9, &noon()),
    );
    let channel = |at: usize| {
        let mut stored = stored(&before, 5);
        stored.metadata.name = Some(format!("c{at}"));
        stored
    };
    let due = |ledger: &mut Ledger, now| {
        let dues = (0..100).map(|at| ledger.due(&channel(at), &after, now));
        dues.filter(Option::is_some).count()
    };
    assert_eq!(due(&mut ledger, now), 10);
    assert_eq!(due(&mut ledger, now + SECOND / 2), 0);
    assert_eq!(due(&mut ledger, now + SECOND), 10);
}

#[test]
fn a_quiet_hour_takes_no_write_and_noise_ten_in_ten_minutes() {
    let start = crate::clock::now().steady;
    let run = |seconds: u32, streams: fn(u32) -> u64| {
        let mut ledger = Ledger::default();
        let mut channel = stored(&status(&ChannelStatus::default(), streams(0), &noon()), 1);
        let mut writes = 0;
        for second in 0..seconds {
            let now = start + second * SECOND;
            let later = noon().0.as_second() + i64::from(second);
            let later = Time(Timestamp::from_second(later).unwrap());
            let wanted = status(ledger.current(&channel), streams(second), &later);
            if ledger.due(&channel, &wanted, now).is_some() {
                writes += 1;
                ledger.wrote(&channel, &writes.to_string(), wanted.clone(), now);
                channel = stored(&wanted, writes);
            }
        }
        writes
    };
    assert_eq!(run(3600, |_| 500), 0);
    let noise = |second: u32| [400, 600, 450, 580, 500][second as usize % 5];
    let writes = run(600, noise);
    assert!((1..=10).contains(&writes), "{writes}");
}

#[test]
fn a_status_that_somebody_else_keeps_writing_is_left_to_them() {
    let (mut ledger, start) = (Ledger::default(), crate::clock::now().steady);
    let ours = status(&ChannelStatus::default(), 1, &noon());
    let theirs = ChannelStatus::default();
    let mut version = 1;
    for round in 0..3 {
        let now = start + round * 5 * SECOND;
        let seen = stored(&theirs, version);
        let contested = ledger.is_contested(&seen, now);
        assert!(!contested, "round {round}");
        assert_eq!(ledger.due(&seen, &ours, now), Some(Due::Words));
        ledger.wrote(&seen, &(version + 1).to_string(), ours.clone(), now);
        version += 2;
    }
    let now = start + 20 * SECOND;
    let seen = stored(&theirs, version);
    assert!(ledger.is_contested(&seen, now));
    assert_eq!(ledger.due(&seen, &ours, now), None);
    assert!(!ledger.is_contested(&seen, now), "it is told once");
    let after = now + TRUCE;
    assert_eq!(ledger.due(&seen, &ours, after), Some(Due::Words));
}

#[test]
fn our_own_write_is_no_contest() {
    let (mut ledger, now) = (Ledger::default(), crate::clock::now().steady);
    let mut before = ChannelStatus::default();
    for round in 1..9u64 {
        let status = status(&before, round * 100, &noon());
        let shown = stored(&before, round);
        assert!(!ledger.is_contested(&shown, now));
        ledger.wrote(&shown, &(round + 1).to_string(), status.clone(), now);
        assert!(!ledger.is_contested(&shown, now), "the store is behind");
        before = status;
    }
}

#[test]
fn a_channel_made_anew_is_another() {
    let (mut ledger, now) = (Ledger::default(), crate::clock::now().steady);
    let status = status(&ChannelStatus::default(), 1, &noon());
    let first = stored(&ChannelStatus::default(), 1);
    ledger.wrote(&first, "2", status.clone(), now);
    let mut anew = stored(&ChannelStatus::default(), 1);
    anew.metadata.uid = Some("u-2".to_owned());
    assert_eq!(ledger.current(&anew), &ChannelStatus::default());
    assert_eq!(ledger.due(&anew, &status, now), Some(Due::Words));
    ledger.retain(|_| false);
    assert_eq!(ledger.due(&first, &status, now), Some(Due::Words));
}

proptest! {
    #[test]
    fn what_was_written_is_never_due_again(streams in 0..1000u64, version in 1..9u64) {
        let (mut ledger, now) = (Ledger::default(), crate::clock::now().steady);
        let wanted = status(&ChannelStatus::default(), streams, &noon());
        let before = stored(&ChannelStatus::default(), version);
        ledger.wrote(&before, &(version + 1).to_string(), wanted.clone(), now);
        for seen in [&before, &stored(&wanted, version + 1)] {
            let again = status(ledger.current(seen), streams, &moment("2027-01-01T00:00:00Z"));
            prop_assert_eq!(ledger.due(seen, &again, now + NUMBERS_EVERY), None);
        }
    }
}
