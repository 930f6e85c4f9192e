//! Everything that gateways do with a Redis, in one go.
//!
//! Owns: the Channels for it and the round through all of it. Used by: `acl` and `versions`.

use crate::{Channel, Gateway, GatewaySetup, Redis};
use serde_json::{Value, json};
use std::time::Duration;
use tests::http::Ask;
use tests::wait::{until, within, within_time};

/// Channels without raw publishers.
pub fn quiet() -> Vec<Channel> {
    vec![
        Channel::open("kept").history(100),
        Channel::open("live"),
        Channel::open("wild")
            .topics(&["wild", "wild.{user}"])
            .with("wildcard", json!(true))
            .history(100),
    ]
}

/// Channels that hear Flask-SSE.
pub fn flask() -> Vec<Channel> {
    vec![
        Channel::open("sse").ingest(&["FlaskSse"]).history(100),
        Channel::open("orders")
            .topics(&["orders.{user}"])
            .ingest(&["FlaskSse"])
            .history(100),
    ]
}

/// Channels that hear Juggernaut.
pub fn juggernaut() -> Vec<Channel> {
    vec![
        Channel::open("chat")
            .topics(&["c1", "c2"])
            .ingest(&["Juggernaut"]),
    ]
}

/// Two gateways of one fleet.
pub async fn pair(channels: &[Channel], setup: GatewaySetup) -> [Gateway; 2] {
    let setup = channels
        .iter()
        .fold(setup, |setup, channel| setup.channel(channel));
    [setup.clone().start().await, setup.start().await]
}

/// Publishing, once, at most once and as a list; listening, resuming, history, presence, selectors.
pub async fn publish_and_listen([one, two]: &[Gateway; 2]) {
    let mut kept = two.listen("kept").await;
    let first = one.publish("kept", "1").await;
    let key = |data: &str| {
        let ask = one.post(&[("channel", "kept")], data);
        ask.header("Idempotency-Key", "k")
    };
    let once = key("2").send().await.expect(200).json();
    assert_eq!(key("2").send().await.expect(200).json(), once);
    let _ = key("other").send().await.expect(422);
    assert_eq!(kept.data(2).await, ["1", "2"]);
    let mut resumed = one.listen("kept").last_event_id(&first.id).await;
    assert_eq!(resumed.next().await.data, "2");
    for since in ["2", "10m"] {
        let mut listener = one.listen("kept").since(since).await;
        assert_eq!(listener.data(2).await, ["1", "2"], "{since}");
    }
    let history = one.get("/history?channel=kept").await.expect(200).json();
    assert_eq!(history["messages"].as_array().unwrap().len(), 2);
    present(two, "kept", 2).await;
    let mut live = two.listen("live").await;
    let list = json!([{"channel": "live", "data": "a"}, {"channel": "live", "data": "b"}]);
    let _ = one.post_json(&list).await.expect(200);
    assert_eq!(live.data(2).await, ["a", "b"]);
    let mut wild = two.listen("wild.*").await;
    for user in ["a", "b"] {
        one.publish(&format!("wild.{user}"), user).await;
    }
    assert_eq!(wild.data(2).await, ["a", "b"]);
}

async fn present(gateway: &Gateway, topic: &str, least: u64) {
    until("all gateways to say who is there", || async {
        let path = format!("/presence?channel={topic}");
        let seen = Ask::get(gateway.public(), &path)
            .send()
            .await
            .expect(200)
            .json();
        let enough = seen["streams"]
            .as_u64()
            .is_some_and(|streams| streams >= least);
        match enough && seen["complete"] == true {
            true => Ok(()),
            false => Err(seen.to_string()),
        }
    })
    .await;
}

/// Flask-SSE publishes to a topic and to one of a pattern, and what nobody heard is kept.
pub async fn hear_flask([_, two]: &[Gateway; 2], redis: &mut Redis) {
    for (topic, data) in [("sse", "1"), ("orders.ana", "2")] {
        let payload = json!({ "data": data }).to_string();
        within("somebody to hear raw messages", async {
            while redis.publish(topic, &payload).await == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let mut listener = two.listen(topic).since("1").await;
        assert_eq!(listener.next().await.data, data);
    }
}

/// Juggernaut publishes, and its app is told who comes and, when the gateway is gone, who went.
pub async fn hear_juggernaut(gateways: &mut [Gateway; 2], redis: &mut Redis) {
    const EVENTS: [&str; 2] = ["juggernaut:subscribe", "juggernaut:unsubscribe"];
    let mut told = redis.hear(&EVENTS).await;
    let [one, two] = gateways;
    let (mut c1, c2) = (one.listen("c1").await, two.listen("c2").await);
    for _ in 0..2 {
        assert_eq!(told.next().await.0, EVENTS[0]);
    }
    let payload = json!({ "channels": ["c1"], "data": "hi" }).to_string();
    redis.publish("juggernaut", &payload).await;
    assert_eq!(c1.next().await.data, "hi");
    drop(c1);
    assert_eq!(told.next().await.0, EVENTS[1]);
    two.kill9();
    drop(c2);
    let owed = within_time(Duration::from_secs(60), "what is owed", told.patiently());
    let (channel, payload) = owed.await;
    assert_eq!(channel, EVENTS[1]);
    let payload: Value = serde_json::from_str(&payload).unwrap();
    assert_eq!(payload["channel"], "c2");
}
