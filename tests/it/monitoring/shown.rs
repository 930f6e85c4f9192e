//! A real Prometheus scrapes real gateways and operators under load, as by a ServiceMonitor: every panel, annotation and
//! recorded series has data, what happened is seen in them, and no label had to give way to those that Prometheus adds.

use super::names::{listed, metric};
use super::story::{Story, told};
use super::{Query, dashboards, each, none, rules, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use tests::helm::Options;
use tests::prometheus::Series;

/// What may stay at 0 in the story, and why. It must be a line at 0 all the same, and not nothing.
const STILL: [(&str, &str); 4] = [
    (
        "siar-operator / CPU and memory A",
        "it is counted in whole seconds",
    ),
    (
        "siar-operator / Events and retries B",
        "nothing that it writes fails",
    ),
    (
        "siar-overview / CPU and memory A",
        "it is counted in whole seconds",
    ),
    (
        "siar-overview / Conditions and keys C",
        "an issuer is not asked again within a minute",
    ),
];

/// A query, and what it brought.
struct Shown {
    query: Query,
    series: Vec<Series>,
}

#[tokio::test]
async fn panels_annotations_and_rules_show_what_happens_to_real_servers() {
    let story = told(&rules(Options::default()).await.unwrap()).await;
    let mut shown = Vec::new();
    for dashboard in dashboards() {
        for query in [dashboard.queries(), dashboard.annotations()].concat() {
            let expression = filled(&query.expression, dashboard.uid(), &story);
            let series = story.prometheus.range(&expression, story.span).await;
            shown.push(Shown { query, series });
        }
    }
    if let Some(folder) = std::env::var_os("SHOWN") {
        save(&PathBuf::from(folder), &shown, &story);
    }
    let faults = [
        empty(&shown),
        told_names(&story).await,
        displaced(&story).await,
        recorded(&story).await,
    ];
    none(&faults.concat());
}

/// The expression with what a visitor of the dashboard chose.
fn filled(expression: &str, uid: &str, story: &Story) -> String {
    let one = uid == "siar-channel";
    let range = format!("{:.0}s", story.span.1 - story.span.0);
    let values = [
        ("$__rate_interval", "5s"),
        ("$__range", &range),
        ("$home", if one { "siar" } else { ".*" }),
        ("$gateway", if one { "default" } else { ".*" }),
        ("$namespace", if one { "shop" } else { ".*" }),
        ("$channel", if one { "orders" } else { ".*" }),
    ];
    let fill = |text: String, (name, value): &(&str, &str)| text.replace(name, value);
    values.iter().fold(expression.to_owned(), fill)
}

/// Queries without data, and those that did not move although something happened.
fn empty(shown: &[Shown]) -> Vec<String> {
    let mut faults = Vec::new();
    for Shown { query, series } in shown {
        let place = format!("{} {}", query.place, query.target);
        let still = STILL.iter().any(|(known, _)| *known == place);
        let numbers: Vec<f64> = series.iter().flat_map(Series::numbers).collect();
        let moves = numbers.iter().any(|number| *number != 0.0);
        if numbers.is_empty() {
            faults.push(format!("{place} has no data: {}", query.expression));
        } else if !moves && !still {
            faults.push(format!("{place} is 0 all the time: {}", query.expression));
        }
    }
    let gone = |(known, _): &&(&str, &str)| {
        let place =
            |shown: &Shown| format!("{} {}", shown.query.place, shown.query.target) == *known;
        !shown.iter().any(place)
    };
    let gone = STILL.iter().filter(gone);
    faults.extend(gone.map(|(known, _)| format!("{known} is no panel; take it out of STILL")));
    faults
}

/// Metrics that are told and not listed in the README, and the other way round.
async fn told_names(story: &Story) -> Vec<String> {
    let metrics = listed();
    let all = story.prometheus.values("__name__").await;
    let ours = all.iter().filter(|name| name.starts_with("siar_"));
    let told: BTreeSet<String> = ours.map(|name| metric(name, &metrics).to_owned()).collect();
    let strange = told.difference(&metrics);
    let strange = strange.map(|name| format!("{name} is told, but not in the README"));
    let missing = metrics.difference(&told);
    let missing = missing.map(|name| format!("{name} is in the README, but nobody tells it"));
    strange.chain(missing).collect()
}

/// Labels of ours that Prometheus had to rename.
async fn displaced(story: &Story) -> Vec<String> {
    let labels = story.prometheus.labels().await;
    assert!(
        labels.contains(&"channel_namespace".to_owned()),
        "{labels:?}"
    );
    let displaced = labels.iter().filter(|name| name.starts_with("exported_"));
    displaced
        .map(|name| format!("there is a label {name}; give ours another name"))
        .collect()
}

/// Rules that failed, and recorded series without data.
async fn recorded(story: &Story) -> Vec<String> {
    let mut faults = Vec::new();
    let found = story.prometheus.rules().await;
    assert!(found.len() > 20, "{} rules", found.len());
    for rule in found {
        if rule["health"] != "ok" {
            faults.push(format!("{}: {}", rule["name"], rule["lastError"]));
        }
    }
    let spec = rules(Options::default()).await.unwrap();
    for (_, rule) in each(&spec) {
        let name = text(&rule["record"]);
        if !name.is_empty() && story.prometheus.range(name, story.span).await.is_empty() {
            faults.push(format!("{name} has no data"));
        }
    }
    faults
}

/// Writes what `tests/dashboards/render.py` draws.
fn save(folder: &std::path::Path, shown: &[Shown], story: &Story) {
    let one = |shown: &Shown| -> Value {
        let series: Vec<Value> = shown
            .series
            .iter()
            .map(|series| json!({ "labels": series.labels, "samples": series.samples }))
            .collect();
        let Query {
            place,
            panel,
            target,
            ..
        } = &shown.query;
        let (dashboard, name) = place.split_once(" / ").unwrap_or_default();
        json!({ "dashboard": dashboard, "name": name, "panel": panel, "target": target, "series": series })
    };
    let all: Vec<Value> = shown.iter().map(one).collect();
    let saved = json!({ "from": story.span.0, "to": story.span.1, "shown": all });
    std::fs::create_dir_all(folder).expect("the folder can be made");
    std::fs::write(folder.join("shown.json"), saved.to_string()).expect("the folder is ours");
}
