//! What every dashboard and every panel has, and where its queries look.

use super::{Dashboard, dashboards, list, mentioned, none, rendered, text};
use crate::golden;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tests::helm::Options;

/// What Grafana fills in besides the variables of a dashboard.
const BUILT_IN: [&str; 2] = ["__rate_interval", "__range"];

/// The gauges that only the leader of the operators tells.
const OF_THE_LEADER: [&str; 5] = [
    "siar_operator_channel_expected_gateways",
    "siar_operator_channel_programmed_gateways",
    "siar_operator_replicas",
    "siar_operator_snapshot_bytes",
    "siar_operator_wanted_replicas",
];

fn variables(dashboard: &Dashboard) -> BTreeSet<&str> {
    let all = list(&dashboard.json["templating"]["list"]).iter();
    all.map(|variable| text(&variable["name"])).collect()
}

/// The names after a `$` in an expression; what a regular expression captured has a number.
fn used(expression: &str) -> BTreeSet<&str> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let parts = expression.split('$').skip(1);
    parts
        .map(|rest| rest.split(|c| !part(c)).next().unwrap_or_default())
        .filter(|name| name.parse::<u8>().is_err())
        .collect()
}

#[test]
fn golden_dashboards_are_written_in_one_way() {
    let write = |dashboard: Dashboard| {
        let pretty = serde_json::to_string_pretty(&dashboard.json).unwrap() + "\n";
        (dashboard.text != pretty).then(|| golden::stale(&dashboard.path, &pretty))
    };
    let stale = dashboards().into_iter().filter_map(write).flatten();
    none(&stale.collect::<Vec<_>>());
}

#[test]
fn there_are_three_which_need_no_import_and_know_each_other() {
    let all = dashboards();
    let titles: Vec<&str> = all.iter().map(|one| text(&one.json["title"])).collect();
    assert_eq!(
        titles,
        ["Siar / Channel", "Siar / Operator", "Siar / Overview"]
    );
    let uids: BTreeSet<&str> = all.iter().map(Dashboard::uid).collect();
    assert_eq!(
        uids,
        BTreeSet::from(["siar-channel", "siar-operator", "siar-overview"])
    );
    for dashboard in &all {
        let json = &dashboard.json;
        assert!(
            json["__inputs"].is_null() && json["id"].is_null(),
            "{}",
            dashboard.path
        );
        assert_eq!(json["tags"], json!(["siar"]));
        assert_eq!(json["schemaVersion"], 42);
        let links = list(&json["links"]).iter().map(|link| text(&link["url"]));
        let others = links.filter_map(|url| url.strip_prefix("/d/")?.split('?').next());
        let mut known: BTreeSet<&str> = others.collect();
        known.insert(dashboard.uid());
        assert_eq!(known, uids, "{} leads to the others", dashboard.path);
        let annotations = dashboard.annotations();
        assert_eq!(
            annotations.len(),
            3,
            "pods start, pods drain, the fleet is scaled"
        );
        assert!(variables(dashboard).contains("datasource"));
    }
    let wanted = ["channel", "datasource", "gateway", "home", "namespace"];
    assert_eq!(variables(&all[0]), BTreeSet::from(wanted));
    assert_eq!(variables(&all[2]), BTreeSet::from(wanted));
}

#[test]
fn every_panel_has_a_title_a_description_a_unit_and_thresholds() {
    let mut faults = Vec::new();
    for dashboard in dashboards() {
        let mut ids = BTreeSet::new();
        for panel in dashboard.panels() {
            let place = format!("{} / {}", dashboard.uid(), text(&panel["title"]));
            let mut demand = |holds: bool, what: &str| {
                if !holds {
                    faults.push(format!("{place}: {what}"));
                }
            };
            let defaults = &panel["fieldConfig"]["defaults"];
            let description = text(&panel["description"]);
            demand(!text(&panel["title"]).is_empty(), "it has no title");
            demand(
                description.len() > 20 && description.ends_with('.'),
                "describe it",
            );
            demand(!text(&defaults["unit"]).is_empty(), "it has no unit");
            // The colours of a heat map are its own.
            let steps = !list(&defaults["thresholds"]["steps"]).is_empty();
            demand(steps || panel["type"] == "heatmap", "it has no thresholds");
            demand(
                ids.insert(panel["id"].as_i64()),
                "its id is that of another",
            );
            demand(!list(&panel["targets"]).is_empty(), "it asks nothing");
            let own = json!({ "type": "prometheus", "uid": "${datasource}" });
            demand(panel["datasource"] == own, "its source is not the variable");
            for target in list(&panel["targets"]) {
                demand(target["datasource"] == own, "a source is not the variable");
            }
        }
        faults.extend(overlaps(&dashboard));
    }
    none(&faults);
}

/// Panels that lie on each other or beside the page.
fn overlaps(dashboard: &Dashboard) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut faults = Vec::new();
    for panel in list(&dashboard.json["panels"]) {
        let at = |side: &str| panel["gridPos"][side].as_u64().unwrap_or(99);
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                if x >= 24 || !taken.insert((x, y)) {
                    let place = text(&panel["title"]);
                    faults.push(format!("{}: {place} has no place", dashboard.path));
                    return faults;
                }
            }
        }
    }
    faults
}

#[test]
fn queries_look_where_the_variables_say_and_nowhere_else() {
    let mut faults = Vec::new();
    for dashboard in dashboards() {
        let known = variables(&dashboard);
        for query in [dashboard.queries(), dashboard.annotations()].concat() {
            let expression = &query.expression;
            let mut demand = |holds: bool, what: &str| {
                if !holds {
                    faults.push(format!(
                        "{} {}: {what}: {expression}",
                        query.place, query.target
                    ));
                }
            };
            let strange = used(expression);
            let strange = strange
                .iter()
                .find(|name| !known.contains(*name) && !BUILT_IN.contains(name));
            demand(strange.is_none(), "it uses a variable that is not there");
            // One selector for each metric, and each of them in the chosen installation.
            let selectors = mentioned(expression).count();
            demand(
                expression.matches("{namespace=~\"$home\"").count() == selectors,
                "it looks beyond the chosen installation",
            );
            demand(
                !expression.contains("irate("),
                "irate shows one moment of many",
            );
            let windows = expression.matches('[').count();
            let given = BUILT_IN
                .iter()
                .map(|name| expression.matches(&format!("[${name}]")).count());
            demand(
                given.sum::<usize>() == windows,
                "its window is not Grafana's",
            );
            let led = mentioned(expression).any(|name| OF_THE_LEADER.contains(&name));
            demand(
                !led || expression.contains("max by (") || expression.contains("max("),
                "two operators tell it while the leader changes; take the larger",
            );
        }
    }
    none(&faults);
}

#[tokio::test]
async fn each_comes_in_a_config_map_that_the_sidecar_finds() {
    let options = Options::default()
        .set("monitoring.dashboards.enabled", &json!(true))
        .set("monitoring.dashboards.namespace", &json!("grafana"))
        .set(
            "monitoring.dashboards.annotations",
            &json!({ "grafana_folder": "Siar" }),
        );
    let maps = rendered(options, "ConfigMap").await.unwrap();
    let mut names = BTreeSet::new();
    for map in &maps {
        assert_eq!(map["metadata"]["namespace"], "grafana");
        assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
        assert_eq!(map["metadata"]["annotations"]["grafana_folder"], "Siar");
        for (name, value) in map["data"].as_object().unwrap() {
            names.insert(name.clone());
            let carried: Value = serde_json::from_str(text(value)).unwrap();
            let own = dashboards()
                .into_iter()
                .find(|one| format!("{}.json", one.uid()) == *name);
            assert_eq!(carried, own.expect("it is a file of the chart").json);
        }
    }
    let wanted = [
        "siar-channel.json",
        "siar-operator.json",
        "siar-overview.json",
    ];
    assert_eq!(names, wanted.map(str::to_owned).into());
}
