//! Keys under which a message is published once, in memory and over gateways that share a Redis.
//!
//! Owns: `Idempotency-Key`, the replayed answer and the conflict. Never: the gateway's own tries.

use super::{channel, refused};
use crate::{Gateway, GatewaySetup, Redis};
use serde_json::json;
use tests::http::{Answer, Ask};
use tests::manifest::secret;

/// `POST /publish?channel=c` under a key.
async fn keyed(gateway: &Gateway, key: &str, data: &str) -> Answer {
    let post = gateway.post(&[("channel", "c")], data);
    post.header("Idempotency-Key", key).send().await
}

/// Under one key one message, from all of these gateways together.
async fn once(gateways: &[&Gateway]) {
    let [first, .., last] = gateways else {
        panic!("the first and the last may be the same")
    };
    let mut listener = first.listen("c").await;
    let original = keyed(first, "k1", "a").await.expect(200);
    assert_eq!(original.header("idempotency-replayed"), None);
    for gateway in gateways {
        let repeat = keyed(gateway, "k1", "a").await.expect(200);
        assert_eq!(repeat.header("idempotency-replayed"), Some("true"));
        assert_eq!(repeat.json(), original.json(), "the first result");
        refused(keyed(gateway, "k1", "b").await, 422, "key-conflict");
    }
    let typed = last.post(&[("channel", "c"), ("type", "t")], "a");
    let typed = typed.header("Idempotency-Key", "k1").send().await;
    refused(typed, 422, "key-conflict");
    let other = keyed(last, "k2", "a").await.expect(200);
    assert_eq!(other.header("idempotency-replayed"), None);
    last.publish("c", "end").await;
    assert_eq!(listener.data(3).await, ["a", "a", "end"]);
}

/// A list under one key: each item once.
async fn list_once(gateway: &Gateway) {
    let mut listener = gateway.listen("c").await;
    let body = json!([{"channel": "c", "data": "1"}, {"channel": "c", "data": "1"}]).to_string();
    let ask = Ask::post(gateway.public(), "/publish", body)
        .header("Content-Type", "application/json")
        .header("Idempotency-Key", "list");
    let original = ask.clone().send().await.expect(200);
    assert_eq!(original.header("idempotency-replayed"), None);
    let repeat = ask.send().await.expect(200);
    assert_eq!(repeat.header("idempotency-replayed"), Some("true"));
    assert_eq!(repeat.json(), original.json());
    gateway.publish("c", "end").await;
    assert_eq!(listener.data(3).await, ["1", "1", "end"]);
}

#[tokio::test]
async fn in_memory_a_key_publishes_once() {
    let gateway = Gateway::serving(&channel()).await;
    once(&[&gateway, &gateway]).await;
    list_once(&gateway).await;
}

#[tokio::test]
async fn in_redis_a_key_publishes_once_whichever_gateway_is_asked() {
    let redis = Redis::start().await;
    let setup = GatewaySetup::new().channel(&channel()).redis(&redis.url());
    let (one, two) = (setup.clone().start().await, setup.start().await);
    once(&[&one, &two]).await;
    list_once(&two).await;
}

#[tokio::test]
async fn a_key_that_is_none_is_malformed() {
    let gateway = Gateway::serving(&channel()).await;
    for key in ["", "a\tb", "é", &"k".repeat(256)] {
        refused(keyed(&gateway, key, "x").await, 400, "malformed");
    }
    let _ = keyed(&gateway, &"k".repeat(255), "x").await.expect(200);
}

#[tokio::test]
async fn the_key_of_one_identity_is_not_the_key_of_another() {
    let closed = channel().tokens("publish", "writers");
    let writers = secret("writers", &[("ana", "token-ana"), ("ben", "token-ben")]);
    let setup = GatewaySetup::new().file("c", vec![closed.manifest(), writers]);
    let gateway = setup.start().await;
    let mut listener = gateway.listen("c").await;
    for (token, data) in [("token-ana", "of ana"), ("token-ben", "of ben")] {
        let post = gateway.post(&[("channel", "c")], data).token(token);
        let answer = post
            .header("Idempotency-Key", "same")
            .send()
            .await
            .expect(200);
        assert_eq!(answer.header("idempotency-replayed"), None);
    }
    assert_eq!(listener.data(2).await, ["of ana", "of ben"]);
}
