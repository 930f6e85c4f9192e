//! kube-controller-manager with the few controllers that a test may need: what belongs to nobody is collected,
//! namespaces are emptied and go, service accounts appear, Deployments get their Pods, roles what is aggregated into them.
//!
//! Owns: its flags. Never: runs the controllers of Endpoints, which refuse loopback addresses. Used by: `cluster`.

use super::servers::{START, binary};
use super::{ADMIN, Cluster};
use crate::process::{Helpers, Process};
use crate::wait::until_time;
use std::process::Command;

const CONTROLLERS: [&str; 6] = [
    "clusterrole-aggregation-controller",
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "deployment-controller",
    "replicaset-controller",
];

/// Starts it and waits until it has done something.
pub async fn start(cluster: &Cluster) -> Process {
    let mut command = Command::new(binary("kube-controller-manager"));
    command
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig(ADMIN))
        .arg(format!("--controllers={}", CONTROLLERS.join(",")))
        // It is the only one, and nobody asks it anything.
        .args(["--leader-elect=false", "--secure-port=0"])
        // Else it waits for kubelets that are not there, and is gentle with an API that is its own.
        .args(["--kube-api-qps=500", "--kube-api-burst=1000"]);
    let log = cluster.folder.path().join("kube-controller-manager.log");
    let mut process = Process::start("kube-controller-manager", Helpers::None, command, &log);
    let api = cluster.api(ADMIN);
    until_time(START, "the controllers to work", || {
        process.must_run();
        let ask = api.get("/api/v1/namespaces/default/serviceaccounts/default");
        async move {
            match ask.try_send().await {
                Ok(answer) if answer.status == 200 => Ok(()),
                _ => Err("`default` has no service account".into()),
            }
        }
    })
    .await;
    process
}
