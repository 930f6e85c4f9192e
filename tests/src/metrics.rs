//! Reads the text of `/metrics`.
//!
//! Owns: samples by name and labels. Never: knows which there should be. Used by: `gateway`, `fleet`, `operator`, tests.

use crate::http::Ask;
use crate::wait::until;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The samples of one scrape.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    samples: Vec<Sample>,
}

#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// What the admin port at `address` says now.
    pub async fn of(address: SocketAddr) -> Self {
        let answer = Ask::get(address, "/metrics").send().await.expect(200);
        Self::parse(&answer.text())
    }

    /// Waits until the sum of `name` is `expected` at `address`.
    pub async fn until_sum(
        address: SocketAddr,
        name: &str,
        labels: &[(&str, &str)],
        expected: f64,
    ) {
        until(format!("{name}{labels:?} to be {expected}"), || async {
            let seen = Self::of(address).await.sum(name, labels);
            if seen == expected {
                Ok(())
            } else {
                Err(format!("it is {seen}"))
            }
        })
        .await;
    }

    /// Parses the text format of Prometheus.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        Self {
            samples: lines.map(sample).collect(),
        }
    }

    /// The sum of all samples of `name` that have these labels; 0 when there is none.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|sample| sample.value).sum()
    }

    /// Whether there is a sample of `name` with these labels.
    #[must_use]
    pub fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.matching(name, labels).next().is_some()
    }

    /// All names, each once, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .samples
            .iter()
            .map(|sample| sample.name.clone())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The values of a label of `name`, sorted, each once.
    #[must_use]
    pub fn values(&self, name: &str, label: &str) -> Vec<String> {
        let mut values: Vec<String> = self
            .matching(name, &[])
            .filter_map(|sample| sample.labels.get(label).cloned())
            .collect();
        values.sort();
        values.dedup();
        values
    }

    fn matching<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| {
            let has = |(label, value): &(&str, &str)| {
                sample.labels.get(*label).is_some_and(|seen| seen == value)
            };
            sample.name == name && labels.iter().all(has)
        })
    }
}

fn sample(line: &str) -> Sample {
    let bad = || -> ! { panic!("not a sample: {line:?}") };
    let (head, rest) = match line.find('{') {
        Some(open) => (&line[..open], &line[open + 1..]),
        None => {
            let Some((name, value)) = line.split_once(' ') else {
                bad()
            };
            return Sample {
                name: name.into(),
                labels: BTreeMap::new(),
                value: number(value),
            };
        }
    };
    let (mut labels, mut rest) = (BTreeMap::new(), rest);
    while !rest.starts_with('}') {
        let Some((label, tail)) = rest.split_once("=\"") else {
            bad()
        };
        let mut value = String::new();
        let mut chars = tail.char_indices();
        let end = loop {
            match chars.next() {
                Some((_, '\\')) => value.push(match chars.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, other)) => other,
                    None => bad(),
                }),
                Some((at, '"')) => break at + 1,
                Some((_, other)) => value.push(other),
                None => bad(),
            }
        };
        labels.insert(label.to_owned(), value);
        rest = tail[end..].strip_prefix(',').unwrap_or(&tail[end..]);
    }
    Sample {
        name: head.into(),
        labels,
        value: number(rest[1..].trim()),
    }
}

fn number(text: &str) -> f64 {
    let first = text.split(' ').next().unwrap_or_default();
    first
        .parse()
        .unwrap_or_else(|_| panic!("not a number: {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_name_and_labels() {
        let metrics = Metrics::parse(
            "# HELP a b\n# TYPE a counter\na 3\nb{x=\"1\",y=\"q\\\"}\\n\"} 2.5\nb{x=\"2\",y=\"z\"} 4\nc{le=\"+Inf\"} 1e3\n",
        );
        assert_eq!(metrics.sum("a", &[]), 3.0);
        assert_eq!(metrics.sum("b", &[]), 6.5);
        assert_eq!(metrics.sum("b", &[("y", "q\"}\n")]), 2.5);
        assert_eq!(metrics.sum("c", &[("le", "+Inf")]), 1000.0);
        assert!(!metrics.has("b", &[("x", "3")]));
        assert_eq!(metrics.names(), ["a", "b", "c"]);
        assert_eq!(metrics.values("b", "x"), ["1", "2"]);
    }
}
