//! `siar-gateway check`: compiles manifests and prints every verdict.
//!
//! Owns: one line for each. Never: serves, writes a file. Used by: `main`.

use crate::args::CheckSettings;
use crate::config::files::folder::{self, NoReading};
use crate::config::files::manifests::Manifests;
use crds::compile::Verdict;
use crds::fleet::Fleet;
use crds::report::BrokerKind;
use std::io::{self, Write};

/// What the manifests came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every Channel is accepted.
    Good,
    /// A Channel is rejected, or a document cannot be read.
    Bad,
}

/// Why there are no verdicts.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("There is no manifest at {0}; name a file or a folder.")]
    Nothing(String),
    #[error("{0}.")]
    Read(#[from] NoReading),
    #[error("The verdicts cannot be printed: {0}.")]
    Print(#[from] io::Error),
}

/// Compiles what `settings` names and prints to `out`.
pub fn run(settings: &CheckSettings, out: &mut dyn Write) -> Result<Outcome, CheckError> {
    let reading = folder::read(&settings.path)?;
    if reading.is_empty() {
        let path = settings.path.display().to_string();
        return Err(CheckError::Nothing(path));
    }
    let mut manifests = Manifests::default();
    let mut problems = manifests.update(&reading, &settings.default_namespace);
    let fleet = Fleet {
        gateway: settings.gateway.clone(),
        default_namespace: settings.default_namespace.clone(),
        broker: if settings.with_redis {
            BrokerKind::Redis
        } else {
            BrokerKind::Memory
        },
    };
    let (compiled, more) = manifests.compile(&fleet, None);
    problems.extend(more);
    for problem in &problems {
        writeln!(out, "{problem}")?;
    }
    for verdict in &compiled.verdicts {
        print(verdict, out)?;
    }
    let rejected = |verdict: &Verdict| !verdict.accepted.holds;
    if problems.is_empty() && !compiled.verdicts.iter().any(rejected) {
        Ok(Outcome::Good)
    } else {
        Ok(Outcome::Bad)
    }
}

fn print(verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    let channel = &verdict.channel;
    let finding = &verdict.accepted;
    let word = if finding.holds { "accepted" } else { "rejected" };
    writeln!(out, "{channel} {word} {} {}", finding.reason, finding.message)?;
    let refs = &verdict.resolved_refs;
    if !refs.holds {
        writeln!(out, "{channel} unresolved {} {}", refs.reason, refs.message)?;
    }
    Ok(())
}
