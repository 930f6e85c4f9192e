//! Two replicas: the holder of the Lease writes, whatever happens to it and to the Lease.

use super::leaders::*;
use super::*;
use std::time::{Duration, Instant};
use tests::http::Answer;

/// A world with a second replica, a Channel that is served and a stream on it.
async fn two() -> (World, Operator, tests::listen::Listener) {
    let redis = Redis::start().await;
    let fleet = FleetSetup::new("default").redis(&redis.url()).replicas(2);
    let cluster = Cluster::start().await;
    let world = World::with(cluster, redis, replica("first"), fleet, 2).await;
    until_leads(&world.operator, TAKEOVER).await;
    let second = replica("second").start(&world.cluster).await;
    second.until_ready().await;
    world.apply(&open("steady")).await;
    world.change("orders", 0).await;
    world.until_served("steady").await;
    world.until_served("orders").await;
    let stream = listen(&world.fleet.pods()[0], "steady").await;
    (world, second, stream)
}

/// Nothing that happened has reached the stream, and what is published to it does.
async fn still_open(world: &World, mut stream: tests::listen::Listener) {
    publish(&world.fleet.pods()[1], "steady", "still here").await;
    assert_eq!(stream.next().await.data, "still here");
}

async fn has_written(operator: &Operator) -> f64 {
    let metrics = operator.metrics().await;
    let published = [("result", "published")];
    metrics.sum("siar_operator_reconciles_total", &published)
        + metrics.sum("siar_operator_status_patches_total", &[("result", "ok")])
        + metrics.sum("siar_operator_events_total", &[])
}

#[tokio::test]
async fn only_the_holder_writes_and_a_signal_hands_the_lease_over() {
    let (mut world, second, stream) = two().await;
    let begin = world.cluster.version(LEASES).await;
    assert_eq!(second.probe("/readyz").await.0, 200);
    assert_eq!(world.operator.probe("/readyz").await.0, 200);
    assert!(!leads(&second).await);
    assert!(has_written(&world.operator).await >= 4.0);
    assert_eq!(has_written(&second).await, 0.0);
    let asked = Instant::now();
    world.operator.term();
    world.change("orders", 1).await;
    assert_eq!(world.operator.exit().await.code(), Some(0));
    let exit = asked.elapsed();
    assert!(exit < Duration::from_secs(6), "{exit:?}");
    assert!(world.operator.log().contains("the lease is released"));
    let took = until_leads(&second, Duration::from_secs(30)).await;
    world.until_served("orders").await;
    println!("exit after {exit:?}, takeover after {took:?}");
    assert!(has_written(&second).await >= 2.0);
    assert_eq!(world.holders(&begin).await, ["second"]);
    still_open(&world, stream).await;
}

#[tokio::test]
async fn a_killed_holder_is_followed_within_the_time_of_its_lease() {
    let (mut world, second, stream) = two().await;
    let before = world.cluster.version(SECRETS).await;
    world.operator.kill9();
    world.change("orders", 1).await;
    let took = until_leads(&second, TAKEOVER).await;
    world.until_served("orders").await;
    println!("takeover after {took:?}");
    // Not before it ran out: who is killed may as well have been slow.
    assert!(took > Duration::from_secs(3), "{took:?}");
    world.never_went_back(&before, &["steady", "orders"]).await;
    world.operator.start_again().await;
    world.operator.until_ready().await;
    world.change("orders", 2).await;
    world.until_served("orders").await;
    assert!(leads(&second).await && !leads(&world.operator).await);
    assert_eq!(has_written(&world.operator).await, 0.0);
    still_open(&world, stream).await;
}

#[tokio::test]
async fn a_former_leader_overwrites_nothing_when_it_wakes_up() {
    let (world, second, stream) = two().await;
    let before = world.cluster.version(SECRETS).await;
    let channels = world.cluster.version(CHANNELS).await;
    // It sleeps in the middle of writing.
    world.change("orders", 1).await;
    world.operator.freeze();
    world.change("orders", 2).await;
    until_leads(&second, TAKEOVER).await;
    world.change("orders", 3).await;
    world.apply(&open("later")).await;
    world.until_served("orders").await;
    world.until_served("later").await;
    let stands = world.fleet.secret().await.unwrap()["metadata"]["resourceVersion"].clone();
    world.operator.thaw();
    until_follows(&world.operator).await;
    // It hears of changes again, and leaves them to the other.
    let wrote = has_written(&world.operator).await;
    let secret = world.fleet.secret().await.unwrap();
    assert_eq!(secret["metadata"]["resourceVersion"], stands);
    world.change("orders", 4).await;
    world.until_served("orders").await;
    assert_eq!(has_written(&world.operator).await, wrote);
    world.never_went_back(&before, &["steady", "orders"]).await;
    statuses_never_went_back(&world, &channels).await;
    still_open(&world, stream).await;
}

/// No status spoke of an older generation than the one before it.
async fn statuses_never_went_back(world: &World, since: &str) {
    let versions = world.cluster.versions(CHANNELS, "orders", since).await;
    let seen = versions
        .iter()
        .map(|channel| channel["status"]["observedGeneration"].as_i64());
    let seen: Vec<_> = seen.collect();
    assert!(seen.is_sorted(), "{seen:?}");
}

#[tokio::test]
async fn a_lease_that_is_deleted_or_stolen_during_a_burst_brings_no_older_state_back() {
    let (world, second, stream) = two().await;
    let before = world.cluster.version(SECRETS).await;
    let lease = format!("{LEASES}/siar-operator");
    for count in 1..=60 {
        world.change("orders", count).await;
        match count {
            15 => drop(world.cluster.delete(&lease).await.expect(200)),
            30 => drop(steal(&world, &lease, "second").await),
            45 => drop(steal(&world, &lease, "nobody").await),
            _ => {}
        }
    }
    let leads = async |operator| leads(operator).await;
    tests::wait::until_time(TAKEOVER, "one of them to lead", || async {
        let leading = [leads(&world.operator).await, leads(&second).await];
        (leading[0] != leading[1])
            .then_some(())
            .ok_or(format!("{leading:?}"))
    })
    .await;
    tests::wait::until_time(TAKEOVER, "the newest state to be published", || async {
        let secret = world.fleet.secret().await.unwrap();
        let (stands, channel) = (
            generation_of(&secret, "orders"),
            world.channel("orders").await,
        );
        let newest = channel["metadata"]["generation"].as_i64();
        (stands == newest)
            .then_some(())
            .ok_or(format!("{stands:?}, not {newest:?}"))
    })
    .await;
    world.until_served("orders").await;
    let versions = world.never_went_back(&before, &["steady", "orders"]).await;
    println!("{versions} versions were published");
    still_open(&world, stream).await;
}

/// Gives the Lease to somebody else, as an overlap of two leaders does.
async fn steal(world: &World, lease: &str, holder: &str) -> Answer {
    let change = json!({ "spec": { "holderIdentity": holder } });
    // While it is made anew there is none.
    until("the Lease to be there", || async {
        let answer = world.cluster.merge(lease, &change).await;
        if answer.status == 200 {
            Ok(answer)
        } else {
            Err(answer.text())
        }
    })
    .await
}
