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
        reviews: true,
        targets: settings.targets(),
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
    let word = if finding.holds {
        "accepted"
    } else {
        "rejected"
    };
    writeln!(
        out,
        "{channel} {word} {} {}",
        finding.reason, finding.message
    )?;
    let refs = &verdict.resolved_refs;
    if !refs.holds {
        writeln!(out, "{channel} unresolved {} {}", refs.reason, refs.message)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn settings(path: impl AsRef<Path>) -> CheckSettings {
        CheckSettings {
            path: path.as_ref().to_owned(),
            gateway: "default".to_owned(),
            default_namespace: "default".to_owned(),
            with_redis: false,
            allow_targets: Vec::new(),
        }
    }

    #[track_caller]
    fn check(text: &str, outcome: Outcome, said: &[&str]) {
        let name = format!("siar-check-{}-{}.yaml", std::process::id(), text.len());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, text).unwrap();
        let mut out = Vec::new();
        assert_eq!(run(&settings(&file), &mut out).unwrap(), outcome);
        std::fs::remove_file(&file).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out.lines().count(), said.len(), "{out}");
        for (line, said) in out.lines().zip(said) {
            assert!(line.contains(said), "{line:?} lacks {said:?}");
        }
    }

    #[test]
    fn the_examples_are_accepted() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        let mut out = Vec::new();
        let outcome = run(&settings(examples), &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(outcome, Outcome::Good, "{out}");
        for name in ["news", "orders", "sse"] {
            assert!(
                out.contains(&format!("default/{name} accepted Accepted ")),
                "{out}"
            );
        }
    }

    #[test]
    fn a_rejected_channel_and_a_wrong_document_are_bad() {
        let head = "apiVersion: siar.dev/v1alpha1\nkind: Channel\nmetadata: {name: orders}\n";
        let rejected = format!("{head}spec: {{ingest: [Raw]}}\n");
        check(
            &rejected,
            Outcome::Bad,
            &["default/orders rejected NoRedis "],
        );
        let led = format!("{head}spec: {{redis: {{url: 'redis://0'}}}}\n");
        let said = ["default/orders rejected TargetRefused spec.redis.url leads to 0.0.0.0"];
        check(&led, Outcome::Bad, &said);
        let wrong = format!("{head}spec: {{nope: 1}}\n");
        check(&wrong, Outcome::Bad, &[".yaml:4: "]);
    }

    #[test]
    fn a_missing_secret_is_told_and_rejects_nothing() {
        let text = "apiVersion: siar.dev/v1alpha1\nkind: Channel\nmetadata: {name: a}\nspec: {access: {subscribe: [tokens: {secretRef: {name: b}}]}}\n";
        let said = ["default/a accepted", "default/a unresolved SecretMissing"];
        check(text, Outcome::Good, &said);
    }

    #[test]
    fn nothing_there_is_wrong_input() {
        let nothing = run(&settings("/nowhere/at/all"), &mut Vec::new());
        assert!(nothing.unwrap_err().to_string().contains("/nowhere/at/all"));
    }
}
