//! Who enters a Snapshot that is nearly full, and who waits.

use super::*;
use crate::channel::Channel;
use crate::compile::tests::fleet;
use serde_json::json;
use std::collections::BTreeMap;

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

fn compiled(channels: &[Channel], previous: Option<&Snapshot>, most: usize) -> Compiled {
    compiled_with(channels, &Secrets::default(), previous, most)
}

fn compiled_with(
    channels: &[Channel],
    secrets: &Secrets,
    previous: Option<&Snapshot>,
    most: usize,
) -> Compiled {
    let (compiled, packed) = compile_to_fit(&fleet(), channels, secrets, previous, most);
    assert!(packed.len() <= most);
    let unpacked = Snapshot::unpack(&packed).unwrap();
    assert_eq!(unpacked.revision, compiled.snapshot.revision);
    compiled
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
    compiled(channels, None, usize::MAX).snapshot.pack().len()
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
    let compiled = compiled(&all, None, most);
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
    let first = compiled(&before, None, usize::MAX);
    let most = bytes(&before) + 8;
    let mut changed = channel("younger", 0, 2);
    changed.spec.topics.push("more".to_owned());
    let now = [channel("old", 9, 1), before[0].clone(), changed];
    let compiled = compiled(&now, Some(&first.snapshot), most);
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
    let full = compiled(&all, None, most);
    let again = compiled(&all[1..], Some(&full.snapshot), most);
    let (served, waiting) = outcome(&again);
    assert_eq!(served, [("b".to_owned(), 1), ("c".to_owned(), 1)]);
    assert!(waiting.is_empty());
}

/// The same with a rule for the holders of tokens.
fn with_tokens(mut channel: Channel, secret: &str) -> Channel {
    let access = json!({"subscribe": [{"tokens": {"secretRef": {"name": secret}}}]});
    channel.spec.access = Some(serde_json::from_value(access).unwrap());
    channel
}

/// A Secret of `shop` with so many tokens.
fn tokens(secrets: &mut Secrets, name: &str, many: usize) {
    use crate::secret::Secret;
    let token = |at: usize| {
        (
            format!("{name}-{at}"),
            Secret::new(format!("{name}-{at}").into()),
        )
    };
    secrets.insert(
        "home",
        name,
        (0..many).map(token).collect::<BTreeMap<_, _>>(),
    );
}

#[test]
fn who_lets_a_secret_grow_goes_and_nobody_else() {
    let all = [
        with_tokens(channel("grows", 9, 1), "large"),
        with_tokens(channel("grows-too", 8, 1), "large"),
        with_tokens(channel("stays", 3, 1), "small"),
        channel("other", 2, 1),
    ];
    let mut secrets = Secrets::default();
    tokens(&mut secrets, "large", 1);
    tokens(&mut secrets, "small", 3);
    let before = compiled_with(&all, &secrets, None, usize::MAX);
    let most = before.snapshot.pack().len() + 1_000;
    tokens(&mut secrets, "large", 200);
    tokens(&mut secrets, "small", 2);
    let changed = [
        all[0].clone(),
        all[1].clone(),
        all[2].clone(),
        channel("other", 2, 2),
    ];
    let after = compiled_with(&changed, &secrets, Some(&before.snapshot), most);
    let (served, full) = outcome(&after);
    let names = [("other".to_owned(), 2), ("stays".to_owned(), 1)];
    assert_eq!(served, names, "what others change is in force");
    assert_eq!(full, named(&["grows", "grows-too"]));
    let said = &after.verdicts[0].accepted.message;
    assert!(said.contains("since Secrets hold more"), "{said}");
    // A token that was withdrawn is withdrawn.
    let form = after.snapshot.form(&ChannelName::new("home", "stays"));
    let form = serde_json::to_value(&**form.unwrap()).unwrap();
    let left = form["resolved"]["tokens"]["small"].as_object().unwrap();
    assert_eq!(left.len(), 2, "{form}");
    // Smaller again, they are back.
    tokens(&mut secrets, "large", 1);
    let again = compiled_with(&changed, &secrets, Some(&after.snapshot), most);
    assert_eq!(outcome(&again).0.len(), 4);
}

#[test]
fn of_those_that_grew_the_youngest_goes_first() {
    let all = [
        with_tokens(channel("old", 9, 1), "large"),
        with_tokens(channel("young", 8, 1), "larger"),
    ];
    let mut secrets = Secrets::default();
    tokens(&mut secrets, "large", 1);
    tokens(&mut secrets, "larger", 1);
    let before = compiled_with(&all, &secrets, None, usize::MAX);
    tokens(&mut secrets, "large", 50);
    tokens(&mut secrets, "larger", 50);
    let most = compiled_with(&all[..1], &secrets, None, usize::MAX);
    let most = most.snapshot.pack().len() + 8;
    let after = compiled_with(&all, &secrets, Some(&before.snapshot), most);
    assert_eq!(outcome(&after).0, [("old".to_owned(), 1)]);
}

#[test]
fn a_change_that_does_not_grow_waits_for_none_that_does() {
    let before = [channel("old", 9, 1), channel("young", 1, 1)];
    let first = compiled(&before, None, usize::MAX);
    let most = bytes(&before) + 8;
    let (mut grown, mut smaller) = (channel("old", 9, 2), channel("young", 1, 2));
    smaller.spec.topics = before[1].spec.topics[..4].to_vec();
    let more = (0..8).map(|at| crate::policy::to_hex(&digest(&format!("{at}"))));
    grown.spec.topics.extend(more);
    let after = compiled(&[grown, smaller], Some(&first.snapshot), most);
    let (served, full) = outcome(&after);
    assert_eq!(served, [("old".to_owned(), 1), ("young".to_owned(), 2)]);
    assert_eq!(full, named(&["old"]));
}

#[test]
fn without_room_for_anybody_nobody_is_served() {
    let all = [channel("a", 3, 1), channel("b", 2, 1)];
    let first = compiled(&all, None, usize::MAX);
    let most = bytes(&[]) + 8;
    let after = compiled(&all, Some(&first.snapshot), most);
    assert_eq!(outcome(&after), (Vec::new(), named(&["a", "b"])));
}
