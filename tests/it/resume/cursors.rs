//! What may stand in `Last-Event-ID`, and `since`: none of it is ever an error.

use super::{Gateway, GatewaySetup, Listener, data, kept, on, publish};
use crate::{Channel, Redis};

/// A gateway with the Channel `c` in memory and five messages.
async fn five() -> Gateway {
    let gateway = Gateway::serving(&kept("c")).await;
    publish(&gateway, 0..5).await;
    gateway
}

/// Everything kept, after one gap with that reason.
async fn everything_after_a_gap(mut listener: Listener, reason: &str) {
    assert_eq!(listener.gap().await.reason, reason);
    assert_eq!(listener.data(5).await, data(0..5));
}

#[tokio::test]
async fn a_live_stream_is_told_its_position_before_any_message() {
    let gateway = five().await;
    let mut listener = gateway.listen("c").await;
    let id = listener.cursor().await;
    assert!(id.ends_with("-5"), "{id}");
    drop(listener);
    publish(&gateway, 5..7).await;
    let mut listener = gateway.listen("c").last_event_id(&id).await;
    assert_eq!(listener.data(2).await, data(5..7));
}

#[tokio::test]
async fn the_opening_block_of_a_resumed_stream_is_the_clients_own_cursor() {
    let gateway = five().await;
    let mut listener = gateway.listen("c").since("5").await;
    listener.data(2).await;
    let id = listener.last_event_id();
    let mut listener = gateway.listen("c").last_event_id(&id).await;
    assert_eq!(listener.cursor().await, id);
    assert_eq!(listener.data(3).await, data(2..5));
}

#[tokio::test]
async fn from_the_beginning_of_all_is_everything_kept() {
    let gateway = five().await;
    let mut listener = gateway.listen("c").last_event_id("0-0").await;
    assert_eq!(listener.data(5).await, data(0..5));
    let never = gateway
        .listen("c")
        .query("last_event_id", "0-0")
        .await
        .data(5)
        .await;
    assert_eq!(never, data(0..5));
}

#[tokio::test]
async fn a_topic_never_published_to_is_at_the_beginning_of_all() {
    let gateway = Gateway::serving(&kept("c")).await;
    let mut listener = gateway.listen("c").await;
    assert_eq!(listener.cursor().await, "0-0");
}

#[tokio::test]
async fn the_header_wins_over_the_parameter() {
    let gateway = five().await;
    let mut listener = gateway.listen("c").since("5").await;
    listener.data(4).await;
    let id = listener.last_event_id();
    let mut listener = gateway
        .listen("c")
        .query("last_event_id", "0-0")
        .last_event_id(&id)
        .await;
    assert_eq!(listener.next().await.data, "4");
}

#[tokio::test]
async fn since_is_a_number_of_messages_or_a_time() {
    let gateway = five().await;
    for (since, expected) in [
        ("2", 3..5),
        ("1", 4..5),
        ("100", 0..5),
        ("1h", 0..5),
        ("60s", 0..5),
    ] {
        let mut listener = gateway.listen("c").since(since).await;
        assert_eq!(
            listener.data(expected.len()).await,
            data(expected),
            "since={since}"
        );
    }
    let mut live = gateway.listen("c").since("0").await;
    publish(&gateway, 5..6).await;
    assert_eq!(live.next().await.data, "5");
}

#[tokio::test]
async fn since_that_is_neither_is_refused() {
    let gateway = five().await;
    for since in ["x", "-1", "1y", "5 messages"] {
        assert_eq!(
            gateway.listen("c").since(since).refused().await.status,
            400,
            "since={since}"
        );
    }
}

#[tokio::test]
async fn what_names_nothing_is_a_gap_and_never_an_error() {
    let gateway = five().await;
    let long = "a".repeat(5000);
    for cursor in ["garbage", "abc-", "1-2-3", "é€", "a b", "~~~", &long] {
        let listener = gateway.listen("c").last_event_id(cursor).await;
        everything_after_a_gap(listener, "unknown-cursor").await;
    }
    for cursor in ["zzzzzz-3", "zzzzzz-3~zzzzzz-4"] {
        let listener = gateway.listen("c").last_event_id(cursor).await;
        everything_after_a_gap(listener, "epoch").await;
    }
}

#[tokio::test]
async fn a_position_beyond_the_newest_message_waits_for_what_follows() {
    let gateway = five().await;
    let mut listener = gateway.listen("c").await;
    let id = listener.cursor().await;
    let beyond = format!("{}-7", id.split_once('-').unwrap().0);
    let mut listener = gateway.listen("c").last_event_id(&beyond).await;
    publish(&gateway, 5..8).await;
    assert_eq!(listener.next().await.data, "7");
}

async fn own_ids(gateway: &Gateway) {
    for id in ["a", "b", "a", "1732000000000-0"] {
        gateway
            .publish_with(&[("channel", "c"), ("id", id)], id)
            .await;
    }
    gateway.publish("c", "last").await;
    for (id, expected) in [
        ("a", &["1732000000000-0", "last"][..]),
        ("b", &["a", "1732000000000-0", "last"]),
        ("1732000000000-0", &["last"]),
    ] {
        let mut listener = gateway.listen("c").last_event_id(id).await;
        assert_eq!(
            listener.data(expected.len()).await,
            expected,
            "after the newest {id}"
        );
    }
    let mut listener = gateway.listen("c").last_event_id("c").await;
    assert_eq!(listener.gap().await.reason, "unknown-cursor");
}

#[tokio::test]
async fn in_memory_a_publishers_own_id_resumes_after_its_newest_occurrence() {
    own_ids(&Gateway::serving(&kept("c")).await).await;
}

#[tokio::test]
async fn in_redis_a_publishers_own_id_resumes_after_its_newest_occurrence() {
    let redis = Redis::start().await;
    own_ids(&on(&redis).await).await;
}

#[tokio::test]
async fn after_a_message_with_its_own_id_the_cursor_is_the_position() {
    let gateway = Gateway::serving(&kept("c")).await;
    let mut listener = gateway.listen("c").await;
    let published = gateway
        .publish_with(&[("channel", "c"), ("id", "own")], "x")
        .await;
    assert_eq!(published.id, "own");
    assert_eq!(listener.next().await.id, "own");
    assert_eq!(listener.cursor().await, published.position);
    let id = listener.last_event_id();
    assert_eq!(id, published.position);
    publish(&gateway, 0..1).await;
    let mut again = gateway.listen("c").last_event_id(&id).await;
    assert_eq!(again.next().await.data, "0");
}

#[tokio::test]
async fn several_topics_share_one_cursor_in_sorted_order() {
    let channel = Channel::open("many").topics(&["t.{n}"]).history(100);
    let gateway = GatewaySetup::new().channel(&channel).start().await;
    let both = gateway.listen("t.b").channel("t.a").channel("t.b");
    let mut listener = both.clone().await;
    assert_eq!(listener.cursor().await, "0-0~0-0");
    let a = gateway.publish("t.a", "1").await.position;
    assert_eq!(listener.next().await.id, format!("{a}~0-0"));
    let b = gateway.publish("t.b", "2").await.position;
    assert_eq!(listener.next().await.id, format!("{a}~{b}"));
    let id = listener.last_event_id();
    drop(listener);
    gateway.publish("t.b", "3").await;
    gateway.publish("t.a", "4").await;
    let mut listener = both.last_event_id(&id).await;
    let mut seen = listener.data(2).await;
    seen.sort();
    assert_eq!(seen, ["3", "4"]);
}
