//! What is measured, how often, and against what.

use crate::client::Transport;
use crate::measure::median;
use crate::round::{Figures, Work, many_topics, measure};
use crate::server::Kind;
use anyhow::Result;

/// The sizes of a run.
pub struct Plan {
    rounds: usize,
    paced: Work,
    unpaced: Work,
    topics: usize,
    topic_rounds: u64,
}

/// A figure of one server, or of Siar against another.
pub struct Row {
    pub name: String,
    pub unit: &'static str,
    pub value: f64,
    /// The smallest and the largest of the rounds.
    pub spread: Option<[f64; 2]>,
    /// At most this, or at least when `at_least`.
    pub target: Option<f64>,
    pub at_least: bool,
}

impl Row {
    fn new(name: &str, unit: &'static str, values: &[f64]) -> Self {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let spread = (values.len() > 1).then_some([low, high]);
        Self {
            name: name.to_owned(),
            unit,
            value: median(values),
            spread,
            target: None,
            at_least: false,
        }
    }

    fn at_most(mut self, target: f64) -> Self {
        self.target = Some(target);
        self
    }

    fn at_least(mut self, target: f64) -> Self {
        (self.target, self.at_least) = (Some(target), true);
        self
    }

    /// Whether the target is met; none without one.
    pub fn met(&self) -> Option<bool> {
        self.target.map(|target| {
            if self.at_least {
                self.value >= target
            } else {
                self.value <= target
            }
        })
    }
}

/// The figures of one round: the better bare loop in each, Siar, the ordinary server.
struct Round {
    bare: Figures,
    siar: Figures,
    ordinary: Figures,
}

impl Plan {
    pub fn full() -> Self {
        let plain = Transport::Plain;
        Self {
            rounds: 5,
            paced: Work {
                streams: 5000,
                messages: 100,
                per_second: Some(20),
                transport: plain,
                check_all: false,
            },
            unpaced: Work {
                streams: 1000,
                messages: 2000,
                per_second: None,
                transport: plain,
                check_all: true,
            },
            topics: 2000,
            topic_rounds: 10,
        }
    }

    pub fn small() -> Self {
        let full = Self::full();
        Self {
            rounds: 1,
            paced: Work {
                streams: 500,
                messages: 20,
                ..full.paced
            },
            unpaced: Work {
                streams: 100,
                messages: 200,
                ..full.unpaced
            },
            topics: 200,
            topic_rounds: 2,
        }
    }

    /// Measures what `only` names, all of it when empty.
    pub fn run(&self, only: &str) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let wanted = |name: &str| only.is_empty() || name.contains(only);
        let mut single = None;
        if wanted("paced") {
            let rounds = self.paced_rounds()?;
            single = Some(median(&Vec::from_iter(
                rounds.iter().map(|round| round.siar.delivery_micros),
            )));
            rows.extend(paced_rows(&rounds));
            let checked = measure(
                Kind::Siar,
                Work {
                    check_all: true,
                    ..self.paced
                },
            )?;
            rows.push(Row::new(
                "paced, every stream checked: Siar p99",
                "ms",
                &[checked.p99_millis],
            ));
        }
        if wanted("unpaced") {
            rows.extend(self.unpaced_rows()?);
        }
        if wanted("topics") {
            rows.extend(self.topic_rows(single)?);
        }
        if wanted("transport") {
            for (name, transport) in [("TLS", Transport::Tls), ("HTTP/2", Transport::H2)] {
                eprintln!("transport {name}");
                let figures = measure(
                    Kind::Siar,
                    Work {
                        transport,
                        ..self.paced
                    },
                )?;
                rows.push(Row::new(
                    &format!("{name}: CPU per delivery"),
                    "µs",
                    &[figures.delivery_micros],
                ));
                rows.push(Row::new(
                    &format!("{name}: memory per stream"),
                    "KiB",
                    &[figures.stream_bytes / 1024.0],
                ));
                rows.push(Row::new(
                    &format!("{name}: CPU per connect"),
                    "µs",
                    &[figures.connect_micros],
                ));
                rows.push(Row::new(
                    &format!("{name}: p99"),
                    "ms",
                    &[figures.p99_millis],
                ));
            }
        }
        Ok(rows)
    }

    fn paced_rounds(&self) -> Result<Vec<Round>> {
        let mut rounds = Vec::with_capacity(self.rounds);
        for number in 0..self.rounds {
            eprintln!("paced, round {} of {}", number + 1, self.rounds);
            let one = measure(Kind::Bare(1), self.paced)?;
            let siar = measure(Kind::Siar, self.paced)?;
            let two = measure(Kind::Bare(2), self.paced)?;
            let ordinary = measure(Kind::Ordinary, self.paced)?;
            rounds.push(Round {
                bare: one.better(two),
                siar,
                ordinary,
            });
        }
        Ok(rounds)
    }

    fn unpaced_rows(&self) -> Result<Vec<Row>> {
        let (mut bare, mut siar) = (Vec::new(), Vec::new());
        for number in 0..self.rounds {
            eprintln!("unpaced, round {} of {}", number + 1, self.rounds);
            let one = measure(Kind::Bare(1), self.unpaced)?.per_second;
            siar.push(measure(Kind::Siar, self.unpaced)?.per_second);
            let two = measure(Kind::Bare(2), self.unpaced)?.per_second;
            bare.push(one.max(two));
        }
        let ratios: Vec<f64> = siar
            .iter()
            .zip(&bare)
            .map(|(siar, bare)| siar / bare)
            .collect();
        Ok(vec![
            Row::new("unpaced: bare loop", "deliveries/s", &bare),
            Row::new("unpaced: Siar", "deliveries/s", &siar),
            Row::new("unpaced: Siar / bare loop", "×", &ratios).at_least(1.0),
        ])
    }

    fn topic_rows(&self, single: Option<f64>) -> Result<Vec<Row>> {
        eprintln!("many topics");
        let single = match single {
            Some(single) => single,
            None => measure(Kind::Siar, self.paced)?.delivery_micros,
        };
        let [batches, posts] = many_topics(self.topics, 5, self.topic_rounds)?;
        Ok(vec![
            Row::new(
                "many topics, batches of 100: CPU per delivery",
                "µs",
                &[batches],
            ),
            Row::new(
                "many topics, single posts: CPU per delivery",
                "µs",
                &[posts],
            ),
            Row::new("many topics / one topic", "×", &[batches / single]).at_most(1.3),
        ])
    }
}

fn paced_rows(rounds: &[Round]) -> Vec<Row> {
    let all = |pick: fn(&Round) -> f64| -> Vec<f64> { rounds.iter().map(pick).collect() };
    let row = |name: &str, unit, pick: fn(&Round) -> f64| Row::new(name, unit, &all(pick));
    vec![
        row("bare loop: CPU per delivery", "µs", |round| {
            round.bare.delivery_micros
        }),
        row("Siar: CPU per delivery", "µs", |round| {
            round.siar.delivery_micros
        }),
        row("axum + broadcast: CPU per delivery", "µs", |round| {
            round.ordinary.delivery_micros
        }),
        row("Siar / bare loop: CPU per delivery", "×", |round| {
            round.siar.delivery_micros / round.bare.delivery_micros
        })
        .at_most(1.15),
        row(
            "axum + broadcast / bare loop: CPU per delivery",
            "×",
            |round| round.ordinary.delivery_micros / round.bare.delivery_micros,
        ),
        row("Siar: memory per stream", "KiB", |round| {
            round.siar.stream_bytes / 1024.0
        })
        .at_most(2.5),
        row("axum + broadcast: memory per stream", "KiB", |round| {
            round.ordinary.stream_bytes / 1024.0
        }),
        row("Siar: kernel slab per stream", "KiB", |round| {
            round.siar.slab_bytes / 1024.0
        }),
        row("Siar: kernel socket buffers per stream", "KiB", |round| {
            round.siar.sock_bytes / 1024.0
        }),
        row("bare loop: CPU per connect", "µs", |round| {
            round.bare.connect_micros
        }),
        row("Siar: CPU per connect", "µs", |round| {
            round.siar.connect_micros
        }),
        row("Siar / bare loop: CPU per connect", "×", |round| {
            round.siar.connect_micros / round.bare.connect_micros
        })
        .at_most(2.5),
        row("bare loop: p50", "ms", |round| round.bare.p50_millis),
        row("Siar: p50", "ms", |round| round.siar.p50_millis),
        row("bare loop: p99", "ms", |round| round.bare.p99_millis),
        row("Siar: p99", "ms", |round| round.siar.p99_millis),
        row("axum + broadcast: p99", "ms", |round| {
            round.ordinary.p99_millis
        }),
        row("Siar / bare loop: p99", "×", |round| {
            round.siar.p99_millis / round.bare.p99_millis
        })
        .at_most(1.25),
    ]
}
