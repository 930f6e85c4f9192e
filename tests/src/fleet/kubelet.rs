//! What a kubelet does with the Pods of a fleet: starts their processes, probes them, tells them to end, and lets a
//! Pod go when its process has.
//!
//! Owns: the processes, `status` of the Pods. Never: makes a Pod or asks for its end (`replicas`, or the controllers).
//! Used by: `fleet`.

use super::process::{free_address, spawn};
use super::{Pod, Ports, Setup, objects, replicas};
use crate::cluster::Api;
use crate::http::{Answer, Ask};
use crate::process::Process;
use parking_lot::Mutex;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How often Pods are looked at.
const PERIOD: Duration = Duration::from_millis(100);
/// How long an answer may take: of the API, which a test may stop, and to a probe.
const ANSWER: Duration = Duration::from_secs(2);

/// The process of a Pod.
pub struct Running {
    pub process: Process,
    address: Ipv4Addr,
    ports: Ports,
    ready: bool,
    /// When it was told to end, and when it has to have.
    ends: Option<Instant>,
}

/// What runs the Pods of one fleet.
pub struct Kubelet {
    setup: Setup,
    api: Api,
    kubeconfig: PathBuf,
    folder: TempDir,
    running: Arc<Mutex<BTreeMap<String, Running>>>,
    /// Held while it works.
    works: tokio::sync::Mutex<bool>,
}

impl Running {
    /// The Pod as a test sees it.
    pub fn seen(&self, name: &str) -> Pod {
        Pod {
            name: name.into(),
            public: SocketAddr::from((self.address, self.ports.http)),
            admin: SocketAddr::from((self.address, self.ports.admin)),
            ready: self.ready,
            terminating: self.ends.is_some(),
        }
    }
}

impl Kubelet {
    pub fn new(
        setup: Setup,
        api: Api,
        kubeconfig: PathBuf,
        folder: TempDir,
        running: Arc<Mutex<BTreeMap<String, Running>>>,
    ) -> Self {
        Self {
            setup,
            api,
            kubeconfig,
            folder,
            running,
            works: true.into(),
        }
    }

    /// Whether it goes on; what it has begun it ends first.
    pub async fn works(&self, works: bool) {
        *self.works.lock().await = works;
    }

    /// Works until its task is aborted.
    pub async fn run(self: Arc<Self>, controlled: bool) {
        loop {
            let works = self.works.lock().await;
            if *works {
                if !controlled {
                    replicas::step(&self.setup, &self.api).await;
                }
                self.step().await;
            }
            drop(works);
            tokio::time::sleep(PERIOD).await;
        }
    }

    async fn step(&self) {
        let selector = format!("{}%3D{}", objects::LABEL, self.setup.name);
        let path = format!(
            "{}?labelSelector={selector}",
            objects::pods_path(&self.setup)
        );
        // An API server that a test has stopped is asked again.
        let Some(list) = ask(self.api.get(&path))
            .await
            .filter(|answer| answer.status == 200)
        else {
            return;
        };
        let list = list.json();
        let pods = list["items"].as_array().map_or(&[][..], Vec::as_slice);
        let known = |name: &str| pods.iter().any(|pod| pod["metadata"]["name"] == *name);
        self.running.lock().retain(|name, _| known(name));
        for pod in pods {
            self.look_after(pod).await;
        }
    }

    async fn look_after(&self, pod: &Value) {
        let name = pod["metadata"]["name"].as_str().expect("a Pod has a name");
        let deleted = pod["metadata"]["deletionTimestamp"].is_string();
        if self.is_new(name, deleted) {
            let started = self.started(name);
            self.report(name, &started).await;
        }
        if deleted && self.has_ended(name, pod) {
            let path = format!("{}/{name}", objects::pods_path(&self.setup));
            let uid = &pod["metadata"]["uid"];
            let options = json!({ "gracePeriodSeconds": 0, "preconditions": { "uid": uid } });
            ask(self.api.delete(&path, &options)).await;
            self.running.lock().remove(name);
            return;
        }
        let Some(seen) = self
            .running
            .lock()
            .get(name)
            .map(|running| running.seen(name))
        else {
            return;
        };
        let ready = ask(Ask::get(seen.admin, "/readyz")).await;
        let ready = ready.is_some_and(|answer| answer.status == 200);
        let told = ready != seen.ready && self.report(name, &condition(ready)).await;
        if let Some(running) = self.running.lock().get_mut(name).filter(|_| told) {
            running.ready = ready;
        }
    }

    fn is_new(&self, name: &str, deleted: bool) -> bool {
        let mut running = self.running.lock();
        match running.get_mut(name) {
            None => true,
            // Killed by somebody: started again, as a container is. What ended by itself had a reason to look at.
            Some(killed) => {
                let signal = killed.process.ended().and_then(|status| status.signal());
                if signal.is_some() && !deleted {
                    let address = killed.address;
                    killed.process = self.spawn(name, address);
                }
                false
            }
        }
    }

    fn spawn(&self, name: &str, address: Ipv4Addr) -> Process {
        spawn(
            &self.setup,
            name,
            address,
            &self.kubeconfig,
            self.folder.path(),
        )
    }

    /// Starts the process of a new Pod; the answer is its first status.
    fn started(&self, name: &str) -> Value {
        let address = free_address(self.setup.ports);
        let running = Running {
            process: self.spawn(name, address),
            address,
            ports: self.setup.ports,
            ready: false,
            ends: None,
        };
        self.running.lock().insert(name.into(), running);
        let mut status = condition(false);
        status["phase"] = json!("Running");
        status["podIP"] = json!(address);
        status["podIPs"] = json!([{ "ip": address }]);
        status
    }

    /// Tells the process of a deleted Pod to end, once, and kills it when its time is over.
    fn has_ended(&self, name: &str, pod: &Value) -> bool {
        let mut running = self.running.lock();
        let Some(running) = running.get_mut(name) else {
            return true;
        };
        if running.process.ended().is_some() {
            return true;
        }
        let now = Instant::now();
        match running.ends {
            None => {
                let grace = pod["metadata"]["deletionGracePeriodSeconds"]
                    .as_u64()
                    .unwrap_or(0);
                running.process.signal(Signal::TERM);
                running.ends = Some(now + Duration::from_secs(grace));
            }
            Some(end) if now >= end => running.process.kill9(),
            Some(_) => {}
        }
        false
    }

    /// Whether the API took it.
    async fn report(&self, name: &str, status: &Value) -> bool {
        let path = format!("{}/{name}/status", objects::pods_path(&self.setup));
        let answer = ask(self.api.merge(&path, &json!({ "status": status }))).await;
        answer.is_some_and(|answer| answer.status == 200)
    }
}

fn condition(ready: bool) -> Value {
    let status = if ready { "True" } else { "False" };
    json!({ "conditions": [{ "type": "Ready", "status": status }] })
}

/// The answer, if there is one in time.
pub async fn ask(ask: Ask) -> Option<Answer> {
    let answer = tokio::time::timeout(ANSWER, ask.try_send()).await;
    answer.ok().and_then(Result::ok)
}
