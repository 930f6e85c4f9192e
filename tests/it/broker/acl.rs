//! The least rights of a gateway's user, as the README shows them.
//!
//! Owns: that every feature works with these lines, that nothing is refused meanwhile, and that each of their
//! commands is needed.

use super::features;
use crate::{Channel, Gateway, GatewaySetup, Redis};
use std::collections::{BTreeMap, BTreeSet};

const README: &str = include_str!("../../../README.md");
const PASSWORD: &str = "l3ast";

/// The lines of the README that make the user, from `ACL SETUSER siar` on, as words without `ACL`.
fn lines() -> Vec<Vec<String>> {
    let lines = README
        .lines()
        .filter(|line| line.starts_with("ACL SETUSER "));
    let words = lines.map(|line| {
        let line = line.replace(">PASSWORD", &format!(">{PASSWORD}"));
        let words = line.split_whitespace().skip(1);
        words.map(str::to_owned).collect()
    });
    words.collect()
}

/// A Redis with a user of these rights, and the folder with what lets a gateway in.
async fn with_user(lines: &[Vec<String>]) -> (Redis, tempfile::TempDir) {
    let mut redis = Redis::start().await;
    for line in lines {
        let () = redis.run(redis::cmd("ACL").arg(line)).await;
    }
    let () = redis.run(redis::cmd("CONFIG").arg("RESETSTAT")).await;
    let folder = tests::process::folder();
    std::fs::write(folder.path().join("username"), "siar").unwrap();
    std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
    (redis, folder)
}

fn setup(redis: &Redis, folder: &tempfile::TempDir) -> GatewaySetup {
    let setup = GatewaySetup::new().redis(&redis.url());
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
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
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
    let gateways = features::pair(&features::quiet(), setup(&redis, &folder)).await;
    features::publish_and_listen(&gateways).await;
    nothing_was_refused(&mut redis).await;
}

#[tokio::test]
async fn all_lines_of_the_readme_are_enough_for_everything_and_each_command_is_needed() {
    let lines = lines();
    let (mut redis, folder) = with_user(&lines).await;
    let channels: Vec<Channel> =
        [features::quiet(), features::flask(), features::juggernaut()].concat();
    let mut gateways = features::pair(&channels, setup(&redis, &folder)).await;
    features::publish_and_listen(&gateways).await;
    features::hear_flask(&gateways, &mut redis).await;
    features::hear_juggernaut(&mut gateways, &mut redis).await;
    let [mut one, _gone] = gateways;
    rare_paths(&one, &mut redis).await;
    one.term();
    assert!(one.exit().await.success());
    nothing_was_refused(&mut redis).await;
    let given = lines.iter().flatten();
    let given: BTreeSet<String> = given
        .filter_map(|word| word.strip_prefix('+').map(str::to_owned))
        .collect();
    let stats: String = redis.run(redis::cmd("INFO").arg("commandstats")).await;
    let used: BTreeSet<String> = stats
        .lines()
        .filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(':'))
        .map(|(name, _)| name.to_owned())
        .collect();
    let idle: Vec<&String> = given.difference(&used).collect();
    assert!(idle.is_empty(), "nobody used {idle:?}");
}
