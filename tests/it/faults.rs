//! Redis breaks under a steady load: nothing is lost without a word, and all goes on by itself.
//!
//! Owns: the faults. What holds in each of them is checked by the trial, which writes a line of the table, too. What may
//! happen to any master is a function of a trial and that server, whatever else there is beside it.

use crate::{GatewaySetup, Redis};
use std::time::Duration;
use tests::redis::Setup;
use tests::steady::trial::{Told, Trial};
use tests::steady::{Plan, channel};

mod cluster; // nodes that are replaced, killed, frozen; slots that move
mod memory; // forgetful, full
mod network; // cut, silent, slow
mod restarts; // killed and shut down, with and without what was saved
mod secrets; // other passwords, other authorities
mod sentinel; // masters that are replaced, killed, frozen

/// What a fault is tried with, unless it says otherwise.
const PLAN: Plan = Plan {
    topics: 24,
    every: Duration::from_millis(400),
};
/// How long a server stays away.
const AWAY: Duration = Duration::from_secs(2);
/// How long a server gives no sign of life, frozen or behind a network that carries nothing.
const SILENT: Duration = Duration::from_secs(15);

/// A server on which everything may be done.
fn alone() -> Setup {
    Setup::default().directive("enable-debug-command", "yes")
}

/// A gateway on that Redis.
fn on(url: &str) -> GatewaySetup {
    GatewaySetup::new().channel(&channel()).redis(url)
}

/// Two gateways under load, each on its own way to the same servers.
async fn trial(setup: &str, urls: [&str; 2], plan: Plan) -> Trial {
    let gateways = vec![on(urls[0]).start().await, on(urls[1]).start().await];
    Trial::begin(setup, gateways, plan).await
}

/// Two gateways under load on a server alone.
async fn on_one(redis: &Redis) -> Trial {
    trial("standalone", [&redis.url(), &redis.url()], PLAN).await
}

/// Has a server acknowledge what nobody hears and no replica gets: open connections publish, and nobody subscribes.
async fn unheard(master: &mut Redis) {
    master.kill_clients("replica").await;
    let mut set = redis::cmd("CONFIG");
    let () = master.run(set.arg("SET").arg("requirepass").arg("x")).await;
    master.kill_clients("pubsub").await;
    stays(AWAY).await;
}

/// Cuts all connections but the test's own.
async fn kill_all(redis: &mut Redis) {
    redis.kill_clients("pubsub").await;
    redis.kill_clients("normal").await;
}

/// Lets time pass in which something stays broken: that is the fault.
async fn stays(time: Duration) {
    tokio::time::sleep(time).await;
}
