//! Who enters a Snapshot that is nearly full, and who waits.

use super::*;
use crate::channel::Channel;
use crate::compile::tests::fleet;
use serde_json::json;

/// Its topics take a few hundred bytes, also compressed; `age` is in minutes.
fn channel(name: &str, age: u8, generation: i64) -> Channel {
    let topics: Vec<String> = (0..8u8)
        .map(|at| crate::policy::to_hex(&digest(&format!("{name} {generation} {at}"))))
        .collect();
    serde_json::from_value(json!({
        "apiVersion": "siar.dev/v1alpha1", "kind": "Channel",
        "metadata": {"name": name, "uid": name, "generation": generation,
            "creationTimestamp": format!("2026-01-01T00:{:02}:00Z", 59 - age)},
        "spec": {"topics": topics},
    }))
    .unwrap()
}

fn digest(text: &str) -> Vec<u8> {
    use sha2::Digest;
    sha2::Sha256::digest(text.as_bytes()).to_vec()
}

fn compiled(channels: &[Channel], previous: Option<&Snapshot>, most: usize) -> (Compiled, bool) {
    let secrets = Secrets::default();
    let (compiled, packed) = compile_to_fit(&fleet(), channels, &secrets, previous, most);
    if let Some(packed) = &packed {
        assert!(packed.len() <= most);
        let unpacked = Snapshot::unpack(packed).unwrap();
        assert_eq!(unpacked.revision, compiled.snapshot.revision);
    }
    (compiled, packed.is_some())
}

/// Name and generation of all that is served, and who is told that there is no room.
fn outcome(compiled: &Compiled) -> (Vec<(String, i64)>, Vec<String>) {
    let served = compiled.snapshot.policies().iter();
    let served = served.map(|policy| (policy.channel.name().to_string(), policy.generation));
    let full = compiled.verdicts.iter();
    let full = full.filter(|verdict| verdict.accepted.reason == Reason::SnapshotFull);
    let full = full.map(|verdict| verdict.channel.name().to_string());
    (served.collect(), full.collect())
}

/// The bytes that these take.
fn bytes(channels: &[Channel]) -> usize {
    let (compiled, _) = compiled(channels, None, usize::MAX);
    compiled.snapshot.pack().len()
}

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_oldest_enter_while_they_fit() {
    let all = [
        channel("a", 1, 1),
        channel("b", 4, 1),
        channel("c", 3, 1),
        channel("d", 2, 1),
    ];
    let most = bytes(&[all[1].clone(), all[2].clone()]) + 8;
    let (compiled, fits) = compiled(&all, None, most);
    assert!(fits);
    let (served, full) = outcome(&compiled);
    assert_eq!(served, [("b".to_owned(), 1), ("c".to_owned(), 1)]);
    assert_eq!(full, named(&["a", "d"]));
    let verdict = &compiled.verdicts[0];
    assert!(
        verdict.accepted.message.contains("is not served"),
        "{verdict:?}"
    );
}

#[test]
fn what_is_in_force_stays_as_it_is() {
    let before = [channel("young", 1, 1), channel("younger", 0, 1)];
    let (first, _) = compiled(&before, None, usize::MAX);
    let most = bytes(&before) + 8;
    let mut changed = channel("younger", 0, 2);
    changed.spec.topics.push("more".to_owned());
    let now = [channel("old", 9, 1), before[0].clone(), changed];
    let (compiled, fits) = compiled(&now, Some(&first.snapshot), most);
    assert!(fits);
    let (served, full) = outcome(&compiled);
    assert_eq!(served, [("young".to_owned(), 1), ("younger".to_owned(), 1)]);
    assert_eq!(full, named(&["old", "younger"]));
    let said = &compiled.verdicts[2].accepted.message;
    assert!(
        said.contains("Until then generation 1 is served."),
        "{said}"
    );
    assert_eq!(compiled.snapshot.revision, first.snapshot.revision);
}

#[test]
fn room_that_is_made_is_taken() {
    let all = [channel("a", 3, 1), channel("b", 2, 1), channel("c", 1, 1)];
    let most = bytes(&all[..2]) + 8;
    let (full, _) = compiled(&all, None, most);
    let (again, fits) = compiled(&all[1..], Some(&full.snapshot), most);
    assert!(fits);
    let (served, waiting) = outcome(&again);
    assert_eq!(served, [("b".to_owned(), 1), ("c".to_owned(), 1)]);
    assert!(waiting.is_empty());
}

#[test]
fn what_is_in_force_and_does_not_fit_is_not_packed() {
    let all = [channel("a", 3, 1), channel("b", 2, 1)];
    let (first, _) = compiled(&all, None, usize::MAX);
    let (compiled, fits) = compiled(&all, Some(&first.snapshot), bytes(&all[..1]));
    assert!(!fits);
    assert_eq!(outcome(&compiled).0.len(), 2);
}
