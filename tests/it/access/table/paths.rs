//! Kinds of rules and paths: what opens one of them opens no other.

use super::visit::Visit;
use super::world::{BEN, WATCHER, World};
use super::{Case, Expected, ana};

const AS_ANA: Expected = Expected::Stream(Some("ana"));
const AS_BEN: Expected = Expected::Stream(Some("ben"));
const BAD: Expected = Expected::Refused(401, "bad-token");
const NONE: Expected = Expected::Refused(401, "no-token");
const TWO: Expected = Expected::Refused(400, "two-tokens");

pub fn cases(world: &World) -> Vec<Case> {
    let token = world.token(&ana());
    let mut cases = kinds_of_rules(&token);
    cases.extend(paths(&token));
    cases
}

/// Each kind of rule with nothing, with what another kind takes, and with its own.
fn kinds_of_rules(token: &str) -> Vec<Case> {
    let on = Visit::channel;
    let not_admitted = Expected::Refused(403, "not-admitted");
    vec![
        Case::new("nothing for tokens", on("tokens"), NONE),
        Case::new("nothing for jwt", on("fixed-es256"), NONE),
        Case::new("nothing for jwt by URL", on("jwks-any"), NONE),
        Case::new("nothing for anonymous", on("open"), Expected::Stream(None)),
        Case::new(
            "nothing for anonymous and jwt",
            on("both"),
            Expected::Stream(None),
        ),
        Case::new("nothing for nobody", on("nobody"), not_admitted),
        Case::new(
            "a token for nobody",
            on("nobody").token(token),
            not_admitted,
        ),
        Case::new(
            "a signed token for anonymous and jwt",
            on("both").token(token),
            Expected::Stream(None),
        ),
        Case::new("a signed token for tokens", on("tokens").token(token), BAD),
        Case::new(
            "a token of the Secret for jwt",
            on("fixed-es256").token(BEN),
            BAD,
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
            BAD,
        ),
        Case::new(
            "a topic of no Channel",
            Visit::topic("nowhere").token(token),
            Expected::Refused(404, "unknown-topic"),
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

const NOT_ADMITTED: Expected = Expected::Refused(403, "not-admitted");
const UNKNOWN: Expected = Expected::Refused(404, "unknown-topic");
const OK: Expected = Expected::Answer(200);

/// The other paths, and rights that are not each other's.
fn paths(token: &str) -> Vec<Case> {
    let signed = "fixed-es256";
    [
        ("with a token", signed, "/history", HEADER, OK),
        ("with a cookie", signed, "/history", COOKIE, OK),
        ("with a parameter", signed, "/history", QUERY, OK),
        ("without a token", signed, "/history", NOTHING, NONE),
        ("with a bad token", signed, "/history", NONSENSE, BAD),
        ("by who may publish", "tokens", "/history", WATCHERS, BAD),
        ("by who may listen", signed, "/presence", HEADER, BAD),
        ("without a token", signed, "/presence", NOTHING, NONE),
        ("of anybody", "public", "/presence", NOTHING, OK),
        ("of nobody", "mute", "/presence", HEADER, NOT_ADMITTED),
        ("by who may publish", "own", "/presence", HEADER, OK),
        ("by who may listen", signed, "/publish", HEADER, BAD),
        ("without a token", signed, "/publish", NOTHING, NONE),
        ("by anybody", "public", "/publish", NOTHING, OK),
        ("by anybody, nonsense", "public", "/publish", NONSENSE, OK),
        ("by nobody", "mute", "/publish", HEADER, NOT_ADMITTED),
        ("with a token", "own", "/publish", HEADER, OK),
        ("with a parameter", "own", "/publish", QUERY, OK),
        ("with two tokens", "own", "/publish", BOTH, TWO),
        ("with a bad token", "own", "/publish", NONSENSE, BAD),
        ("with a token", signed, "/default/history", HEADER, OK),
        ("with a token", signed, "/other/history", HEADER, UNKNOWN),
        (
            "with a token",
            signed,
            "/default%2F../history",
            HEADER,
            UNKNOWN,
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
        Case::new("a position with a bad token", header, BAD),
        Case::new("a position in the query with a bad token", query, BAD),
        Case::new("since with a bad token", visit().query("since", "10"), BAD),
    ]
}
