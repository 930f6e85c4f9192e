//! Two replicas whose clocks are a minute apart.

use super::leaders::*;
use super::*;
use std::path::PathBuf;

/// What makes a process believe another time; timers go on as they are.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("there is /usr/lib");
    let paths = folders.filter_map(|folder| {
        let path = folder.ok()?.path().join("faketime/libfaketimeMT.so.1");
        path.exists().then_some(path)
    });
    let found = paths.last();
    found.expect("libfaketime is missing; tests/run installs it")
}

fn ahead(name: &str) -> OperatorSetup {
    replica(name)
        .env("LD_PRELOAD", &library().display().to_string())
        .env("FAKETIME", "+60s")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .flag("--scale-down-after", "0s")
}

#[tokio::test]
async fn a_clock_that_is_a_minute_ahead_costs_one_change_of_leader() {
    let redis = Redis::start().await;
    let fleet = FleetSetup::new("default").redis(&redis.url()).scaling(1, 2);
    let cluster = Cluster::start().await;
    let world = World::with(cluster, redis, replica("right"), fleet, 1).await;
    until_leads(&world.operator, TAKEOVER).await;
    world.change("orders", 0).await;
    world.until_served("orders").await;
    let begin = world.cluster.version(LEASES).await;
    let published = world.cluster.version(SECRETS).await;
    let mut fast = ahead("fast").start(&world.cluster).await;
    fast.until_ready().await;
    // For it the lease has run out long ago.
    until_leads(&fast, TAKEOVER).await;
    // For a few seconds both believe to lead: more is asked for, and who does not hold the lease makes no step.
    let scaling = json!({ "streamsPerReplica": 1, "minReplicas": 2 });
    world.apply(&open("more").with("scaling", scaling)).await;
    world.until_served("more").await;
    until_follows(&world.operator).await;
    world.fleet.until_ready(2).await;
    let wrong = world.operator.metrics().await;
    assert_eq!(wrong.sum("siar_operator_scale_steps_total", &[]), 0.0);
    let told = claims::events(&world.cluster, "siar", "siar-gateway").await;
    assert_eq!(told.len(), 1, "{told:?}");
    world.change("orders", 1).await;
    world.until_served("orders").await;
    let holders = world.holders(&begin).await;
    // The first is there if it renewed meanwhile.
    let later = holders.strip_prefix(&["right".to_owned()]);
    assert_eq!(later.unwrap_or(&holders), ["fast"]);
    world.never_went_back(&published, &["orders"]).await;
    let killed = world.cluster.version(LEASES).await;
    fast.kill9();
    world.change("orders", 2).await;
    let took = until_leads(&world.operator, TAKEOVER).await;
    println!("takeover from a clock ahead after {took:?}");
    world.until_served("orders").await;
    assert_eq!(world.holders(&killed).await, ["right"]);
}
