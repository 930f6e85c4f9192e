//! How many and how often: streams, messages, bytes, topics. What will pass tells an EventSource when to come back,
//! since any status but 200 would stop it for good; everyone else gets 503 or 429 with `Retry-After`.

use crate::{Channel, Gateway, GatewaySetup, Listener, Redis};
use serde_json::{Value, json};
use std::time::Duration;
use tests::http::{Answer, Ask};
use tests::listen::Listen;
use tests::manifest::secret;

const ANA: &str = "token-of-ana";
const BEN: &str = "token-of-ben";

/// When to come back after a full house, in seconds.
const COME_BACK: std::ops::RangeInclusive<u64> = 15..=45;

#[track_caller]
fn check(answer: &Answer, status: u16, word: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    let kind = answer.json()["type"].as_str().unwrap().to_owned();
    assert!(
        kind.ends_with(&format!("/{word}")),
        "{kind} is not about {word}"
    );
}

#[track_caller]
fn retry_after(answer: &Answer) -> u64 {
    let wait = answer.header("retry-after").expect("Retry-After is there");
    wait.parse().expect("Retry-After is in seconds")
}

/// An EventSource is told to come back later: nothing but `retry:` and `siar.end`, in an orderly answer.
async fn turned_away(listen: Listen, reason: &str) -> Listener {
    let mut listener = listen.await;
    assert_eq!(
        listener.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    let events = listener.rest().await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].kind, "siar.end");
    assert_eq!(events[0].data, format!("{{\"reason\":\"{reason}\"}}"));
    let retry = listener.retry().expect("a retry is told");
    assert!(COME_BACK.contains(&(retry / 1000)), "{retry} ms");
    listener
}

/// Who is no EventSource gets a status.
async fn unavailable(ask: Ask, reason: &str) {
    let answer = ask.send().await;
    check(&answer, 503, reason);
    let wait = retry_after(&answer);
    assert!(COME_BACK.contains(&wait), "{wait} s");
}

/// A gateway with the Channel `c` of ana and ben, who may have two streams each.
async fn two_each() -> Gateway {
    let channel = Channel::closed("c")
        .tokens("subscribe", "readers")
        .limit("streamsPerClient", 2);
    GatewaySetup::new()
        .channel(&channel)
        .file(
            "readers",
            vec![secret("readers", &[("ana", ANA), ("ben", BEN)])],
        )
        .start()
        .await
}

fn items(topic: &str, count: usize) -> Vec<Value> {
    vec![json!({ "channel": topic, "data": "x" }); count]
}

#[tokio::test]
async fn a_full_channel_tells_when_to_come_back_and_takes_who_comes_then() {
    let channel = Channel::open("c").limit("streams", 2);
    let gateway = Gateway::serving(&channel).await;
    let mut first = gateway.listen("c").await;
    let second = gateway.listen("c").await;
    turned_away(gateway.listen("c"), "capacity").await;
    unavailable(Ask::get(gateway.public(), "/stream?channel=c"), "capacity").await;
    let anything = Ask::get(gateway.public(), "/stream?channel=c").header("Accept", "*/*");
    unavailable(anything, "capacity").await;
    gateway.publish("c", "for those inside").await;
    assert_eq!(first.next().await.data, "for those inside");
    let refused = [("refusal", "capacity")];
    gateway
        .until_metric("siar_refusals_total", &refused, 3.0)
        .await;
    drop(second);
    gateway.until_metric("siar_streams", &[], 1.0).await;
    let mut third = gateway.listen("c").await;
    gateway.publish("c", "for the third").await;
    assert_eq!(third.next().await.data, "for the third");
}

#[tokio::test]
async fn a_stream_on_several_channels_takes_a_place_in_each_or_in_none() {
    let gateway = GatewaySetup::new()
        .channel(&Channel::open("small").limit("streams", 1))
        .channel(&Channel::open("large").limit("streams", 2))
        .start()
        .await;
    let both = || gateway.listen("small").channel("large");
    let inside = both().await;
    for _ in 0..3 {
        turned_away(both(), "capacity").await;
    }
    let large = gateway.listen("large").await;
    let full = gateway.listen("large");
    turned_away(full, "capacity").await;
    drop((inside, large));
    gateway.until_metric("siar_streams", &[], 0.0).await;
    drop(both().await);
}

#[tokio::test]
async fn a_page_of_another_site_may_read_when_to_come_back() {
    const SHOP: &str = "https://shop.example";
    let channel = Channel::open("c").origins(&[SHOP]).limit("streams", 1);
    let gateway = Gateway::serving(&channel).await;
    let _inside = gateway.listen("c").await;
    let listener = turned_away(gateway.listen("c").origin(SHOP), "capacity").await;
    assert_eq!(listener.header("access-control-allow-origin"), Some(SHOP));
    assert_eq!(
        listener.header("access-control-allow-credentials"),
        Some("true")
    );
}

#[tokio::test]
async fn an_identity_has_so_many_streams_and_another_has_its_own() {
    let gateway = two_each().await;
    let listen = |token: &str| gateway.listen("c").token(token);
    let (first, _second) = (listen(ANA).await, listen(ANA).await);
    turned_away(listen(ANA), "client-limit").await;
    turned_away(
        gateway.listen("c").query("access_token", ANA),
        "client-limit",
    )
    .await;
    let ask = Ask::get(gateway.public(), "/stream?channel=c").token(ANA);
    unavailable(ask, "client-limit").await;
    let ben = [listen(BEN).await, listen(BEN).await];
    turned_away(listen(BEN), "client-limit").await;
    drop((first, ben));
    gateway.until_metric("siar_streams", &[], 1.0).await;
    let _again = listen(ANA).await;
    turned_away(listen(ANA), "client-limit").await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_an_address_has_so_many_streams() {
    let channel = Channel::open("c").limit("streamsPerClient", 1);
    let gateway = GatewaySetup::new()
        .channel(&channel)
        .flag("--trusted-proxies", "127.0.0.0/8")
        .start()
        .await;
    let from = |hops: &str| gateway.listen("c").header("X-Forwarded-For", hops);
    let _inside = [
        from("203.0.113.7").await,
        from("203.0.113.8").await,
        from("2001:db8:0:1::1").await,
        from("2001:db8:0:2::1").await,
    ];
    for same in [
        "203.0.113.7",
        "203.0.113.7:4711",
        "198.51.100.1, 203.0.113.7",
        "203.0.113.8, 127.0.0.9",
        "2001:db8:0:1::2",
    ] {
        turned_away(from(same), "client-limit").await;
    }
    let ask = Ask::get(gateway.public(), "/stream?channel=c");
    let ask = ask.header("X-Forwarded-For", "203.0.113.7");
    unavailable(ask, "client-limit").await;
}

#[tokio::test]
async fn a_private_address_that_is_no_trusted_proxy_is_not_counted_and_a_warning_says_so() {
    let channel = Channel::open("c").limit("streamsPerClient", 1);
    let mut gateway = Gateway::serving(&channel).await;
    let from = |hop: &str| gateway.listen("c").header("X-Forwarded-For", hop);
    let _inside = [
        from("203.0.113.7").await,
        from("203.0.113.7").await,
        gateway.listen("c").await,
    ];
    let log = gateway.process().log();
    let warned = |line: &&str| line.contains("WARN") && line.contains("trusted-proxies");
    assert_eq!(log.lines().filter(warned).count(), 1, "{log}");
}

#[tokio::test]
async fn a_message_has_so_many_bytes_and_one_more_is_too_many() {
    let channel = Channel::open("c").limit("messageBytes", 100);
    let gateway = Gateway::serving(&channel).await;
    let mut listener = gateway.listen("c").await;
    let (fits, large) = ("x".repeat(100), "x".repeat(101));
    let raw = gateway.post(&[("channel", "c")], &large).send().await;
    check(&raw, 413, "too-large");
    let one = |data: &str| json!({ "channel": "c", "data": data });
    check(&gateway.post_json(&one(&large)).await, 413, "too-large");
    let list = json!([one("a"), one(&large), one("b")]);
    check(&gateway.post_json(&list).await, 413, "too-large");
    gateway.publish("c", &fits).await;
    let _ = gateway.post_json(&one(&fits)).await.expect(200);
    assert_eq!(listener.data(2).await, [fits.clone(), fits]);
}

#[tokio::test]
async fn a_channel_takes_so_many_messages_in_a_second_and_then_says_when() {
    let channel = Channel::open("c").limit("publishPerSecond", 2);
    let gateway = Gateway::serving(&channel).await;
    let mut listener = gateway.listen("c").await;
    let burst = gateway.post_json(&json!(items("c", 4))).await.expect(200);
    assert_eq!(burst.json()["results"].as_array().unwrap().len(), 4);
    let refused = gateway.post(&[("channel", "c")], "too fast").send().await;
    check(&refused, 429, "rate");
    let wait = retry_after(&refused);
    assert!((1..=2).contains(&wait), "{wait} s");
    tokio::time::sleep(Duration::from_secs(wait)).await;
    gateway.publish("c", "in time").await;
    assert_eq!(listener.data(5).await, ["x", "x", "x", "x", "in time"]);
}

#[tokio::test]
async fn what_one_channel_refuses_is_given_back_to_the_others() {
    let gateway = GatewaySetup::new()
        .channel(&Channel::open("fast").limit("publishPerSecond", 20))
        .channel(&Channel::open("slow").limit("publishPerSecond", 1))
        .start()
        .await;
    let mut listener = gateway.listen("fast").await;
    let owed = gateway.post_json(&json!(items("slow", 100))).await;
    assert_eq!(owed.status, 200, "a list is never refused for ever");
    let mut both = items("fast", 20);
    both.extend(items("slow", 1));
    for _ in 0..8 {
        let refused = gateway.post_json(&json!(both)).await;
        check(&refused, 429, "rate");
        assert!(retry_after(&refused) > 60);
    }
    let _ = gateway
        .post_json(&json!(items("fast", 20)))
        .await
        .expect(200);
    assert_eq!(listener.data(20).await, vec!["x"; 20]);
    let nothing_more = listener.silent_for(Duration::from_millis(200)).await;
    assert_eq!(nothing_more, Ok(()));
}

#[tokio::test]
async fn a_stream_names_at_most_32_topics() {
    let channel = Channel::open("c").topics(&["t.{n}"]);
    let gateway = Gateway::serving(&channel).await;
    let listen = |count: usize| {
        let listen = Listen::at(gateway.public());
        (0..count).fold(listen, |listen, n| listen.channel(&format!("t.{n}")))
    };
    let mut listener = listen(32).channel("t.0").await;
    gateway.publish("t.31", "x").await;
    assert_eq!(listener.next().await.data, "x");
    let refused = listen(33).refused().await;
    check(&refused, 400, "malformed");
    assert_eq!(refused.header("retry-after"), None, "it will not pass");
}

#[tokio::test]
async fn a_channel_has_so_many_topics_and_the_ones_it_has_go_on() {
    let channel = Channel::open("c").topics(&["c.{n}"]).history(10);
    let gateway = Gateway::serving(&channel.limit("topics", 3)).await;
    let mut listener = gateway.listen("c.1").await;
    for topic in ["c.1", "c.2", "c.3"] {
        gateway.publish(topic, "x").await;
    }
    let answer = gateway.post(&[("channel", "c.4")], "x").send().await;
    check(&answer, 503, "capacity");
    assert!(answer.text().contains("spec.limits.topics"));
    assert!(COME_BACK.contains(&retry_after(&answer)));
    gateway.publish("c.1", "y").await;
    assert_eq!(listener.data(2).await, ["x", "y"]);
}

#[tokio::test]
async fn over_redis_so_many_topics_are_listened_to_and_any_may_be_published_to() {
    let redis = Redis::start().await;
    let channel = Channel::open("c").topics(&["c.{n}"]).limit("topics", 3);
    let gateway = GatewaySetup::new()
        .channel(&channel)
        .redis(&redis.url())
        .start()
        .await;
    let both = |first: &str, second: &str| gateway.listen(first).channel(second);
    let mut listener = both("c.1", "c.2").await;
    turned_away(both("c.3", "c.4"), "capacity").await;
    drop(both("c.2", "c.3").await);
    // The topic of a listener that left stays subscribed to for a while.
    turned_away(gateway.listen("c.4"), "capacity").await;
    for topic in ["c.4", "c.5", "c.1"] {
        gateway.publish(topic, topic).await;
    }
    assert_eq!(listener.data(1).await, ["c.1"]);
}
