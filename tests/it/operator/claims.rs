//! One gateway name that is claimed twice: in one namespace, and in two.

use super::leaders::*;
use super::*;
use std::time::Duration;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/siar/deployments";

/// The Events about an object, each as `reason: note`, with how often it was told.
pub async fn events(cluster: &Cluster, namespace: &str, name: &str) -> Vec<(String, String)> {
    let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
    let list = cluster.get(&path).await.expect(200).json();
    let about = |event: &&Value| event["regarding"]["name"] == name;
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let events = list["items"].as_array().unwrap().iter().filter(about);
    events
        .map(|event| (word(&event["reason"]), word(&event["note"])))
        .collect()
}

#[tokio::test]
async fn the_oldest_deployment_stands_for_its_fleet_and_a_younger_one_is_told_once() {
    let world = World::of(1).await;
    world.apply(&open("orders")).await;
    world.until_served("orders").await;
    let mut younger = world.fleet.deployment().await;
    younger["metadata"] = json!({
        "name": "another-gateway",
        "namespace": "siar",
        "labels": { "siar.dev/gateway": "default" },
        "annotations": {
            "siar.dev/broker": "memory", "siar.dev/scaling": "operator", "siar.dev/url": "https://other.example.com",
        },
    });
    younger["spec"]["selector"] = json!({ "matchLabels": { "app": "another" } });
    younger["spec"]["template"]["metadata"]["labels"] = json!({ "app": "another" });
    younger.as_object_mut().unwrap().remove("status");
    let begin = world.cluster.version(DEPLOYMENTS).await;
    world.cluster.apply(&younger).await;
    let told = async || events(&world.cluster, "siar", "another-gateway").await;
    until("the younger one to be told", || async {
        let told = told().await;
        (!told.is_empty()).then_some(()).ok_or("it is not".into())
    })
    .await;
    world
        .operator
        .until_logged(&["WARN", "another-gateway"])
        .await;
    world.change("orders", 1).await;
    world.until_served("orders").await;
    let told = told().await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, "GatewayNameTaken");
    assert!(told[0].1.contains("\"siar-gateway\""), "{told:?}");
    let status = world.channel("orders").await["status"].clone();
    assert_eq!(status["programmed"], "1/1");
    let url = status["url"].as_str().unwrap();
    assert!(url.starts_with("https://events.example.com/"), "{url}");
    let secret = world.fleet.secret().await.unwrap();
    let owner = &secret["metadata"]["ownerReferences"][0]["name"];
    assert_eq!(owner, "siar-gateway");
    let versions = world
        .cluster
        .versions(DEPLOYMENTS, "another-gateway", &begin)
        .await;
    assert_eq!(versions.len(), 1, "nobody touched it: {versions:?}");
    let others = events(&world.cluster, "siar", "siar-gateway").await;
    assert_eq!(others, []);
}

#[tokio::test]
async fn two_operators_with_a_fleet_of_one_name_do_not_fight_over_statuses() {
    let world = World::of(1).await;
    world.apply(&open("orders")).await;
    world.until_served("orders").await;
    let other = FleetSetup::new("default")
        .home("other")
        .redis(&world.redis.url())
        .fact("url", "https://other.example.com")
        .replicas(1)
        .start(&world.cluster)
        .await;
    let begin = world.cluster.version(CHANNELS).await;
    let second = replica("second").home("other").start(&world.cluster).await;
    second.until_ready().await;
    other.until_ready(1).await;
    until("one of them to leave it alone", || async {
        let mut contested = 0.0;
        for operator in [&world.operator, &second] {
            let metrics = operator.metrics().await;
            contested += metrics.sum("siar_operator_status_contested_total", &[]);
        }
        (contested > 0.0).then_some(()).ok_or("both go on".into())
    })
    .await;
    let settled = world.cluster.version(CHANNELS).await;
    let fought = world
        .cluster
        .versions(CHANNELS, "orders", &begin)
        .await
        .len();
    // That nothing is written is told by time alone.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let after = world
        .cluster
        .versions(CHANNELS, "orders", &settled)
        .await
        .len();
    println!("{fought} writes until one left it alone, {after} afterwards");
    assert!(fought <= 10, "{fought}");
    assert!(after <= 1, "{after}");
    let status = world.channel("orders").await["status"].clone();
    let url = status["url"].as_str().unwrap();
    assert!(
        url.ends_with(".example.com/shop/stream?channel=orders"),
        "{url}"
    );
}
