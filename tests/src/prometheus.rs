//! A real Prometheus of the test's own, which finds gateways and operators as by a ServiceMonitor; and `promtool`.
//!
//! Owns: its process, what it scrapes and by which labels, what it answers to queries. Never: knows which metrics there
//! should be. Used by: tests of panels and alerts.

use crate::fleet::{HOME, Pod};
use crate::http::{Ask, query};
use crate::operator::Operator;
use crate::process::{Helpers, Process, folder, free_port};
use crate::wait::{unix_ms, until, until_time, within};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long something that is told may take to be found here on a slow, busy machine.
const FOUND: Duration = Duration::from_secs(60);

/// One port that is scraped, and the labels that Prometheus adds to what it finds there.
#[derive(Clone, Debug)]
pub struct Target {
    address: SocketAddr,
    labels: BTreeMap<&'static str, String>,
}

/// The running Prometheus.
pub struct Prometheus {
    address: SocketAddr,
    folder: tempfile::TempDir,
    process: Process,
}

/// A series that was found, with its samples by time in seconds.
#[derive(Clone, Debug)]
pub struct Series {
    pub labels: BTreeMap<String, String>,
    pub samples: Vec<(f64, f64)>,
}

impl Target {
    /// A Pod of a fleet, as the ServiceMonitor of the gateways finds it.
    #[must_use]
    pub fn gateway(pod: &Pod) -> Self {
        Self::of(&pod.name, pod.admin, "gateway", "siar-gateway-admin")
    }

    /// An operator, as its ServiceMonitor finds it.
    #[must_use]
    pub fn operator(operator: &Operator) -> Self {
        let admin = operator.admin();
        Self::of(operator.pod(), admin, "operator", "siar-operator")
    }

    fn of(pod: &str, address: SocketAddr, container: &str, service: &str) -> Self {
        let labels = [
            ("namespace", HOME),
            ("pod", pod),
            ("container", container),
            ("service", service),
            ("job", service),
            ("endpoint", "admin"),
        ];
        Self {
            address,
            labels: labels.map(|(name, value)| (name, value.into())).into(),
        }
    }
}

impl Prometheus {
    /// Starts it with these groups of rules and without targets.
    pub async fn start(rules: &Value) -> Self {
        let folder = folder();
        let config = json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": ["rules.yaml"],
            // The operator of Prometheus does not honour labels either, unless it is told to.
            "scrape_configs": [{
                "job_name": "siar",
                "honor_labels": false,
                "file_sd_configs": [{ "files": ["targets.json"], "refresh_interval": "1s" }],
            }],
        });
        write(folder.path(), "prometheus.yaml", &config);
        write(folder.path(), "rules.yaml", rules);
        write(folder.path(), "targets.json", &json!([]));
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let process = spawn(folder.path(), address);
        let mut prometheus = Self {
            address,
            folder,
            process,
        };
        until("Prometheus to be ready", || {
            prometheus.process.must_run();
            async move {
                let answer = Ask::get(address, "/-/ready").try_send().await;
                match answer.map(|answer| answer.status) {
                    Ok(200) => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            }
        })
        .await;
        prometheus
    }

    /// Scrapes these from now on, and no others.
    pub fn scrape(&self, targets: &[Target]) {
        let one = |target: &Target| json!({ "targets": [target.address.to_string()], "labels": target.labels });
        let all = targets.iter().map(one).collect();
        write(self.folder.path(), "targets.json", &Value::Array(all));
    }

    /// What `expression` is now.
    pub async fn now(&self, expression: &str) -> Vec<Series> {
        let answer = self.ask("query", &[("query", expression)]).await;
        series(&answer["data"]["result"])
    }

    /// What `expression` was between two times, one sample a second.
    pub async fn range(&self, expression: &str, (from, to): (f64, f64)) -> Vec<Series> {
        let (from, to) = (from.to_string(), to.to_string());
        let asked = [("query", expression), ("start", &from), ("end", &to)];
        let asked = [&asked[..], &[("step", "1")]].concat();
        let answer = self.ask("query_range", &asked).await;
        series(&answer["data"]["result"])
    }

    /// Waits until `expression`, a comparison, holds for some series.
    #[track_caller]
    pub fn until<'a>(&'a self, expression: &'a str) -> impl Future<Output = ()> + 'a {
        until_time(FOUND, expression, async || {
            let found = self.now(expression).await;
            let holds = !found.is_empty();
            holds.then_some(()).ok_or("it is not so".into())
        })
    }

    /// Its rules, with what it thinks of their health.
    pub async fn rules(&self) -> Vec<Value> {
        let answer = self.ask("rules", &[]).await;
        let groups = answer["data"]["groups"].as_array().cloned();
        let rules = groups
            .into_iter()
            .flatten()
            .map(|mut group| group["rules"].take());
        let rules = rules.filter_map(|rules| rules.as_array().cloned());
        rules.flatten().collect()
    }

    /// The names of all labels.
    pub async fn labels(&self) -> Vec<String> {
        words(&self.ask("labels", &[]).await)
    }

    /// The values of a label; those of `__name__` are the names of all series.
    pub async fn values(&self, label: &str) -> Vec<String> {
        words(&self.ask(&format!("label/{label}/values"), &[]).await)
    }

    async fn ask(&self, what: &str, parameters: &[(&str, &str)]) -> Value {
        let path = format!("/api/v1/{what}{}", query(parameters));
        let answer = within(&path, Ask::get(self.address, &path).try_send()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{path}: {error}"));
        let value = answer.json();
        assert_eq!(value["status"], "success", "{parameters:?}: {value}");
        value
    }
}

impl Series {
    /// Its samples that are numbers.
    pub fn numbers(&self) -> impl Iterator<Item = f64> {
        let values = self.samples.iter().map(|(_, value)| *value);
        values.filter(|value| !value.is_nan())
    }
}

/// Now, in seconds since 1970.
#[must_use]
pub fn now() -> f64 {
    unix_ms() as f64 / 1000.0
}

/// Runs `promtool` in a folder; what it complains of when it fails.
pub fn promtool(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("promtool");
    let output = command.args(arguments).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| {
        panic!("cannot start promtool: {error}; tests/run installs what is missing")
    });
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        Err(text)
    }
}

fn spawn(folder: &Path, address: SocketAddr) -> Process {
    let flag = |name: &str, value: &str| format!("--{name}={value}");
    let within = |name: &str| folder.join(name).display().to_string();
    let mut command = Command::new("prometheus");
    command.args([
        flag("config.file", &within("prometheus.yaml")),
        flag("storage.tsdb.path", &within("data")),
        flag("web.listen-address", &address.to_string()),
        flag("log.level", "warn"),
    ]);
    let log = folder.join("log");
    Process::start("prometheus", Helpers::None, command, &log)
}

/// Replaces the file in one step: it is looked at whenever it changes. JSON is YAML, too.
fn write(folder: &Path, name: &str, value: &Value) {
    let new = folder.join(format!("{name}.new"));
    std::fs::write(&new, value.to_string()).expect("the folder is ours");
    std::fs::rename(&new, folder.join(name)).expect("the folder is ours");
}

fn words(answer: &Value) -> Vec<String> {
    let words = answer["data"].as_array().into_iter().flatten();
    let words = words.filter_map(Value::as_str);
    words.map(str::to_owned).collect()
}

fn series(result: &Value) -> Vec<Series> {
    let found = result.as_array().cloned().unwrap_or_default();
    found.into_iter().map(one).collect()
}

fn one(mut found: Value) -> Series {
    let labels = found["metric"].as_object_mut().map(std::mem::take);
    let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
    let labels = labels.unwrap_or_default().into_iter();
    let samples = match found["values"].as_array() {
        Some(values) => values.iter().map(sample).collect(),
        None => vec![sample(&found["value"])],
    };
    Series {
        labels: labels.map(|(name, value)| (name, text(value))).collect(),
        samples,
    }
}

/// `[1700000000.123, "1.5"]`
fn sample(pair: &Value) -> (f64, f64) {
    let value = pair[1].as_str().and_then(|text| text.parse().ok());
    match (pair[0].as_f64(), value) {
        (Some(time), Some(value)) => (time, value),
        _ => panic!("not a sample: {pair}"),
    }
}
