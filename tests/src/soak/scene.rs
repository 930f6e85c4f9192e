//! Who listens to what, and how often something is said there.
//!
//! Owns: the Channels of the soak, their topics, the mix of streams. Never: changes while it runs, but for what
//! `weather` writes over a manifest. Used by: every other part of the soak.

use crate::gateway::Setup;
use crate::manifest::{Channel, secret};
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::Value;
use std::time::Duration;

/// All topics of the Channel with a feed.
pub const FEED: &str = "feed.*";
/// The token that is never taken away, and the one that is now and then.
pub const TOKENS: [&str; 2] = ["token-of-ana", "token-of-ben"];
/// The most topics on one stream.
const SEVERAL: usize = 8;

/// The topics of one Channel.
pub struct Kind {
    pub name: &'static str,
    pub topics: usize,
    /// The mean pause between two messages of a topic over HTTP.
    pub pause: Duration,
    /// The same for raw `PUBLISH`es.
    pub raw: Option<Duration>,
    /// The size of a message lies between these.
    pub bytes: [usize; 2],
    /// How many of a thousand streams listen to one topic of it, or to its feed.
    pub share: usize,
}

const fn kind(name: &'static str, topics: usize, pause_ms: u64, share: usize) -> Kind {
    Kind {
        name,
        topics,
        pause: Duration::from_millis(pause_ms),
        raw: None,
        bytes: [30, 200],
        share,
    }
}

/// 106 topics, about 25 messages a second.
pub const KINDS: [Kind; 7] = [
    kind("kept", 60, 6_000, 440),
    kind("short", 8, 1_500, 70),
    kind("feed", 20, 10_000, 100),
    kind("live", 8, 4_000, 100),
    Kind {
        raw: Some(Duration::from_millis(1_500)),
        ..kind("raw", 4, 4_000, 60)
    },
    Kind {
        bytes: [12_000, 16_000],
        ..kind("big", 2, 500, 10)
    },
    kind("members", 4, 4_000, 60),
];
/// Which kinds a stream on several topics mixes.
const MIXED: [&str; 4] = ["kept", "short", "live", "raw"];

/// What one page asks for.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Topics, or [`FEED`].
    pub lines: Vec<String>,
    pub token: Option<&'static str>,
    /// Whether its kernel takes as little ahead as it can, so that the gateway notices when it does not read.
    pub narrow: bool,
}

/// How long the Channel `kept` and the Channel `short` keep.
#[derive(Clone, Copy, Debug)]
pub struct Forms {
    pub kept: u32,
    pub per_second: i64,
    pub tokens: usize,
}

/// What the manifests say at the beginning and at the end.
pub const USUAL: Forms = Forms {
    kept: 1_000,
    per_second: 1_000,
    tokens: TOKENS.len(),
};

impl Forms {
    /// Each file that depends on it, by its name.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, Vec<Value>)> {
        let names = ["ana", "ben"].into_iter().zip(TOKENS);
        let pairs: Vec<(&str, &str)> = names.take(self.tokens).collect();
        let short = channel("short").history(3);
        let short = short.limit("publishPerSecond", self.per_second);
        let members = channel("members").history(1_000);
        vec![
            ("kept", vec![channel("kept").history(self.kept).manifest()]),
            ("short", vec![short.manifest()]),
            (
                "members",
                vec![
                    members.tokens("subscribe", "readers").manifest(),
                    secret("readers", &pairs),
                ],
            ),
        ]
    }
}

fn channel(name: &str) -> Channel {
    let channel = Channel::open(name).topics(&[&format!("{name}.{{n}}")]);
    // The lives of streams end by age too, some in each soak.
    channel.stream("5s", "500ms", "3m")
}

/// A gateway that serves all of it.
#[must_use]
pub fn setup(redis: &str) -> Setup {
    let feed = channel("feed").history(1_000);
    let feed = feed.with("wildcard", Value::Bool(true));
    let raw = channel("raw").history(1_000).ingest(&["FlaskSse"]);
    let mut setup = Setup::new()
        .channel(&feed)
        .channel(&channel("live"))
        .channel(&raw)
        .channel(&channel("big").history(60))
        .redis(redis)
        .flag("--drain", "4s");
    for (name, documents) in USUAL.files() {
        setup = setup.file(name, documents);
    }
    setup
}

/// All topics.
pub fn topics() -> impl Iterator<Item = (&'static Kind, String)> {
    let of = |kind: &'static Kind| (0..kind.topics).map(move |n| (kind, topic(kind, n)));
    KINDS.iter().flat_map(of)
}

/// The topics of a line.
#[must_use]
pub fn topics_of(line: &str) -> Vec<String> {
    match line.strip_suffix('*') {
        None => vec![line.into()],
        Some(prefix) => {
            let all = topics().map(|(_, topic)| topic);
            all.filter(|topic| topic.starts_with(prefix)).collect()
        }
    }
}

fn topic(kind: &Kind, n: usize) -> String {
    format!("{}.{n}", kind.name)
}

fn any(kind: &Kind, chance: &mut StdRng) -> String {
    topic(kind, chance.random_range(0..kind.topics))
}

impl Ticket {
    /// What the page with this number asks for.
    #[must_use]
    pub fn of(index: usize, chance: &mut StdRng) -> Self {
        let mut place = index * 7 % 1_000;
        for kind in &KINDS {
            if place < kind.share {
                let line = match kind.name {
                    "feed" => FEED.into(),
                    _ => any(kind, chance),
                };
                let token = (kind.name == "members").then(|| TOKENS[index / 7 % TOKENS.len()]);
                return Self {
                    lines: vec![line],
                    token,
                    narrow: kind.name == "big",
                };
            }
            place -= kind.share;
        }
        let mixed: Vec<&Kind> = KINDS
            .iter()
            .filter(|kind| MIXED.contains(&kind.name))
            .collect();
        let mut lines = Vec::new();
        while lines.len() < 2 || (lines.len() < SEVERAL && chance.random_bool(0.8)) {
            let line = any(mixed.choose(chance).expect("there are some"), chance);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        Self {
            lines,
            token: None,
            narrow: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn a_seed_makes_the_same_pages_and_every_topic_has_some() {
        let all = || {
            let mut chance = StdRng::seed_from_u64(1);
            let tickets = (0..3_000).map(|index| Ticket::of(index, &mut chance));
            Vec::from_iter(tickets.map(|ticket| ticket.lines))
        };
        let lines = all();
        assert_eq!(lines, all());
        for (_, topic) in topics() {
            let hears = |line: &String| topics_of(line).contains(&topic);
            assert!(lines.iter().flatten().any(hears), "{topic}");
        }
        assert!(lines.iter().any(|lines| lines.len() == SEVERAL));
    }
}
