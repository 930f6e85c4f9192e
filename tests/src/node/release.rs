//! The chart, installed on the node.
//!
//! Owns: the release that the tests share, its values, where it is reached. Never: renders by itself: Helm does.
//! Used by: tests on the node.

use super::{Crowd, Node};
use crate::wait::until_time;
use serde_json::{Value, json};
use std::time::Duration;

/// The namespace of the release.
pub const HOME: &str = "siar";
/// How long Pods may take to be replaced and Channels to be served.
const SETTLE: Duration = Duration::from_secs(120);

/// What is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    values: Vec<String>,
}

impl Node {
    /// The chart without any value, as a first user installs it. What a test before left is replaced.
    pub async fn installed(&mut self) {
        self.installed_with(&[]).await;
    }

    /// The chart with these values, each as `name=value`. The first release of all is an install without any.
    pub async fn installed_with(&mut self, values: &[&str]) {
        if self.release.is_none() {
            let install = [
                "install",
                "siar",
                "charts/siar",
                "--create-namespace",
                "--wait",
            ];
            self.helm(&install).await;
            self.release = Some(Release { values: Vec::new() });
        }
        let mut upgrade = vec!["upgrade", "siar", "charts/siar", "--reset-values", "--wait"];
        for value in values {
            upgrade.extend(["--set", value]);
        }
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        let wanted = Release { values };
        if self.release.as_ref() != Some(&wanted) {
            self.helm(&upgrade).await;
            self.release = Some(wanted);
        }
        self.settled().await;
    }

    /// Brings back what a test took away of the release.
    pub async fn mend(&mut self) {
        self.helm(&["upgrade", "siar", "charts/siar", "--reuse-values", "--wait"])
            .await;
        self.settled().await;
    }

    /// `helm` in the namespace of the release.
    pub async fn helm(&self, arguments: &[&str]) -> String {
        let further = ["--namespace", HOME, "--timeout", "3m"];
        self.run(&[&["helm"], arguments, &further].concat(), "")
            .await
    }

    /// What `kubectl` prints for the namespace of the release.
    pub async fn in_home(&self, arguments: &[&str]) -> String {
        self.kubectl(&[&["--namespace", HOME], arguments].concat())
            .await
    }

    /// The Pods of a component of the release, those that end left out.
    pub async fn pods(&self, component: &str) -> Vec<Value> {
        let selector = format!("--selector=app.kubernetes.io/component={component}");
        let mut list = self.get(&["pods", "--namespace", HOME, &selector]).await;
        let Value::Array(mut pods) = list["items"].take() else {
            panic!("no list: {list}");
        };
        pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        pods
    }

    /// Waits until `check` is content with the Pods of a component.
    pub async fn until_pods(
        &self,
        component: &str,
        what: &str,
        check: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        let seen = |pod: &Value| {
            json!([
                pod["metadata"]["name"],
                pod["status"]["phase"],
                is_ready(pod)
            ])
        };
        until_time(SETTLE, what, || async {
            let pods = self.pods(component).await;
            if check(&pods) {
                Ok(pods)
            } else {
                Err(format!("{:?}", pods.iter().map(seen).collect::<Vec<_>>()))
            }
        })
        .await
    }

    /// Waits until these Pods are gone, their streams closed.
    pub async fn until_gone(&self, pods: &[Value]) {
        for pod in pods {
            let name = pod["metadata"]["name"].as_str().expect("it has one");
            let pod = format!("pod/{name}");
            self.in_home(&["wait", "--for=delete", "--timeout=90s", &pod])
                .await;
        }
    }

    /// Waits until every Pod is ready, and there are as many as there should be at least.
    pub async fn settled(&self) {
        for (component, least) in [("redis", 1), ("operator", 2), ("gateway", 2)] {
            let what = format!("every {component} to be ready");
            let ready = move |pods: &[Value]| pods.len() >= least && pods.iter().all(is_ready);
            self.until_pods(component, &what, ready).await;
        }
    }

    /// Applies a Channel and waits until every gateway serves it.
    pub async fn serve(&self, channel: &crate::manifest::Channel) {
        let manifest = channel.clone().namespace(HOME).manifest();
        self.apply(&manifest).await;
        let path = format!("channel/{}", channel.name());
        let generation = self.get(&[&path, "--namespace", HOME]).await;
        let generation = &generation["metadata"]["generation"];
        let observed = format!("--for=jsonpath={{.status.observedGeneration}}={generation}");
        self.in_home(&["wait", &observed, "--timeout=60s", &path])
            .await;
        self.in_home(&["wait", "--for=condition=Ready", "--timeout=60s", &path])
            .await;
    }

    /// The port of the node that leads to the public Service.
    pub async fn node_port(&self) -> u64 {
        let service = self
            .get(&["service/siar-gateway", "--namespace", HOME])
            .await;
        let port = service["spec"]["ports"][0]["nodePort"].as_u64();
        port.expect("it has one, when it is of that type")
    }

    /// Where the public Service is: its own address and port.
    pub async fn service(&self) -> String {
        let service = self
            .get(&["service/siar-gateway", "--namespace", HOME])
            .await;
        let address = service["spec"]["clusterIP"].as_str();
        let port = &service["spec"]["ports"][0]["port"];
        format!("{}:{port}", address.expect("it has one"))
    }

    /// Streams on a topic of the release, with a publisher.
    pub async fn crowd(&self, topic: &str, streams: usize) -> Crowd {
        Crowd::start(self, &self.service().await, HOME, topic, streams, 100).await
    }

    /// Streams on a topic of the release, on which nothing is published.
    pub async fn quiet_crowd(&self, topic: &str, streams: usize) -> Crowd {
        Crowd::start(self, &self.service().await, HOME, topic, streams, 0).await
    }

    /// Kills the first container of a Pod, as a crash would: kubelet starts it again.
    pub async fn crash(&self, pod: &Value) {
        let id = pod["status"]["containerStatuses"][0]["containerID"].as_str();
        let id = id.and_then(|id| id.strip_prefix("containerd://"));
        let id = id.expect("containerd runs it");
        self.run(&["ctr", "task", "kill", "--signal", "SIGKILL", id], "")
            .await;
    }
}

/// Whether a Pod is ready.
#[must_use]
pub fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    conditions.is_some_and(|conditions| conditions.iter().any(ready))
}
