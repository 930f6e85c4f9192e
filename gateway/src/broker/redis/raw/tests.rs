//! Raw names, their Channels, and taking each message once.

use super::*;
use crate::broker::contract;
use crds::pattern::TopicPattern;
use crds::policy::IngestSet;

fn keys() -> Keys {
    Keys::new("siar", "default", "g1")
}

fn policy(name: &str, prefix: &str, topics: &[&str], ingest: IngestSet) -> Arc<Policy> {
    let mut policy = contract::policy(name, 10, false);
    policy.prefix = prefix.into();
    policy.ingest = ingest;
    policy.topics = topics
        .iter()
        .map(|topic| TopicPattern::parse(topic).unwrap())
        .collect();
    Arc::new(policy)
}

const FLASK: IngestSet = IngestSet {
    flask_sse: true,
    juggernaut: false,
    raw: false,
};
const JUGGER: IngestSet = IngestSet {
    flask_sse: false,
    juggernaut: true,
    raw: false,
};

#[track_caller]
fn check(policies: &[Arc<Policy>], raw: &str, expected: &[(&str, &str)]) {
    let takers = Index::new(policies).takers(&keys(), raw);
    let takers: Vec<(&str, &str)> = takers
        .iter()
        .map(|(policy, topic)| (&**policy.channel.name(), topic.as_str()))
        .collect();
    assert_eq!(takers, expected, "{raw}");
}

#[test]
fn a_raw_name_finds_each_of_its_channels_once() {
    let policies = [
        policy("a", "", &["sse", "users.{id}"], FLASK),
        policy("b", "app:", &["{any}"], FLASK),
        policy("c", "", &["sse"], FLASK),
        policy("d", "", &["sse"], JUGGER),
    ];
    check(&policies, "sse", &[("a", "sse"), ("c", "sse")]);
    check(&policies, "users.7", &[("a", "users.7")]);
    check(&policies, "users.7.x", &[]);
    check(&policies, "app:sse", &[("b", "sse")]);
    check(&policies, "other", &[]);
}

#[test]
fn reserved_names_are_never_taken() {
    let anything = policy("a", "", &["{any}"], FLASK);
    let prefixed = policy("b", "app:", &["{any}"], FLASK);
    for raw in [
        "siar:{a}",
        "__keyspace@0__:x",
        "juggernaut",
        "juggernaut:subscribe",
    ] {
        check(std::slice::from_ref(&anything), raw, &[]);
        let raw = format!("app:{raw}");
        check(std::slice::from_ref(&prefixed), &raw, &[]);
    }
}

#[test]
fn names_carry_the_prefix_and_escape_glob_characters() {
    let names = names_of(&keys(), &policy("a", "a*b:", &["sse", "u.{id}"], FLASK));
    let expected = [Name::channel("a*b:sse"), Name::Pattern(r"a\*b:u.*".into())];
    assert_eq!(names, expected);
    let names = names_of(&keys(), &policy("a", "app:", &["x"], JUGGER));
    assert_eq!(names, [Name::channel("app:juggernaut")]);
}

#[test]
fn a_message_is_taken_by_its_literal_subscription_or_the_first_pattern() {
    let mut confirmed = Confirmed::default();
    confirmed.add(Name::Pattern("u.*".into()));
    confirmed.add(Name::Pattern("*".into()));
    assert!(confirmed.takes(Some("u.*"), "u.7"));
    assert!(!confirmed.takes(Some("*"), "u.7"));
    assert!(confirmed.takes(Some("*"), "v.7"));
    confirmed.add(Name::channel("u.7"));
    assert!(!confirmed.takes(Some("u.*"), "u.7"));
    assert!(confirmed.takes(None, "u.7"));
    confirmed.remove(&Name::channel("u.7"));
    confirmed.remove(&Name::Pattern("u.*".into()));
    assert!(confirmed.takes(Some("*"), "u.7"));
}

#[test]
fn globs_match_as_the_server_does() {
    for (glob, text, expected) in [
        ("*", "", true),
        ("*", "a.b/c", true),
        ("a*", "a", true),
        ("a*c", "abcbc", true),
        ("a*c", "abcb", false),
        (r"a\*b", "a*b", true),
        (r"a\*b", "axb", false),
        (r"*\*", "x*", true),
        ("u.*.x", "u.1.2.x", true),
        ("u.*.x", "u.1.y", false),
        ("é*", "éx", true),
    ] {
        assert_eq!(glob_matches(glob, text), expected, "{glob} {text}");
    }
}
