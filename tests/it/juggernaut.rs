//! Juggernaut: one payload to several channels, without its sender, and events for the app.
//!
//! Owns: what an app that publishes to `juggernaut` and subscribes to its events can rely on.

use crate::{Channel, Gateway, GatewaySetup, Redis};
use serde_json::{Value, json};
use std::time::Duration;
use tests::wait::within_time;

mod events; // juggernaut:subscribe and juggernaut:unsubscribe

/// A Channel for the names that Juggernaut's users had.
fn chat() -> Channel {
    Channel::open("chat")
        .topics(&["/{room}", "/observer/{user}", "c1", "c2"])
        .ingest(&["Juggernaut"])
}

async fn serve(redis: &Redis) -> Gateway {
    GatewaySetup::new()
        .channel(&chat())
        .redis(&redis.url())
        .start()
        .await
}

async fn publish(redis: &mut Redis, payload: &Value) {
    let gateways = redis.publish("juggernaut", payload.to_string()).await;
    assert!(gateways > 0, "no gateway hears {payload}");
}

#[tokio::test]
async fn one_payload_reaches_two_channels_and_no_third() {
    let mut redis = Redis::start().await;
    let gateway = serve(&redis).await;
    let (mut c1, mut c2) = (gateway.listen("c1").await, gateway.listen("c2").await);
    let mut chat = gateway.listen("/chat").await;
    publish(
        &mut redis,
        &json!({ "channels": ["c1", "c2", "c1"], "data": "hi" }),
    )
    .await;
    publish(
        &mut redis,
        &json!({ "channels": ["c1", "c2", "/chat"], "data": "all" }),
    )
    .await;
    assert_eq!(c1.data(2).await, ["hi", "all"]);
    assert_eq!(c2.data(2).await, ["hi", "all"]);
    assert_eq!(chat.next().await.data, "all");
}

#[tokio::test]
async fn a_stream_on_both_channels_gets_it_once_for_each() {
    let mut redis = Redis::start().await;
    let gateway = serve(&redis).await;
    let mut both = gateway.listen("c1").channel("c2").await;
    publish(
        &mut redis,
        &json!({ "channels": ["c1", "c2"], "data": "twice" }),
    )
    .await;
    publish(&mut redis, &json!({ "channels": ["c1"], "data": "once" })).await;
    let mut seen = both.data(3).await;
    // The order holds within a channel, not between two.
    seen.sort();
    assert_eq!(seen, ["once", "twice", "twice"]);
}

#[tokio::test]
async fn channel_singular_and_channels_as_a_string_are_understood() {
    let mut redis = Redis::start().await;
    let gateway = serve(&redis).await;
    let mut listener = gateway.listen("/observer/42").await;
    publish(&mut redis, &json!({ "channel": "/observer/42", "data": 1 })).await;
    publish(
        &mut redis,
        &json!({ "channels": "/observer/42", "data": 2 }),
    )
    .await;
    publish(
        &mut redis,
        &json!({ "channels": ["/observer/42"], "channel": "c1", "data": 3 }),
    )
    .await;
    assert_eq!(listener.data(3).await, ["1", "2", "3"]);
}

#[tokio::test]
async fn data_follows_the_rule_of_flask_sse_and_other_keys_are_ignored() {
    let mut redis = Redis::start().await;
    let gateway = serve(&redis).await;
    let mut listener = gateway.listen("c1").await;
    for payload in [
        r#"{"channels": ["c1"], "data": {"a":  1}}"#,
        r#"{"channels": ["c1"], "data": "text"}"#,
        r#"{"channels": ["c1"], "data": 1.50}"#,
        r#"{"channels": ["c1"], "data": null, "type": "x", "id": "9", "more": {"k": []}}"#,
    ] {
        assert_eq!(redis.publish("juggernaut", payload).await, 1);
    }
    assert_eq!(listener.data(3).await, [r#"{"a":  1}"#, "text", "1.50"]);
    let event = listener.next().await;
    assert_eq!(
        (event.kind.as_str(), event.data.as_str()),
        ("message", "null")
    );
    assert!(!listener.transcript().contains("more"));
}

#[tokio::test]
async fn what_is_no_message_is_counted_between_two_good_ones() {
    let mut redis = Redis::start().await;
    let gateway = serve(&redis).await;
    let mut listener = gateway.listen("c1").await;
    let malformed = [
        "{broken",
        r#"{"channels": ["c1"]}"#,
        r#"{"data": "to nobody"}"#,
        r#"{"channels": 5, "data": "x"}"#,
        r#"{"channels": {}, "data": "x"}"#,
    ];
    publish(&mut redis, &json!({ "channels": ["c1"], "data": "before" })).await;
    for payload in malformed {
        redis.publish("juggernaut", payload).await;
    }
    publish(&mut redis, &json!({ "channels": ["c1"], "data": "after" })).await;
    assert_eq!(listener.data(2).await, ["before", "after"]);
    let labels = [("source", "juggernaut")];
    gateway
        .until_metric(
            "siar_messages_malformed_total",
            &labels,
            malformed.len() as f64,
        )
        .await;
}

#[tokio::test]
async fn except_withholds_it_from_those_sessions_on_two_gateways() {
    let mut redis = Redis::start().await;
    let (a, b) = (serve(&redis).await, serve(&redis).await);
    let (mut ana, mut ben, mut eve) = (
        a.listen("c1").control().await,
        b.listen("c1").control().await,
        b.listen("c1").control().await,
    );
    let session = |opened: Value| opened["session"].as_str().unwrap().to_owned();
    let ana_is = session(ana.opened().await);
    let ben_is = session(ben.opened().await);
    assert_ne!(ana_is, ben_is);
    publish(
        &mut redis,
        &json!({ "channels": ["c1"], "data": "not ana", "except": ana_is }),
    )
    .await;
    publish(
        &mut redis,
        &json!({ "channels": ["c1"], "data": "only eve", "except": [ana_is, ben_is] }),
    )
    .await;
    publish(&mut redis, &json!({ "channels": ["c1"], "data": "all" })).await;
    assert_eq!(ana.next().await.data, "all");
    assert_eq!(ben.data(2).await, ["not ana", "all"]);
    assert_eq!(eve.data(3).await, ["not ana", "only eve", "all"]);
    for listener in [&ana, &ben, &eve] {
        assert!(
            !listener.transcript().contains("except"),
            "{}",
            listener.transcript()
        );
    }
}

#[tokio::test]
async fn with_history_it_is_numbered_once_and_kept() {
    let mut redis = Redis::start().await;
    let setup = GatewaySetup::new()
        .channel(&chat().history(10))
        .redis(&redis.url());
    let (a, b) = (setup.clone().start().await, setup.start().await);
    redis.until_subscribers("juggernaut", 1).await;
    let mut live = b.listen("c1").await;
    publish(&mut redis, &json!({ "channels": ["c1"], "data": "one" })).await;
    publish(&mut redis, &json!({ "channels": ["c1"], "data": "two" })).await;
    assert_eq!(live.data(2).await, ["one", "two"]);
    let mut late = a.listen("c1").since("10").await;
    a.publish("c1", "three").await;
    assert_eq!(late.data(3).await, ["one", "two", "three"]);
}
