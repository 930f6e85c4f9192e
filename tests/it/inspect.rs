//! `GET /history` and `GET /presence`: what is kept and who listens, and who may know it.

use crate::{Channel, Gateway, GatewaySetup, Redis};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tests::http::Ask;
use tests::manifest::secret;
use tests::wait::until;

fn channel() -> Channel {
    Channel::open("c").topics(&["c.{n}"]).history(50)
}

async fn history(gateway: &Gateway, query: &str) -> Value {
    gateway
        .get(&format!("/history?{query}"))
        .await
        .expect(200)
        .json()
}

fn data(history: &Value) -> Vec<&str> {
    let messages = history["messages"].as_array().expect("a list of messages");
    messages
        .iter()
        .map(|message| message["data"].as_str().unwrap())
        .collect()
}

async fn kept(gateway: &Gateway) {
    let empty = history(gateway, "channel=c.a").await;
    assert_eq!(
        empty,
        json!({ "channel": "c.a", "position": "0-0", "messages": [] })
    );
    let first = gateway.publish("c.a", "1").await;
    let parameters = [("channel", "c.a"), ("type", "t"), ("id", "own")];
    let second = gateway.publish_with(&parameters, "2\n2").await;
    let all = history(gateway, "channel=c.a").await;
    assert_eq!(all["position"], second.position);
    assert_eq!(data(&all), ["1", "2\n2"]);
    let (one, two) = (&all["messages"][0], &all["messages"][1]);
    assert_eq!(
        (&one["id"], &one["type"]),
        (&json!(first.id), &json!("message"))
    );
    assert_eq!((&two["id"], &two["type"]), (&json!("own"), &json!("t")));
    assert_eq!(two["position"], second.position);
    assert!(tests::wait::unix_ms() - one["time"].as_u64().unwrap() < 60_000);
    for n in 3..=60 {
        gateway.publish("c.a", n.to_string()).await;
    }
    let newest = history(gateway, "channel=c.a&limit=2").await;
    assert_eq!(data(&newest), ["59", "60"]);
    assert_eq!(
        data(&history(gateway, "channel=c.a&limit=1000").await).len(),
        50
    );
}

#[tokio::test]
async fn in_memory_the_newest_messages_are_told_oldest_first() {
    kept(&Gateway::serving(&channel()).await).await;
}

#[tokio::test]
async fn in_redis_the_newest_messages_are_told_oldest_first() {
    let redis = Redis::start().await;
    let setup = GatewaySetup::new().channel(&channel()).redis(&redis.url());
    kept(&setup.start().await).await;
}

#[tokio::test]
async fn a_stream_goes_on_exactly_after_what_history_told() {
    let gateway = Gateway::serving(&channel()).await;
    gateway.publish("c.a", "told").await;
    let told = history(&gateway, "channel=c.a").await;
    gateway.publish("c.a", "not told").await;
    let position = told["position"].as_str().unwrap();
    let mut listener = gateway.listen("c.a").query("last_event_id", position).await;
    assert_eq!(listener.next().await.data, "not told");
}

#[tokio::test]
async fn a_live_only_channel_keeps_nothing() {
    let gateway = Gateway::serving(&Channel::open("c")).await;
    gateway.publish("c", "gone").await;
    assert_eq!(
        data(&history(&gateway, "channel=c").await),
        Vec::<&str>::new()
    );
}

#[tokio::test]
async fn limits_out_of_range_several_topics_and_unknown_ones_are_refused() {
    let gateway = Gateway::serving(&channel()).await;
    for (path, status) in [
        ("/history?channel=c.a&limit=0", 400),
        ("/history?channel=c.a&limit=1001", 400),
        ("/history?channel=c.a&limit=ten", 400),
        ("/history?channel=c.a&channel=c.b", 400),
        ("/history?channel=nowhere", 404),
        ("/history", 404),
        ("/presence?channel=c.a&channel=c.b", 400),
        ("/presence?channel=nowhere", 404),
        ("/nowhere/history?channel=c.a", 404),
    ] {
        assert_eq!(gateway.get(path).await.status, status, "{path}");
    }
    for path in ["/history?channel=c.a", "/presence?channel=c.a"] {
        let answer = Ask::post(gateway.public(), path, "").send().await;
        assert_eq!((answer.status, answer.word().as_str()), (405, "method"));
    }
}

/// Readers listen, writers publish.
fn guarded() -> Vec<Value> {
    let channel = Channel::closed("c")
        .history(10)
        .tokens("subscribe", "readers");
    let readers = [("ana", "token-ana"), ("ben", "token-ben")];
    vec![
        channel.tokens("publish", "writers").manifest(),
        secret("readers", &readers),
        secret("writers", &[("editor", "token-editor")]),
    ]
}

#[tokio::test]
async fn history_takes_the_right_to_listen_and_presence_that_to_publish() {
    let gateway = GatewaySetup::new().file("c", guarded()).start().await;
    for (path, token, status) in [
        ("/history?channel=c", None, 401),
        ("/history?channel=c", Some("token-ana"), 200),
        ("/history?channel=c", Some("token-editor"), 401),
        ("/presence?channel=c", None, 401),
        ("/presence?channel=c", Some("token-ana"), 401),
        ("/presence?channel=c", Some("token-editor"), 200),
    ] {
        let mut ask = Ask::get(gateway.public(), path);
        if let Some(token) = token {
            ask = ask.token(token);
        }
        assert_eq!(ask.send().await.status, status, "{path} {token:?}");
    }
}

async fn presence(gateway: &Gateway) -> Value {
    let ask = Ask::get(gateway.public(), "/presence?channel=c");
    ask.token("token-editor").send().await.expect(200).json()
}

async fn until_present(gateway: &Gateway, expected: &Value) {
    until("the presence", || async {
        match presence(gateway).await {
            seen if seen == *expected => Ok(()),
            seen => Err(format!("it is {seen}")),
        }
    })
    .await;
}

#[tokio::test]
async fn presence_counts_streams_and_names_identities_over_all_gateways() {
    let redis = Redis::start().await;
    let setup = GatewaySetup::new().file("c", guarded()).redis(&redis.url());
    let one = setup.clone().start().await;
    let mut two = setup.start().await;
    let nobody = json!({ "channel": "c", "streams": 0, "identities": [], "complete": true });
    until_present(&one, &nobody).await;
    let _here = one.listen("c").token("token-ana").await;
    let ben = two.listen("c").token("token-ben").await;
    let _twice = two.listen("c").token("token-ana").await;
    let all =
        json!({ "channel": "c", "streams": 3, "identities": ["ana", "ben"], "complete": true });
    until_present(&one, &all).await;
    until_present(&two, &all).await;
    // All answers are in long before the 300 ms in which they must be: nobody waits for the rest of that time.
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let begin = Instant::now();
        assert_eq!(presence(&one).await, all);
        fastest = fastest.min(begin.elapsed());
    }
    assert!(fastest < Duration::from_millis(300), "{fastest:?}");
    drop(ben);
    let fewer = json!({ "channel": "c", "streams": 2, "identities": ["ana"], "complete": true });
    until_present(&one, &fewer).await;
    // A gateway that does not answer in time is not waited for, and the answer says that it is not complete.
    two.process().signal(rustix::process::Signal::STOP);
    let begin = Instant::now();
    let some = presence(&one).await;
    let took = begin.elapsed();
    two.process().signal(rustix::process::Signal::CONT);
    let expected =
        json!({ "channel": "c", "streams": 1, "identities": ["ana"], "complete": false });
    assert_eq!(some, expected);
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn anonymous_streams_are_counted_without_names() {
    let gateway = Gateway::serving(&Channel::open("c")).await;
    let _streams = (gateway.listen("c").await, gateway.listen("c").await);
    let answer = gateway.get("/presence?channel=c").await.expect(200).json();
    assert_eq!(
        answer,
        json!({ "channel": "c", "streams": 2, "identities": [], "complete": true })
    );
}
