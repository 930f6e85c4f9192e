//! Selectors: a Channel with `wildcard` numbers all its topics in one feed too, and a stream on it has one cursor.
//!
//! Owns: what a selector lets through, once. Never: selectors of Mercure.

use crate::{Channel, Gateway, GatewaySetup, Redis};
use serde_json::json;
use std::time::Duration;

/// The topics `orders` and `orders.{user}`, to all of which one stream may listen.
fn wildcard() -> Channel {
    Channel::open("orders")
        .topics(&["orders", "orders.{user}"])
        .with("wildcard", json!(true))
        .history(100)
}

/// Each message of the feed once, with one position as cursor, and resumed where it was left.
async fn feed(gateway: &Gateway) {
    let mut listener = gateway.listen("orders.*").await;
    assert_eq!(listener.cursor().await, "0-0");
    gateway.publish("orders", "without the dot").await;
    gateway.publish("orders.a", "1").await;
    gateway.publish("orders.b", "2").await;
    assert_eq!(listener.data(2).await, ["1", "2"]);
    let id = listener.last_event_id();
    assert!(!id.contains('~') && id.ends_with("-3"), "{id}");
    drop(listener);
    for (topic, data) in [("orders.c", "3"), ("orders.a", "4"), ("orders", "no")] {
        gateway.publish(topic, data).await;
    }
    let mut listener = gateway.listen("orders.*").last_event_id(&id).await;
    assert_eq!(listener.data(2).await, ["3", "4"]);
    gateway.publish("orders.d", "5").await;
    assert_eq!(listener.data(1).await, ["5"]);
    assert_eq!(
        listener.silent_for(Duration::from_millis(300)).await,
        Ok(())
    );
}

#[tokio::test]
async fn in_memory_a_selector_listens_to_the_feed_and_resumes_on_it() {
    feed(&Gateway::serving(&wildcard()).await).await;
}

#[tokio::test]
async fn in_redis_a_selector_listens_to_the_feed_and_resumes_on_it() {
    let redis = Redis::start().await;
    let setup = GatewaySetup::new().channel(&wildcard());
    feed(&setup.redis(&redis.url()).start().await).await;
}

#[tokio::test]
async fn an_exact_name_beside_the_selector_brings_nothing_twice() {
    let gateway = Gateway::serving(&wildcard()).await;
    let listen = gateway.listen("orders.*").channel("orders.a");
    let mut listener = listen.channel("orders").envelope().await;
    for (topic, data) in [("orders.a", "1"), ("orders", "2"), ("orders.b", "3")] {
        gateway.publish(topic, data).await;
    }
    for (topic, data) in [("orders.a", "1"), ("orders", "2"), ("orders.b", "3")] {
        let event = listener.next().await;
        let envelope: serde_json::Value = serde_json::from_str(&event.data).unwrap();
        assert_eq!(
            (&envelope["channel"], &envelope["data"]),
            (&json!(topic), &json!(data))
        );
    }
    assert_eq!(
        listener.silent_for(Duration::from_millis(300)).await,
        Ok(())
    );
}

#[tokio::test]
async fn a_star_alone_is_every_topic_of_the_channels_with_wildcard() {
    let closed = Channel::open("news").history(10);
    let gateway = GatewaySetup::new()
        .channel(&wildcard())
        .channel(&closed)
        .start()
        .await;
    let mut listener = gateway.listen("*").await;
    gateway.publish("news", "not selectable").await;
    gateway.publish("orders", "1").await;
    gateway.publish("orders.a", "2").await;
    assert_eq!(listener.data(2).await, ["1", "2"]);
}

#[tokio::test]
async fn without_wildcard_a_selector_is_an_unknown_topic() {
    let gateway = Gateway::serving(&Channel::open("orders").topics(&["orders", "o.{n}.x"])).await;
    for selector in ["orders.*", "o.*", "*", "x*"] {
        let answer = gateway.listen(selector).refused().await.expect(404);
        let kind = answer.json()["type"].as_str().unwrap().to_owned();
        assert_eq!(kind.rsplit('/').next(), Some("unknown-topic"), "{selector}");
    }
}
