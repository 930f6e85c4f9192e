//! The least rights of a gateway's user, as the README shows them.
//!
//! Owns: that every feature works with these lines on one server, in a cluster and behind Sentinels, that nothing is
//! refused meanwhile, and that servers are asked each of their commands.

use super::features;
use crate::{Channel, Gateway, GatewaySetup, Redis};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tests::redis::{RedisCluster, Sentinels};
use tests::wait::within_time;

const README: &str = include_str!("../../../README.md");
const PASSWORD: &str = "l3ast";
/// Longer than a topic stays subscribed to after its last stream, on a busy machine.
const LINGER: Duration = Duration::from_secs(40);

/// The lines of the README that make the user, from `ACL SETUSER siar` on, as words without `ACL`: for every server, for
/// raw publishers, for a cluster, for Sentinels.
fn lines() -> [Vec<String>; 4] {
    let lines = README
        .lines()
        .filter(|line| line.starts_with("ACL SETUSER "));
    let words = lines.map(|line| {
        let line = line.replace(">PASSWORD", &format!(">{PASSWORD}"));
        let words = line.split_whitespace().skip(1);
        words.map(str::to_owned).collect()
    });
    let words: Vec<Vec<String>> = words.collect();
    words.try_into().expect("the README has four lines")
}

/// A Redis with a user of these rights, and the folder with what lets a gateway in.
async fn with_user(lines: &[Vec<String>]) -> (Redis, tempfile::TempDir) {
    let mut redis = Redis::start().await;
    for line in lines {
        let () = redis.run(redis::cmd("ACL").arg(line)).await;
    }
    let () = redis.run(redis::cmd("CONFIG").arg("RESETSTAT")).await;
    (redis, login(&["username", "password"]))
}

/// The folder with what lets a gateway in: files whose names end in `username` and `password`.
fn login(names: &[&str]) -> tempfile::TempDir {
    let folder = tests::process::folder();
    for name in names {
        let text = if name.ends_with("username") {
            "siar"
        } else {
            PASSWORD
        };
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn setup(url: &str, folder: &tempfile::TempDir) -> GatewaySetup {
    let setup = GatewaySetup::new().redis(url);
    setup.flag("--redis-secret-dir", &folder.path().display().to_string())
}

/// A pattern that is not wanted any more, and the end of a session that the server forgot.
async fn rare_paths(gateway: &Gateway, redis: &mut Redis) {
    gateway.remove("orders").await;
    let mut listener = gateway.listen("c1").await;
    let mut told = redis
        .hear(&["juggernaut:subscribe", "juggernaut:unsubscribe"])
        .await;
    let second = gateway.listen("c2").await;
    assert_eq!(told.next().await.0, "juggernaut:subscribe");
    redis.flush().await;
    drop(second);
    assert_eq!(told.next().await.0, "juggernaut:unsubscribe");
    let payload = r#"{"channels": ["c1"], "data": "still here"}"#;
    redis.publish("juggernaut", payload).await;
    assert_eq!(listener.next().await.data, "still here");
    until_zero(redis, redis::cmd("PUBSUB").arg("NUMPAT")).await;
}

async fn until_zero(redis: &mut Redis, ask: &mut redis::Cmd) {
    tests::wait::within("the pattern to be left", async {
        while redis.run::<i64>(ask).await != 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

async fn nothing_was_refused(redis: &mut Redis) {
    let log: Vec<BTreeMap<String, String>> = redis.run(redis::cmd("ACL").arg("LOG")).await;
    assert!(log.is_empty(), "{log:#?}");
}

#[tokio::test]
async fn the_first_line_of_the_readme_is_enough_without_raw_publishers() {
    let lines = lines();
    let (mut redis, folder) = with_user(&lines[..1]).await;
    let gateways = features::pair(&features::quiet(), setup(&redis.url(), &folder)).await;
    features::publish_and_listen(&gateways).await;
    nothing_was_refused(&mut redis).await;
}

#[tokio::test]
async fn all_lines_of_the_readme_are_enough_for_everything_and_each_command_is_needed() {
    let lines = lines();
    let (mut redis, folder) = with_user(&lines[..2]).await;
    let channels: Vec<Channel> =
        [features::quiet(), features::flask(), features::juggernaut()].concat();
    let mut gateways = features::pair(&channels, setup(&redis.url(), &folder)).await;
    features::publish_and_listen(&gateways).await;
    features::hear_flask(&gateways, &mut redis).await;
    features::hear_juggernaut(&mut gateways, &mut redis).await;
    let [mut one, _gone] = gateways;
    rare_paths(&one, &mut redis).await;
    one.term();
    assert!(one.exit().await.success());
    nothing_was_refused(&mut redis).await;
    let idle: Vec<String> = given(&lines[..2])
        .difference(&used(&mut redis).await)
        .cloned()
        .collect();
    assert!(idle.is_empty(), "nobody used {idle:?}");
}

/// The commands that lines give.
fn given(lines: &[Vec<String>]) -> BTreeSet<String> {
    let words = lines.iter().flatten();
    words
        .filter_map(|word| word.strip_prefix('+').map(str::to_owned))
        .collect()
}

/// The commands that a server was asked.
async fn used(redis: &mut Redis) -> BTreeSet<String> {
    let stats: String = redis.run(redis::cmd("INFO").arg("commandstats")).await;
    stats
        .lines()
        .filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(':'))
        .map(|(name, _)| name.to_owned())
        .collect()
}

#[tokio::test]
async fn a_cluster_takes_its_line_on_all_nodes_and_each_command_is_needed() {
    let lines = lines();
    let mut cluster = RedisCluster::start().await;
    for index in 0..cluster.len() {
        for line in &lines[..3] {
            let () = cluster.node(index).run(redis::cmd("ACL").arg(line)).await;
        }
    }
    let folder = login(&["username", "password"]);
    let channels: Vec<Channel> = [features::quiet(), features::flask()].concat();
    let gateways = features::pair(&channels, setup(&cluster.url(), &folder)).await;
    features::publish_and_listen(&gateways).await;
    let home = cluster.owner_of("siar:{ingest:default}:ledger").await;
    features::hear_flask(&gateways, cluster.node(home)).await;
    // Topics that nobody listens to any more are left a little later.
    within_time(LINGER, "each command to be used", async {
        let mut idle = given(&lines[2..3]);
        while !idle.is_empty() {
            for index in 0..cluster.len() {
                let used = used(cluster.node(index)).await;
                idle.retain(|command| !used.contains(command));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    for index in 0..cluster.len() {
        nothing_was_refused(cluster.node(index)).await;
    }
}

#[tokio::test]
async fn sentinels_take_their_line_and_their_servers_the_first() {
    let lines = lines();
    let mut group = Sentinels::start().await;
    for index in 0..3 {
        let () = group
            .server(index)
            .run(redis::cmd("ACL").arg(&lines[0]))
            .await;
        let sentinel = group.sentinel(index);
        let () = sentinel.run(redis::cmd("ACL").arg(&lines[3])).await;
    }
    let folder = login(&[
        "username",
        "password",
        "sentinel-username",
        "sentinel-password",
    ]);
    let gateways = features::pair(&features::quiet(), setup(&group.url(), &folder)).await;
    features::publish_and_listen(&gateways).await;
    let mut clients = String::new();
    for index in 0..3 {
        nothing_was_refused(group.server(index)).await;
        let sentinel = group.sentinel(index);
        nothing_was_refused(sentinel).await;
        let list: String = sentinel.run(redis::cmd("CLIENT").arg("LIST")).await;
        clients.push_str(&list);
    }
    assert!(clients.contains(" user=siar "), "{clients}");
}
