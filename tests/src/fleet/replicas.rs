//! What the controllers of Deployments and ReplicaSets do, where a cluster has none: so many Pods as are asked for,
//! and a status that says so.
//!
//! Owns: making Pods and asking for their end, `status` of the Deployment. Never: rolls out a changed template.
//! Used by: `kubelet`.

use super::Setup;
use super::kubelet::ask;
use super::objects;
use crate::cluster::Api;
use serde_json::{Value, json};

/// What a Pod costs that says nothing of it.
const COST: &str = "controller.kubernetes.io/pod-deletion-cost";

pub async fn step(setup: &Setup, api: &Api) {
    let path = objects::deployment_path(setup);
    let selector = format!("{}%3D{}", objects::LABEL, setup.name);
    let pods = format!("{}?labelSelector={selector}", objects::pods_path(setup));
    let (Some(deployment), Some(pods)) = (ask(api.get(&path)).await, ask(api.get(&pods)).await)
    else {
        return;
    };
    if pods.status != 200 || ![200, 404].contains(&deployment.status) {
        return;
    }
    let (pods, there) = (pods.json(), deployment.status == 200);
    let pods = pods["items"].as_array().map_or(&[][..], Vec::as_slice);
    let kept: Vec<&Value> = pods
        .iter()
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
        .collect();
    if !there {
        remove(setup, api, &kept).await;
        return;
    }
    let deployment = deployment.json();
    let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(1) as usize;
    for _ in kept.len()..wanted {
        make(setup, api, &deployment).await;
    }
    if kept.len() > wanted {
        let mut order = kept.clone();
        order.sort_by_key(|pod| (is_ready(pod), cost(pod)));
        remove(setup, api, &order[..kept.len() - wanted]).await;
    }
    let status = status(&deployment, &kept);
    let same = |(name, value): (&String, &Value)| deployment["status"][name] == *value;
    if !status
        .as_object()
        .is_some_and(|status| status.iter().all(same))
    {
        ask(api.merge(&format!("{path}/status"), &json!({ "status": status }))).await;
    }
}

async fn make(setup: &Setup, api: &Api, deployment: &Value) {
    let name = format!(
        "{}-{:08x}",
        objects::deployment_name(setup),
        rand::random::<u32>()
    );
    let pod = objects::pod(deployment, &name);
    ask(api.create(&objects::pods_path(setup), &pod)).await;
}

async fn remove(setup: &Setup, api: &Api, pods: &[&Value]) {
    for pod in pods {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let path = format!("{}/{name}", objects::pods_path(setup));
        ask(api.delete(&path, &json!({}))).await;
    }
}

fn status(deployment: &Value, pods: &[&Value]) -> Value {
    let ready = pods.iter().filter(|pod| is_ready(pod)).count();
    json!({
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": pods.len(),
        "updatedReplicas": pods.len(),
        "readyReplicas": ready,
        "availableReplicas": ready,
    })
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// The cheapest goes first.
fn cost(pod: &Value) -> i64 {
    let cost = pod["metadata"]["annotations"][COST].as_str();
    cost.and_then(|text| text.parse().ok()).unwrap_or(0)
}
