//! Kinds of rules and paths: what opens one of them opens no other.

use super::visit::Visit;
use super::world::{BEN, WATCHER, World};
use super::{
    ANYBODY, AS_ANA, AS_BEN, BAD_TOKEN, Case, NO_TOKEN, NOT_ADMITTED, OK, TWO_TOKENS,
    UNKNOWN_TOPIC, ana,
};

pub fn cases(world: &World) -> Vec<Case> {
    let token = world.token(&ana());
    let mut cases = kinds_of_rules(&token);
    cases.extend(paths(&token));
    cases
}

/// Each kind of rule with nothing, with what another kind takes, and with its own.
fn kinds_of_rules(token: &str) -> Vec<Case> {
    let on = Visit::channel;
    vec![
        Case::new("nothing for tokens", on("tokens"), NO_TOKEN),
        Case::new("nothing for jwt", on("fixed-es256"), NO_TOKEN),
        Case::new("nothing for jwt by URL", on("jwks-any"), NO_TOKEN),
        Case::new("nothing for anonymous", on("open"), ANYBODY),
        Case::new("nothing for anonymous and jwt", on("both"), ANYBODY),
        Case::new("nothing for nobody", on("nobody"), NOT_ADMITTED),
        Case::new(
            "a token for nobody",
            on("nobody").token(token),
            NOT_ADMITTED,
        ),
        Case::new(
            "a signed token for anonymous and jwt",
            on("both").token(token),
            ANYBODY,
        ),
        Case::new(
            "a signed token for tokens",
            on("tokens").token(token),
            BAD_TOKEN,
        ),
        Case::new(
            "a token of the Secret for jwt",
            on("fixed-es256").token(BEN),
            BAD_TOKEN,
        ),
        Case::new(
            "a token of the Secret for both",
            on("either").token(BEN),
            AS_BEN,
        ),
        Case::new("a signed token for both", on("either").token(token), AS_ANA),
        Case::new(
            "the name of a holder for the token",
            on("tokens").token("ben"),
            BAD_TOKEN,
        ),
        Case::new(
            "a topic of no Channel",
            Visit::topic("nowhere").token(token),
            UNKNOWN_TOPIC,
        ),
    ]
}

/// How a token is put into a visit.
type Way = fn(Visit, &str) -> Visit;

const HEADER: Way = Visit::token;
const COOKIE: Way = Visit::cookie;
const QUERY: Way = Visit::access_token;
const NOTHING: Way = |visit, _| visit;
const NONSENSE: Way = |visit, _| visit.token("x");
const BOTH: Way = |visit, token| visit.token(token).access_token(BEN);
const WATCHERS: Way = |visit, _| visit.token(WATCHER);

/// The other paths, and rights that are not each other's.
fn paths(token: &str) -> Vec<Case> {
    let signed = "fixed-es256";
    [
        ("with a token", signed, "/history", HEADER, OK),
        ("with a cookie", signed, "/history", COOKIE, OK),
        ("with a parameter", signed, "/history", QUERY, OK),
        ("without a token", signed, "/history", NOTHING, NO_TOKEN),
        ("with a bad token", signed, "/history", NONSENSE, BAD_TOKEN),
        (
            "by who may publish",
            "tokens",
            "/history",
            WATCHERS,
            BAD_TOKEN,
        ),
        ("by who may listen", signed, "/presence", HEADER, BAD_TOKEN),
        ("without a token", signed, "/presence", NOTHING, NO_TOKEN),
        ("of anybody", "public", "/presence", NOTHING, OK),
        ("of nobody", "mute", "/presence", HEADER, NOT_ADMITTED),
        ("by who may publish", "own", "/presence", HEADER, OK),
        ("by who may listen", signed, "/publish", HEADER, BAD_TOKEN),
        ("without a token", signed, "/publish", NOTHING, NO_TOKEN),
        ("by anybody", "public", "/publish", NOTHING, OK),
        ("by anybody, nonsense", "public", "/publish", NONSENSE, OK),
        ("by nobody", "mute", "/publish", HEADER, NOT_ADMITTED),
        ("with a token", "own", "/publish", HEADER, OK),
        ("with a parameter", "own", "/publish", QUERY, OK),
        ("with two tokens", "own", "/publish", BOTH, TWO_TOKENS),
        ("with a bad token", "own", "/publish", NONSENSE, BAD_TOKEN),
        ("with a token", signed, "/default/history", HEADER, OK),
        (
            "with a token",
            signed,
            "/other/history",
            HEADER,
            UNKNOWN_TOPIC,
        ),
        (
            "with a token",
            signed,
            "/default%2F../history",
            HEADER,
            UNKNOWN_TOPIC,
        ),
    ]
    .into_iter()
    .map(|(how, channel, path, put, expected)| {
        let visit = put(Visit::channel(channel).at(path), token);
        Case::new(format!("{path} {how}"), visit, expected)
    })
    .chain(places())
    .collect()
}

/// Nobody is told of a place in a history that is not theirs.
fn places() -> Vec<Case> {
    let visit = || Visit::channel("fixed-es256").token("x");
    let header = visit().header("Last-Event-ID", "abcdef-1");
    let query = visit().query("last_event_id", "abcdef-1");
    vec![
        Case::new("a position with a bad token", header, BAD_TOKEN),
        Case::new("a position in the query with a bad token", query, BAD_TOKEN),
        Case::new(
            "since with a bad token",
            visit().query("since", "10"),
            BAD_TOKEN,
        ),
    ]
}
