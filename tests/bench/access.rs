//! What access costs: streams with signed tokens, one decision, and how soon a change of the rules is felt.

use crate::revoke::{Revoked, revoke};
use crate::round::{Figures, SETTLE, Watch, Work, measure};
use crate::rows::{Row, Target};
use crate::server::{Kind, beside, bound};
use crate::tokens::Listeners;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::io::Read as _;
use std::process::Stdio;

/// The sizes of this part.
pub struct Access {
    pub rounds: usize,
    /// Done with anonymous listeners and with tokens.
    pub paced: Work,
    /// How often rules are changed.
    pub changes: u32,
    /// Streams of each of the two gateways whose rules are changed.
    pub streams: usize,
}

/// What one decision costs in microseconds, as the program `access-costs` prints it.
#[derive(Deserialize)]
struct Costs {
    anonymous: f64,
    new: f64,
    cached: f64,
    condition: f64,
    worst: f64,
    hash: f64,
}

impl Access {
    pub fn rows(&self) -> Result<Vec<Row>> {
        let mut rows = self.paced_rows()?;
        rows.extend(self.cost_rows()?);
        rows.extend(self.revocation_rows()?);
        Ok(rows)
    }

    fn paced_rows(&self) -> Result<Vec<Row>> {
        let (mut anonymous, mut signed, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for number in 1..=self.rounds {
            eprintln!("JWT, round {number} of {}", self.rounds);
            for (listeners, list) in [
                (Listeners::Anonymous, &mut anonymous),
                (Listeners::Signed, &mut signed),
                (Listeners::SignedAll, &mut all),
            ] {
                let work = Work {
                    listeners,
                    ..self.paced
                };
                list.push(measure(Kind::Siar, work)?);
            }
        }
        let row = |what: &str, unit, rounds: &[Figures], pick: fn(&Figures) -> f64| {
            let all = |pick: fn(&Figures) -> f64| rounds.iter().map(pick).collect::<Vec<f64>>();
            let foreign = all(|figures| figures.foreign_cores);
            Row::new(format!("JWT: {what}"), unit, all(pick)).meanwhile(&foreign)
        };
        let memory = |figures: &Figures| figures.stream_bytes / 1024.0;
        let connect = |figures: &Figures| figures.connect_micros;
        let same = "CPU per connect, anonymous in the same rounds";
        Ok(vec![
            row("memory per stream", "KiB", &signed, memory).target(Target::AtMost(3.5)),
            row("memory per stream, all claims kept", "KiB", &all, memory)
                .target(Target::AtMost(3.5)),
            row("CPU per delivery", "µs", &signed, |figures| {
                figures.delivery_micros
            }),
            row("CPU per connect", "µs", &signed, connect),
            row(same, "µs", &anonymous, connect),
        ])
    }

    fn cost_rows(&self) -> Result<Vec<Row>> {
        eprintln!("decisions");
        let (mut all, mut foreign) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            let (costs, others) = costs()?;
            all.push(costs);
            foreign.push(others);
        }
        let row = |what: &str, pick: fn(&Costs) -> f64| {
            let values = all.iter().map(pick).collect();
            Row::new(format!("decision: {what}"), "µs", values).meanwhile(&foreign)
        };
        Ok(vec![
            row("anonymous", |costs| costs.anonymous),
            row("ES256 token, new", |costs| costs.new).target(Target::AtMost(150.0)),
            row("ES256 token, known", |costs| costs.cached).target(Target::AtMost(5.0)),
            row("what a condition adds", |costs| costs.condition).target(Target::AtMost(10.0)),
            row("the most a condition can cost", |costs| costs.worst),
            row("hash of a token, before", |costs| costs.hash),
        ])
    }

    /// Each change comes at another moment between two looks of the gateways at their files.
    fn revocation_rows(&self) -> Result<Vec<Row>> {
        let mut all = Vec::new();
        for number in 1..=self.changes {
            eprintln!("revocation, round {number} of {}", self.changes);
            let after = SETTLE + SETTLE * number / self.changes;
            all.push(revoke(self.streams, after)?);
        }
        let foreign: Vec<f64> = all.iter().map(|revoked| revoked.foreign_cores).collect();
        let row = |what: String, unit, most, pick: &dyn Fn(&Revoked) -> f64| {
            let values = all.iter().map(pick).collect();
            Row::new(format!("revocation: {what}"), unit, values)
                .meanwhile(&foreign)
                .target(Target::AlwaysAtMost(most))
        };
        let last = |gateway: usize| {
            let what = format!(
                "last of {} streams closed, gateway {}",
                self.streams / 2,
                gateway + 1
            );
            row(what, "ms", 1000.0, &|revoked| revoked.last_millis[gateway])
        };
        let touched = format!("touched of the {} others", self.streams);
        Ok(vec![
            last(0),
            last(1),
            row(touched, "streams", 0.0, &|revoked| revoked.touched as f64),
        ])
    }
}

/// One run, and what other programs used meanwhile, in cores.
fn costs() -> Result<(Costs, f64)> {
    let mut command = bound(&beside("access-costs")?)?;
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let watch = Watch::start(&[child.id()]);
    let mut text = String::new();
    let mut output = child.stdout.take().context("its output")?;
    output.read_to_string(&mut text)?;
    // Before it is waited for: then the kernel forgets what it used.
    let foreign = watch.foreign_cores();
    child.wait()?;
    let costs = serde_json::from_str(&text).context("access-costs failed")?;
    Ok((costs, foreign))
}
