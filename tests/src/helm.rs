//! `helm` with the chart of this repository.
//!
//! Owns: its folders, its identity, how long it may take, what it answers. Never: uses what the user of this machine has
//! configured, or what a file of the chart says. Used by: tests of the chart.

use crate::cluster::{Cluster, binary};
use crate::process::folder;
use crate::wait::within_time;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;

/// How long one command may take on a slow, busy machine.
const LONG: Duration = Duration::from_secs(120);
/// The Kubernetes that is rendered for where no cluster is asked.
const KUBERNETES: &str = "1.36.3";
/// What such a cluster serves beyond Kubernetes.
const SERVED: [&str; 8] = [
    "siar.dev/v1alpha1/Channel",
    "monitoring.coreos.com/v1/ServiceMonitor",
    "monitoring.coreos.com/v1/PodMonitor",
    "monitoring.coreos.com/v1/PrometheusRule",
    "cloud.google.com/v1/BackendConfig",
    "gateway.envoyproxy.io/v1alpha1/BackendTrafficPolicy",
    "gateway.networking.k8s.io/v1/HTTPRoute",
    "keda.sh/v1alpha1/ScaledObject",
];

/// Helm as somebody uses it in one namespace.
pub struct Helm {
    chart: PathBuf,
    kubeconfig: Option<PathBuf>,
    namespace: String,
    folder: tempfile::TempDir,
}

/// What is said beyond the name of a release.
#[derive(Clone, Default)]
pub struct Options(Vec<String>);

/// What Helm said when it did what it was told.
#[derive(Debug)]
pub struct Told {
    /// The manifests, or the notes.
    pub output: String,
    /// Warnings, its own and those of the API server.
    pub warnings: String,
}

impl Options {
    /// The value at a path, like `gateway.name`.
    #[must_use]
    pub fn set(self, path: &str, value: &Value) -> Self {
        self.flag("--set-json").flag(&format!("{path}={value}"))
    }

    /// The values of a file.
    #[must_use]
    pub fn file(self, path: &Path) -> Self {
        self.flag("--values").flag(&path.display().to_string())
    }

    /// A flag of Helm, or its value.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.0.push(flag.into());
        self
    }
}

impl Helm {
    /// Asks no cluster.
    #[must_use]
    pub fn offline() -> Self {
        Self {
            chart: chart(),
            kubeconfig: None,
            namespace: "siar".into(),
            folder: folder(),
        }
    }

    /// An identity of a cluster.
    #[must_use]
    pub fn of(cluster: &Cluster, identity: &str) -> Self {
        Self {
            kubeconfig: Some(cluster.kubeconfig(identity)),
            ..Self::offline()
        }
    }

    /// Another namespace than `siar`.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Another chart than that of this repository.
    #[must_use]
    pub fn chart(mut self, folder: &Path) -> Self {
        self.chart = folder.into();
        self
    }

    /// What a release would consist of.
    pub async fn template(&self, release: &str, options: &Options) -> Result<Told, String> {
        let served = SERVED.join(",");
        let offline = ["--kube-version", KUBERNETES, "--api-versions", &served];
        let offline = if self.kubeconfig.is_none() {
            &offline[..]
        } else {
            &[]
        };
        let path = self.path();
        let arguments = [&["template", release, &path], offline].concat();
        self.run(&arguments, options).await
    }

    /// Judges the chart, whatever it warns of included.
    pub async fn lint(&self, options: &Options) -> Result<Told, String> {
        let arguments = [
            "lint",
            &self.path(),
            "--strict",
            "--kube-version",
            KUBERNETES,
        ];
        self.run(&arguments, options).await
    }

    /// What an install would say when it is done; without Channels, as of a cluster that does not know them yet.
    pub async fn notes(&self, release: &str, options: &Options) -> Result<String, String> {
        let arguments = ["install", release, &self.path(), "--dry-run=client"];
        let told = self.run(&arguments, options).await?;
        let notes = told.output.split_once("\nNOTES:\n");
        Ok(notes.map_or_else(String::new, |(_, notes)| notes.to_owned()))
    }

    /// A new release; its Pods are not waited for.
    pub async fn install(&self, release: &str, options: &Options) -> Result<Told, String> {
        self.run(&["install", release, &self.path()], options).await
    }

    /// A release as the chart and the options say now; values from before are forgotten.
    pub async fn upgrade(&self, release: &str, options: &Options) -> Result<Told, String> {
        let arguments = ["upgrade", release, &self.path(), "--reset-values"];
        self.run(&arguments, options).await
    }

    /// A release as it was.
    pub async fn rollback(&self, release: &str, revision: u32) -> Result<Told, String> {
        let arguments = ["rollback", release, &revision.to_string()];
        self.run(&arguments, &Options::default()).await
    }

    /// No release.
    pub async fn uninstall(&self, release: &str) -> Result<Told, String> {
        self.run(&["uninstall", release], &Options::default()).await
    }

    /// Runs `helm` with these arguments; what it complains of when it fails.
    pub async fn run(&self, arguments: &[&str], options: &Options) -> Result<Told, String> {
        let home = self.folder.path();
        let nowhere = home.join("nowhere");
        let mut command = Command::new(binary("helm"));
        command
            .args(arguments)
            .args(["--namespace", &self.namespace])
            .args(&options.0)
            .env_clear()
            .env("HOME", home)
            .env("HELM_CACHE_HOME", home)
            .env("HELM_CONFIG_HOME", home)
            .env("HELM_DATA_HOME", home)
            .env("KUBECONFIG", self.kubeconfig.as_ref().unwrap_or(&nowhere))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let what = format!("helm {} {}", arguments.join(" "), options.0.join(" "));
        let output = within_time(LONG, &what, command.output()).await;
        let output = output.unwrap_or_else(|error| panic!("{what}: {error}"));
        told(&output)
    }

    fn path(&self) -> String {
        self.chart.display().to_string()
    }
}

/// The chart of this repository.
#[must_use]
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/siar")
}

/// The objects of manifests, without what is empty.
#[must_use]
pub fn objects(manifests: &str) -> Vec<Value> {
    let read = serde_saphyr::from_multiple::<Value>(manifests);
    let mut objects = read.unwrap_or_else(|error| panic!("{error}:\n{manifests}"));
    objects.retain(|object| !object.is_null());
    objects
}

fn told(output: &Output) -> Result<Told, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let told = Told {
        output: text(&output.stdout),
        warnings: text(&output.stderr),
    };
    if output.status.success() {
        Ok(told)
    } else {
        Err(told.output + &told.warnings)
    }
}
