//! History too short: exactly one `siar.gap`, then on from the oldest message still kept.

use super::{Gateway, GatewaySetup, Listener, data, publish};
use crate::{Channel, Redis};

async fn check(gateway: &Gateway) {
    let mut listener = gateway.listen("c").await;
    publish(gateway, 0..2).await;
    assert_eq!(listener.data(2).await, data(0..2));
    let id = listener.last_event_id();
    drop(listener);
    publish(gateway, 2..12).await;

    let mut listener = gateway.listen("c").last_event_id(&id).await;
    let gap = listener.gap().await;
    assert_eq!(
        (gap.channel.as_str(), gap.reason.as_str()),
        ("c", "too-old")
    );
    assert_eq!(listener.data(5).await, data(7..12));

    // The gap's own id is where delivery goes on: coming back with it, the loss is not told again.
    let mut again: Listener = gateway.listen("c").last_event_id(&gap.id).await;
    assert_eq!(again.data(5).await, data(7..12));
    publish(gateway, 12..13).await;
    assert_eq!(listener.next().await.data, "12");
    assert_eq!(again.next().await.data, "12");
}

/// The same with a cursor that history just covers: no gap.
async fn covered(gateway: &Gateway) {
    let mut listener = gateway.listen("c").await;
    publish(gateway, 0..1).await;
    listener.next().await;
    let id = listener.last_event_id();
    drop(listener);
    publish(gateway, 1..6).await;
    let mut listener = gateway.listen("c").last_event_id(&id).await;
    assert_eq!(listener.data(5).await, data(1..6));
}

async fn memory() -> Gateway {
    Gateway::serving(&Channel::open("c").history(5)).await
}

async fn redis(redis: &Redis) -> Gateway {
    GatewaySetup::new()
        .channel(&Channel::open("c").history(5))
        .redis(&redis.url())
        .start()
        .await
}

#[tokio::test]
async fn in_memory_what_history_no_longer_holds_is_one_gap() {
    check(&memory().await).await;
}

#[tokio::test]
async fn in_redis_what_history_no_longer_holds_is_one_gap() {
    let server = Redis::start().await;
    check(&redis(&server).await).await;
}

#[tokio::test]
async fn in_memory_a_cursor_that_history_just_covers_is_no_gap() {
    covered(&memory().await).await;
}

#[tokio::test]
async fn in_redis_a_cursor_that_history_just_covers_is_no_gap() {
    let server = Redis::start().await;
    covered(&redis(&server).await).await;
}

#[tokio::test]
async fn without_history_a_missed_message_is_a_gap_and_none_is_none() {
    let gateway = Gateway::serving(&Channel::open("c")).await;
    let mut listener = gateway.listen("c").await;
    publish(&gateway, 0..1).await;
    listener.next().await;
    let id = listener.last_event_id();
    drop(listener);
    let mut listener = gateway.listen("c").last_event_id(&id).await;
    publish(&gateway, 1..2).await;
    assert_eq!(listener.next().await.data, "1", "nothing was missed");
    let id = listener.last_event_id();
    drop(listener);
    publish(&gateway, 2..4).await;
    let mut listener = gateway.listen("c").last_event_id(&id).await;
    assert_eq!(listener.gap().await.reason, "too-old");
    publish(&gateway, 4..5).await;
    assert_eq!(listener.next().await.data, "4");
}
