//! Captures: `orders.{user}` with `claims.sub == topic.user` opens to ana what is ana's, however a topic is written.

use super::visit::Visit;
use super::world::{WATCHER, World};
use super::{
    AS_ANA, BAD_TOKEN, Case, Expected, MALFORMED, NOT_ADMITTED, OK, UNKNOWN_TOPIC, ana, ana_with,
};
use serde_json::json;

pub fn cases(world: &World) -> Vec<Case> {
    [
        written(world),
        claimed(world),
        several(world),
        other_ways(world),
        tenants(world),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// How the topic is written in the query.
fn written(world: &World) -> Vec<Case> {
    let token = world.token(&ana());
    [
        ("orders.ana", AS_ANA),
        ("orders.%61na", AS_ANA),
        ("%6Frders%2Eana", AS_ANA),
        ("orders.ben", NOT_ADMITTED),
        ("orders.Ana", NOT_ADMITTED),
        ("orders.ANA", NOT_ADMITTED),
        ("orders.an", NOT_ADMITTED),
        ("orders.anaa", NOT_ADMITTED),
        ("orders.ana/", NOT_ADMITTED),
        ("orders./ana", NOT_ADMITTED),
        ("orders.ana/ben", NOT_ADMITTED),
        ("orders.ana%2Fben", NOT_ADMITTED),
        ("orders.ana%2fben", NOT_ADMITTED),
        ("orders.ben%2Fana", NOT_ADMITTED),
        ("orders.ana%252Fben", NOT_ADMITTED),
        ("orders.ana%252e", NOT_ADMITTED),
        ("orders.%2561na", NOT_ADMITTED),
        ("orders.ana%252eben", NOT_ADMITTED),
        ("orders.ana.ben", UNKNOWN_TOPIC),
        ("orders.ana%2eben", UNKNOWN_TOPIC),
        ("orders.ana%2E", UNKNOWN_TOPIC),
        ("orders.ana.", UNKNOWN_TOPIC),
        ("orders..ana", UNKNOWN_TOPIC),
        ("orders.%2e", UNKNOWN_TOPIC),
        ("orders.%2e%2e%2fana", UNKNOWN_TOPIC),
        ("orders.ben%2F%2E%2E%2Fana", UNKNOWN_TOPIC),
        ("orders.", UNKNOWN_TOPIC),
        ("orders", UNKNOWN_TOPIC),
        ("Orders.ana", UNKNOWN_TOPIC),
        ("orders.ana%00", MALFORMED),
        ("orders.ana%0a", MALFORMED),
        ("orders.ana%20", MALFORMED),
        ("orders.ana+", MALFORMED),
        ("orders.ana%c3%28", MALFORMED),
        ("orders.ana%c0%ae", MALFORMED),
        ("orders.ana,ben", NOT_ADMITTED),
        ("orders.*", NOT_ADMITTED),
        ("orders.ana*", NOT_ADMITTED),
        ("orders.{user}", NOT_ADMITTED),
        ("orders.%7Buser%7D", NOT_ADMITTED),
        ("orders.ana%c2%a0", MALFORMED),
        ("orders.an%c4%83", NOT_ADMITTED),
        ("orders.%ef%bd%81na", NOT_ADMITTED),
    ]
    .into_iter()
    .map(|(topic, expected)| {
        let visit = Visit::topic(topic).token(&token);
        Case::new(format!("a token of ana on {topic}"), visit, expected)
    })
    .collect()
}

/// What the token says that it is.
fn claimed(world: &World) -> Vec<Case> {
    [
        ("an empty sub", json!(""), "orders.ana"),
        ("a sub in capitals", json!("ANA"), "orders.ana"),
        ("a sub with a dot", json!("ana."), "orders.ana"),
        ("a sub with a blank", json!("ana "), "orders.ana"),
        ("a sub that is a pattern", json!("{user}"), "orders.ana"),
        ("a sub that is a star", json!("*"), "orders.ana"),
        (
            "a sub that is an expression",
            json!("topic.user"),
            "orders.ana",
        ),
        ("a sub encoded", json!("%61na"), "orders.ana"),
        ("a decomposed sub", json!("a\u{301}na"), "orders.%C3%A1na"),
    ]
    .into_iter()
    .map(|(name, sub, topic)| {
        let token = world.token(&ana_with(json!({ "sub": sub })));
        Case::new(
            format!("{name} on {topic}"),
            Visit::topic(topic).token(&token),
            NOT_ADMITTED,
        )
    })
    .chain(itself(world))
    .collect()
}

/// Odd names open what is literally theirs.
fn itself(world: &World) -> Vec<Case> {
    let visit = |sub: &str, topic: &str| {
        let token = world.token(&ana_with(json!({ "sub": sub })));
        Visit::topic(topic).token(&token)
    };
    vec![
        Case::new(
            "a sub with a slash on its own topic",
            visit("a/b", "orders.a%2Fb"),
            Expected::Stream(Some("a/b")),
        ),
        Case::new(
            "a sub with %2e on its own topic",
            visit("a%2eb", "orders.a%252eb"),
            Expected::Stream(Some("a%2eb")),
        ),
        Case::new(
            "a sub that is a star on its own topic",
            visit("*", "orders.*"),
            Expected::Stream(Some("*")),
        ),
        Case::new(
            "a sub with a dot has no topic",
            visit("a.b", "orders.a.b"),
            UNKNOWN_TOPIC,
        ),
    ]
}

/// All that is asked for must be admitted.
fn several(world: &World) -> Vec<Case> {
    let token = world.token(&ana());
    let visit = |first: &str, more: &[&str]| {
        let visit = Visit::topic(first).token(&token);
        more.iter()
            .fold(visit, |visit, topic| visit.query("channel", topic))
    };
    vec![
        Case::new(
            "ana's topic twice",
            visit("orders.ana", &["orders.ana"]),
            AS_ANA,
        ),
        Case::new(
            "ana's topic, then ben's",
            visit("orders.ana", &["orders.ben"]),
            NOT_ADMITTED,
        ),
        Case::new(
            "ben's topic, then ana's",
            visit("orders.ben", &["orders.ana"]),
            NOT_ADMITTED,
        ),
        Case::new(
            "ana's topic and one of nobody",
            visit("orders.ana", &["orders.a.b"]),
            UNKNOWN_TOPIC,
        ),
        Case::new(
            "ana's topic and a Channel of nobody",
            visit("orders.ana", &["nobody.x"]),
            NOT_ADMITTED,
        ),
        Case::new(
            "a public topic and ben's",
            visit("open.several", &["orders.ben"]),
            NOT_ADMITTED,
        ),
        Case::new(
            "a feed whose condition asks for the topic",
            visit("feeds.*", &[]),
            NOT_ADMITTED,
        ),
        Case::new(
            "a feed by its own prefix",
            visit("feeds.ana*", &[]),
            NOT_ADMITTED,
        ),
        Case::new("everything", visit("*", &[]), NOT_ADMITTED),
        Case::new(
            "a feed beside ana's topic in it",
            visit("feeds.ana", &["feeds.a*"]),
            NOT_ADMITTED,
        ),
        Case::new("ana's topic in it", visit("feeds.ana", &[]), AS_ANA),
        Case::new("ben's topic in it", visit("feeds.ben", &[]), NOT_ADMITTED),
    ]
}

/// The same judgement on every path.
fn other_ways(world: &World) -> Vec<Case> {
    let token = world.token(&ana());
    let at = |topic: &str, path: &str| Visit::topic(topic).at(path).token(&token);
    let by_cookie = Visit::topic("orders.ben").cookie(&token);
    let by_query = Visit::topic("orders.ben").access_token(&token);
    vec![
        Case::new("ben's topic with ana's cookie", by_cookie, NOT_ADMITTED),
        Case::new("ben's topic with ana's parameter", by_query, NOT_ADMITTED),
        Case::new("ana's history", at("orders.ana", "/history"), OK),
        Case::new("ben's history", at("orders.ben", "/history"), NOT_ADMITTED),
        Case::new(
            "ben's history, encoded",
            at("orders.%62en", "/history"),
            NOT_ADMITTED,
        ),
        Case::new(
            "history of two topics",
            at("orders.ana", "/history").query("channel", "orders.ben"),
            MALFORMED,
        ),
        Case::new(
            "history with a star",
            at("orders.*", "/history"),
            NOT_ADMITTED,
        ),
        Case::new("ana's presence", at("orders.ana", "/presence"), OK),
        Case::new(
            "ben's presence",
            at("orders.ben", "/presence"),
            NOT_ADMITTED,
        ),
        Case::new("ana posts to ana", at("orders.ana", "/publish"), OK),
        Case::new(
            "ana posts to ben",
            at("orders.ben", "/publish"),
            NOT_ADMITTED,
        ),
        Case::new(
            "ana posts to both",
            at("orders.ana", "/publish").query("channel", "orders.ben"),
            NOT_ADMITTED,
        ),
        Case::new(
            "ana posts to ben, encoded",
            at("orders.%62en", "/publish"),
            NOT_ADMITTED,
        ),
        Case::new(
            "ben's stream from a position",
            Visit::topic("orders.ben")
                .token(&token)
                .header("Last-Event-ID", "aaaaaa-1"),
            NOT_ADMITTED,
        ),
        Case::new(
            "ben's last messages",
            Visit::topic("orders.ben")
                .token(&token)
                .query("since", "10"),
            NOT_ADMITTED,
        ),
        Case::new(
            "who may publish may not listen",
            Visit::topic("orders.ana").token(WATCHER),
            BAD_TOKEN,
        ),
    ]
}

/// Two captures, one of them in a list.
fn tenants(world: &World) -> Vec<Case> {
    let token = world.token(&ana_with(
        json!({ "org": "acme", "teams": ["red", "blue"] }),
    ));
    let loose = world.token(&ana_with(json!({ "org": "acme", "teams": "red" })));
    let visit = |token: &str, topic: &str| Visit::topic(topic).token(token);
    vec![
        Case::new(
            "two captures that both fit",
            visit(&token, "tenants.acme.red"),
            AS_ANA,
        ),
        Case::new(
            "a team of another org",
            visit(&token, "tenants.evil.red"),
            NOT_ADMITTED,
        ),
        Case::new(
            "another team",
            visit(&token, "tenants.acme.green"),
            NOT_ADMITTED,
        ),
        Case::new(
            "captures turned",
            visit(&token, "tenants.red.acme"),
            NOT_ADMITTED,
        ),
        Case::new(
            "a capture too many",
            visit(&token, "tenants.acme.red.x"),
            UNKNOWN_TOPIC,
        ),
        Case::new(
            "a list that is a text",
            visit(&loose, "tenants.acme.red"),
            NOT_ADMITTED,
        ),
        Case::new(
            "a part of a text",
            visit(&loose, "tenants.acme.r"),
            NOT_ADMITTED,
        ),
    ]
}
