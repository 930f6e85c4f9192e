//! Dashboards, alerts and what is scraped: they ask for what is told, and show what happens.
//!
//! Owns: reading the dashboards, and the monitoring that the chart renders. Never: judges whether a picture is pleasant:
//! `tests/dashboards/render.py` draws them for that.

use crate::tidy::{none, root};
use serde_json::{Value, json};
use tests::helm::{Helm, Options, objects};

mod alerts; // each fires when it should and resolves, and the runbook has a section for it
mod boards; // what every panel has, and where its queries look
mod names; // the metrics of README, panels and rules are one set
mod scraped; // the monitors find what the chart makes
mod shown; // a real Prometheus: every panel and rule shows what happens to real servers
mod story; // what happens to them

/// A dashboard of the chart.
pub struct Dashboard {
    /// From the top of the repository.
    path: String,
    text: String,
    json: Value,
}

/// What a panel, an annotation or a rule asks Prometheus.
#[derive(Clone)]
pub struct Query {
    /// Where it stands, for people.
    place: String,
    /// The panel, if it is one's.
    panel: Option<i64>,
    target: String,
    expression: String,
}

/// All dashboards, by file name.
fn dashboards() -> Vec<Dashboard> {
    let found = crate::tidy::sources("charts/siar/files/dashboards", &[".json"]);
    let one = |(path, text): (String, String)| {
        let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        Dashboard { path, text, json }
    };
    found.into_iter().map(one).collect()
}

impl Dashboard {
    fn uid(&self) -> &str {
        self.json["uid"].as_str().unwrap_or_default()
    }

    /// Its panels, without the rows that they stand in.
    fn panels(&self) -> impl Iterator<Item = &Value> {
        let panels = list(&self.json["panels"]).iter();
        panels.filter(|panel| panel["type"] != "row")
    }

    /// What its panels ask.
    fn queries(&self) -> Vec<Query> {
        let of = |panel: &Value| -> Vec<Query> {
            let targets = list(&panel["targets"]).iter();
            let one = |target: &Value| Query {
                place: format!("{} / {}", self.uid(), text(&panel["title"])),
                panel: panel["id"].as_i64(),
                target: text(&target["refId"]).into(),
                expression: text(&target["expr"]).into(),
            };
            targets.map(one).collect()
        };
        self.panels().flat_map(of).collect()
    }

    /// What its annotations ask; the first is Grafana's own.
    fn annotations(&self) -> Vec<Query> {
        let all = list(&self.json["annotations"]["list"]).iter();
        let asked = all.filter(|annotation| annotation["type"] != "dashboard");
        let one = |annotation: &Value| Query {
            place: format!("{} / {}", self.uid(), text(&annotation["name"])),
            panel: None,
            target: "annotation".into(),
            expression: text(&annotation["target"]["expr"]).into(),
        };
        asked.map(one).collect()
    }
}

/// The rules that the chart renders for a release `siar` in the namespace `siar`: the `spec` of its PrometheusRule.
async fn rules(options: Options) -> Result<Value, String> {
    let options = options.set("monitoring.prometheusRule.enabled", &json!(true));
    let mut found = rendered(options, "PrometheusRule").await?;
    assert_eq!(found.len(), 1, "one PrometheusRule");
    Ok(found[0]["spec"].take())
}

/// The objects of a kind that the chart renders.
async fn rendered(options: Options, kind: &str) -> Result<Vec<Value>, String> {
    let told = Helm::offline().template("siar", &options).await?;
    let mut objects = objects(&told.output);
    objects.retain(|object| object["kind"] == kind);
    Ok(objects)
}

/// Every rule of a `spec`, with the name of its group.
fn each(spec: &Value) -> impl Iterator<Item = (&str, &Value)> {
    list(&spec["groups"]).iter().flat_map(|group| {
        let rules = list(&group["rules"]).iter();
        rules.map(|rule| (text(&group["name"]), rule))
    })
}

/// The metrics and recorded series that an expression mentions, each as often as it does.
fn mentioned(expression: &str) -> impl Iterator<Item = &str> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = expression.split(move |c| !part(c));
    words.filter(|word| {
        word.contains(':') || word.starts_with("siar_") || word.starts_with("process_")
    })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The text of a file of the repository.
fn file(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
