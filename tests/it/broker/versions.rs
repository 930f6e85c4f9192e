//! The contract on other servers than the `redis-server` of this Debian.
//!
//! Owns: Redis 6.2, which has no sharded pub/sub and other texts of errors, and Valkey 8. `tests/run` fetches them.

use super::features;
use crate::{Channel, GatewaySetup};
use std::path::PathBuf;
use tests::redis::Setup as RedisSetup;

/// A server that `tests/run` put into its cache.
fn fetched(name: &str) -> PathBuf {
    let program = tests::process::cache().join("redis").join(name);
    assert!(
        program.exists(),
        "{} is missing; tests/run fetches it",
        program.display()
    );
    program
}

async fn keeps_the_contract(name: &str, version: &str) {
    let mut redis = RedisSetup::default().program(fetched(name)).start().await;
    let told: String = redis.run(redis::cmd("INFO").arg("server")).await;
    assert!(told.contains(version), "{told}");
    let channels: Vec<Channel> =
        [features::quiet(), features::flask(), features::juggernaut()].concat();
    let setup = GatewaySetup::new().redis(&redis.url());
    let mut gateways = features::pair(&channels, setup).await;
    features::publish_and_listen(&gateways).await;
    features::hear_flask(&gateways, &mut redis).await;
    features::hear_juggernaut(&mut gateways, &mut redis).await;
    // What it says when it declines is understood, too.
    let [one, _] = gateways;
    for (directive, bad, good, word) in [
        ("maxmemory", "1", "0", "redis-full"),
        ("min-replicas-to-write", "1", "0", "redis-replicas"),
    ] {
        for topic in ["kept", "live", "wild.a"] {
            let () = redis
                .run(redis::cmd("CONFIG").arg(&["SET", directive, bad]))
                .await;
            let answer = one.post(&[("channel", topic)], "no").send().await;
            assert_eq!(answer.expect(503).word(), word, "{topic}");
            let () = redis
                .run(redis::cmd("CONFIG").arg(&["SET", directive, good]))
                .await;
            one.publish(topic, "yes").await;
        }
    }
}

#[tokio::test]
async fn redis_6_2_keeps_the_contract() {
    keeps_the_contract("redis-6.2", "redis_version:6.2.").await;
}

#[tokio::test]
async fn valkey_8_keeps_the_contract() {
    keeps_the_contract("valkey-8", "valkey_version:8.").await;
}
