//! One gateway, a table of visits: every kind of rule, each way in, each known attack. A case says who comes with
//! what, and whether they are admitted and as whom, or with which word they are turned away.

mod claims; // what a token must claim
mod conditions; // what conditions see, and what they do not
mod pages; // cookies, origins, preflights
mod paths; // kinds of rules, and rights that are not each other's
mod reviewed; // webhooks and service accounts
mod signatures; // who signed it, and by what algorithm
mod topics; // captures: a token for one topic never opens another
mod visit;
mod ways; // where a token may stand
mod world;

use super::with;
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tests::wait::unix_ms;
use visit::Visit;
use world::World;

/// The fewest cases that the table may have.
const LEAST: usize = 700;
/// So many are tried at once.
const AT_ONCE: usize = 4;

/// One visit and what must come of it.
struct Case {
    name: String,
    visit: Visit,
    expected: Expected,
}

/// What comes of a visit.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// A stream opens, and presence knows this identity of it; none: it is nobody's.
    Stream(Option<&'static str>),
    /// An answer that is no stream.
    Answer(u16),
    /// A problem of this word. With 503 it says when to come back.
    Refused(u16, &'static str),
    /// What will pass: for an `EventSource` a stream that ends at once and says when to come back.
    Passing,
    /// 4xx with or without a body, or no answer at all.
    TurnedAway,
    /// A preflight that lets this origin read and send.
    Allowed(&'static str),
    /// A preflight that says nothing.
    Silent,
}

const AS_ANA: Expected = Expected::Stream(Some("ana"));
const AS_BEN: Expected = Expected::Stream(Some("ben"));
/// A stream of nobody in particular.
const ANYBODY: Expected = Expected::Stream(None);
const OK: Expected = Expected::Answer(200);
const MALFORMED: Expected = Expected::Refused(400, "malformed");
const TWO_TOKENS: Expected = Expected::Refused(400, "two-tokens");
const BAD_TOKEN: Expected = Expected::Refused(401, "bad-token");
const NO_TOKEN: Expected = Expected::Refused(401, "no-token");
const NOT_ADMITTED: Expected = Expected::Refused(403, "not-admitted");
const ORIGIN: Expected = Expected::Refused(403, "origin");
const UNKNOWN_TOPIC: Expected = Expected::Refused(404, "unknown-topic");
const UNAVAILABLE: Expected = Expected::Refused(503, "unavailable");

impl Case {
    fn new(name: impl Into<String>, visit: Visit, expected: Expected) -> Self {
        let name = name.into();
        Self {
            name,
            visit,
            expected,
        }
    }

    /// `token` opens a stream of the Channel as ana.
    fn ana(name: impl Into<String>, channel: &str, token: &str) -> Self {
        let visit = Visit::channel(channel).token(token);
        Self::new(name, visit, AS_ANA)
    }

    /// `token` is taken for no good one.
    fn bad(name: impl Into<String>, channel: &str, token: &str) -> Self {
        let visit = Visit::channel(channel).token(token);
        Self::new(name, visit, BAD_TOKEN)
    }
}

/// Seconds since 1970, so far from now.
fn seconds_from_now(seconds: i64) -> i64 {
    i64::try_from(unix_ms() / 1000).unwrap() + seconds
}

/// Claims of ana, good for ten minutes.
fn ana() -> Value {
    json!({ "sub": "ana", "exp": seconds_from_now(600) })
}

/// The same with further or other claims.
fn ana_with(more: Value) -> Value {
    with(ana(), more)
}

fn all(world: &World) -> Vec<Case> {
    let parts: [fn(&World) -> Vec<Case>; 8] = [
        // First, while a token that is good in half a minute is not good yet.
        claims::cases,
        signatures::cases,
        ways::cases,
        paths::cases,
        topics::cases,
        pages::cases,
        conditions::cases,
        reviewed::cases,
    ];
    parts.into_iter().flat_map(|part| part(world)).collect()
}

#[tokio::test]
async fn every_visit_of_the_table_ends_as_it_says() {
    let world = World::start().await;
    world.until_rbac_counts().await;
    let cases = all(&world);
    let mut names = BTreeSet::new();
    for case in &cases {
        assert!(names.insert(&case.name), "two cases: {}", case.name);
    }
    let world = &world;
    let failures: Vec<String> = futures_util::stream::iter(&cases)
        .map(|case| async move {
            let seen = case.visit.come(world, case.expected).await;
            let why = seen.err()?;
            Some(format!("{}: {:?}, but {why}", case.name, case.expected))
        })
        .buffered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    println!("{} cases of access rules", cases.len());
    assert!(
        failures.is_empty(),
        "{} of {} cases:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
    assert!(cases.len() >= LEAST, "{} cases are too few", cases.len());
    assert_eq!(world.rogue.fetches().len(), 0, "a token led there");
}
