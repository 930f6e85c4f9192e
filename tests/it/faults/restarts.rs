//! Killed and shut down, with and without what was saved.

use super::*;
use tests::proxy::Proxy;

/// Ends the server by `end`, and starts it again after a while.
async fn restart(mut trial: Trial, mut redis: Redis, kill: bool, fault: &str) {
    trial.breaks();
    if kill {
        redis.kill9();
    } else {
        redis.shut_down().await;
    }
    stays(AWAY).await;
    redis.start_again().await;
    trial.mended(redis.until_master().await);
    let outcome = trial.end(fault, Told::Down).await;
    outcome.tells_one_gap_at_most();
}

#[tokio::test]
async fn killed_with_an_append_only_file() {
    let redis = alone()
        .directive("appendonly", "yes")
        .directive("appendfsync", "always")
        .start()
        .await;
    restart(on_one(&redis).await, redis, true, "kill -9, appendonly").await;
}

#[tokio::test]
async fn killed_with_nothing_saved() {
    let redis = alone().start().await;
    restart(on_one(&redis).await, redis, true, "kill -9, nothing saved").await;
}

#[tokio::test]
async fn shut_down_with_a_save() {
    let redis = alone().directive("save", "3600 1").start().await;
    restart(on_one(&redis).await, redis, false, "SHUTDOWN, saved").await;
}

#[tokio::test]
async fn shut_down_with_nothing_saved() {
    let redis = alone().start().await;
    restart(
        on_one(&redis).await,
        redis,
        false,
        "SHUTDOWN, nothing saved",
    )
    .await;
}

#[tokio::test]
async fn killed_under_a_thousand_topics() {
    const THOUSAND: Plan = Plan {
        topics: 1000,
        every: Duration::from_secs(8),
    };
    let redis = alone().directive("appendonly", "yes").start().await;
    let url = redis.url();
    let trial = trial("standalone", [&url, &url], THOUSAND).await;
    restart(trial, redis, true, "kill -9, appendonly, 1000 topics").await;
}

/// The listeners of the second gateway lose what was published while they were cut off, and what the server then forgot.
#[tokio::test]
async fn killed_and_back_from_an_older_save_when_one_gateway_heard_less() {
    let mut redis = alone().start().await;
    let wire = Proxy::to(redis.address()).await;
    let through = format!("redis://{}/0", wire.address());
    let mut trial = trial("standalone", [&redis.url(), &through], PLAN).await;
    redis.save().await;
    trial.steady.round().await;
    trial.breaks();
    wire.blackhole();
    stays(AWAY).await;
    redis.kill9();
    stays(AWAY).await;
    redis.start_again().await;
    wire.heal_cut();
    trial.mended(redis.until_master().await);
    let outcome = trial
        .end("kill -9, older save, one cut off", Told::Down)
        .await;
    outcome.tells_one_gap_to_who_stayed();
    let of_second = outcome
        .verdict
        .pairs
        .iter()
        .filter(|pair| pair.listener == "at 1");
    let lost = of_second.filter(|pair| pair.missing > 0).count();
    assert!(
        lost > 0,
        "the second gateway's listeners have lost something"
    );
}
