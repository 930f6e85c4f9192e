//! What is measured, how often, and against what.

use crate::access::Access;
use crate::client::Transport;
use crate::measure::median;
use crate::operator::Operator;
use crate::round::{Figures, Work, attempt, measure};
use crate::rows::{Row, Target};
use crate::server::Kind;
use crate::tokens::Listeners;
use crate::topics::{Topics, many_topics};
use anyhow::{Context, Result, ensure};

/// The sizes of a run.
pub struct Plan {
    /// Whether the figures are held to the targets.
    judges: bool,
    rounds: usize,
    paced: Work,
    unpaced: Work,
    transport: Work,
    topics: Topics,
    topic_rounds: usize,
    access: Access,
    operator: Operator,
}

/// The figures of one round: the better bare loop in each, Siar, the ordinary server.
struct Round {
    bare: Figures,
    siar: Figures,
    ordinary: Figures,
}

impl Round {
    fn measure(work: Work) -> Result<Self> {
        Self::attempt(work)?.context("Siar did not deliver all")
    }

    /// None when Siar did not deliver all in order.
    fn attempt(work: Work) -> Result<Option<Self>> {
        let one = measure(Kind::Bare(1), work)?;
        let Some(siar) = attempt(Kind::Siar, work)? else {
            return Ok(None);
        };
        ensure!(
            (one.delivery_bytes - siar.delivery_bytes).abs() < 1.0,
            "the bare loop sends {} bytes for each delivery, Siar {}: the comparison means nothing",
            one.delivery_bytes,
            siar.delivery_bytes
        );
        let two = measure(Kind::Bare(2), work)?;
        Ok(Some(Self {
            bare: one.better(two),
            siar,
            ordinary: measure(Kind::Ordinary, work)?,
        }))
    }
}

/// The parts of the bench.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Only {
    Paced,
    Unpaced,
    Topics,
    Transport,
    Access,
    Operator,
}

impl Plan {
    pub fn full() -> Self {
        let paced = Work {
            streams: 5000,
            messages: 100,
            per_second: Some(20),
            transport: Transport::Plain,
            listeners: Listeners::Anonymous,
            check_all: false,
        };
        Self {
            judges: true,
            rounds: 5,
            paced,
            unpaced: Work {
                streams: 1000,
                messages: 2000,
                per_second: None,
                check_all: true,
                ..paced
            },
            // At 20 a second the client's own decrypting and unframing would be what is measured.
            transport: Work {
                messages: 40,
                per_second: Some(5),
                ..paced
            },
            topics: Topics {
                topics: 2000,
                each: 5,
                messages: 10,
            },
            topic_rounds: 3,
            access: Access {
                rounds: 3,
                paced,
                changes: 5,
                streams: 1000,
            },
            operator: Operator {
                cycles: 50,
                namespaces: 50,
                changes: 10,
            },
        }
    }

    pub fn small() -> Self {
        let full = Self::full();
        let paced = Work {
            streams: 500,
            messages: 20,
            ..full.paced
        };
        Self {
            judges: false,
            rounds: 1,
            paced,
            unpaced: Work {
                streams: 100,
                messages: 200,
                ..full.unpaced
            },
            transport: Work {
                streams: 500,
                messages: 5,
                ..full.transport
            },
            topics: Topics {
                topics: 200,
                messages: 2,
                ..full.topics
            },
            topic_rounds: 1,
            access: Access {
                rounds: 1,
                paced,
                changes: 1,
                streams: 100,
            },
            operator: Operator {
                cycles: 2,
                namespaces: 5,
                changes: 2,
            },
        }
    }

    /// Measures one part, or all.
    pub fn run(&self, only: Option<Only>) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let wanted = |part| only.is_none_or(|only| only == part);
        let mut single = None;
        if wanted(Only::Paced) {
            let rounds = self.paced_rounds()?;
            single = Some(median(&all(&rounds, |round| round.siar.delivery_micros)));
            rows.extend(paced_rows(&rounds));
            rows.push(self.parsed()?);
        }
        if wanted(Only::Unpaced) {
            rows.extend(self.unpaced_rows()?);
        }
        if wanted(Only::Topics) {
            rows.extend(self.topic_rows(single)?);
        }
        if wanted(Only::Transport) {
            rows.extend(self.transport_rows("TLS", Transport::Tls)?);
            rows.extend(self.transport_rows("HTTP/2", Transport::H2)?);
        }
        if wanted(Only::Access) {
            rows.extend(self.access.rows()?);
        }
        if wanted(Only::Operator) {
            rows.extend(self.operator.rows()?);
        }
        if !self.judges {
            rows.iter_mut().for_each(|row| row.target = None);
        }
        Ok(rows)
    }

    fn paced_rounds(&self) -> Result<Vec<Round>> {
        let mut rounds = Vec::with_capacity(self.rounds);
        for number in 1..=self.rounds {
            eprintln!("paced, round {number} of {}", self.rounds);
            rounds.push(Round::measure(self.paced)?);
        }
        Ok(rounds)
    }

    /// One further run in which every stream is parsed; it fails when one message is missing or misplaced.
    fn parsed(&self) -> Result<Row> {
        eprintln!("paced, every stream parsed");
        let work = Work {
            check_all: true,
            ..self.paced
        };
        let p99 = measure(Kind::Siar, work)?.p99_millis;
        Ok(Row::new("p99, every stream parsed", "ms", vec![p99]))
    }

    /// A round in which Siar lost something is void; it stands in a row of its own and is not repeated.
    fn unpaced_rows(&self) -> Result<[Row; 2]> {
        let mut rounds = Vec::with_capacity(self.rounds);
        for number in 1..=self.rounds {
            eprintln!("unpaced, round {number} of {}", self.rounds);
            rounds.extend(Round::attempt(self.unpaced)?);
        }
        let unit = "thousand deliveries a second";
        let row = compared(&rounds, "unpaced", unit, |figures| {
            figures.per_second / 1000.0
        });
        let void = (self.rounds - rounds.len()) as f64;
        Ok([
            row.target(Target::TimesAtLeast(1.0)),
            Row::new("unpaced, void rounds", "", vec![void]).target(Target::AtMost(0.0)),
        ])
    }

    fn topic_rows(&self, single: Option<f64>) -> Result<Vec<Row>> {
        let single = match single {
            Some(single) => single,
            None => measure(Kind::Siar, self.paced)?.delivery_micros,
        };
        let (mut batches, mut posts, mut foreign) = (Vec::new(), Vec::new(), Vec::new());
        for number in 1..=self.topic_rounds {
            eprintln!("many topics, round {number} of {}", self.topic_rounds);
            let [batch, others] = many_topics(self.topics, 100)?;
            let [post, _] = many_topics(self.topics, 1)?;
            batches.push(batch);
            posts.push(post);
            foreign.push(others);
        }
        let times = batches.iter().map(|batch| batch / single).collect();
        Ok(vec![
            Row::new("many topics, batches: CPU per delivery", "µs", batches),
            Row::new("many topics, single posts: CPU per delivery", "µs", posts),
            Row::new("many topics, batches / one topic", "×", times)
                .meanwhile(&foreign)
                .target(Target::AtMost(1.3)),
        ])
    }

    fn transport_rows(&self, name: &str, transport: Transport) -> Result<Vec<Row>> {
        eprintln!("{name}");
        let work = Work {
            transport,
            ..self.transport
        };
        let figures = measure(Kind::Siar, work)?;
        let row = |what: &str, unit, value| Row::new(format!("{name}: {what}"), unit, vec![value]);
        Ok(vec![
            row("CPU per delivery", "µs", figures.delivery_micros),
            row("memory per stream", "KiB", figures.stream_bytes / 1024.0),
            row("CPU per connect", "µs", figures.connect_micros),
            row("p99", "ms", figures.p99_millis),
        ])
    }
}

fn all(rounds: &[Round], pick: impl Fn(&Round) -> f64) -> Vec<f64> {
    rounds.iter().map(pick).collect()
}

type Pick = fn(&Figures) -> f64;

/// A figure of all servers.
fn row(rounds: &[Round], name: &str, unit: &'static str, pick: Pick) -> Row {
    let foreign = all(rounds, |round| {
        round.bare.foreign_cores.max(round.siar.foreign_cores)
    });
    Row::new(name, unit, all(rounds, |round| pick(&round.siar)))
        .beside(all(rounds, |round| pick(&round.bare)))
        .ordinary(all(rounds, |round| pick(&round.ordinary)))
        .meanwhile(&foreign)
}

/// A figure of all servers in which Siar is divided by the bare loop.
fn compared(rounds: &[Round], name: &str, unit: &'static str, pick: Pick) -> Row {
    let bare = all(rounds, |round| pick(&round.bare));
    row(rounds, name, unit, pick).compared(bare)
}

fn paced_rows(rounds: &[Round]) -> Vec<Row> {
    let row = |name: &str, unit, pick: Pick| row(rounds, name, unit, pick);
    let compared = |name: &str, unit, pick: Pick| compared(rounds, name, unit, pick);
    let kib = "KiB";
    vec![
        compared("CPU per delivery", "µs", |figures| figures.delivery_micros)
            .target(Target::TimesAtMost(1.15)),
        row("memory per stream", kib, |figures| {
            figures.stream_bytes / 1024.0
        })
        .target(Target::AtMost(2.5)),
        row("kernel slab per stream, both ends", kib, |figures| {
            figures.slab_bytes / 1024.0
        }),
        row("kernel socket buffers per stream", kib, |figures| {
            figures.sock_bytes / 1024.0
        }),
        compared("CPU per connect", "µs", |figures| figures.connect_micros)
            .target(Target::TimesAtMost(2.5)),
        compared("p50", "ms", |figures| figures.p50_millis),
        compared("p99", "ms", |figures| figures.p99_millis).target(Target::TimesAtMost(1.25)),
        row("used by other programs meanwhile", "cores", |figures| {
            figures.foreign_cores
        }),
    ]
}
