//! What is printed from the chart, or into it: every variant, the copy of the CRD, the table of the README.
//!
//! Owns: what of a rendered variant is kept, how `values.yaml` is read for people. Never: judges what is rendered.

use super::*;
use crate::golden::{self, check};
use std::collections::BTreeSet;
use tests::helm::chart;

const GOLDEN: &str = "tests/golden/chart";
const MARKS: [&str; 2] = ["<!-- values -->\n", "<!-- /values -->"];

/// The variant without values, which the others are compared with.
const DEFAULT: &str = "default";

/// The documents of a rendered variant, each without what is golden by itself: the schema of Channels, the drawing of
/// dashboards.
fn documents(text: &str) -> Vec<String> {
    let documents = text.trim_start_matches("---\n").split("\n---\n");
    documents
        .map(|document| brief(document.trim_end()))
        .collect()
}

fn brief(document: &str) -> String {
    let definition = document.contains("\nkind: CustomResourceDefinition\n");
    let dashboards =
        document.contains("\nkind: ConfigMap\n") && document.contains("grafana_dashboard");
    if let Some((head, _)) = document.split_once("\nspec:").filter(|_| definition) {
        return format!("{head}\nspec: # as in crds/channels.siar.dev.yaml");
    }
    if let Some((head, body)) = document.split_once("\ndata:").filter(|_| dashboards) {
        // Only the keys, which are indented by two.
        let key = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
        let keys = body.lines().filter(key);
        let keys = keys.filter_map(|line| Some(format!("\n{}: …", line.split_once(':')?.0)));
        let keys: String = keys.collect();
        return format!("{head}\ndata: # as in charts/siar/files/dashboards{keys}");
    }
    document.into()
}

/// What a document is: `Kind/name`.
fn name(document: &str) -> String {
    let object = objects(document).remove(0);
    title(&object)
}

/// What of a variant is other than in the default one: whole documents, and the names of those that are not there.
fn golden(variant: &[String], default: &[String]) -> String {
    let names: Vec<_> = variant.iter().map(|document| name(document)).collect();
    let gone = default.iter().map(|document| name(document));
    let gone: Vec<_> = gone.filter(|name| !names.contains(name)).collect();
    let other: Vec<_> = variant
        .iter()
        .filter(|document| !default.contains(document))
        .collect();
    let same = variant.len() - other.len();
    let mut golden = String::new();
    if !default.is_empty() {
        golden += &format!("# {same} objects are as in {DEFAULT}.yaml.\n");
    }
    for name in gone {
        golden += &format!("# There is no {name}.\n");
    }
    for document in other {
        golden += &format!("---\n{document}\n");
    }
    golden
}

#[tokio::test]
async fn the_definition_that_is_rendered_is_that_of_the_types() {
    let variant = rendered(&Options::default()).await;
    let rendered = variant.object("CustomResourceDefinition", "channels.siar.dev");
    let printed = objects(&crds::printed()).remove(0);
    assert_eq!(rendered.unwrap()["spec"], printed["spec"]);
}

#[tokio::test]
async fn golden_variants_are_what_helm_renders() {
    let mut kept = BTreeSet::new();
    let mut stale = Vec::new();
    let variants = variants().await;
    let default = variants.iter().find(|variant| variant.name == DEFAULT);
    let default = documents(&default.expect("there is one without values").text);
    for variant in variants {
        let file = format!("{}.yaml", variant.name);
        let path = format!("{GOLDEN}/{file}");
        kept.insert(file);
        let documents = documents(&variant.text);
        assert_eq!(documents.len(), variant.objects.len(), "{}", variant.name);
        let others = if variant.name == DEFAULT {
            &[]
        } else {
            &default[..]
        };
        let fresh = golden(&documents, others);
        stale.extend(golden::stale(&path, &fresh));
    }
    none(&stale);
    let folder = chart().join("../..").join(GOLDEN);
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(
            kept.contains(&name),
            "{GOLDEN}/{name} is of no file in charts/siar/ci; remove it"
        );
    }
}

#[test]
fn golden_crd_of_the_chart_is_that_of_the_types() {
    let path = "charts/siar/files/channels.siar.dev.yaml";
    check(path, &crds::printed());
}

#[test]
fn golden_table_of_values_stands_in_the_readme() {
    let path = "charts/siar/README.md";
    let file = chart().join("README.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let marks = format!("{path} has no {MARKS:?}");
    let (before, rest) = text.split_once(MARKS[0]).expect(&marks);
    let (_, after) = rest.split_once(MARKS[1]).expect(&marks);
    let values = std::fs::read_to_string(chart().join("values.yaml")).unwrap();
    let table = table(&values);
    let fresh = format!("{before}{}\n{table}\n{}{after}", MARKS[0], MARKS[1]);
    check(path, &fresh);
}

#[test]
fn every_value_says_what_it_is_for() {
    let values = std::fs::read_to_string(chart().join("values.yaml")).unwrap();
    let rows = rows(&values);
    assert!(rows.len() > 50, "{} of them", rows.len());
    let bare = rows.iter().filter(|row| row.says.is_empty());
    let bare: Vec<_> = bare
        .map(|row| {
            format!(
                "values.yaml: {} has no comment that begins with -- above it",
                row.path
            )
        })
        .collect();
    none(&bare);
}

/// A line of the table.
struct Row {
    path: String,
    default: String,
    says: String,
}

fn table(values: &str) -> String {
    let mut table = "| value | default | what it is |\n|---|---|---|\n".to_owned();
    let escape = |text: &str| text.replace('|', "\\|");
    for row in rows(values) {
        let (path, default, says) = (row.path, escape(&row.default), escape(&row.says));
        table += &format!("| `{path}` | `{default}` | {says} |\n");
    }
    table
}

/// The keys of `values.yaml` in their order: those with a comment that begins with `--`, and those that should have one.
/// What stands below such a key belongs to its default.
fn rows(text: &str) -> Vec<Row> {
    let values = objects(text).remove(0);
    let (mut rows, mut says) = (Vec::new(), String::new());
    let mut keys: Vec<(usize, String)> = Vec::new();
    // The depth of the key whose default is being read.
    let mut within = None;
    for line in text.lines() {
        let bare = line.trim_start();
        let depth = line.len() - bare.len();
        if let Some(comment) = bare.strip_prefix('#') {
            let comment = comment.trim();
            match comment.strip_prefix("--") {
                Some(first) => says = first.trim().into(),
                None if !says.is_empty() => says = format!("{says} {comment}"),
                None => {}
            }
            continue;
        }
        let says = std::mem::take(&mut says);
        let Some(key) = key_of(bare) else {
            continue;
        };
        if within.is_some_and(|outer| depth > outer) {
            continue;
        }
        within = None;
        keys.retain(|(other, _)| *other < depth);
        keys.push((depth, key));
        let path: Vec<_> = keys.iter().map(|(_, key)| key.as_str()).collect();
        let default = path.iter().fold(&values, |value, key| &value[*key]);
        let section = default.as_object().is_some_and(|map| !map.is_empty());
        if says.is_empty() && section {
            continue;
        }
        within = Some(depth);
        rows.push(Row {
            path: path.join("."),
            default: default.to_string(),
            says,
        });
    }
    rows
}

/// The key that a line begins with.
fn key_of(line: &str) -> Option<String> {
    let (key, rest) = line.split_once(':')?;
    let key = key.trim_matches('"');
    let part = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let is_key = !key.is_empty() && key.chars().all(part) && !line.starts_with('-');
    (is_key && (rest.is_empty() || rest.starts_with(' '))).then(|| key.to_owned())
}

#[test]
fn values_are_read_with_what_is_said_of_them() {
    let text = "# nobody's

# The fleet.
gateway:
  # -- Its name
  name: default
  # -- Where,
  # and how
  hosts:
    - host: a
      port: 1
  # -- What it takes
  resources:
    # this is a part of it
    cpu: 1
  bare: {}
";
    let told = |row: &Row| format!("{} = {}: {}", row.path, row.default, row.says);
    let told: Vec<_> = rows(text).iter().map(told).collect();
    assert_eq!(
        told,
        [
            "gateway.name = \"default\": Its name",
            "gateway.hosts = [{\"host\":\"a\",\"port\":1}]: Where, and how",
            "gateway.resources = {\"cpu\":1}: What it takes",
            "gateway.bare = {}: ",
        ]
    );
}
