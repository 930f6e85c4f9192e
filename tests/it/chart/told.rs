//! What Pods tell the programs in them: every flag and variable is one that the real program reads, with a value that it
//! takes, and every probe is one that it answers.
//!
//! Owns: reading the command line of a container. Never: starts what would not end by itself, probes excepted.

use super::*;
use std::collections::BTreeSet;
use std::process::Command;
use tests::gateway::{Setup, binary};
use tests::http::Ask;

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
    let mut words = list(&container["args"])
        .iter()
        .map(|word| word.as_str().unwrap());
    while let Some(word) = words.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, value),
            None => (
                word,
                words
                    .next()
                    .unwrap_or_else(|| panic!("{word} has no value")),
            ),
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
    value
        .replace("$(POD_NAMESPACE)", "siar")
        .replace("$(POD_NAME)", "siar-0")
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

/// What is wrong with a command line, by the program itself, which cannot start here for another reason.
fn judge(program: &str, flags: &[(String, String)]) -> Result<(), String> {
    let mut command = Command::new(binary(program));
    for (name, value) in flags {
        let local = name == "--admin" && program == "siar-operator";
        let value = if local { "127.0.0.1:0" } else { value };
        command.arg(format!("{name}={value}"));
    }
    let (code, word) = match program {
        // It looks at this last.
        "siar-gateway" => {
            command.args(["--channels", "/nowhere"]);
            (2, "not from both")
        }
        _ => {
            command.env("KUBECONFIG", "/nowhere");
            (1, "/nowhere")
        }
    };
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let right = output.status.code() == Some(code) && said.contains(word);
    if right { Ok(()) } else { Err(said) }
}

#[tokio::test]
async fn every_flag_and_variable_is_taken_by_the_real_program() {
    let mut faults = Vec::new();
    let (mut tried, mut seen) = (BTreeSet::new(), 0);
    for variant in variants().await {
        for (title, program, container) in programs(variant) {
            let image = container.get("command");
            assert!(image.is_none(), "{title}: the image has an entry point");
            seen += 1;
            let flags = flags(container);
            if tried.insert((program, flags.clone())) {
                let fault = judge(program, &flags).err();
                let name = &variant.name;
                faults.extend(fault.map(|fault| format!("{name}: {title}: {flags:?}: {fault}")));
            }
        }
    }
    none(&faults);
    assert!(seen >= 25, "{seen} containers of Siar");
}

#[test]
fn a_flag_that_is_wrong_is_told_from_one_that_is_right() {
    let flags = |pairs: &[(&str, &str)]| {
        let secret = [("--config-secret", "siar/siar-default")];
        let pairs = secret.iter().chain(pairs);
        let pairs = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        pairs.collect::<Vec<_>>()
    };
    judge("siar-gateway", &flags(&[("--drain", "30s")])).unwrap();
    for wrong in [("--drain", "soon"), ("--no-such", "1")] {
        let said = judge("siar-gateway", &flags(&[wrong])).unwrap_err();
        assert!(said.contains(wrong.0), "{said}");
        let said = judge("siar-operator", &flags(&[wrong])[1..]).unwrap_err();
        assert!(said.contains(wrong.0), "{said}");
    }
    let every = [("--scale-down-every".to_owned(), "1m".to_owned())];
    judge("siar-operator", &every).unwrap();
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
