//! What Pods tell the programs in them: every flag and variable is one that the real program reads, with a value that it
//! takes, and every probe is one that it answers.
//!
//! Owns: reading the command line of a container. Never: starts what would not end by itself, probes excepted.

use super::*;
use std::collections::BTreeSet;
use std::process::Command;
use tests::gateway::{Setup, binary};
use tests::http::Ask;

/// Comes last on a command line, so what is before it was read and taken when this is what is complained of.
const LAST: &str = "--there-is-no-such-flag";

/// What stands in the command line of a container, or in its environment, for a flag.
pub fn flag(container: &Value, name: &str) -> Option<String> {
    let mut flags = flags(container).into_iter().rev();
    flags.find(|(flag, _)| flag == name).map(|(_, value)| value)
}

/// All flags with their values: what the environment says first, since the command line wins.
pub fn flags(container: &Value) -> Vec<(String, String)> {
    let mut flags = Vec::new();
    for variable in list(&container["env"]) {
        let name = variable["name"].as_str().unwrap_or_default();
        if let Some(name) = name.strip_prefix("SIAR_") {
            let value = variable["value"].as_str().unwrap_or_default();
            flags.push((as_flag(name), filled(value)));
        }
    }
    let mut words = list(&container["args"]).iter().map(|word| word.as_str().unwrap());
    while let Some(word) = words.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, value),
            None => (word, words.next().unwrap_or_else(|| panic!("{word} has no value"))),
        };
        flags.push((flag.to_owned(), filled(value)));
    }
    flags
}

fn as_flag(variable: &str) -> String {
    format!("--{}", variable.to_lowercase().replace('_', "-"))
}

/// A value with what a kubelet puts into it.
fn filled(value: &str) -> String {
    value.replace("$(POD_NAMESPACE)", "siar").replace("$(POD_NAME)", "siar-0")
}

/// The containers that run a program of Siar: the name of the Pod's owner, the program, the container.
fn programs(variant: &Variant) -> Vec<(String, &'static str, &Value)> {
    let mut found = Vec::new();
    for (title, pod) in variant.pods() {
        for container in list(&pod["spec"]["containers"]) {
            match container["name"].as_str() {
                Some("gateway") => found.push((title.clone(), "siar-gateway", container)),
                Some("operator") => found.push((title.clone(), "siar-operator", container)),
                _ => {}
            }
        }
    }
    found
}

#[tokio::test]
async fn every_flag_and_variable_is_taken_by_the_real_program() {
    let mut faults = Vec::new();
    let (mut tried, mut seen) = (BTreeSet::new(), 0);
    for variant in variants().await {
        for (title, program, container) in programs(variant) {
            assert!(container.get("command").is_none(), "{title}: the image has an entry point");
            seen += 1;
            let flags = flags(container);
            if !tried.insert((program, flags.clone())) {
                continue;
            }
            let words = flags.iter().flat_map(|(name, value)| [name, value]);
            let mut command = Command::new(binary(program));
            let output = command.args(words).arg(LAST).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.code() != Some(2) || !said.contains(LAST) {
                faults.push(format!("{}: {title}: {flags:?}: {said}", variant.name));
            }
        }
    }
    none(&faults);
    assert!(seen >= 25, "{seen} containers of Siar");
}

#[test]
fn a_flag_that_is_wrong_is_complained_of_before_the_last() {
    for wrong in [["--drain", "soon"], ["--no-such", "1"]] {
        let mut command = Command::new(binary("siar-gateway"));
        let output = command.args(wrong).arg(LAST).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains(LAST), "{said}");
    }
}

#[tokio::test]
async fn probes_ask_for_what_the_admin_port_answers() {
    let mut asked = BTreeSet::new();
    for variant in variants().await {
        for (title, _, container) in programs(variant) {
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                let get = &container[probe]["httpGet"];
                if get.is_null() {
                    let name = &variant.name;
                    assert_ne!(probe, "readinessProbe", "{name}: {title} is ready at once");
                    continue;
                }
                assert_eq!(get["port"], "admin", "{}: {title}: {probe}", variant.name);
                asked.insert(get["path"].as_str().unwrap().to_owned());
            }
        }
    }
    let gateway = Setup::new().start().await;
    for path in &asked {
        let _ = Ask::get(gateway.admin(), path).send().await.expect(200);
    }
    let both = ["/livez", "/readyz"].map(String::from);
    assert_eq!(asked, both.into());
}
