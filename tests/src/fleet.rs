//! A fleet of gateways on a cluster without nodes: what Helm would render, and Pods whose processes run here.
//!
//! Owns: the Deployment with its annotations, the Node, and by `kubelet` and `replicas` what happens to its Pods.
//! Never: writes what an operator writes: the Secret, statuses of Channels, the size once it is told. Used by: tests
//! of the operator, and of gateways in a cluster.

use crate::cluster::{ADMIN, Api, Cluster, Via};
use crate::given::Given;
use crate::http::{Ask, query};
use crate::listen::Listen;
use crate::metrics::Metrics;
use crate::process::{folder, free_port};
use crate::roles;
use crate::wait::until_time;
use kubelet::{Kubelet, Running};
use parking_lot::Mutex;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

mod kubelet;
mod objects;
mod process;
mod replicas;

/// The namespace of the operator and its fleets.
pub const HOME: &str = "siar";
/// How long a fleet may take to be as it was told on a slow, busy machine.
const SETTLE: Duration = Duration::from_secs(60);

/// How a fleet is made.
#[derive(Clone)]
pub struct Setup {
    name: String,
    home: String,
    annotations: BTreeMap<String, String>,
    replicas: Option<u32>,
    grace: u32,
    ports: Ports,
    via: Option<Via>,
    installed: Option<PathBuf>,
    given: Given,
}

/// The ports of every Pod, each on its own address. They stand in the template, so they are chosen before there is a
/// Pod; they are not those of the chart, so nobody gets by without the names `http` and `admin`.
#[derive(Clone, Copy)]
struct Ports {
    http: u16,
    admin: u16,
}

/// A fleet and its Pods; all processes end with it.
pub struct Fleet {
    setup: Setup,
    api: Api,
    running: Arc<Mutex<BTreeMap<String, Running>>>,
    kubelet: Arc<Kubelet>,
    task: JoinHandle<()>,
}

/// A Pod of a fleet as it was a moment ago.
#[derive(Clone, Debug)]
pub struct Pod {
    pub name: String,
    pub public: SocketAddr,
    pub admin: SocketAddr,
    pub ready: bool,
    pub terminating: bool,
}

impl Setup {
    /// One Pod in memory, in the namespace `siar`, whose size is nobody's business.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let facts = [
            ("default-namespace", HOME),
            ("broker", "memory"),
            ("reviews", "true"),
            ("scaling", "none"),
            ("min-replicas", "2"),
            ("max-replicas", "20"),
        ];
        let setup = Self {
            name: name.into(),
            home: HOME.into(),
            annotations: BTreeMap::new(),
            replicas: None,
            grace: 30,
            ports: Ports {
                http: free_port(),
                admin: free_port(),
            },
            via: None,
            installed: None,
            given: Given::default(),
        };
        let fact = |setup: Self, (name, value): (&str, &str)| setup.fact(name, value);
        facts.into_iter().fold(setup, fact)
    }

    /// Lives in another namespace.
    #[must_use]
    pub fn home(mut self, namespace: &str) -> Self {
        self.home = namespace.into();
        self
    }

    /// Sets the annotation `siar.dev/NAME` of the Deployment.
    #[must_use]
    pub fn fact(mut self, name: &str, value: &str) -> Self {
        let name = format!("siar.dev/{name}");
        self.annotations.insert(name, value.into());
        self
    }

    /// URLs and manifests that name no namespace mean this one.
    #[must_use]
    pub fn default_namespace(self, namespace: &str) -> Self {
        self.fact("default-namespace", namespace)
            .flag("--default-namespace", namespace)
    }

    /// Uses that Redis as its own.
    #[must_use]
    pub fn redis(self, url: &str) -> Self {
        self.fact("broker", "redis").flag("--redis", url)
    }

    /// Leaves its size to the operator, within these bounds.
    #[must_use]
    pub fn scaling(self, min: u32, max: u32) -> Self {
        self.fact("scaling", "operator")
            .fact("min-replicas", &min.to_string())
            .fact("max-replicas", &max.to_string())
    }

    /// Begins with so many Pods; the Deployment says nothing otherwise, which means 1. An operator that scales such a
    /// fleet is told of a conflict.
    #[must_use]
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = Some(replicas);
        self
    }

    /// A Pod has so many seconds to end.
    #[must_use]
    pub fn grace(mut self, seconds: u32) -> Self {
        self.grace = seconds;
        self
    }

    /// Its gateways reach the API server by that way.
    #[must_use]
    pub fn via(mut self, via: Via) -> Self {
        self.via = Some(via);
        self
    }

    /// Is there already, with these ports, as Helm has installed it; its gateways are who that kubeconfig says.
    #[must_use]
    pub fn installed(mut self, kubeconfig: PathBuf, http: u16, admin: u16) -> Self {
        self.installed = Some(kubeconfig);
        self.ports = Ports { http, admin };
        self
    }

    /// Adds a flag of each gateway; it wins over the harness's own. With `--channels` they read manifests instead of
    /// the Secret.
    #[must_use]
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.given.flag(name, value);
        self
    }

    /// Sets a variable of the environment of each gateway.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.given.env(name, value);
        self
    }

    /// Makes the Deployment and runs its Pods from then on; they may not be ready before an operator is there.
    pub async fn start(self, cluster: &Cluster) -> Fleet {
        let kubeconfig = match &self.installed {
            Some(kubeconfig) => kubeconfig.clone(),
            None => self.install(cluster).await,
        };
        let running = Arc::default();
        let api = cluster.api(ADMIN);
        let kubelet = Arc::new(Kubelet::new(
            self.clone(),
            api.clone(),
            kubeconfig,
            folder(),
            Arc::clone(&running),
        ));
        let controlled = cluster.has_controllers();
        Fleet {
            setup: self,
            api,
            running,
            task: tokio::spawn(Arc::clone(&kubelet).run(controlled)),
            kubelet,
        }
    }

    /// Does what Helm would; the answer is the kubeconfig of its gateways.
    async fn install(&self, cluster: &Cluster) -> PathBuf {
        let identity = roles::gateway(cluster, &self.home, &self.name).await;
        cluster.apply(&objects::node()).await;
        cluster.apply(&objects::deployment(self)).await;
        match &self.via {
            Some(via) => cluster.kubeconfig_via(&identity, via),
            None => cluster.kubeconfig(&identity),
        }
    }
}

impl Fleet {
    /// The Pods that have a process, by name.
    #[must_use]
    pub fn pods(&self) -> Vec<Pod> {
        let running = self.running.lock();
        running.iter().map(|(name, pod)| pod.seen(name)).collect()
    }

    /// Waits until there are exactly so many Pods, all of them ready, and the Deployment says so, too.
    pub async fn until_ready(&self, pods: usize) -> Vec<Pod> {
        let what = format!("{pods} ready pods of the fleet {}", self.setup.name);
        until_time(SETTLE, what, || async {
            let seen = self.pods();
            let right = |pod: &Pod| pod.ready && !pod.terminating;
            let deployment = self.deployment().await;
            let told = deployment["status"]["readyReplicas"].as_u64().unwrap_or(0);
            if seen.len() == pods && seen.iter().all(right) && told == pods as u64 {
                Ok(seen)
            } else {
                let logs = self.logs();
                Err(format!(
                    "there are {seen:?}, the Deployment says {told}\n{logs}"
                ))
            }
        })
        .await
    }

    /// The Deployment now.
    pub async fn deployment(&self) -> Value {
        let path = objects::deployment_path(&self.setup);
        self.api.get(&path).send().await.expect(200).json()
    }

    /// The Secret that an operator publishes for it.
    pub async fn secret(&self) -> Option<Value> {
        let Setup { home, name, .. } = &self.setup;
        let path = format!("/api/v1/namespaces/{home}/secrets/siar-{name}");
        let answer = self.api.get(&path).send().await;
        (answer.status != 404).then(|| answer.expect(200).json())
    }

    /// Sets its size as `kubectl scale` does.
    pub async fn scale(&self, replicas: u32) {
        let path = format!("{}/scale", objects::deployment_path(&self.setup));
        let change = json!({ "spec": { "replicas": replicas } });
        let _ = self.api.merge(&path, &change).send().await.expect(200);
    }

    /// Sets the annotation `siar.dev/NAME` of the Deployment.
    pub async fn fact(&self, name: &str, value: &str) {
        let change =
            json!({ "metadata": { "annotations": { format!("siar.dev/{name}"): value } } });
        let path = objects::deployment_path(&self.setup);
        let _ = self.api.merge(&path, &change).send().await.expect(200);
    }

    /// Deletes the Deployment, as an uninstall does.
    pub async fn uninstall(&self) {
        let path = objects::deployment_path(&self.setup);
        let options = json!({ "propagationPolicy": "Background" });
        let _ = self.api.delete(&path, &options).send().await.expect(200);
    }

    /// Deletes a Pod as `kubectl delete` does: it is told to end, and goes when it has.
    pub async fn delete(&self, pod: &str) {
        let path = format!("/api/v1/namespaces/{}/pods/{pod}", self.setup.home);
        let _ = self.api.delete(&path, &json!({})).send().await.expect(200);
    }

    /// Ends the process of a Pod as a lack of memory would; the kubelet starts it again.
    pub fn kill9(&self, pod: &str) {
        self.with(pod, |running| running.process.kill9());
    }

    /// Stops a process without an end. Where probes go on, the Pod is not ready soon.
    pub fn freeze(&self, pod: &str) {
        self.with(pod, |running| running.process.signal(Signal::STOP));
    }

    /// Goes on after [`Fleet::freeze`].
    pub fn thaw(&self, pod: &str) {
        self.with(pod, |running| running.process.signal(Signal::CONT));
    }

    /// Whether the kubelet does anything: while it does not, a Pod stays ready that does not answer.
    pub async fn kubelet(&self, works: bool) {
        self.kubelet.works(works).await;
    }

    /// What the process of a Pod printed, also before it was started again.
    #[must_use]
    pub fn log(&self, pod: &str) -> String {
        self.with(pod, |running| running.process.log())
    }

    /// The ends of all logs.
    fn logs(&self) -> String {
        let running = self.running.lock();
        let tail = |log: String| log.lines().rev().take(5).collect::<Vec<_>>().join("\n");
        let one = |(name, pod): (&String, &Running)| format!("{name}: {}", tail(pod.process.log()));
        running.iter().map(one).collect::<Vec<_>>().join("\n")
    }

    fn with<T>(&self, pod: &str, act: impl FnOnce(&mut Running) -> T) -> T {
        let mut running = self.running.lock();
        let found = running.get_mut(pod);
        act(found.unwrap_or_else(|| panic!("the fleet runs no pod {pod}")))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.task.abort();
        self.running.lock().clear();
    }
}

impl Pod {
    /// A stream on one topic, in the making.
    #[must_use]
    pub fn listen(&self, topic: &str) -> Listen {
        Listen::at(self.public).channel(topic)
    }

    /// Publishes data to a topic that anybody may publish to.
    pub async fn publish(&self, topic: &str, data: impl AsRef<[u8]>) {
        let path = format!("/publish{}", query(&[("channel", topic)]));
        let ask = Ask::post(self.public, &path, data.as_ref());
        let ask = ask.header("Content-Type", "text/plain; charset=utf-8");
        let _ = ask.send().await.expect(200);
    }

    /// Its metrics now.
    pub async fn metrics(&self) -> Metrics {
        Metrics::of(self.admin).await
    }

    /// Its `/status` now.
    pub async fn status(&self) -> Value {
        let ask = Ask::get(self.admin, "/status");
        ask.send().await.expect(200).json()
    }
}
