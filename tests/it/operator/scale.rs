//! As many gateways as the streams ask for, within the bounds: up at once, down with care.

use super::claims::events;
use super::*;
use std::time::Duration;
use tests::listen::Listener;
use tests::wait::until_time;

const COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Numbers are told once a minute at most.
const NUMBERS: Duration = Duration::from_secs(80);

/// A fleet of this size that the operator scales: steps down come after seconds, not minutes.
async fn world(fleet: FleetSetup, redis: Redis, ready: u32) -> World {
    let operator = OperatorSetup::new()
        .flag("--scale-down-after", "3s")
        .flag("--scale-down-every", "2s")
        .flag("--log", "info,operator::gateway::size=debug");
    World::with(Cluster::start().await, redis, operator, fleet, ready).await
}

async fn scaled() -> World {
    let redis = Redis::start().await;
    let fleet = FleetSetup::new("default").redis(&redis.url()).scaling(2, 4);
    let world = world(fleet, redis, 2).await;
    let scaling = json!({ "streamsPerReplica": 2 });
    world.apply(&open("orders").with("scaling", scaling)).await;
    world.until_served("orders").await;
    world
}

async fn streams(pod: &Pod, count: usize) -> Vec<Listener> {
    let mut streams = Vec::new();
    while streams.len() < count {
        streams.push(listen(pod, "orders").await);
    }
    streams
}

async fn replicas(world: &World) -> u64 {
    let deployment = world.fleet.deployment().await;
    deployment["spec"]["replicas"].as_u64().unwrap()
}

#[tokio::test]
async fn a_fleet_follows_its_streams_up_and_down() {
    let world = scaled().await;
    // It was 1, and went to its minimum without any Channel.
    let told = events(&world.cluster, "siar", "siar-gateway").await;
    let up = |from, to, streams, wanted| {
        let note = format!(
            "Scaled from {from} to {to} gateway pods; {streams} streams ask for {wanted} within the bounds."
        );
        ("ScaledUp".to_owned(), note)
    };
    assert_eq!(told, [up(1, 2, 0, 2)]);
    let deployment = world.fleet.deployment().await;
    let fields = deployment["metadata"]["managedFields"].as_array().unwrap();
    let ours = fields
        .iter()
        .find(|field| field["manager"] == "siar-operator");
    let ours = ours.expect("the operator owns the size");
    assert_eq!(ours["operation"], "Apply");
    assert_eq!(ours["subresource"], "scale");
    assert_eq!(ours["fieldsV1"]["f:spec"], json!({ "f:replicas": {} }));

    let pods = world.fleet.pods();
    let kept = streams(&pods[0], 5).await;
    let pods = world.fleet.until_ready(3).await;
    let wide = world
        .cluster
        .kubectl(&["get", "events", "--namespace", "siar"])
        .await;
    assert!(
        wide.contains("ScaledUp") && wide.contains("Scaled from 2 to 3"),
        "{wide}"
    );
    // Down to what is still asked for: the pods without streams go, one after the other.
    let before = world.cluster.version("/api/v1/namespaces/siar/pods").await;
    drop(kept);
    let one = streams(&pods[1], 1).await;
    let left = world.fleet.until_ready(2).await;
    assert!(left.iter().any(|pod| pod.name == pods[1].name), "{left:?}");
    let history = world
        .cluster
        .history("/api/v1/namespaces/siar/pods", &before)
        .await;
    let costs: Vec<&Value> = history
        .iter()
        .map(|change| &change["object"])
        .filter(|pod| pod["metadata"]["name"] == *pods[1].name)
        .map(|pod| &pod["metadata"]["annotations"][COST])
        .collect();
    assert_eq!(costs.last(), Some(&&json!("1")), "{costs:?}");
    let told = events(&world.cluster, "siar", "siar-gateway").await;
    let down = told.iter().filter(|(reason, _)| reason == "ScaledDown");
    let down: Vec<_> = down.collect();
    assert_eq!(down.len(), 1, "{told:?}");
    assert!(
        down[0].1.starts_with("Scaled from 3 to 2 gateway pods; "),
        "{told:?}"
    );
    let metrics = world.operator.metrics().await;
    let steps = |direction| {
        metrics.sum(
            "siar_operator_scale_steps_total",
            &[("direction", direction)],
        )
    };
    assert_eq!((steps("up"), steps("down")), (2.0, 1.0));
    assert_eq!(metrics.sum("siar_operator_wanted_replicas", &[]), 2.0);
    assert_eq!(metrics.sum("siar_operator_replicas", &[]), 2.0);
    drop(one);
}

#[tokio::test]
async fn no_pod_goes_while_a_ready_one_does_not_say_what_it_serves() {
    let world = scaled().await;
    let kept = streams(&world.fleet.pods()[0], 5).await;
    let pods = world.fleet.until_ready(3).await;
    let serving = "siar_operator_channel_programmed_gateways";
    world.operator.until_metric(serving, &[], 3.0).await;
    // Still ready as far as anybody knows.
    world.fleet.kubelet(false).await;
    world.fleet.freeze(&pods[2].name);
    // Its last report counts for a while.
    until_time(Duration::from_secs(60), "it to be silent", || async {
        let metrics = world.operator.metrics().await;
        let serving = metrics.sum(serving, &[]);
        (serving == 2.0).then_some(()).ok_or(serving.to_string())
    })
    .await;
    drop(kept);
    let held = "SilentPod";
    until_time(Duration::from_secs(60), "the step to be held", || async {
        let log = world.operator.log();
        let held = log.lines().any(|line| line.contains(held));
        held.then_some(()).ok_or(log)
    })
    .await;
    assert_eq!(replicas(&world).await, 3);
    let told = events(&world.cluster, "siar", "siar-gateway").await;
    assert!(
        told.iter().all(|(reason, _)| reason == "ScaledUp"),
        "{told:?}"
    );
    world.fleet.thaw(&pods[2].name);
    world.fleet.kubelet(true).await;
    world.fleet.until_ready(2).await;
}

#[tokio::test]
async fn who_leaves_its_size_to_others_is_left_alone_and_channels_are_told() {
    let redis = Redis::start().await;
    let fleet = FleetSetup::new("default")
        .redis(&redis.url())
        .fact("scaling", "hpa");
    let world = world(fleet, redis, 1).await;
    let scaling = json!({ "streamsPerReplica": 1 });
    world.apply(&open("orders").with("scaling", scaling)).await;
    world.apply(&open("plain")).await;
    world.until_served("orders").await;
    let _kept = streams(&world.fleet.pods()[0], 3).await;
    let told = async |name| events(&world.cluster, SHOP, name).await;
    until("the Channel to be told", || async {
        let told = told("orders").await;
        (!told.is_empty()).then_some(()).ok_or("it is not".into())
    })
    .await;
    // The fleet knows of the streams, and looks every second.
    until_streams_are_known(&world).await;
    let told_now = told("orders").await;
    assert_eq!(told_now.len(), 1, "{told_now:?}");
    assert_eq!(told_now[0].0, "ScalingIgnored");
    assert!(
        told_now[0].1.contains("HorizontalPodAutoscaler"),
        "{told_now:?}"
    );
    assert_eq!(told("plain").await, []);
    assert_eq!(replicas(&world).await, 1);
    assert_eq!(events(&world.cluster, "siar", "siar-gateway").await, []);
}

#[tokio::test]
async fn a_fleet_in_memory_stays_one_pod() {
    let redis = Redis::start().await;
    let fleet = FleetSetup::new("default").scaling(2, 4);
    let world = world(fleet, redis, 1).await;
    let scaling = json!({ "streamsPerReplica": 1, "minReplicas": 3 });
    world.apply(&open("orders").with("scaling", scaling)).await;
    world.until_served("orders").await;
    let _kept = streams(&world.fleet.pods()[0], 4).await;
    until_streams_are_known(&world).await;
    world
        .operator
        .until_metric("siar_operator_wanted_replicas", &[], 1.0)
        .await;
    assert_eq!(replicas(&world).await, 1);
    assert_eq!(events(&world.cluster, "siar", "siar-gateway").await, []);
}

/// Waits until the status of `orders` tells its streams.
async fn until_streams_are_known(world: &World) {
    until_time(NUMBERS, "the streams to be known", || async {
        let status = world.channel("orders").await["status"]["streams"].clone();
        (status.as_u64() > Some(0))
            .then_some(())
            .ok_or(status.to_string())
    })
    .await;
}
