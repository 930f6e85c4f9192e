//! The servers that carry messages: how the gateway reaches a Redis, and what it leaves there.
//!
//! Owns: TLS, passwords and keys, as an operator of a Redis sees them; its parts the rest.

mod acl; // the least rights, as the README shows them
mod declined; // a server that says no is named to the publisher
mod features; // everything that gateways do with a Redis, in one go
mod groups; // a cluster and Sentinels, with TLS
mod rotation; // credentials and servers that change under open streams
mod versions; // the contract on other servers than the one of this Debian

use crate::{Channel, Gateway, GatewaySetup, Redis};
use tests::certs::Certs;
use tests::manifest::secret;
use tests::redis::Setup as RedisSetup;

const PASSWORD: &str = "p4ss-of-the-test";

async fn protected() -> Redis {
    RedisSetup::default()
        .password(PASSWORD)
        .tls(Certs::new())
        .start()
        .await
}

/// Publishing and resuming both work, and the password was told to nobody.
async fn works(gateway: &mut Gateway) {
    let mut listener = gateway.listen("c").await;
    gateway.publish("c", "over tls").await;
    assert_eq!(listener.next().await.data, "over tls");
    assert_eq!(
        gateway.listen("c").since("1").await.next().await.data,
        "over tls"
    );
    let status = gateway.status().await.to_string();
    for text in [gateway.process().log(), status] {
        assert!(!text.contains(PASSWORD), "{text}");
    }
}

#[tokio::test]
async fn the_gateways_own_redis_takes_tls_and_a_password_from_a_folder() {
    let redis = protected().await;
    let folder = tests::process::folder();
    std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
    std::fs::copy(redis.certs().path("ca.crt"), folder.path().join("ca.crt")).unwrap();
    let mut gateway = GatewaySetup::new()
        .channel(&Channel::open("c").history(10))
        .redis(&redis.url())
        .flag("--redis-secret-dir", &folder.path().display().to_string())
        .start()
        .await;
    works(&mut gateway).await;
}

#[tokio::test]
async fn a_channels_redis_takes_tls_and_a_password_from_its_secret() {
    let redis = protected().await;
    let reference = serde_json::json!({ "url": redis.url(), "secretRef": { "name": "c-redis" } });
    let pairs = [
        ("password", PASSWORD),
        ("ca.crt", &redis.certs().pem("ca.crt")),
    ];
    let mut gateway = GatewaySetup::new()
        .file(
            "c",
            vec![
                Channel::open("c")
                    .history(10)
                    .with("redis", reference)
                    .manifest(),
                secret("c-redis", &pairs),
            ],
        )
        .start()
        .await;
    works(&mut gateway).await;
}

#[tokio::test]
async fn a_wrong_password_is_down_and_told_without_being_shown() {
    let redis = RedisSetup::default().password(PASSWORD).start().await;
    let reference = serde_json::json!({ "url": redis.url(), "secretRef": { "name": "c-redis" } });
    let mut gateway = GatewaySetup::new()
        .file(
            "c",
            vec![
                Channel::open("c")
                    .history(10)
                    .with("redis", reference)
                    .manifest(),
                secret("c-redis", &[("password", "wr0ng-password")]),
            ],
        )
        .start()
        .await;
    assert_eq!(gateway.listen("c").await.end().await.reason, "unavailable");
    assert_eq!(
        gateway.post(&[("channel", "c")], "x").send().await.status,
        503
    );
    assert_eq!(gateway.metrics().await.sum("siar_redis_up", &[]), 0.0);
    let log = gateway.process().log();
    assert!(!log.contains("wr0ng-password"), "{log}");
}

#[tokio::test]
async fn what_stands_in_redis_is_named_by_prefix_namespace_and_topic() {
    let mut redis = Redis::start().await;
    let gateway = GatewaySetup::new()
        .channel(&Channel::open("c").history(10))
        .channel(&Channel::open("live"))
        .redis(&redis.url())
        .flag("--redis-key-prefix", "mine")
        .start()
        .await;
    let ask = gateway
        .post(&[("channel", "c")], "x")
        .header("Idempotency-Key", "once");
    let _ = ask.send().await.expect(200);
    gateway.publish("live", "y").await;
    let mut keys: Vec<String> = redis.run(redis::cmd("KEYS").arg("*")).await;
    keys.retain(|key| !key.contains(":k:"));
    keys.sort();
    assert_eq!(
        keys,
        [
            "mine:{default/c}:h",
            "mine:{default/c}:m",
            "mine:{default/live}:m"
        ]
    );
    for key in keys {
        let ttl: i64 = redis.run(redis::cmd("TTL").arg(&key)).await;
        assert!(ttl > 0, "{key} never expires");
    }
}

#[tokio::test]
async fn a_redis_that_comes_late_is_used_without_a_restart() {
    let mut redis = Redis::start().await;
    redis.kill9();
    let reference = serde_json::json!({ "url": redis.url() });
    let channel = Channel::open("c").history(10).with("redis", reference);
    let gateway = Gateway::serving(&channel).await;
    assert_eq!(gateway.listen("c").await.end().await.reason, "unavailable");
    redis.start_again().await;
    let mut listener = tests::wait::until("a stream to stay open", || async {
        let mut listener = gateway.listen("c").await;
        match listener.item().await {
            tests::sse::Item::Retry(_) => {}
            other => panic!("a stream begins with retry, not {other:?}"),
        }
        gateway.post(&[("channel", "c")], "x").send().await;
        let event = listener.event().await;
        if event.kind == "siar.end" {
            Err(event.data)
        } else {
            Ok(listener)
        }
    })
    .await;
    gateway.publish("c", "late").await;
    assert_eq!(listener.next().await.data, "late");
}
