//! Six nodes of a Redis Cluster: three masters, each with a replica.
//!
//! Owns: that only topics of a node that is replaced tell of it, each listener once, and others go on.
//! Never: what holds on any cluster while nothing breaks, which `served` has. A node that hangs may be replaced before
//! gateways find that it is down.

use super::memory::{fill, flush};
use super::network::{cut_subscriptions, silence, slow_down};
use super::secrets::{
    OLD, change_certificate, change_password, trusting_both, with_secrets, write,
};
use super::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;
use tests::certs::Certs;
use tests::redis::RedisCluster;
use tests::steady::Pair;
use tests::steady::trial::Outcome;

mod raw; // raw messages while the master that numbers them is out of reach
mod resharding; // slots that move, there and back
mod served; // raw publishers, selectors, live-only Channels, presence and history

/// The master to which it happens: gateways ask it first, and it hears the fleet's notes and raw publishers.
const VICTIM: usize = 0;
/// Another master.
const OTHER: usize = 1;

/// Two gateways under load on these nodes.
async fn on_all(cluster: &RedisCluster) -> Trial {
    trial("cluster", [&cluster.url(), &cluster.url()], PLAN).await
}

/// A cluster under load, and the topics that one of its masters numbers.
async fn loaded(master: usize) -> (RedisCluster, Trial, BTreeSet<String>) {
    let cluster = RedisCluster::start().await;
    let trial = on_all(&cluster).await;
    let mut topics = BTreeSet::new();
    for topic in 0..PLAN.topics {
        let topic = format!("t{topic:04}");
        if cluster.owner_of(&key(&topic)).await == master {
            topics.insert(topic);
        }
    }
    assert!((1..PLAN.topics).contains(&topics.len()), "{topics:?}");
    (cluster, trial, topics)
}

/// A key in the slot of a topic.
fn key(topic: &str) -> String {
    format!("siar:{{default/{topic}}}:m")
}

/// Who stayed was told of one gap in each of these topics, and who wandered of one at most; of others nobody was.
#[track_caller]
fn tells_one_gap_in(outcome: &Outcome, topics: &BTreeSet<String>) {
    let wrong = |pair: &&Pair| {
        let most = usize::from(topics.contains(&pair.topic));
        let least = if stayed(pair) { most } else { 0 };
        !(least..=most).contains(&pair.gaps.len())
    };
    assert_eq!(outcome.verdict.pairs.iter().find(wrong), None);
}

/// Whether its listener stayed at one gateway.
fn stayed(pair: &Pair) -> bool {
    pair.listener.starts_with("at ")
}

/// Has no node be taken for dead that is away for less than 20 s.
async fn patient(cluster: &mut RedisCluster) {
    for index in 0..cluster.len() {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("cluster-node-timeout").arg(20_000);
        let () = cluster.node(index).run(&mut set).await;
    }
}

#[tokio::test]
async fn replaced_in_good_order() {
    let (mut cluster, mut trial, topics) = loaded(VICTIM).await;
    let replica = cluster.replica_of(VICTIM).await;
    trial.breaks();
    let at = cluster.failover(replica).await;
    trial.mended(at);
    let outcome = trial.end("CLUSTER FAILOVER", Told::Reconnect).await;
    tells_one_gap_in(&outcome, &topics);
}

#[tokio::test]
async fn killed_and_replaced() {
    let (mut cluster, mut trial, topics) = loaded(VICTIM).await;
    let replica = cluster.replica_of(VICTIM).await;
    trial.breaks();
    cluster.node(VICTIM).kill9();
    trial.mended(cluster.until_elected(replica).await);
    let outcome = trial.end("kill -9, replaced", Told::Down).await;
    tells_one_gap_in(&outcome, &topics);
}

/// What only the master had is lost, to all listeners, as none had heard it.
#[tokio::test]
async fn killed_with_what_no_replica_had() {
    let (mut cluster, mut trial, topics) = loaded(VICTIM).await;
    let replica = cluster.replica_of(VICTIM).await;
    trial.breaks();
    cluster.node(replica).freeze();
    unheard(cluster.node(VICTIM)).await;
    cluster.node(VICTIM).kill9();
    cluster.node(replica).thaw();
    trial.mended(cluster.until_elected(replica).await);
    let outcome = trial.end("kill -9, replica behind", Told::Down).await;
    tells_one_gap_in(&outcome, &topics);
    let lost = |pair: &&Pair| stayed(pair) && pair.missing > 0;
    let lost = outcome.verdict.pairs.iter().filter(lost).count();
    assert_eq!(lost, 2 * topics.len());
}

#[tokio::test]
async fn a_master_and_another_ones_replica_lost_for_good() {
    let (mut cluster, mut trial, topics) = loaded(VICTIM).await;
    let replica = cluster.replica_of(VICTIM).await;
    let of_other = cluster.replica_of(OTHER).await;
    trial.breaks();
    cluster.node(of_other).kill9();
    cluster.node(VICTIM).kill9();
    trial.mended(cluster.until_elected(replica).await);
    let outcome = trial.end("kill -9 of two nodes", Told::Down).await;
    tells_one_gap_in(&outcome, &topics);
}

#[tokio::test]
async fn restarted_before_it_is_taken_for_dead() {
    let (mut cluster, mut trial, topics) = loaded(VICTIM).await;
    patient(&mut cluster).await;
    trial.breaks();
    cluster.node(VICTIM).shut_down().await;
    stays(AWAY).await;
    cluster.node(VICTIM).start_again().await;
    let answers = cluster.node(VICTIM).until_master().await;
    trial.mended(answers);
    let well = cluster.until_well(VICTIM).await;
    println!("the node itself takes commands {:?} later", well - answers);
    let outcome = trial.end("SHUTDOWN, nothing saved, back", Told::Down).await;
    tells_one_gap_in(&outcome, &topics);
}

#[tokio::test]
async fn frozen_replaced_and_back_as_a_replica() {
    let (mut cluster, mut trial, topics) = loaded(VICTIM).await;
    let replica = cluster.replica_of(VICTIM).await;
    let frozen = Instant::now();
    trial.breaks();
    cluster.node(VICTIM).freeze();
    trial.mended(cluster.until_elected(replica).await);
    stays(SILENT.saturating_sub(frozen.elapsed())).await;
    cluster.node(VICTIM).thaw();
    cluster.until_agreed().await;
    let outcome = trial
        .end("SIGSTOP 15 s, replaced, back", Told::Reconnect)
        .await;
    tells_one_gap_in(&outcome, &topics);
}

#[tokio::test]
async fn busy_for_long_enough_to_be_replaced() {
    let (mut cluster, mut trial, topics) = loaded(VICTIM).await;
    let replica = cluster.replica_of(VICTIM).await;
    trial.breaks();
    let mut sleep = redis::cmd("DEBUG");
    let () = cluster.node(VICTIM).run(sleep.arg("SLEEP").arg(5)).await;
    trial.mended(cluster.until_elected(replica).await);
    let outcome = trial.end("DEBUG SLEEP 5, replaced", Told::Reconnect).await;
    tells_one_gap_in(&outcome, &topics);
}

#[tokio::test]
async fn subscriptions_of_a_master_killed() {
    let mut cluster = RedisCluster::start().await;
    let trial = on_all(&cluster).await;
    cut_subscriptions(trial, cluster.node(VICTIM)).await;
}

/// The other nodes still hear of it, so nobody takes its place.
#[tokio::test]
async fn a_master_silent_for_fifteen_seconds() {
    let cluster = RedisCluster::behind_wires().await;
    let trial = on_all(&cluster).await;
    silence(trial, &cluster.wires()[VICTIM..=VICTIM]).await;
}

#[tokio::test]
async fn all_nodes_slow_and_unreliable_for_ten_seconds() {
    let cluster = RedisCluster::behind_wires().await;
    let trial = on_all(&cluster).await;
    slow_down(trial, cluster.wires()).await;
}

#[tokio::test]
async fn master_flushed() {
    let mut cluster = RedisCluster::start().await;
    let trial = on_all(&cluster).await;
    flush(trial, cluster.node(VICTIM)).await;
}

#[tokio::test]
async fn master_without_room() {
    let mut cluster = RedisCluster::start().await;
    let trial = on_all(&cluster).await;
    fill(trial, cluster.node(VICTIM)).await;
}

#[tokio::test]
async fn another_password_everywhere() {
    let mut cluster = RedisCluster::protected(OLD).await;
    let folder = tests::process::folder();
    write(folder.path(), "password", OLD);
    let trial = with_secrets("cluster, password", &cluster.url(), folder.path()).await;
    change_password(trial, cluster.nodes(), folder.path()).await;
}

#[tokio::test]
async fn another_authority_everywhere_that_was_trusted_before() {
    let certs = Arc::new(Certs::new());
    let mut cluster = RedisCluster::tls(&certs).await;
    let (_folder, trial) = trusting_both("cluster, TLS", &cluster.url(), &certs).await;
    change_certificate(trial, cluster.nodes()).await;
}
