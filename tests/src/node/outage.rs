//! The API server goes away and comes back.
//!
//! Owns: that an outage is over for everybody when it is said to be over. Used by: tests on the node.

use super::{HOME, Node, START};
use crate::wait::until_time;
use serde_json::json;
use std::process::Output;
use std::time::Duration;

/// How long Services may take to follow Pods again; 28 to 53 s were seen after an outage of 30 s. Whoever lost the API
/// server asks for each kind of object by itself and less and less often, at last every 30 to 60 s (reflector.go in
/// client-go), and what one learns then another waits for.
const FOLLOW: Duration = Duration::from_secs(180);
/// The Service of which is asked whether it follows, and the label by which a Pod belongs to it.
const CANARY: &str = "canary";

impl Node {
    /// Kills the API server, as a power cut would.
    pub async fn kill_api_server(&self) {
        self.component("kill", "kube-apiserver").await;
    }

    /// Starts it again, and waits until it answers and Services follow Pods again: before that they lead to Pods that
    /// have gone in the meantime.
    pub async fn start_api_server(&self) {
        self.component("start", "kube-apiserver").await;
        until_time(START, "the API server to answer", || async {
            let output = self.ask_api_server().await;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            output.status.success().then_some(()).ok_or(said)
        })
        .await;
        self.services_follow().await;
    }

    /// What `kubectl` says when it is asked whether the API server is ready.
    pub async fn ask_api_server(&self) -> Output {
        self.try_run(&["kubectl", "get", "--raw", "/readyz"], "")
            .await
    }

    /// Waits until a Pod that comes to a Service is reached through it, and one that leaves no more: then controllers
    /// and kube-proxy know of everything again that this takes.
    async fn services_follow(&self) {
        let pods = self.pods("redis").await;
        let pod = format!("pod/{}", pods[0]["metadata"]["name"].as_str().unwrap());
        self.apply(&json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": CANARY, "namespace": HOME},
            "spec": {"selector": {CANARY: "yes"}, "ports": [{"port": 6379}]},
        }))
        .await;
        self.in_home(&["label", &pod, &format!("{CANARY}=yes")])
            .await;
        self.until_reached(true).await;
        self.in_home(&["label", &pod, &format!("{CANARY}-")]).await;
        self.until_reached(false).await;
        self.in_home(&["delete", "service", CANARY]).await;
    }

    async fn until_reached(&self, wanted: bool) {
        let service = format!("service/{CANARY}");
        let address = "jsonpath={.spec.clusterIP}";
        let address = self.in_home(&["get", &service, "--output", address]).await;
        let connect = format!("</dev/tcp/{address}/6379");
        let what = format!(
            "the Service to {} its Pod",
            if wanted { "find" } else { "lose" }
        );
        until_time(FOLLOW, what, || async {
            let connect = ["timeout", "1", "bash", "-c", &connect];
            let output = self.try_run(&connect, "").await;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            (output.status.success() == wanted)
                .then_some(())
                .ok_or(said)
        })
        .await;
    }
}
