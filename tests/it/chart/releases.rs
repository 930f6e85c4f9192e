//! Real releases on a real API server: installed, changed, set back, taken away, side by side.
//!
//! Owns: a cluster to install into, and looking at what is there. Never: has a node, so Pods are made and do not run,
//! except in `works`, where the harness runs what is in them.

use super::*;
use tests::cluster::{ADMIN, Cluster, Setup as ClusterSetup};
use tests::wait::until;

mod definition; // the CRD: older and newer, by hand and by Helm, kept and not
mod life; // one release from its first day to its last
mod namespaced; // by who may do everything in one namespace and nothing beyond
mod neighbours; // several releases in one cluster
mod works; // what is installed serves, with the rights and flags that were installed

/// Where releases live unless a test says otherwise.
const HOME: &str = "siar";
/// The namespace of a team.
const SHOP: &str = "shop";

/// A cluster with two namespaces, home with restricted Pod Security.
struct Site {
    cluster: Cluster,
}

impl Site {
    async fn of(setup: ClusterSetup) -> Self {
        let cluster = setup.start().await;
        let site = Self { cluster };
        for name in [HOME, SHOP] {
            site.make_namespace(name).await;
        }
        site
    }

    /// Nothing is done by controllers.
    async fn new() -> Self {
        Self::of(ClusterSetup::default()).await
    }

    async fn make_namespace(&self, name: &str) {
        let labels = json!({
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/warn": "restricted",
        });
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": name, "labels": labels },
        });
        self.cluster.apply(&namespace).await;
    }

    /// Helm as the admin of the cluster.
    fn helm(&self) -> Helm {
        Helm::of(&self.cluster, ADMIN)
    }

    /// An object, if it is there: `deployment/siar-gateway`.
    async fn find(&self, namespace: &str, object: &str) -> Option<Value> {
        let arguments = [
            "get",
            object,
            "--namespace",
            namespace,
            "--output=json",
            "--ignore-not-found",
        ];
        let text = self.cluster.kubectl(&arguments).await;
        (!text.is_empty()).then(|| serde_json::from_str(&text).unwrap())
    }

    /// An object that is there.
    async fn get(&self, namespace: &str, object: &str) -> Value {
        let found = self.find(namespace, object).await;
        found.unwrap_or_else(|| panic!("{object} is not in {namespace}"))
    }

    /// The names of objects, each as `kind/name`.
    async fn names(&self, namespace: &str, kinds: &str) -> Vec<String> {
        let arguments = ["get", kinds, "--namespace", namespace, "--output=name"];
        let text = self.cluster.kubectl(&arguments).await;
        text.lines().map(str::to_owned).collect()
    }

    /// Declares a Channel of the team.
    async fn declare(&self, name: &str) {
        let channel = tests::manifest::Channel::open(name).namespace(SHOP);
        until("the kind Channel to be served", || {
            self.cluster.kubectl_as(ADMIN, &["get", "channels"], "")
        })
        .await;
        self.cluster.apply(&channel.manifest()).await;
    }
}

/// A value of the first container of a Deployment.
fn flag(deployment: &Value, name: &str) -> Option<String> {
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    super::told::flag(container, name)
}

/// A refusal has all these words; the answer is what was said.
#[track_caller]
fn refused(outcome: Result<tests::helm::Told, String>, words: &[&str]) -> String {
    let said = outcome.map(|told| told.output).unwrap_err();
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    said
}
