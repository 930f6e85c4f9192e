//! The alerts: `promtool` takes them, each fires when it should and resolves, and the runbook has a section for it.

use super::{each, file, list, none, rules, text};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tests::helm::Options;
use tests::process::folder;
use tests::prometheus::promtool;

/// What is checked of each group.
const SCENES: [&str; 2] = ["gateway", "operator"];

async fn spec() -> Value {
    rules(Options::default()).await.unwrap()
}

fn alerts(spec: &Value) -> BTreeMap<&str, &Value> {
    let rules = each(spec).map(|(_, rule)| (text(&rule["alert"]), rule));
    rules.filter(|(name, _)| !name.is_empty()).collect()
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("the folder is ours");
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_the_rules() {
    let folder = folder();
    write(folder.path(), "rules.yaml", &spec().await.to_string());
    let lint = ["check", "rules", "--lint-fatal", "rules.yaml"];
    let told = promtool(folder.path(), &lint).unwrap();
    assert!(told.contains("SUCCESS"), "{told}");
}

#[tokio::test]
async fn every_alert_fires_when_it_should_and_resolves() {
    let (folder, mut spec) = (folder(), spec().await);
    // The scenes repeat what is filled in, which is the summary; all else is the same whatever happens.
    for group in spec["groups"].as_array_mut().unwrap() {
        for rule in group["rules"].as_array_mut().unwrap() {
            if let Some(annotations) = rule["annotations"].as_object_mut() {
                annotations.retain(|name, _| name == "summary");
            }
        }
    }
    write(folder.path(), "rules.yaml", &spec.to_string());
    let (mut fired, mut resolved) = (BTreeSet::new(), BTreeSet::new());
    for scene in SCENES {
        let name = format!("{scene}.yaml");
        let scenes = file(&format!("tests/it/monitoring/{name}"));
        write(folder.path(), &name, &scenes);
        let told = promtool(folder.path(), &["test", "rules", &name]);
        told.unwrap_or_else(|faults| panic!("{faults}"));
        let scenes: Value = serde_saphyr::from_str(&scenes).unwrap();
        for scene in list(&scenes["tests"]) {
            let mut firing = BTreeSet::new();
            for check in list(&scene["alert_rule_test"]) {
                let alert = text(&check["alertname"]).to_owned();
                if list(&check["exp_alerts"]).is_empty() {
                    resolved.extend(firing.take(&alert));
                } else {
                    fired.insert(alert.clone());
                    firing.insert(alert);
                }
            }
        }
    }
    let all: BTreeSet<String> = alerts(&spec).into_keys().map(str::to_owned).collect();
    assert_eq!(fired, all, "each alert has a scene in which it fires");
    assert_eq!(resolved, all, "and in which it resolves afterwards");
}

#[tokio::test]
async fn every_alert_says_what_is_wrong_what_to_do_and_where_to_read_on() {
    let spec = spec().await;
    let mut faults = Vec::new();
    for (name, rule) in alerts(&spec) {
        let annotations = &rule["annotations"];
        let sentence = |text: &str| text.len() > 20 && text.ends_with('.');
        for annotation in ["summary", "description"] {
            if !sentence(text(&annotations[annotation])) {
                faults.push(format!("{name} has no {annotation} in whole sentences"));
            }
        }
        if !["critical", "warning"].contains(&text(&rule["labels"]["severity"])) {
            faults.push(format!("{name} is neither critical nor a warning"));
        }
        if !text(&annotations["runbook_url"]).ends_with(&format!("#{}", name.to_lowercase())) {
            faults.push(format!(
                "{name} leads nowhere: {}",
                annotations["runbook_url"]
            ));
        }
        // What two releases tell is told apart by these.
        let expression = text(&rule["expr"]);
        let asked = expression.matches("siar_").count();
        let own = expression.matches("{namespace=\"siar\"").count();
        if asked != own {
            faults.push(format!(
                "{name} asks for more than its release: {expression}"
            ));
        }
    }
    none(&faults);
}

#[tokio::test]
async fn every_alert_has_a_section_of_the_runbook_and_every_section_an_alert() {
    let readme = file("charts/siar/README.md");
    let runbook = readme.split("<!-- runbook -->").nth(1);
    let runbook = runbook.and_then(|text| text.split("<!-- /runbook -->").next());
    let runbook = runbook.expect("the chart's README has the marks of the runbook");
    let headings = runbook.lines().filter_map(|line| line.strip_prefix("### "));
    let sections: Vec<&str> = headings.collect();
    let spec = spec().await;
    // In the same order, so that both are read side by side.
    let rules = each(&spec).map(|(_, rule)| text(&rule["alert"]));
    let alerts: Vec<&str> = rules.filter(|name| !name.is_empty()).collect();
    assert_eq!(sections, alerts);
}

#[tokio::test]
async fn alerts_can_be_left_out_labelled_and_moved() {
    let options = Options::default()
        .set(
            "monitoring.prometheusRule.disabled",
            &json!(["SiarDeliverySlow"]),
        )
        .set(
            "monitoring.prometheusRule.alertLabels",
            &json!({ "team": "web" }),
        )
        .set(
            "monitoring.prometheusRule.thresholds.deniedPerSecond",
            &json!(0.5),
        )
        .set("gateway.name", &json!("edge"));
    let spec = rules(options).await.unwrap();
    let alerts = alerts(&spec);
    assert!(!alerts.contains_key("SiarDeliverySlow"));
    let storm = alerts["SiarDeniedStorm"];
    assert_eq!(
        storm["labels"],
        json!({ "severity": "warning", "team": "web" })
    );
    let expression = text(&storm["expr"]);
    assert!(expression.ends_with("> 0.5"), "{expression}");
    assert!(expression.contains("gateway=\"edge\""), "{expression}");
}

#[tokio::test]
async fn who_has_no_operator_is_told_nothing_of_one() {
    let options = Options::default().set("operator.enabled", &json!(false));
    let spec = rules(options).await.unwrap();
    let groups: BTreeSet<&str> = each(&spec).map(|(group, _)| group).collect();
    assert_eq!(groups, BTreeSet::from(["siar-gateway", "siar-recorded"]));
}
