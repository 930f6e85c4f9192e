//! Credentials and servers that change while streams are open.
//!
//! Owns: that a rotation costs no stream and no message, and that a Channel that moves takes its streams along.

use super::PASSWORD;
use crate::{Channel, Gateway, GatewaySetup, Redis};
use serde_json::{Value, json};
use tests::certs::Certs;
use tests::listen::Listener;
use tests::manifest::secret;
use tests::redis::Setup as RedisSetup;
use tests::wait::until;

/// The Channel `name` on a server, with credentials from a Secret.
fn channel(name: &str, url: &str, secret: &str) -> Value {
    let reference = json!({ "url": url, "secretRef": { "name": secret } });
    let channel = Channel::open(name).history(100);
    channel.with("redis", reference).manifest()
}

async fn serving(documents: Vec<Value>) -> Gateway {
    GatewaySetup::new().file("all", documents).start().await
}

/// Publishes under one key until it is acknowledged: once, however often it takes.
async fn insist(gateway: &Gateway, data: &str) {
    until("the publication to be acknowledged", || async {
        let ask = gateway.post(&[("channel", "c")], data);
        let answer = ask.header("Idempotency-Key", data).send().await;
        match answer.status {
            200 => Ok(()),
            _ => Err(answer.text()),
        }
    })
    .await;
}

/// Cuts the gateway's connections, and proves that it gets in again and that the stream missed nothing.
async fn comes_back(redis: &mut Redis, gateway: &Gateway, listener: &mut Listener) {
    insist(gateway, "before").await;
    redis.kill_clients("pubsub").await;
    redis.kill_clients("normal").await;
    insist(gateway, "meanwhile").await;
    insist(gateway, "after").await;
    assert_eq!(listener.data(3).await, ["before", "meanwhile", "after"]);
    assert!(listener.ended().is_none());
}

/// A Redis that just took another password, a gateway that has the old one and then the documents with the new one, and
/// an open stream.
async fn with_another_password() -> (Redis, Gateway, Vec<Value>, Listener) {
    let mut redis = RedisSetup::default().password(PASSWORD).start().await;
    let documents = |password: &str| {
        vec![
            channel("c", &redis.url(), "c-redis"),
            secret("c-redis", &[("password", password)]),
        ]
    };
    let (old, new) = (documents(PASSWORD), documents("an0ther"));
    let gateway = serving(old).await;
    let mut listener = gateway.listen("c").await;
    insist(&gateway, "first").await;
    assert_eq!(listener.next().await.data, "first");
    let set = ["SET", "requirepass", "an0ther"];
    let () = redis.run(redis::cmd("CONFIG").arg(&set)).await;
    (redis, gateway, new, listener)
}

#[tokio::test]
async fn a_password_is_rotated_under_open_streams() {
    let (mut redis, gateway, new, mut listener) = with_another_password().await;
    gateway.apply_file("all", &new).await;
    comes_back(&mut redis, &gateway, &mut listener).await;
}

#[tokio::test]
async fn a_password_that_is_wrong_for_a_while_costs_no_stream() {
    let (mut redis, gateway, new, mut listener) = with_another_password().await;
    redis.kill_clients("pubsub").await;
    redis.kill_clients("normal").await;
    gateway.until_metric("siar_redis_up", &[], 0.0).await;
    gateway.apply_file("all", &new).await;
    gateway.until_metric("siar_redis_up", &[], 1.0).await;
    comes_back(&mut redis, &gateway, &mut listener).await;
}

#[tokio::test]
async fn an_authority_is_rotated_under_open_streams() {
    let mut redis = RedisSetup::default().tls(Certs::new()).start().await;
    let documents = |ca: &str| {
        vec![
            channel("c", &redis.url(), "c-redis"),
            secret("c-redis", &[("ca.crt", ca)]),
        ]
    };
    let others = Certs::new();
    let old = documents(&redis.certs().pem("ca.crt"));
    let new = documents(&others.pem("ca.crt"));
    let gateway = serving(old).await;
    let mut listener = gateway.listen("c").await;
    let mut set = redis::cmd("CONFIG");
    set.arg("SET");
    for (name, file) in [
        ("tls-cert-file", "tls.crt"),
        ("tls-key-file", "tls.key"),
        ("tls-ca-cert-file", "ca.crt"),
    ] {
        set.arg(name).arg(others.path(file).display().to_string());
    }
    insist(&gateway, "first").await;
    assert_eq!(listener.next().await.data, "first");
    let () = redis.run(&mut set).await;
    gateway.apply_file("all", &new).await;
    comes_back(&mut redis, &gateway, &mut listener).await;
}

#[tokio::test]
async fn a_channel_that_moves_to_another_server_takes_its_streams_along() {
    let mut old = Redis::start().await;
    let mut new = Redis::start().await;
    let on = |redis: &Redis| Channel::open("c").history(10).redis(&redis.url());
    let gateway = Gateway::serving(&on(&old)).await;
    let mut listener = gateway.listen("c").await;
    gateway.publish("c", "on the old one").await;
    assert_eq!(listener.next().await.data, "on the old one");
    gateway.apply(&on(&new)).await;
    assert_eq!(listener.end().await.reason, "rotated");
    let mut listener = gateway.listen("c").await;
    gateway.publish("c", "on the new one").await;
    assert_eq!(listener.next().await.data, "on the new one");
    old.until_subscribers("siar:{default/c}", 0).await;
    new.until_subscribers("siar:{default/c}", 1).await;
    until("the old server to be left", || async {
        match gateway.metrics().await.values("siar_redis_up", "server") {
            servers if servers.len() == 1 => Ok(()),
            servers => Err(format!("{servers:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn a_channel_whose_credentials_come_from_another_secret_takes_its_streams_along() {
    let redis = RedisSetup::default().password(PASSWORD).start().await;
    let secrets = ["one", "two"].map(|name| secret(name, &[("password", PASSWORD)]));
    let with = |name: &str| {
        let mut documents = vec![channel("c", &redis.url(), name)];
        documents.extend(secrets.clone());
        documents
    };
    let gateway = serving(with("one")).await;
    let mut listener = gateway.listen("c").await;
    gateway.apply_file("all", &with("two")).await;
    assert_eq!(listener.end().await.reason, "rotated");
    let mut listener = gateway.listen("c").await;
    gateway.publish("c", "by the other").await;
    assert_eq!(listener.next().await.data, "by the other");
}

#[tokio::test]
async fn channels_on_one_server_with_one_secret_share_its_two_connections() {
    let mut redis = RedisSetup::default().password(PASSWORD).start().await;
    let url = redis.url();
    let gateway = serving(vec![
        channel("a", &url, "both"),
        channel("b", &url, "both"),
        secret("both", &[("password", PASSWORD)]),
    ])
    .await;
    for topic in ["a", "b"] {
        let mut listener = gateway.listen(topic).await;
        gateway.publish(topic, topic).await;
        assert_eq!(listener.next().await.data, topic);
    }
    assert_eq!(redis.connections().await.len(), 2);
}
