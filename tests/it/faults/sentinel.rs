//! A master with two replicas, and three Sentinels that watch over them.
//!
//! Owns: that another server takes over, and that each listener is told so once on each topic: nobody can say what the old
//! one took along.

use super::memory::{fill, flush};
use super::network::{cut_subscriptions, slow_down};
use super::secrets::{
    GUARDS, NEW, OLD, change_certificate, change_password, trusting_both, with_secrets, write,
};
use super::*;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tests::certs::Certs;
use tests::redis::Sentinels;
use tests::steady::Pair;
use tests::steady::trial::Outcome;

const SETUP: &str = "sentinel";
const SERVERS: usize = 3;
/// What the Sentinels call the master.
const MASTER: &str = "mymaster";

/// Two gateways under load on these servers.
async fn on_all(group: &Sentinels) -> Trial {
    trial(SETUP, [&group.url(), &group.url()], PLAN).await
}

/// The same with passwords from a folder.
async fn with_passwords(group: &Sentinels, folder: &Path) -> Trial {
    write(folder, "password", OLD);
    write(folder, "sentinel-password", GUARDS);
    with_secrets("sentinel, password", &group.url(), folder).await
}

/// Another server numbers by now: whoever listened all the time is told so once on each topic.
async fn replaced(trial: Trial, fault: &str, told: Told) -> Outcome {
    let outcome = trial.end(fault, told).await;
    outcome.tells_one_gap_to_who_stayed();
    outcome
}

/// Sentinels and their servers under load, and which of them is the master.
async fn loaded(group: Sentinels) -> (Sentinels, Trial, usize) {
    let trial = on_all(&group).await;
    let (master, _) = group.until_master().await;
    (group, trial, master)
}

/// Waits for another master, and until the old one has given no sign of life for long enough.
async fn replaced_meanwhile(group: &Sentinels, trial: &mut Trial, old: usize) {
    let silent = Instant::now();
    let (_, at) = group.until_master_other_than(old).await;
    trial.mended(at);
    stays(SILENT.saturating_sub(silent.elapsed())).await;
}

/// Sets an option of the master in all Sentinels.
async fn set(group: &mut Sentinels, name: &str, value: &str) {
    for index in 0..SERVERS {
        let mut set = redis::cmd("SENTINEL");
        set.arg("SET").arg(MASTER).arg(name).arg(value);
        let () = group.sentinel(index).run(&mut set).await;
    }
}

/// Has the Sentinels take nobody for dead who is away for less than 20 s.
async fn patient(group: &mut Sentinels) {
    set(group, "down-after-milliseconds", "20000").await;
}

#[tokio::test]
async fn replaced_in_good_order() {
    let mut group = Sentinels::start().await;
    let mut trial = on_all(&group).await;
    trial.breaks();
    let (_, at) = group.failover().await;
    trial.mended(at);
    group.until_in_sync().await;
    replaced(trial, "SENTINEL FAILOVER", Told::Reconnect).await;
}

#[tokio::test]
async fn killed_and_replaced() {
    let (mut group, mut trial, old) = loaded(Sentinels::start().await).await;
    trial.breaks();
    group.server(old).kill9();
    let (_, at) = group.until_master_other_than(old).await;
    trial.mended(at);
    replaced(trial, "kill -9, replaced", Told::Down).await;
}

/// What only the master had is lost, to all listeners, as none had heard it.
#[tokio::test]
async fn killed_with_what_no_replica_had() {
    let (mut group, mut trial, old) = loaded(Sentinels::start().await).await;
    let replicas: Vec<usize> = (0..SERVERS).filter(|index| *index != old).collect();
    trial.breaks();
    for &replica in &replicas {
        group.server(replica).freeze();
    }
    unheard(group.server(old)).await;
    group.server(old).kill9();
    for &replica in &replicas {
        group.server(replica).thaw();
    }
    let (_, at) = group.until_master_other_than(old).await;
    trial.mended(at);
    let outcome = replaced(trial, "kill -9, replicas behind", Told::Down).await;
    let stayed = |pair: &&Pair| pair.listener.starts_with("at ");
    let mut pairs = outcome.verdict.pairs.iter().filter(stayed);
    assert_eq!(pairs.find(|pair| pair.missing == 0), None);
}

#[tokio::test]
async fn restarted_before_it_is_taken_for_dead() {
    let mut group = Sentinels::start().await;
    patient(&mut group).await;
    let mut trial = on_all(&group).await;
    let (index, _) = group.until_master().await;
    trial.breaks();
    group.server(index).shut_down().await;
    stays(AWAY).await;
    group.server(index).start_again().await;
    trial.mended(group.server(index).until_master().await);
    let outcome = trial.end("SHUTDOWN, nothing saved, back", Told::Down).await;
    // A master takes another replication id when its first replica is back, and so begins a second epoch.
    let often = |pair: &&Pair| pair.gaps.len() > 2;
    assert_eq!(outcome.verdict.pairs.iter().find(often), None);
}

#[tokio::test]
async fn frozen_replaced_and_back_as_a_replica() {
    let (mut group, mut trial, old) = loaded(Sentinels::start().await).await;
    trial.breaks();
    group.server(old).freeze();
    replaced_meanwhile(&group, &mut trial, old).await;
    group.server(old).thaw();
    group.until_in_sync().await;
    replaced(trial, "SIGSTOP 15 s, replaced, back", Told::Down).await;
}

/// Neither gateways nor Sentinels nor replicas reach the master. What was on its way to it arrives when another one has
/// taken its place.
#[tokio::test]
async fn silent_replaced_and_back_as_a_replica() {
    let (mut group, mut trial, old) = loaded(Sentinels::behind_wires().await).await;
    trial.breaks();
    group.wires()[old].blackhole();
    replaced_meanwhile(&group, &mut trial, old).await;
    group.wires()[old].heal();
    group.until_in_sync().await;
    replaced(trial, "blackhole 15 s, replaced, back", Told::Down).await;
}

/// Sentinels are slow to reach, too. To them a slow master is not a dead one: they are told to wait for longer than two
/// resets in a row take.
#[tokio::test]
async fn all_slow_and_unreliable_for_ten_seconds() {
    let mut group = Sentinels::behind_wires().await;
    patient(&mut group).await;
    let trial = on_all(&group).await;
    slow_down(trial, group.wires()).await;
}

#[tokio::test]
async fn busy_for_long_enough_to_be_replaced() {
    let (mut group, mut trial, old) = loaded(Sentinels::start().await).await;
    trial.breaks();
    let mut sleep = redis::cmd("DEBUG");
    let () = group.server(old).run(sleep.arg("SLEEP").arg(5)).await;
    let (_, at) = group.until_master_other_than(old).await;
    trial.mended(at);
    replaced(trial, "DEBUG SLEEP 5, replaced", Told::Down).await;
}

#[tokio::test]
async fn subscriptions_of_the_master_killed() {
    let mut group = Sentinels::start().await;
    let trial = on_all(&group).await;
    cut_subscriptions(trial, group.master().await).await;
}

#[tokio::test]
async fn master_flushed() {
    let mut group = Sentinels::start().await;
    let trial = on_all(&group).await;
    flush(trial, group.master().await).await;
}

#[tokio::test]
async fn master_without_room() {
    let mut group = Sentinels::start().await;
    let trial = on_all(&group).await;
    fill(trial, group.master().await).await;
}

#[tokio::test]
async fn another_password_everywhere() {
    let mut group = Sentinels::protected(OLD, GUARDS).await;
    patient(&mut group).await;
    let folder = tests::process::folder();
    let trial = with_passwords(&group, folder.path()).await;
    set(&mut group, "auth-pass", NEW).await;
    change_password(trial, group.servers(), folder.path()).await;
}

/// Sentinels read their certificates when they start, so one after the other is restarted before the servers change.
#[tokio::test]
async fn another_authority_everywhere_that_was_trusted_before() {
    let certs = Arc::new(Certs::new());
    let mut group = Sentinels::tls(&certs).await;
    let (_folder, trial) = trusting_both("sentinel, TLS", &group.url(), &certs).await;
    for index in 0..SERVERS {
        group.sentinel(index).shut_down().await;
        group.sentinel(index).start_again().await;
    }
    group.until_known().await;
    change_certificate(trial, group.servers()).await;
}

/// Gateways begin with the Sentinel that their URL names first.
#[tokio::test]
async fn replaced_when_the_sentinel_that_was_asked_is_gone_and_all_ask_for_passwords() {
    let mut group = Sentinels::protected(OLD, GUARDS).await;
    let folder = tests::process::folder();
    let mut trial = with_passwords(&group, folder.path()).await;
    trial.breaks();
    group.sentinel(0).kill9();
    let (_, at) = group.failover().await;
    trial.mended(at);
    group.until_in_sync().await;
    replaced(trial, "asked Sentinel killed, failover", Told::Reconnect).await;
}
