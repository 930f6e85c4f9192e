//! Redis cut off, flushed, frozen, rolled back: one `siar.gap` where something may be lost, none where nothing was.

use super::{Follower, Redis, complete, data, on, publish};
use tests::listen::Gap;

fn gap(reason: &str, id: &str) -> Gap {
    Gap {
        channel: "c".into(),
        reason: reason.into(),
        id: id.into(),
    }
}

#[tokio::test]
async fn cutting_the_subscriptions_again_and_again_loses_nothing() {
    let mut redis = Redis::start().await;
    let gateway = on(&redis).await;
    let client = Follower::start(vec![gateway.listen("c")]).await;
    for round in 0..5 {
        publish(&gateway, round * 40..round * 40 + 20).await;
        redis.kill_clients("pubsub").await;
        publish(&gateway, round * 40 + 20..round * 40 + 40).await;
    }
    client.until_data("199").await;
    complete(&client, 0..200);
    assert_eq!(client.received().opened, 1, "the streams stay open");
    assert!(
        gateway
            .metrics()
            .await
            .sum("siar_redis_reconnects_total", &[])
            >= 1.0
    );
}

#[tokio::test]
async fn a_tail_that_was_lost_with_the_subscription_needs_no_next_message_to_be_found() {
    let mut redis = Redis::start().await;
    let (gateway, other) = (on(&redis).await, on(&redis).await);
    let mut listener = gateway.listen("c").await;
    publish(&gateway, 0..1).await;
    assert_eq!(listener.next().await.data, "0");
    redis.kill_clients("pubsub").await;
    publish(&other, 1..3).await;
    assert_eq!(listener.data(2).await, data(1..3));
}

#[tokio::test]
async fn a_flush_is_one_gap_for_who_was_away_and_none_for_who_had_everything() {
    let mut redis = Redis::start().await;
    let gateway = on(&redis).await;
    let (mut live, mut away) = (gateway.listen("c").await, gateway.listen("c").await);
    publish(&gateway, 0..5).await;
    assert_eq!(live.data(5).await, data(0..5));
    assert_eq!(away.data(2).await, data(0..2));
    let id = away.last_event_id();
    drop(away);
    redis.flush().await;
    publish(&gateway, 5..8).await;
    assert_eq!(
        live.data(3).await,
        data(5..8),
        "its subscription never broke, so nothing was lost"
    );

    let mut away = gateway.listen("c").last_event_id(&id).await;
    assert_eq!(away.gap().await.reason, "epoch");
    assert_eq!(away.data(3).await, data(5..8));
    publish(&gateway, 8..9).await;
    assert_eq!(away.next().await.data, "8");
    assert_eq!(live.next().await.data, "8");
}

#[tokio::test]
async fn coming_back_after_a_flush_before_anything_was_published_is_one_gap() {
    let mut redis = Redis::start().await;
    let gateway = on(&redis).await;
    let mut listener = gateway.listen("c").await;
    publish(&gateway, 0..2).await;
    listener.data(2).await;
    let id = listener.last_event_id();
    drop(listener);
    redis.flush().await;
    // A gateway that does not remember the topic.
    let gateway = on(&redis).await;
    let mut listener = gateway.listen("c").last_event_id(&id).await;
    assert_eq!(listener.gap().await, gap("epoch", "0-0"));
    publish(&gateway, 2..4).await;
    assert_eq!(listener.data(2).await, data(2..4));
}

#[tokio::test]
async fn a_rollback_is_told_once_before_the_next_message_and_delivery_goes_on() {
    let mut redis = Redis::start().await;
    let gateway = on(&redis).await;
    let client = Follower::start(vec![gateway.listen("c")]).await;
    publish(&gateway, 0..10).await;
    redis.save().await;
    publish(&gateway, 10..15).await;
    client.until_data("14").await;
    redis.kill9();
    redis.start_again().await;
    gateway.until_metric("siar_redis_up", &[], 1.0).await;
    publish(&gateway, 15..25).await;
    client.until_data("24").await;
    let seen: Vec<String> = client
        .messages()
        .into_iter()
        .map(|event| event.data)
        .collect();
    assert_eq!(
        seen,
        data(0..25),
        "what came after the rollback has offsets of its own, none is taken for a repetition"
    );
    told_once_before(&client, "15");
}

/// One gap came, right before this message.
#[track_caller]
fn told_once_before(client: &Follower, data: &str) {
    let events = client.received().events;
    let gaps = client.gaps();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0].data.contains("epoch"), "{gaps:?}");
    let told = events.iter().position(|event| event.kind == "siar.gap");
    let next = told.and_then(|told| events.get(told + 1));
    assert_eq!(next.map(|event| event.data.as_str()), Some(data));
}

#[tokio::test]
async fn what_was_acknowledged_and_rolled_back_is_told_to_who_never_heard_it() {
    let mut redis = Redis::start().await;
    let (gateway, other) = (on(&redis).await, on(&redis).await);
    let client = Follower::start(vec![other.listen("c")]).await;
    let mut away = gateway.listen("c").await;
    publish(&gateway, 0..3).await;
    client.until_data("2").await;
    away.data(3).await;
    let id = away.last_event_id();
    drop(away);
    redis.save().await;
    // The other gateway is cut off and comes back only when what is published then is forgotten.
    other.freeze();
    redis.kill_clients("pubsub").await;
    publish(&gateway, 3..5).await;
    redis.kill9();
    redis.start_again().await;
    other.thaw();
    other
        .until_metric("siar_redis_reconnects_total", &[], 1.0)
        .await;
    for gateway in [&gateway, &other] {
        gateway.until_metric("siar_redis_up", &[], 1.0).await;
    }
    let mut back = other.listen("c").last_event_id(&id).await;
    back.cursor().await;
    publish(&gateway, 5..7).await;
    client.until_data("6").await;
    told_once_before(&client, "5");
    assert_eq!(client.messages().len(), 5, "{:?}", client.messages());
    let told = back.gap().await;
    assert_eq!(told.reason, "epoch");
    assert_eq!(back.data(2).await, data(5..7));
    let mut again = gateway.listen("c").last_event_id(&told.id).await;
    assert_eq!(again.data(2).await, data(5..7), "one loss is told once");
}

#[tokio::test]
async fn who_comes_back_after_a_rollback_with_a_lost_position_gets_one_gap() {
    let mut redis = Redis::start().await;
    let gateway = on(&redis).await;
    let mut listener = gateway.listen("c").await;
    publish(&gateway, 0..10).await;
    redis.save().await;
    publish(&gateway, 10..15).await;
    listener.data(15).await;
    let id = listener.last_event_id();
    drop(listener);
    redis.kill9();
    redis.start_again().await;
    let gateway = on(&redis).await;
    publish(&gateway, 15..18).await;
    let mut listener = gateway.listen("c").last_event_id(&id).await;
    assert_eq!(listener.gap().await.reason, "epoch");
    assert_eq!(listener.data(3).await, data(15..18));
}

#[tokio::test]
async fn a_restart_that_lost_nothing_is_told_once_since_nobody_can_know() {
    let mut redis = Redis::start().await;
    let gateway = on(&redis).await;
    let client = Follower::start(vec![gateway.listen("c")]).await;
    let mut away = gateway.listen("c").await;
    publish(&gateway, 0..10).await;
    assert_eq!(away.data(4).await, data(0..4));
    let id = away.last_event_id();
    drop(away);
    client.until_data("9").await;
    redis.save().await;
    redis.kill9();
    redis.start_again().await;
    gateway.until_metric("siar_redis_up", &[], 1.0).await;
    publish(&gateway, 10..20).await;
    client.until_data("19").await;
    told_once_before(&client, "10");
    assert_eq!(client.messages().len(), 20);
    let mut away = gateway.listen("c").last_event_id(&id).await;
    assert_eq!(away.data(6).await, data(4..10));
    assert_eq!(away.gap().await.reason, "epoch");
    assert_eq!(away.data(10).await, data(10..20));
}

#[tokio::test]
async fn a_frozen_redis_is_noticed_and_nothing_is_lost_after_the_thaw() {
    let redis = Redis::start().await;
    let gateway = on(&redis).await;
    let client = Follower::start(vec![gateway.listen("c")]).await;
    publish(&gateway, 0..5).await;
    client.until_data("4").await;
    redis.freeze();
    gateway.until_metric("siar_redis_up", &[], 0.0).await;
    redis.thaw();
    gateway.until_metric("siar_redis_up", &[], 1.0).await;
    publish(&gateway, 5..10).await;
    client.until_data("9").await;
    complete(&client, 0..10);
}

#[tokio::test]
async fn while_redis_is_gone_new_streams_are_told_to_come_back_and_publishers_get_503() {
    let mut redis = Redis::start().await;
    let gateway = on(&redis).await;
    let mut open = gateway.listen("c").await;
    publish(&gateway, 0..1).await;
    assert_eq!(open.next().await.data, "0");
    let id = open.last_event_id();
    redis.kill9();
    gateway.until_metric("siar_redis_up", &[], 0.0).await;
    let mut refused = gateway.listen("c").last_event_id(&id).await;
    assert_eq!(refused.end().await.reason, "unavailable");
    assert!(refused.retry().is_some());
    let answer = gateway
        .post(&[("channel", "c")], "1")
        .send()
        .await
        .expect(503);
    assert!(answer.header("retry-after").is_some());
    redis.start_again().await;
    gateway.until_metric("siar_redis_up", &[], 1.0).await;
    publish(&gateway, 1..2).await;
}
