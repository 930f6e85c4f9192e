//! The chart: what the real Helm renders, refuses, installs, changes and takes away.
//!
//! Owns: `helm template` of every file in `charts/siar/ci`, each rendered once. Never: runs Pods: there is no node here.

use serde_json::{Value, json};
use std::path::PathBuf;
use tests::helm::{Helm, Options, chart, objects};
use tokio::sync::OnceCell;

mod applied; // the real API server would take every object of every variant
mod carried; // what every variant must have, and must not
mod follows; // what follows from a value in another place
mod images; // images are those that the values name
mod notes; // what is said after an install
mod packed; // the chart as people fetch it
mod policies; // what the NetworkPolicies let pass
mod printed; // files that are printed from the chart, or into it
mod refused; // typos and contradictions, and what is said of them
mod releases; // on a real API server: installed, changed, set back, removed, side by side, at work
mod rights; // the rights of the chart are those that operator and gateway are tested with
mod told; // flags, variables and probes that are rendered exist

/// One file of `charts/siar/ci`, and what it makes.
struct Variant {
    name: String,
    values: Value,
    text: String,
    objects: Vec<Value>,
}

impl Variant {
    /// What was rendered with values that nobody asks for.
    fn of(name: &str, text: &str) -> Self {
        Self {
            name: name.into(),
            values: Value::Null,
            objects: objects(text),
            text: text.into(),
        }
    }

    /// The objects of a kind.
    fn kind(&self, kind: &str) -> Vec<&Value> {
        let objects = self.objects.iter();
        objects.filter(|object| object["kind"] == kind).collect()
    }

    /// The one object of a kind with that name.
    fn object(&self, kind: &str, name: &str) -> Option<&Value> {
        let mut found = self.kind(kind).into_iter();
        found.find(|object| object["metadata"]["name"] == name)
    }

    /// The Pods that its workloads make: whose they are, and the template.
    fn pods(&self) -> Vec<(String, &Value)> {
        let objects = self.objects.iter();
        let template = |object| match kind(object) {
            "Deployment" | "StatefulSet" | "Job" => Some(&object["spec"]["template"]),
            "Pod" => Some(object),
            _ => None,
        };
        objects
            .filter_map(|object| Some((title(object), template(object)?)))
            .collect()
    }
}

/// All variants, in the order of their names.
async fn variants() -> &'static [Variant] {
    static ALL: OnceCell<Vec<Variant>> = OnceCell::const_new();
    ALL.get_or_init(async || {
        let helm = Helm::offline();
        let mut all = Vec::new();
        for file in files() {
            all.push(variant(&helm, file).await);
        }
        all
    })
    .await
}

async fn variant(helm: &Helm, file: PathBuf) -> Variant {
    let stem = file.file_stem().unwrap().to_string_lossy();
    let name = stem.trim_end_matches("-values").to_owned();
    let told = helm.template("siar", &Options::default().file(&file)).await;
    let told = told.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(told.warnings, "", "{name}");
    let values = objects(&std::fs::read_to_string(&file).unwrap());
    let values = values.into_iter().next().unwrap_or_else(|| json!({}));
    Variant {
        values,
        ..Variant::of(&name, &told.output)
    }
}

/// The release `siar` with those options.
async fn rendered(options: &Options) -> Variant {
    let told = Helm::offline().template("siar", options).await;
    Variant::of("", &told.unwrap().output)
}

fn files() -> Vec<PathBuf> {
    let folder = chart().join("ci");
    let entries = std::fs::read_dir(&folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    files
}

/// `Kind/name` of an object.
fn title(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str().unwrap_or("?");
    format!("{}/{name}", kind(object))
}

fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap_or_default()
}

/// The entries of a list, none if there is no list.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Fails with all faults that were found.
#[track_caller]
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[tokio::test]
async fn there_are_fifteen_variants_or_more_and_lint_has_nothing_to_say_of_any() {
    let (helm, files) = (Helm::offline(), files());
    assert!(files.len() >= 15, "{files:?}");
    let plain = Options::default();
    let with = files.iter().map(|file| plain.clone().file(file));
    for options in with.chain([plain.clone()]) {
        let told = helm.lint(&options).await.unwrap();
        assert!(
            told.output.contains("1 chart(s) linted, 0 chart(s) failed"),
            "{}",
            told.output
        );
        assert!(!told.output.contains("[WARNING]"), "{}", told.output);
    }
}
