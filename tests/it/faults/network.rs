//! Cut, silent, slow.

use super::*;
use std::time::Instant;
use tests::proxy::Proxy;

/// A server, two ways to it, and a load on both.
async fn behind_wires() -> (Redis, [Proxy; 2], Trial) {
    let redis = alone().start().await;
    let wires = [
        Proxy::seeded(redis.address(), 1).await,
        Proxy::seeded(redis.address(), 2).await,
    ];
    let urls = [0, 1].map(|at: usize| format!("redis://{}/0", wires[at].address()));
    let trial = trial("standalone", [&urls[0], &urls[1]], PLAN).await;
    (redis, wires, trial)
}

/// Cuts the subscriptions of a master, again and again.
pub async fn cut_subscriptions(mut trial: Trial, master: &mut Redis) {
    trial.breaks();
    for _ in 0..3 {
        master.kill_clients("pubsub").await;
        trial.steady.round().await;
    }
    master.kill_clients("pubsub").await;
    trial.mended(Instant::now());
    let outcome = trial.end("CLIENT KILL TYPE pubsub", Told::Reconnect).await;
    outcome.tells_no_gap();
}

#[tokio::test]
async fn subscriptions_killed() {
    let mut redis = alone().start().await;
    cut_subscriptions(on_one(&redis).await, &mut redis).await;
}

#[tokio::test]
async fn all_connections_killed() {
    let mut redis = alone().start().await;
    let mut trial = on_one(&redis).await;
    trial.breaks();
    kill_all(&mut redis).await;
    trial.mended(Instant::now());
    let outcome = trial.end("CLIENT KILL of all", Told::Reconnect).await;
    outcome.tells_no_gap();
}

/// Lets nothing pass on these wires for a while. On the first of them all goes on where it was, others are cut at the end.
pub async fn silence(mut trial: Trial, wires: &[Proxy]) {
    trial.breaks();
    for wire in wires {
        wire.blackhole();
    }
    stays(SILENT).await;
    for (at, wire) in wires.iter().enumerate() {
        if at == 0 {
            wire.heal();
        } else {
            wire.heal_cut();
        }
    }
    trial.mended(Instant::now());
    let outcome = trial.end("blackhole 15 s", Told::Down).await;
    outcome.tells_no_gap();
}

/// Has these wires be slow and unreliable for a while.
pub async fn slow_down(mut trial: Trial, wires: &[Proxy]) {
    trial.breaks();
    for wire in wires {
        wire.delay(Duration::from_millis(200));
        wire.resets(0.01);
    }
    stays(Duration::from_secs(10)).await;
    for wire in wires {
        wire.delay(Duration::ZERO);
        wire.resets(0.0);
    }
    trial.mended(Instant::now());
    let outcome = trial
        .end("200 ms each way, 1 % resets", Told::Somewhere)
        .await;
    outcome.tells_no_gap();
}

#[tokio::test]
async fn silent_for_fifteen_seconds() {
    let (_redis, wires, trial) = behind_wires().await;
    silence(trial, &wires).await;
}

#[tokio::test]
async fn slow_and_unreliable_for_ten_seconds() {
    let (_redis, wires, trial) = behind_wires().await;
    slow_down(trial, &wires).await;
}
