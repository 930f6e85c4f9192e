//! The objects of a fleet as the chart renders them, as far as an operator looks.
//!
//! Owns: names, labels, annotations, ports. Never: sends them. Used by: `fleet`.

use super::Setup;
use crate::roles::{FULLNAME, account};
use serde_json::{Value, json};

/// The Node that all Pods are on: a Pod without one is gone as soon as it is deleted.
pub const NODE: &str = "node-1";
/// Says which fleet a Deployment or a Pod belongs to.
pub const LABEL: &str = "siar.dev/gateway";

pub fn node() -> Value {
    json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": NODE } })
}

pub fn deployment(setup: &Setup) -> Value {
    let labels = json!({ LABEL: setup.name });
    let mut deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": deployment_name(setup),
            "namespace": setup.home,
            "labels": labels,
            "annotations": setup.annotations,
        },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": {
                "nodeName": NODE,
                "serviceAccountName": account(&setup.name),
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": setup.grace,
                "containers": [{
                    "name": "gateway",
                    "image": "siar-gateway",
                    "ports": [
                        { "name": "http", "containerPort": setup.ports.http },
                        { "name": "admin", "containerPort": setup.ports.admin },
                    ],
                    "readinessProbe": { "httpGet": { "path": "/readyz", "port": "admin" } },
                }],
            } },
        },
    });
    if let Some(replicas) = setup.replicas {
        deployment["spec"]["replicas"] = json!(replicas);
    }
    deployment
}

/// A Pod of a Deployment, as its ReplicaSet would make it.
pub fn pod(deployment: &Value, name: &str) -> Value {
    let template = &deployment["spec"]["template"];
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": template["metadata"]["labels"],
            "ownerReferences": [{
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": deployment["metadata"]["name"],
                "uid": deployment["metadata"]["uid"],
                "controller": true,
            }],
        },
        "spec": template["spec"],
    })
}

/// The name of the Deployment, and what the names of its Pods begin with.
pub fn deployment_name(setup: &Setup) -> String {
    match &*setup.name {
        "default" => format!("{FULLNAME}-gateway"),
        other => format!("{FULLNAME}-{other}-gateway"),
    }
}

pub fn deployment_path(setup: &Setup) -> String {
    let (home, name) = (&setup.home, deployment_name(setup));
    format!("/apis/apps/v1/namespaces/{home}/deployments/{name}")
}

pub fn pods_path(setup: &Setup) -> String {
    format!("/api/v1/namespaces/{}/pods", setup.home)
}
