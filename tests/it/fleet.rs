//! The fleets of the harness are what an operator would find on a real cluster, with controllers and without.

use serde_json::{Value, json};
use tests::cluster::{Cluster, Setup as ClusterSetup};
use tests::fleet::{Fleet, Pod, Setup};
use tests::wait::until;

const PODS: &str = "/api/v1/namespaces/siar/pods";

/// A fleet of gateways that need no operator: they read an empty folder.
async fn fleet(cluster: &Cluster, folder: &tempfile::TempDir, replicas: u32) -> Fleet {
    let channels = folder.path().display().to_string();
    let setup = Setup::new("default")
        .replicas(replicas)
        .flag("--channels", &channels);
    setup
        .fact("url", "https://events.example.com")
        .start(cluster)
        .await
}

async fn object(cluster: &Cluster, pod: &Pod) -> Value {
    cluster
        .get(&format!("{PODS}/{}", pod.name))
        .await
        .expect(200)
        .json()
}

#[tokio::test]
async fn a_pod_is_where_its_gateway_listens() {
    let (cluster, folder) = (Cluster::start().await, tests::process::folder());
    let fleet = fleet(&cluster, &folder, 2).await;
    let pods = fleet.until_ready(2).await;
    assert_ne!(pods[0].public.ip(), pods[1].public.ip());
    let deployment = fleet.deployment().await;
    assert_eq!(
        deployment["metadata"]["labels"],
        json!({ "siar.dev/gateway": "default" })
    );
    let facts = &deployment["metadata"]["annotations"];
    assert_eq!(facts["siar.dev/url"], "https://events.example.com");
    assert_eq!(facts["siar.dev/default-namespace"], "siar");
    assert_eq!(facts["siar.dev/broker"], "memory");
    for pod in &pods {
        let object = object(&cluster, pod).await;
        assert_eq!(object["metadata"]["labels"]["siar.dev/gateway"], "default");
        assert_eq!(
            object["metadata"]["ownerReferences"][0]["uid"],
            deployment["metadata"]["uid"]
        );
        assert_eq!(object["spec"]["nodeName"], "node-1");
        assert_eq!(object["status"]["podIP"], pod.admin.ip().to_string());
        let ports = object["spec"]["containers"][0]["ports"].as_array().unwrap();
        let admin = ports.iter().find(|port| port["name"] == "admin").unwrap();
        assert_eq!(admin["containerPort"], pod.admin.port());
        assert_eq!(pod.status().await["broker"], "memory");
        assert!(pod.metrics().await.has("siar_config_applies_total", &[]));
    }
}

#[tokio::test]
async fn a_deleted_pod_is_seen_to_drain_before_it_goes() {
    let (cluster, folder) = (Cluster::start().await, tests::process::folder());
    let channel = tests::manifest::Channel::open("orders").namespace("siar");
    std::fs::write(
        folder.path().join("orders.yaml"),
        channel.manifest().to_string(),
    )
    .unwrap();
    let fleet = fleet(&cluster, &folder, 1).await;
    let pod = fleet.until_ready(1).await.remove(0);
    let mut listener = pod.listen("orders").await;
    pod.publish("orders", "still here").await;
    assert_eq!(listener.next().await.data, "still here");
    // Nothing is looked after, so what the API server says does not pass before it is seen.
    fleet.kubelet(false).await;
    fleet.delete(&pod.name).await;
    let draining = object(&cluster, &pod).await;
    assert_eq!(draining["metadata"]["deletionGracePeriodSeconds"], 30);
    assert_eq!(ready(&draining), "True");
    fleet.kubelet(true).await;
    assert_eq!(listener.end().await.reason, "draining");
    until("the pod to go and another to come", || async {
        let names: Vec<_> = fleet.pods().into_iter().map(|pod| pod.name).collect();
        let gone = cluster.get(&format!("{PODS}/{}", pod.name)).await.status == 404;
        (gone && names.len() == 1)
            .then_some(())
            .ok_or(format!("{names:?} are there"))
    })
    .await;
    let other = fleet.until_ready(1).await.remove(0);
    assert_ne!(other.name, pod.name);
}

#[tokio::test]
async fn a_killed_gateway_is_started_again_in_its_pod() {
    let (cluster, folder) = (Cluster::start().await, tests::process::folder());
    let fleet = fleet(&cluster, &folder, 1).await;
    let pod = fleet.until_ready(1).await.remove(0);
    fleet.freeze(&pod.name);
    until("the pod not to be ready", || async {
        let status = ready(&object(&cluster, &pod).await);
        (status == "False")
            .then_some(())
            .ok_or(format!("ready is {status}"))
    })
    .await;
    fleet.kill9(&pod.name);
    let again = fleet.until_ready(1).await.remove(0);
    assert_eq!((again.name, again.admin), (pod.name, pod.admin));
}

#[tokio::test]
async fn the_cheapest_pod_goes_first() {
    let (cluster, folder) = (Cluster::start().await, tests::process::folder());
    check_sizes(&cluster, &fleet(&cluster, &folder, 1).await).await;
}

#[tokio::test]
async fn controllers_make_the_pods_of_a_fleet_and_collect_them() {
    let (cluster, folder) = (
        ClusterSetup::default().controllers().start().await,
        tests::process::folder(),
    );
    check_sizes(&cluster, &fleet(&cluster, &folder, 1).await).await;
}

async fn check_sizes(cluster: &Cluster, fleet: &Fleet) {
    fleet.until_ready(1).await;
    fleet.scale(3).await;
    let pods = fleet.until_ready(3).await;
    let cost = json!({ "metadata": { "annotations": { "controller.kubernetes.io/pod-deletion-cost": "-5" } } });
    let _ = cluster
        .merge(&format!("{PODS}/{}", pods[1].name), &cost)
        .await
        .expect(200);
    fleet.scale(2).await;
    let names = |pods: &[Pod]| pods.iter().map(|pod| pod.name.clone()).collect::<Vec<_>>();
    let left = fleet.until_ready(2).await;
    assert_eq!(names(&left), [&*pods[0].name, &pods[2].name]);
    let status = fleet.deployment().await["status"].take();
    assert_eq!(status["replicas"], 2, "{status}");
    assert_eq!(status["updatedReplicas"], 2, "{status}");
    fleet.uninstall().await;
    until("all pods to be gone", || async {
        let pods = cluster.get(PODS).await.expect(200).json()["items"].take();
        let pods = pods.as_array().map_or(0, Vec::len);
        (pods == 0 && fleet.pods().is_empty())
            .then_some(())
            .ok_or(format!("{pods} are there"))
    })
    .await;
}

fn ready(pod: &Value) -> String {
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    let ready = conditions
        .iter()
        .find(|condition| condition["type"] == "Ready");
    ready.unwrap()["status"].as_str().unwrap().to_owned()
}
