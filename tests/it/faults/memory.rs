//! A server that is busy, forgets or has no room.

use super::*;
use std::time::Instant;

/// Lets a master forget everything while all are connected.
pub async fn flush(mut trial: Trial, master: &mut Redis) {
    trial.breaks();
    master.flush().await;
    trial.mended(Instant::now());
    let outcome = trial.end("FLUSHALL", Told::Nothing).await;
    outcome.tells_one_gap_at_most();
}

/// Leaves a master without room for anything new.
pub async fn fill(mut trial: Trial, master: &mut Redis) {
    trial.breaks();
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("maxmemory");
    let () = master.run(set.clone().arg("1")).await;
    stays(Duration::from_secs(5)).await;
    let () = master.run(set.arg("0")).await;
    trial.mended(Instant::now());
    let outcome = trial.end("memory full 5 s", Told::Refusal).await;
    outcome.tells_no_gap();
    let refused: Vec<&String> = outcome.account.refused.keys().collect();
    assert_eq!(refused, ["503 redis-full"]);
}

#[tokio::test]
async fn busy_for_five_seconds() {
    let mut redis = alone().start().await;
    let mut trial = on_one(&redis).await;
    trial.breaks();
    let () = redis.run(redis::cmd("DEBUG").arg("SLEEP").arg(5)).await;
    trial.mended(redis.until_master().await);
    let outcome = trial.end("DEBUG SLEEP 5", Told::Down).await;
    outcome.tells_no_gap();
}

#[tokio::test]
async fn frozen_for_five_seconds() {
    let redis = alone().start().await;
    let mut trial = on_one(&redis).await;
    trial.breaks();
    redis.freeze();
    stays(Duration::from_secs(5)).await;
    redis.thaw();
    trial.mended(redis.until_master().await);
    let outcome = trial.end("SIGSTOP 5 s", Told::Down).await;
    outcome.tells_no_gap();
}

#[tokio::test]
async fn flushed() {
    let mut redis = alone().start().await;
    flush(on_one(&redis).await, &mut redis).await;
}

#[tokio::test]
async fn without_room() {
    let redis = alone().directive("maxmemory-policy", "noeviction");
    let mut redis = redis.start().await;
    fill(on_one(&redis).await, &mut redis).await;
}
