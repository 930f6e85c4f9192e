//! The operator is killed at any moment and started again: all comes to what kubectl applied, and nothing is withdrawn
//! on the way.

use super::leaders::*;
use super::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;
use tests::wait::until_time;

/// How often it is killed.
const ROUNDS: usize = 8;
/// Decides the moments.
const SEED: u64 = 20_260_729;

#[tokio::test]
async fn killed_at_any_moment_it_goes_on_to_what_was_applied_and_withdraws_nothing() {
    let redis = Redis::start().await;
    let fleet = FleetSetup::new("default").redis(&redis.url()).replicas(2);
    let cluster = Cluster::start().await;
    let operator = replica("only").fleets(&["default", "inner"]);
    let mut world = World::with(cluster, redis, operator, fleet, 2).await;
    let inner = FleetSetup::new("inner").redis(&world.redis.url());
    let inner = inner.replicas(1).start(&world.cluster).await;
    inner.until_ready(1).await;
    world
        .apply_secret("readers", &[("ana", "a"), ("count", "0")])
        .await;
    let readers = Channel::closed("steady").namespace(SHOP);
    let readers = readers.tokens("subscribe", "readers");
    world.apply(&readers.tokens("publish", "readers")).await;
    let inside = |name: &str, count| numbered(name, count).with("gateway", json!("inner"));
    world.apply(&inside("aside", 0)).await;
    world.change("orders", 0).await;
    for name in ["steady", "orders"] {
        world.until_served(name).await;
    }
    world
        .until_condition("aside", "Ready", "True", "Ready")
        .await;
    let mut steady = listen(&world.fleet.pods()[0], "steady").token("a").await;
    let mut aside = listen(&inner.pods()[0], "aside").await;
    let before = world.cluster.version(SECRETS).await;
    let mut chance = StdRng::seed_from_u64(SEED);
    for round in 1..=ROUNDS {
        world.change("orders", round).await;
        let reader = round.to_string();
        world
            .apply_secret("readers", &[("ana", "a"), ("count", &reader)])
            .await;
        world.apply(&inside("late", round)).await;
        // From before it has heard of anything to after the last status: publishing takes some 30 ms.
        let moment = Duration::from_micros(chance.random_range(0..120_000));
        tokio::time::sleep(moment).await;
        world.operator.kill9();
        world.operator.start_again().await;
    }
    until_time(TAKEOVER, "the newest state to be published", || async {
        let secret = world.fleet.secret().await.unwrap();
        let stands = generation_of(&secret, "orders");
        let newest = world.channel("orders").await["metadata"]["generation"].as_i64();
        (stands == newest)
            .then_some(())
            .ok_or(format!("{stands:?}, not {newest:?}"))
    })
    .await;
    world.until_served("orders").await;
    world
        .until_condition("late", "Ready", "True", "Ready")
        .await;
    let newest = world.channel("late").await["metadata"]["generation"].as_i64();
    let secret = inner.secret().await.unwrap();
    assert_eq!(generation_of(&secret, "late"), newest);
    assert_eq!(generation_of(&secret, "orders"), None);
    let versions = world.never_went_back(&before, &["steady", "orders"]).await;
    println!("{versions} versions were published over {ROUNDS} crashes");
    let path = "/shop/publish?channel=steady";
    let published = Ask::post(world.fleet.pods()[1].public, path, "still here").token("a");
    let _ = published.send().await.expect(200);
    assert_eq!(steady.next().await.data, "still here");
    publish(&inner.pods()[0], "aside", "still here").await;
    assert_eq!(aside.next().await.data, "still here");
}
