//! A real `siar-operator` of the test's own, with the rights that the chart gives it and no others.
//!
//! Owns: the process, its identity, its bound address. Never: reaches into it other than the cluster could.
//! Used by: every test of the operator.

use crate::cluster::{Cluster, Via};
use crate::fleet::HOME;
use crate::gateway::binary;
use crate::given::Given;
use crate::http::Ask;
use crate::metrics::Metrics;
use crate::process::{Helpers, Process, folder};
use crate::roles;
use crate::wait::{until, until_time};
use rustix::process::Signal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// How long a start may take on a slow, busy machine.
const START: Duration = Duration::from_secs(40);

/// How it is started.
#[derive(Clone)]
pub struct Setup {
    home: String,
    fleets: Vec<String>,
    pod: String,
    via: Option<Via>,
    installed: Option<PathBuf>,
    given: Given,
}

/// A running operator.
pub struct Operator {
    setup: Setup,
    kubeconfig: PathBuf,
    process: Process,
    folder: tempfile::TempDir,
    admin: SocketAddr,
}

impl Setup {
    /// The operator of the fleet `default` in the namespace `siar`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            home: HOME.into(),
            fleets: vec!["default".into()],
            pod: "siar-operator-0".into(),
            via: None,
            installed: None,
            given: Given::default(),
        }
    }

    /// Lives in another namespace.
    #[must_use]
    pub fn home(mut self, namespace: &str) -> Self {
        self.home = namespace.into();
        self
    }

    /// May publish to these fleets.
    #[must_use]
    pub fn fleets(mut self, fleets: &[&str]) -> Self {
        self.fleets = fleets.iter().map(|&fleet| fleet.into()).collect();
        self
    }

    /// Has another name; two replicas need two.
    #[must_use]
    pub fn pod(mut self, name: &str) -> Self {
        self.pod = name.into();
        self
    }

    /// Reaches the API server by that way.
    #[must_use]
    pub fn via(mut self, via: Via) -> Self {
        self.via = Some(via);
        self
    }

    /// Is who that kubeconfig says, with the rights that Helm has installed.
    #[must_use]
    pub fn installed(mut self, kubeconfig: PathBuf) -> Self {
        self.installed = Some(kubeconfig);
        self
    }

    /// Adds a flag with its value; it wins over the harness's own.
    #[must_use]
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.given.flag(name, value);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.given.env(name, value);
        self
    }

    /// Starts it and waits until its ports are open; see [`Operator::until_ready`].
    pub async fn start(self, cluster: &Cluster) -> Operator {
        let kubeconfig = match &self.installed {
            Some(kubeconfig) => kubeconfig.clone(),
            None => self.install(cluster).await,
        };
        let folder = folder();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let process = spawn(&self, &kubeconfig, folder.path(), any);
        let mut operator = Operator {
            setup: self,
            kubeconfig,
            process,
            folder,
            admin: any,
        };
        operator.until_open(0).await;
        operator
    }

    /// Does what Helm would; the answer is its kubeconfig.
    async fn install(&self, cluster: &Cluster) -> PathBuf {
        let fleets: Vec<&str> = self.fleets.iter().map(String::as_str).collect();
        let identity = roles::operator(cluster, &self.home, &fleets).await;
        match &self.via {
            Some(via) => cluster.kubeconfig_via(&identity, via),
            None => cluster.kubeconfig(&identity),
        }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Operator {
    /// The operator of the fleet `default` in the namespace `siar`, ready.
    pub async fn start(cluster: &Cluster) -> Self {
        let operator = Setup::new().start(cluster).await;
        operator.until_ready().await;
        operator
    }

    /// Where metrics and probes are.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The name of its Pod, which is the holder of the lease when it leads.
    #[must_use]
    pub fn pod(&self) -> &str {
        &self.setup.pod
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// All that it printed.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// What `/readyz` or `/livez` answers: status and text.
    pub async fn probe(&self, path: &str) -> (u16, String) {
        let answer = Ask::get(self.admin, path).send().await;
        (answer.status, answer.text())
    }

    /// Waits until `/readyz` says so.
    pub async fn until_ready(&self) {
        until("the operator to be ready", || async {
            match self.probe("/readyz").await {
                (200, _) => Ok(()),
                (status, text) => Err(format!("{status} {text}")),
            }
        })
        .await;
    }

    /// The metrics now.
    pub async fn metrics(&self) -> Metrics {
        Metrics::of(self.admin).await
    }

    /// Waits until the sum of a metric is `expected`.
    pub async fn until_metric(&self, name: &str, labels: &[(&str, &str)], expected: f64) {
        Metrics::until_sum(self.admin, name, labels, expected).await;
    }

    /// Waits until one line of its log has all these words.
    pub async fn until_logged(&self, words: &[&str]) {
        self.process.until_logged(words).await;
    }

    /// Sends SIGTERM and does not wait.
    pub fn term(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Waits until it ends by itself.
    pub async fn exit(&mut self) -> ExitStatus {
        self.process.exit().await
    }

    /// Ends it as a power cut would.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Stops without an end, as a machine without time does.
    pub fn freeze(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Goes on after [`Operator::freeze`].
    pub fn thaw(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Starts it again on the port that it had.
    pub async fn start_again(&mut self) {
        let before = self.log().len();
        self.process = spawn(
            &self.setup,
            &self.kubeconfig,
            self.folder.path(),
            self.admin,
        );
        self.until_open(before).await;
    }

    /// The log says it first, after what it said before: the ready file comes when all is listed.
    async fn until_open(&mut self, before: usize) {
        let admin = until_time(START, "the ports of the operator to be open", || {
            self.process.must_run();
            let log = self.process.log();
            let new = log.get(before..).unwrap_or_default();
            let line = new.lines().rev().find(|line| line.contains("listening"));
            let admin = line.and_then(|line| line.split("admin=").nth(1));
            let admin = admin.and_then(|text| text.split_whitespace().next()?.parse().ok());
            async move { admin.ok_or(log) }
        });
        self.admin = admin.await;
    }
}

fn spawn(setup: &Setup, kubeconfig: &Path, folder: &Path, admin: SocketAddr) -> Process {
    let mut command = Command::new(binary("siar-operator"));
    command
        .env("KUBECONFIG", kubeconfig)
        .env("POD_NAMESPACE", &setup.home)
        .env("POD_NAME", &setup.pod);
    let admin = [("--admin", admin.to_string())];
    setup.given.give(&mut command, &admin);
    Process::start("siar-operator", Helpers::None, command, &folder.join("log"))
}
