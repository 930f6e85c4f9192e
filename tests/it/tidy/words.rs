//! What the code can say is in the README, and a test says it too.

use super::{none, root, sources};
use std::collections::BTreeSet;

/// The words of an enum: what its `fn word` or `fn as_str` answers.
fn words(path: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"));
    let own = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut words = BTreeSet::new();
    let bodies = own.split("fn word(").skip(1);
    for body in bodies.chain(own.split("fn as_str(").skip(1)) {
        let end = body.find("\n    }\n").unwrap_or(body.len());
        let literals = body[..end].split("=> \"").skip(1);
        words.extend(
            literals
                .filter_map(|text| text.split('"').next())
                .map(str::to_owned),
        );
    }
    assert!(!words.is_empty(), "{path} has no function with words");
    words
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).expect("there is a README")
}

/// Faults for each word that the README or all tests leave out.
fn unnamed(what: &str, words: &BTreeSet<String>) -> Vec<String> {
    let readme = readme();
    // What no server can be made to answer on purpose is expected by a unit test.
    let tests: String = sources("tests/it", &[".rs"])
        .into_iter()
        .chain(sources("gateway/src", &["tests.rs"]))
        .chain(sources("crds/src", &["tests.rs"]))
        .chain(sources("operator/src", &["tests.rs"]))
        .filter(|(path, _)| !path.contains("/tidy"))
        .map(|(_, text)| text)
        .collect();
    let mut faults = Vec::new();
    for word in words {
        if !readme.contains(&format!("`{word}`")) {
            faults.push(format!(
                "the README does not name the {what} `{word}`; add it to its table"
            ));
        }
        let told = [format!("\"{word}\""), format!("Reason::{word}")];
        if !told.iter().any(|told| tests.contains(told)) {
            faults.push(format!("no test expects the {what} \"{word}\"; write one"));
        }
    }
    faults
}

#[test]
fn every_ending_and_every_gap_is_in_the_readme_and_in_a_test() {
    none(&unnamed("reason", &words("gateway/src/close.rs")));
}

#[test]
fn every_refusal_is_in_the_readme_and_in_a_test() {
    let mut all = words("gateway/src/http/refusal.rs");
    all.extend(words("gateway/src/broker/declined.rs"));
    none(&unnamed("refusal", &all));
}

#[test]
fn every_reason_of_a_condition_is_in_the_readme_and_in_a_test() {
    none(&unnamed("reason", &words("crds/src/reason.rs")));
}

#[test]
fn the_metrics_of_code_and_readme_are_the_same_set() {
    // Names are given to the registry in these files; elsewhere they are read, in tests.
    let files = sources("gateway/src", &["metrics.rs"]).into_iter();
    let files = files.chain(sources("operator/src", &["metrics.rs", "fleets.rs"]));
    let own: String = files
        .map(|(_, text)| {
            text.split("#[cfg(test)]")
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    let literals = own.split("\"siar_").skip(1);
    let code: BTreeSet<String> = literals
        .filter_map(|text| text.split('"').next())
        .map(|name| format!("siar_{name}"))
        .collect();
    let readme = readme();
    let rows = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `siar_"));
    let table: BTreeSet<String> = rows
        .map(|row| {
            row.split(|c: char| !c.is_ascii_lowercase() && c != '_')
                .next()
                .unwrap_or_default()
        })
        .map(|name| format!("siar_{name}"))
        .collect();
    let missing = code
        .difference(&table)
        .map(|name| format!("{name} is not in the README's table of metrics; add it"));
    let stale = table
        .difference(&code)
        .map(|name| format!("{name} is in the README's table only; remove it"));
    none(&missing.chain(stale).collect::<Vec<_>>());
}
