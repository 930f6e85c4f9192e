//! The 20 tests of Flask-SSE as black-box cases, by their numbers there.

use super::{listen, serve, sse};
use crate::{Channel, Gateway, GatewaySetup, Redis};
use serde_json::json;
use tests::wait::until;

#[tokio::test]
async fn case_1_a_channel_without_any_redis_says_which_field_to_set() {
    let mut gateway = Gateway::serving(&sse()).await;
    let process = gateway.process();
    until("the log to name the field", || {
        let named = process
            .log()
            .lines()
            .any(|line| line.contains("sse") && line.contains("spec.redis"));
        async move {
            if named {
                Ok(())
            } else {
                Err("it does not".into())
            }
        }
    })
    .await;
}

#[tokio::test]
async fn case_2_the_gateways_redis_serves_a_channel_without_its_own() {
    let (mut redis, _gateway, mut listener) = listen().await;
    redis.publish("sse", r#"{"data": "own"}"#).await;
    assert_eq!(listener.next().await.data, "own");
}

#[tokio::test]
async fn case_3_the_redis_of_the_channel_is_used() {
    let mut redis = Redis::start().await;
    let gateway = channel_with_redis(&redis, None).await;
    let mut listener = gateway.listen("sse").await;
    redis.publish("sse", r#"{"data": "theirs"}"#).await;
    assert_eq!(listener.next().await.data, "theirs");
}

#[tokio::test]
async fn case_4_the_redis_of_the_channel_wins_over_the_gateways() {
    let (mut own, mut theirs) = (Redis::start().await, Redis::start().await);
    let gateway = channel_with_redis(&theirs, Some(&own)).await;
    let mut listener = gateway.listen("sse").await;
    assert_eq!(
        own.publish("sse", r#"{"data": "to the wrong one"}"#).await,
        0
    );
    assert_eq!(
        theirs
            .publish("sse", r#"{"data": "to the right one"}"#)
            .await,
        1
    );
    assert_eq!(listener.next().await.data, "to the right one");
}

async fn channel_with_redis(theirs: &Redis, own: Option<&Redis>) -> Gateway {
    let setup = GatewaySetup::new().channel(&sse().redis(&theirs.url()));
    match own {
        Some(own) => setup.redis(&own.url()).start().await,
        None => setup.start().await,
    }
}

#[tokio::test]
async fn case_5_publishing_without_data_is_refused() {
    let (_redis, gateway) = serve(&[sse()]).await;
    let answer = gateway
        .post_json(&json!({ "channel": "sse", "type": "greeting" }))
        .await
        .expect(400);
    assert!(answer.text().contains("data"), "{}", answer.text());
}

#[tokio::test]
async fn case_6_raw_and_http_publishes_to_sse_both_reach_the_plain_stream() {
    let (mut redis, gateway) = serve(&[sse()]).await;
    let mut listener = tests::listen::Listen::at(gateway.public()).await;
    redis.publish("sse", r#"{"data": "raw"}"#).await;
    assert_eq!(listener.next().await.data, "raw");
    gateway.publish("sse", "posted").await;
    assert_eq!(listener.next().await.data, "posted");
}

#[tokio::test]
async fn case_7_garden_reaches_garden_and_nobody_else() {
    let (mut redis, gateway) = serve(&[sse(), Channel::open("garden").ingest(&["FlaskSse"])]).await;
    let (mut sse, mut garden) = (gateway.listen("sse").await, gateway.listen("garden").await);
    redis.publish("garden", r#"{"data": "thing"}"#).await;
    assert_eq!(garden.next().await.data, "thing");
    redis.publish("sse", r#"{"data": "for sse"}"#).await;
    assert_eq!(sse.next().await.data, "for sse");
}

#[tokio::test]
async fn case_8_the_type_is_the_events_own_and_not_message() {
    let (mut redis, _gateway, mut listener) = listen().await;
    redis
        .publish("sse", r#"{"data": "thing", "type": "example"}"#)
        .await;
    assert_eq!(listener.next().await.kind, "example");
}

#[tokio::test]
async fn case_9_one_subscription_for_all_streams_and_none_after_the_linger() {
    let (mut redis, gateway) = serve(&[sse()]).await;
    let streams = [
        gateway.listen("sse").await,
        gateway.listen("sse").await,
        gateway.listen("sse").await,
    ];
    assert_eq!(redis.subscribers("sse").await, 1);
    drop(streams);
    redis.until_subscribers("sse", 0).await;
}

#[tokio::test]
async fn case_10_redis_dying_while_the_last_stream_closes_hurts_no_other_stream() {
    let (redis, mut theirs) = (Redis::start().await, Redis::start().await);
    let mut gateway = GatewaySetup::new()
        .channel(&sse())
        .channel(
            &Channel::open("different")
                .ingest(&["FlaskSse"])
                .redis(&theirs.url()),
        )
        .redis(&redis.url())
        .start()
        .await;
    let mut other = gateway.listen("sse").await;
    let mut last = gateway.listen("different").await;
    theirs
        .publish(
            "different",
            r#"{"data": "thing", "id": "x7", "type": "example"}"#,
        )
        .await;
    let event = last.next().await;
    assert_eq!(
        (event.kind.as_str(), event.data.as_str(), event.id.as_str()),
        ("example", "thing", "x7")
    );
    theirs.kill9();
    drop(last);
    gateway
        .until_metric("siar_streams", &[("channel", "different")], 0.0)
        .await;
    gateway.publish("sse", "still here").await;
    assert_eq!(other.next().await.data, "still here");
    gateway.process().must_run();
}

#[tokio::test]
async fn case_11_still_subscribed_after_the_first_message() {
    let (mut redis, _gateway, mut listener) = listen().await;
    for data in ["first", "second"] {
        assert_eq!(
            redis
                .publish("sse", format!(r#"{{"data": "{data}"}}"#))
                .await,
            1
        );
        assert_eq!(listener.next().await.data, data);
    }
    assert_eq!(redis.subscribers("sse").await, 1);
}

#[tokio::test]
async fn case_12_the_head_arrives_before_any_message() {
    let (mut redis, _gateway, mut listener) = listen().await;
    assert_eq!(
        listener.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert_eq!(
        listener.header("cache-control"),
        Some("no-cache, no-transform")
    );
    assert_eq!(listener.header("x-accel-buffering"), Some("no"));
    assert_eq!(listener.header("content-length"), None);
    redis
        .publish("sse", r#"{"data": "thing", "type": "example"}"#)
        .await;
    let event = listener.next().await;
    assert_eq!(
        (event.kind.as_str(), event.data.as_str()),
        ("example", "thing")
    );
}

#[tokio::test]
async fn case_13_a_channel_named_sse_without_topics_serves_the_plain_stream() {
    let (_redis, gateway) = serve(&[Channel::open("sse")]).await;
    let mut listener = tests::listen::Listen::at(gateway.public()).await;
    gateway.publish("sse", "plain").await;
    assert_eq!(listener.next().await.data, "plain");
}

#[tokio::test]
async fn case_14_the_channel_parameter_listens_to_that_one_only() {
    let (mut redis, gateway) =
        serve(&[sse(), Channel::open("different").ingest(&["FlaskSse"])]).await;
    let mut listener = gateway.listen("different").await;
    assert_eq!(redis.subscribers("sse").await, 0);
    redis.publish("sse", r#"{"data": "elsewhere"}"#).await;
    redis.publish("different", r#"{"data": "here"}"#).await;
    assert_eq!(listener.next().await.data, "here");
}

#[tokio::test]
async fn case_15_a_raw_object_without_data_is_counted_and_streams_live_on() {
    let (mut redis, gateway, mut listener) = listen().await;
    redis.publish("sse", "{}").await;
    redis.publish("sse", r#"{"data": "next"}"#).await;
    assert_eq!(listener.next().await.data, "next");
    gateway
        .until_metric(
            "siar_messages_malformed_total",
            &[("source", "flask_sse")],
            1.0,
        )
        .await;
}

// Cases 16 to 19 (simple, object, several lines, all fields) are the first four of `vectors`.

#[tokio::test]
async fn case_20_the_same_payload_twice_is_two_events() {
    let (mut redis, gateway, mut listener) = listen().await;
    for _ in 0..2 {
        redis.publish("sse", r#"{"data": "same", "id": "7"}"#).await;
    }
    redis.publish("sse", r#"{"data": "end"}"#).await;
    assert_eq!(listener.data(3).await, ["same", "same", "end"]);
    for _ in 0..2 {
        gateway
            .publish_with(&[("channel", "sse"), ("id", "8")], "posted")
            .await;
    }
    gateway.publish("sse", "end").await;
    assert_eq!(listener.data(3).await, ["posted", "posted", "end"]);
}
