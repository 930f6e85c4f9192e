//! What a new configuration does to open streams: who may no longer be there leaves within two seconds and is told
//! why, who may stays and misses nothing.

use crate::{Channel, Gateway, GatewaySetup, Listener, Redis};
use serde_json::{Value, json};
use std::future::Future;
use std::time::Duration;
use tests::manifest::secret;
use tests::wait::within_time;

/// From the change of a file to the end of the last stream that it ends.
const PROMISE: Duration = Duration::from_secs(2);
/// How long a stream that must stay is watched.
const WATCH: Duration = Duration::from_millis(300);

const ANA: &str = "token-of-ana";
const BEN: &str = "token-of-ben";

fn guarded() -> Channel {
    Channel::closed("c")
        .tokens("subscribe", "readers")
        .tokens("publish", "readers")
}

fn readers(pairs: &[(&str, &str)]) -> Vec<Value> {
    vec![secret("readers", pairs)]
}

/// A gateway with the Channel `c` of ana and ben and `open` of anybody.
async fn serving(channel: &Channel) -> Gateway {
    GatewaySetup::new()
        .channel(channel)
        .channel(&Channel::open("open"))
        .file("readers", readers(&[("ana", ANA), ("ben", BEN)]))
        .start()
        .await
}

/// Makes the change, and all of `listeners` must end for `reason` within the promise.
async fn ends(change: impl Future<Output = ()>, listeners: &mut [Listener], reason: &str) {
    within_time(PROMISE, format!("{reason} on every stream"), async {
        change.await;
        for listener in &mut *listeners {
            assert_eq!(listener.end().await.reason, reason);
        }
    })
    .await;
}

/// Nothing is told to the listener, not even an end, and the next message comes.
async fn stays(listener: &mut Listener, gateway: &Gateway, topic: &str, token: &str) {
    assert_eq!(listener.silent_for(WATCH).await, Ok(()));
    let post = gateway.post(&[("channel", topic)], "still here");
    let _ = post.token(token).send().await.expect(200);
    assert_eq!(listener.next().await.data, "still here");
}

#[tokio::test]
async fn a_removed_token_ends_its_streams_and_no_others() {
    let gateway = serving(&guarded()).await;
    let listen = |token: &str| gateway.listen("c").token(token);
    let mut ana = [
        listen(ANA).await,
        listen(ANA).await,
        listen(ANA).channel("open").await,
        gateway.listen("c").query("access_token", ANA).await,
    ];
    let mut ben = listen(BEN).await;
    let mut open = gateway.listen("open").token(ANA).await;
    let change = async {
        let ben_alone = readers(&[("ben", BEN)]);
        gateway.apply_file("readers", &ben_alone).await;
    };
    ends(change, &mut ana, "revoked").await;
    assert_eq!(listen(ANA).refused().await.status, 401);
    stays(&mut ben, &gateway, "c", BEN).await;
    stays(&mut open, &gateway, "open", ANA).await;
    let revoked = [("channel", "c"), ("reason", "revoked")];
    gateway
        .until_metric("siar_streams_closed_total", &revoked, 4.0)
        .await;
}

#[tokio::test]
async fn a_changed_token_ends_the_streams_of_the_old_one() {
    let gateway = serving(&guarded()).await;
    let mut old = [gateway.listen("c").token(ANA).await];
    let change = async {
        let renewed = readers(&[("ana", "a-new-token"), ("ben", BEN)]);
        gateway.apply_file("readers", &renewed).await;
    };
    ends(change, &mut old, "revoked").await;
    let mut new = gateway.listen("c").token("a-new-token").await;
    stays(&mut new, &gateway, "c", "a-new-token").await;
}

#[tokio::test]
async fn rules_that_no_longer_admit_anybody_end_anonymous_streams() {
    let gateway = serving(&Channel::open("c")).await;
    let mut listeners = [gateway.listen("c").await, gateway.listen("c").await];
    let change = async { gateway.apply(&guarded()).await };
    ends(change, &mut listeners, "revoked").await;
    assert_eq!(gateway.listen("c").refused().await.status, 401);
}

#[tokio::test]
async fn a_stream_that_ends_tells_when_to_come_back_and_where_it_was() {
    let gateway = serving(&guarded().history(10)).await;
    let mut listener = gateway.listen("c").token(ANA).await;
    let post = gateway.post(&[("channel", "c")], "last").token(BEN);
    let position = post.send().await.expect(200).json()["position"].clone();
    assert_eq!(listener.next().await.data, "last");
    let change = async {
        gateway
            .apply_file("readers", &readers(&[("ben", BEN)]))
            .await;
    };
    ends(change, std::slice::from_mut(&mut listener), "revoked").await;
    assert_eq!(json!(listener.last_event_id()), position);
    assert!(listener.retry().is_some_and(|retry| retry >= 100));
}

#[tokio::test]
async fn a_deleted_channel_ends_its_streams_and_no_others() {
    let gateway = serving(&guarded()).await;
    let mut gone = [
        gateway.listen("c").token(ANA).await,
        gateway.listen("c").channel("open").token(BEN).await,
    ];
    let mut open = gateway.listen("open").await;
    let change = async { gateway.remove("c").await };
    ends(change, &mut gone, "deleted").await;
    assert_eq!(gateway.listen("c").token(ANA).refused().await.status, 404);
    stays(&mut open, &gateway, "open", "").await;
}

#[tokio::test]
async fn a_topic_that_the_channel_no_longer_has_ends_its_streams_alone() {
    let channel = |topics: &[&str]| Channel::open("c").topics(topics);
    let gateway = serving(&channel(&["a.{x}", "b.{x}"])).await;
    let mut lost = [gateway.listen("b.1").await];
    let mut kept = gateway.listen("a.1").await;
    let change = async { gateway.apply(&channel(&["a.{x}"])).await };
    ends(change, &mut lost, "deleted").await;
    stays(&mut kept, &gateway, "a.1", "").await;
}

#[tokio::test]
async fn a_history_that_comes_or_goes_ends_streams_that_may_come_back() {
    let gateway = serving(&Channel::open("c")).await;
    for channel in [Channel::open("c").history(10), Channel::open("c")] {
        let mut listeners = [
            gateway.listen("c").await,
            gateway.listen("c").channel("open").await,
        ];
        let mut open = gateway.listen("open").await;
        let change = async { gateway.apply(&channel).await };
        ends(change, &mut listeners, "rotated").await;
        let mut back = gateway.listen("c").await;
        stays(&mut back, &gateway, "c", "").await;
        stays(&mut open, &gateway, "open", "").await;
    }
}

#[tokio::test]
async fn another_redis_ends_streams_and_is_where_they_come_back_to() {
    let (first, second) = (Redis::start().await, Redis::start().await);
    let channel = |redis: &Redis| Channel::open("c").history(10).redis(&redis.url());
    let gateway = serving(&channel(&first)).await;
    let mut listeners = [gateway.listen("c").await];
    let mut open = gateway.listen("open").await;
    gateway.publish("c", "in the first").await;
    assert_eq!(listeners[0].next().await.data, "in the first");
    let change = async { gateway.apply(&channel(&second)).await };
    ends(change, &mut listeners, "rotated").await;
    let mut back = gateway.listen("c").since("10").await;
    stays(&mut back, &gateway, "c", "").await;
    stays(&mut open, &gateway, "open", "").await;
}

#[tokio::test]
async fn who_is_no_longer_admitted_is_told_so_even_if_the_history_changes_too() {
    let gateway = serving(&Channel::open("c")).await;
    let mut listeners = [gateway.listen("c").await];
    let change = async { gateway.apply(&guarded().history(10)).await };
    ends(change, &mut listeners, "revoked").await;
}

#[tokio::test]
async fn changes_that_take_nothing_away_leave_streams_untouched() {
    let base = || guarded().history(10);
    let gateway = serving(&base()).await;
    let mut ana = gateway.listen("c").token(ANA).await;
    let mut both = gateway.listen("c").channel("open").token(BEN).await;
    let changes = [
        base().history(1000),
        base().limit("publishPerSecond", 500),
        base().limit("messageBytes", 1000),
        base().topics(&["c", "c.{more}"]),
        base().origins(&["https://shop.example"]),
    ];
    for channel in changes {
        gateway.apply(&channel).await;
        stays(&mut ana, &gateway, "c", ANA).await;
        assert_eq!(both.next().await.data, "still here");
    }
    let further = readers(&[("ana", ANA), ("ben", BEN), ("cleo", "token-of-cleo")]);
    gateway.apply_file("readers", &further).await;
    gateway.apply(&Channel::open("new")).await;
    gateway.remove("new").await;
    stays(&mut ana, &gateway, "c", ANA).await;
    assert_eq!(both.next().await.data, "still here");
    stays(&mut both, &gateway, "open", "").await;
    let metrics = gateway.metrics().await;
    let closed = metrics.sum("siar_streams_closed_total", &[("channel", "c")]);
    assert_eq!(closed, 0.0);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_any_more_ends_nothing() {
    let gateway = serving(&guarded()).await;
    let mut ana = gateway.listen("c").token(ANA).await;
    gateway.write("c", "{ this is: [no manifest");
    gateway
        .until_metric("siar_config_applies_total", &[("result", "rejected")], 1.0)
        .await;
    stays(&mut ana, &gateway, "c", ANA).await;
}
