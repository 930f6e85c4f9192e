//! A real API server would take every object of every variant: it knows the fields, has nothing to warn of, and lets the
//! Pods into a namespace of restricted Pod Security.
//!
//! Owns: the definitions of others' kinds, which `tests/run` fetches. Never: keeps an object: each apply is a dry run.

use super::*;
use std::collections::BTreeSet;
use tests::cluster::{ADMIN, Cluster, Setup};
use tests::process::cache;

const HOME: &str = "siar";

/// A cluster with all kinds that the chart can make, and addresses of both families. The accounts and priorities that Pods
/// name are not there.
async fn cluster() -> Cluster {
    let setup = Setup::default()
        .flag("disable-admission-plugins", "ServiceAccount,Priority")
        .flag("service-cluster-ip-range", "10.96.0.0/16,fd00:10:96::/112");
    let cluster = setup.start().await;
    cluster.install_crd().await;
    let fetched = cache().join("crds");
    let fetched = std::fs::read_dir(&fetched)
        .unwrap_or_else(|_| panic!("{} is missing; tests/run fetches it", fetched.display()));
    let fetched = fetched.map(|entry| entry.unwrap().path());
    let own = chart().join("../../tests/fixtures/backendconfigs.cloud.google.com.yaml");
    for path in fetched.chain([own]) {
        if path.extension().is_some_and(|end| end == "yaml") {
            let yaml = std::fs::read_to_string(path).unwrap();
            cluster.apply_yaml(&yaml).await;
        }
    }
    let established = ["wait", "--for=condition=Established", "crd", "--all"];
    cluster.kubectl(&established).await;
    cluster
}

/// Makes the namespaces that the objects are in, home restricted.
async fn namespaces(cluster: &Cluster, variants: &[Variant]) {
    let objects = variants.iter().flat_map(|variant| &variant.objects);
    let names = objects.filter_map(|object| object["metadata"]["namespace"].as_str());
    for name in names.chain([HOME]).collect::<BTreeSet<_>>() {
        if name == "default" {
            continue;
        }
        let labels = ["enforce", "warn"].map(|mode| {
            (
                format!("pod-security.kubernetes.io/{mode}"),
                json!("restricted"),
            )
        });
        let labels: serde_json::Map<_, _> = labels.into_iter().collect();
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": name, "labels": labels },
        });
        cluster.apply(&namespace).await;
    }
}

/// A Pod of a template, with the volumes that a StatefulSet would claim.
fn pod(owner: &Value, template: &Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "try", "labels": template["metadata"]["labels"] },
        "spec": template["spec"],
    });
    let claims = list(&owner["spec"]["volumeClaimTemplates"]).iter();
    let claims = claims.map(|claim| json!({ "name": claim["metadata"]["name"], "emptyDir": {} }));
    let volumes = list(&template["spec"]["volumes"]).iter().cloned();
    let volumes: Vec<_> = volumes.chain(claims).collect();
    if !volumes.is_empty() {
        pod["spec"]["volumes"] = json!(volumes);
    }
    pod
}

/// What is wrong with the Pods of a variant.
async fn pods(cluster: &Cluster, variant: &Variant) -> Vec<String> {
    let mut faults = Vec::new();
    for (title, template) in variant.pods() {
        let owner = variant
            .objects
            .iter()
            .find(|object| self::title(object) == title)
            .unwrap();
        let path = format!("/api/v1/namespaces/{HOME}/pods?dryRun=All&fieldValidation=Strict");
        let answer = cluster.create(&path, &pod(owner, template)).await;
        if answer.status != 201 || answer.header("warning").is_some() {
            let name = &variant.name;
            faults.push(format!(
                "{name}: a Pod of {title}: {:?}: {}",
                answer.header("warning"),
                answer.text()
            ));
        }
    }
    faults
}

#[tokio::test]
async fn every_object_of_every_variant_is_taken_without_a_warning() {
    let variants = variants().await;
    let cluster = cluster().await;
    namespaces(&cluster, variants).await;
    let apply = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--validate=strict",
        "--warnings-as-errors",
        "--filename=-",
    ];
    let mut faults = Vec::new();
    for variant in variants {
        let name = &variant.name;
        match cluster.kubectl_as(ADMIN, &apply, &variant.text).await {
            Ok(told) => assert_eq!(
                told.lines().count(),
                variant.objects.len(),
                "{name}: {told}"
            ),
            Err(error) => faults.push(format!("{name}: {error}")),
        }
        faults.extend(pods(&cluster, variant).await);
    }
    none(&faults);
    let kinds: BTreeSet<_> = variants
        .iter()
        .flat_map(|variant| &variant.objects)
        .map(kind)
        .collect();
    for kind in [
        "BackendConfig",
        "BackendTrafficPolicy",
        "Channel",
        "HTTPRoute",
        "HorizontalPodAutoscaler",
        "Ingress",
        "PodDisruptionBudget",
        "PodMonitor",
        "PrometheusRule",
        "ScaledObject",
        "ServiceMonitor",
        "StatefulSet",
    ] {
        assert!(kinds.contains(kind), "no variant has a {kind}: {kinds:?}");
    }
}

#[tokio::test]
async fn a_pod_that_is_not_restricted_and_a_field_that_is_not_there_are_noticed() {
    let cluster = cluster().await;
    let variant = rendered(&Options::default()).await;
    namespaces(&cluster, std::slice::from_ref(&variant)).await;
    assert_eq!(pods(&cluster, &variant).await, Vec::<String>::new());
    let (title, template) = variant.pods().remove(0);
    let mut loose = pod(&Value::Null, template);
    loose["spec"]["hostNetwork"] = json!(true);
    let path = format!("/api/v1/namespaces/{HOME}/pods?dryRun=All");
    let refused = cluster.create(&path, &loose).await.expect(403);
    assert!(
        refused.text().contains("PodSecurity"),
        "{title}: {}",
        refused.text()
    );
    let monitor = json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor",
        "metadata": { "name": "try" },
        "spec": { "selector": {}, "endpoints": [{ "prot": "admin" }] },
    });
    let apply = [
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "--filename=-",
    ];
    let refused = cluster
        .kubectl_as(ADMIN, &apply, &monitor.to_string())
        .await;
    assert!(refused.unwrap_err().contains("prot"));
}
