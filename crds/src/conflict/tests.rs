//! Claims in order, and what is said of the one that comes too late.

use super::*;
use crate::channel::ChannelSpec;
use crate::fleet::Fleet;
use crate::policy::Source;
use crate::secrets::Secrets;

/// The Channel claims these topics in its namespace.
fn claim(claims: &mut Claims, name: &str, topics: &[&str]) -> Result<(), Rejection> {
    let (namespace, name) = name.split_once('/').unwrap();
    let fleet = Fleet::standalone("shop");
    let spec = ChannelSpec {
        topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
        ..serde_json::from_str("{}").unwrap()
    };
    let source = Source {
        channel: &ChannelName::new(namespace, name),
        uid: "",
        generation: 1,
        spec: &spec,
    };
    let resolution = Policy::compile(source, &fleet, &Secrets::default(), None)?;
    claims.claim(&resolution.policy)
}

#[track_caller]
fn check(claimed: Result<(), Rejection>, reason: Reason, message: &str) {
    let rejection = claimed.unwrap_err();
    assert_eq!(rejection.reason, reason);
    assert_eq!(rejection.message, message);
}

#[test]
fn of_several_owners_the_least_pattern_is_named() {
    let mut claims = Claims::default();
    claim(&mut claims, "shop/one", &["c.{x}", "d.1.1"]).unwrap();
    claim(&mut claims, "shop/two", &["b.{x}", "a.1.1"]).unwrap();
    let mut conflict = |topic: &str, met: &str| {
        let message = format!("topic {topic:?} meets {met}; change spec.topics of one of them.");
        let claimed = claim(&mut claims, "shop/late", &["free", topic]);
        check(claimed, Reason::TopicConflict, &message);
    };
    conflict("{y}.1", "\"b.{x}\" of the older Channel \"two\"");
    conflict("{y}.1.1", "\"a.1.1\" of the older Channel \"two\"");
    conflict("d.1.1", "\"d.1.1\" of the older Channel \"one\"");
    conflict("c.1", "\"c.{x}\" of the older Channel \"one\"");
}

#[test]
fn a_namespace_has_at_most_a_thousand_patterns_with_captures() {
    let mut claims = Claims::default();
    let shapes: Vec<String> = (0..SHAPES + 1).map(|n| format!("{n}.{{x}}")).collect();
    let shapes: Vec<&str> = shapes.iter().map(|shape| &**shape).collect();
    let (early, late) = shapes.split_at(SHAPES - 8);
    for (number, shapes) in early.chunks(16).enumerate() {
        claim(&mut claims, &format!("shop/{number}"), shapes).unwrap();
    }
    let message = "spec.topics has 9 patterns with captures where older Channels of the namespace have 992, and a gateway takes at most 1000 of a namespace; use fewer, or move Channels to another namespace or gateway.";
    let claimed = claim(&mut claims, "shop/late", late);
    check(claimed, Reason::TooLarge, message);
    // None of the nine was taken, so eight still find room.
    claim(&mut claims, "shop/last", &late[1..]).unwrap();
    let full = claim(&mut claims, "shop/late", &late[..1]);
    assert_eq!(full.unwrap_err().reason, Reason::TooLarge);
    claim(&mut claims, "shop/literal", &["orders", "orders.1"]).unwrap();
    claim(&mut claims, "elsewhere/late", late).unwrap();
}
