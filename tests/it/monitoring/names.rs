//! The metrics of README, panels and rules are one set; that of the code is held to the README by `tidy`, that of running
//! servers by `shown`.

use super::{dashboards, each, file, mentioned, none, rules, text};
use std::collections::{BTreeMap, BTreeSet};
use tests::helm::Options;

/// Metrics that no panel and no rule asks for, with the reason: for people who look closer.
const CLOSER: [(&str, &str); 0] = [];

/// The metrics in the tables of the README.
pub fn listed() -> BTreeSet<String> {
    let readme = file("README.md");
    let rows = readme.lines().filter_map(|row| row.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split('`').next());
    let ours = names.filter(|name| name.starts_with("siar_") && *name != "siar_token");
    ours.map(str::to_owned).collect()
}

/// A metric by the name of one of its series: a histogram has three.
pub fn metric<'a>(series: &'a str, metrics: &BTreeSet<String>) -> &'a str {
    let ends = ["_bucket", "_sum", "_count"];
    let base = ends.iter().find_map(|end| series.strip_suffix(end));
    base.filter(|base| metrics.contains(*base))
        .unwrap_or(series)
}

#[tokio::test]
async fn what_panels_and_rules_ask_for_is_what_the_readme_lists() {
    let (metrics, spec) = (listed(), rules(Options::default()).await.unwrap());
    let recorded: BTreeSet<&str> = each(&spec).map(|(_, rule)| text(&rule["record"])).collect();
    let mut asked: BTreeMap<String, String> = BTreeMap::new();
    let mut ask = |place: &str, expression: &str| {
        for name in mentioned(expression) {
            let name = metric(name, &metrics);
            asked.insert(name.into(), place.into());
        }
    };
    for dashboard in dashboards() {
        for query in [dashboard.queries(), dashboard.annotations()].concat() {
            ask(&query.place, &query.expression);
        }
        for variable in super::list(&dashboard.json["templating"]["list"]) {
            ask(dashboard.uid(), text(&variable["definition"]));
        }
    }
    for (group, rule) in each(&spec) {
        ask(group, text(&rule["expr"]));
    }
    let unknown = asked.iter().filter(|(name, _)| {
        !metrics.contains(*name) && !recorded.contains(&***name) && !name.starts_with("process_")
    });
    let unknown =
        unknown.map(|(name, place)| format!("{place} asks for {name}, which nobody tells"));
    let closer = |name: &String| CLOSER.iter().any(|(known, _)| known == name);
    let idle = metrics
        .iter()
        .filter(|name| !asked.contains_key(*name) && !closer(name));
    let idle = idle.map(|name| {
        format!("no panel and no rule asks for {name}; show it, or give a reason in CLOSER")
    });
    let stale = CLOSER.iter().filter(|(name, _)| asked.contains_key(*name));
    let stale = stale.map(|(name, _)| format!("{name} is shown; take it out of CLOSER"));
    none(&unknown.chain(idle).chain(stale).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_recorded_is_asked_for() {
    let spec = rules(Options::default()).await.unwrap();
    let all: Vec<&str> = each(&spec).map(|(_, rule)| text(&rule["expr"])).collect();
    let recorded = each(&spec).map(|(_, rule)| text(&rule["record"]));
    let recorded: Vec<&str> = recorded.filter(|name| !name.is_empty()).collect();
    assert!(!recorded.is_empty());
    for name in recorded {
        let asked = all
            .iter()
            .any(|expression| mentioned(expression).any(|one| one == name));
        assert!(asked, "nobody asks for {name}; remove its rule");
    }
}
