//! What conditions see: claims that may be absent, and the request as it really came.

use super::visit::Visit;
use super::world::{BEN, OFFICE, PROXY, SHOP, World};
use super::{ANYBODY, AS_BEN, Case, NOT_ADMITTED, ORIGIN, ana, ana_with};
use serde_json::{Value, json};

const FORWARDED: &str = "X-Forwarded-For";

pub fn cases(world: &World) -> Vec<Case> {
    [
        claims(world),
        kinds(world),
        addresses(),
        proxies(),
        requests(world),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn claims(world: &World) -> Vec<Case> {
    let with = |more: Value| world.token(&ana_with(more));
    let token = world.token(&ana());
    let not = |name: &str, channel: &str, token: &str| {
        Case::new(name, Visit::channel(channel).token(token), NOT_ADMITTED)
    };
    vec![
        not("a claim that is absent", "absent", &token),
        Case::ana(
            "a claim that is there",
            "absent",
            &with(json!({ "absent": "x" })),
        ),
        not(
            "a claim with another value",
            "absent",
            &with(json!({ "absent": "y" })),
        ),
        not(
            "a claim of null",
            "absent",
            &with(json!({ "absent": null })),
        ),
        not(
            "a claim in a list",
            "absent",
            &with(json!({ "absent": ["x"] })),
        ),
        Case::ana("a claim that must be absent", "asks", &token),
        not(
            "a claim that must be absent, and is there",
            "asks",
            &with(json!({ "banned": false })),
        ),
    ]
}

/// Claims of other kinds than the condition means.
fn kinds(world: &World) -> Vec<Case> {
    let with = |more: Value| world.token(&ana_with(more));
    let token = world.token(&ana());
    let not = |name: &str, channel: &str, token: &str| {
        Case::new(name, Visit::channel(channel).token(token), NOT_ADMITTED)
    };
    vec![
        not(
            "a number that is too small",
            "kinds",
            &with(json!({ "level": 2 })),
        ),
        Case::ana("a number", "kinds", &with(json!({ "level": 3 }))),
        not(
            "a text for a number",
            "kinds",
            &with(json!({ "level": "3" })),
        ),
        not(
            "true for a number",
            "kinds",
            &with(json!({ "level": true })),
        ),
        not(
            "a list for a number",
            "kinds",
            &with(json!({ "level": [3] })),
        ),
        Case::ana(
            "a number with a fraction",
            "kinds",
            &with(json!({ "level": 3.5 })),
        ),
        not(
            "a number below zero",
            "kinds",
            &with(json!({ "level": -3 })),
        ),
        Case::ana("an identity", "named", &token),
        not("another identity", "named", &with(json!({ "sub": "eve" }))),
        not(
            "no identity",
            "named",
            &world.token(&json!({ "exp": ana()["exp"] })),
        ),
        not(
            "a condition that is neither true nor false",
            "noboolean",
            &token,
        ),
        not(
            "the same with a text that says true",
            "noboolean",
            &with(json!({ "sub": "true" })),
        ),
        Case::new(
            "a rule after one that cannot be evaluated",
            Visit::channel("fallback").token(BEN),
            AS_BEN,
        ),
        not(
            "no rule after one that cannot be evaluated",
            "fallback",
            &token,
        ),
    ]
}

/// `request.ip`, and who may say that it is another.
fn addresses() -> Vec<Case> {
    let on = || Visit::channel("ip");
    let spoofed = |name: &str, value: &str| on().header(name, value);
    vec![
        Case::new("from the address", on().from(OFFICE), ANYBODY),
        Case::new("from another address", on(), NOT_ADMITTED),
        Case::new("from a third address", on().from("127.0.0.3"), NOT_ADMITTED),
        Case::new(
            "the address claimed by a stranger",
            spoofed(FORWARDED, OFFICE),
            NOT_ADMITTED,
        ),
        Case::new(
            "the address claimed as Forwarded",
            spoofed("Forwarded", &format!("for={OFFICE}")),
            NOT_ADMITTED,
        ),
        Case::new(
            "the address claimed as X-Real-IP",
            spoofed("X-Real-IP", OFFICE),
            NOT_ADMITTED,
        ),
        Case::new(
            "another claimed by the address itself",
            on().from(OFFICE).header(FORWARDED, "127.0.0.3"),
            ANYBODY,
        ),
    ]
}

/// A proxy is believed, from right to left.
fn proxies() -> Vec<Case> {
    let on = || Visit::channel("ip");
    let by_proxy = |hops: &str| on().from(PROXY).header(FORWARDED, hops);
    vec![
        Case::new("told by the proxy", by_proxy(OFFICE), ANYBODY),
        Case::new(
            "told by the proxy with a port",
            by_proxy(&format!("{OFFICE}:443")),
            ANYBODY,
        ),
        Case::new(
            "told by two proxies",
            by_proxy(&format!("{OFFICE}, {PROXY}")),
            ANYBODY,
        ),
        Case::new(
            "told behind a spoofed hop",
            by_proxy(&format!("198.51.100.1, {OFFICE}")),
            ANYBODY,
        ),
        Case::new(
            "spoofed before the hop that the proxy saw",
            by_proxy(&format!("{OFFICE}, 198.51.100.1")),
            NOT_ADMITTED,
        ),
        Case::new(
            "spoofed in a line of its own",
            by_proxy(OFFICE).header(FORWARDED, "198.51.100.1"),
            NOT_ADMITTED,
        ),
        Case::new(
            "spoofed as a mapped address",
            by_proxy(&format!("::ffff:{OFFICE}, 198.51.100.1")),
            NOT_ADMITTED,
        ),
        Case::new(
            "told as a mapped address",
            by_proxy(&format!("::ffff:{OFFICE}")),
            ANYBODY,
        ),
        Case::new(
            "spoofed behind nonsense",
            by_proxy(&format!("{OFFICE}, unknown")),
            NOT_ADMITTED,
        ),
        Case::new("the proxy itself", on().from(PROXY), NOT_ADMITTED),
        Case::new("told nothing", by_proxy(""), NOT_ADMITTED),
    ]
}

fn requests(world: &World) -> Vec<Case> {
    let on = Visit::channel;
    let header = |value: &str| on("header").header("X-Team", value);
    let token = world.token(&ana());
    vec![
        Case::new("a header", header("blue"), ANYBODY),
        Case::new("a header with another value", header("red"), NOT_ADMITTED),
        Case::new("a header in capitals", header("BLUE"), NOT_ADMITTED),
        Case::new("a header that is absent", on("header"), NOT_ADMITTED),
        Case::new(
            "a header twice",
            header("blue").header("X-Team", "red"),
            NOT_ADMITTED,
        ),
        Case::new("a header with a list", header("blue, red"), NOT_ADMITTED),
        Case::new(
            "a header in the query",
            on("header").query("x-team", "blue"),
            NOT_ADMITTED,
        ),
        Case::new("the origin", on("origin").origin(SHOP), ANYBODY),
        Case::new(
            "another listed origin",
            on("origin").origin("https://other.example"),
            NOT_ADMITTED,
        ),
        Case::new("no origin", on("origin"), NOT_ADMITTED),
        Case::new(
            "an unlisted origin",
            on("origin").origin("https://evil.example"),
            ORIGIN,
        ),
        Case::new(
            "a Referer for an origin",
            on("origin").header("Referer", SHOP),
            NOT_ADMITTED,
        ),
        Case::new("the path", on("path").at("/default/stream"), ANYBODY),
        Case::new("another path", on("path"), NOT_ADMITTED),
        Case::new(
            "the path in the query",
            on("path").query("path", "/default/stream"),
            NOT_ADMITTED,
        ),
        Case::new(
            "the path of history",
            on("path").at("/default/history"),
            NOT_ADMITTED,
        ),
        Case::new(
            "headers without the token",
            on("secretive").token(&token),
            ANYBODY,
        ),
        Case::new(
            "headers without the cookie",
            on("secretive").cookie(&token),
            ANYBODY,
        ),
    ]
}
