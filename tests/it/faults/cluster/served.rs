//! What a cluster serves beside topics with history, before and after the slot that it depends on has moved.
//!
//! Owns: raw publishers, selectors, live-only Channels, presence and history. Never: a steady load.

use super::OTHER;
use crate::{Channel, Gateway, GatewaySetup};
use serde_json::{Value, json};
use std::time::Duration;
use tests::follow::Follower;
use tests::redis::RedisCluster;
use tests::wait::{until, within};

/// A cluster and two gateways on it.
async fn serving(channel: &Channel) -> (RedisCluster, [Gateway; 2]) {
    let cluster = RedisCluster::start().await;
    let setup = GatewaySetup::new().channel(channel).redis(&cluster.url());
    let gateways = [setup.clone().start().await, setup.start().await];
    (cluster, gateways)
}

/// One who listens to all these topics at each gateway.
async fn follow(gateways: &[Gateway; 2], topics: &[&str]) -> [Follower; 2] {
    let at = |gateway: &Gateway| {
        let (first, more) = topics.split_first().expect("one topic at least");
        let listen = gateway.listen(first);
        let all = more
            .iter()
            .fold(listen, |listen, topic| listen.channel(topic));
        Follower::start(vec![all])
    };
    [at(&gateways[0]).await, at(&gateways[1]).await]
}

/// Moves the slot of that key.
async fn moved(cluster: &mut RedisCluster, key: &str) {
    let slot = cluster.slot(key).await;
    let to = (cluster.owner(slot).await + OTHER) % 3;
    cluster.move_slot(slot, to).await;
}

fn data(follower: &Follower) -> Vec<String> {
    let messages = follower.messages().into_iter();
    messages.map(|message| message.data).collect()
}

/// The same text published at each node in turn reaches everybody from each.
async fn raw_from_everywhere(cluster: &mut RedisCluster, followers: &[Follower; 2], word: &str) {
    for node in 0..cluster.len() {
        let payload = json!({ "data": format!("{word} {node}") });
        cluster.node(node).publish("sse", payload.to_string()).await;
    }
    for follower in followers {
        for node in 0..cluster.len() {
            follower.until_data(&format!("{word} {node}")).await;
        }
    }
}

#[tokio::test]
async fn raw_messages_published_at_any_node_reach_all_gateways_once() {
    let channel = Channel::open("sse").ingest(&["FlaskSse"]).history(100);
    let (mut cluster, gateways) = serving(&channel).await;
    let followers = follow(&gateways, &["sse"]).await;
    raw_from_everywhere(&mut cluster, &followers, "before").await;
    moved(&mut cluster, "siar:{ingest:default}:ledger").await;
    // What is published while nobody hears it is lost, as with every raw publisher.
    let between = json!({ "data": "between" }).to_string();
    let heard = |follower: &Follower| data(follower).iter().any(|data| data == "between");
    within("raw messages to pass again", async {
        while !followers.iter().all(heard) {
            cluster.node(0).publish("sse", &between).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    raw_from_everywhere(&mut cluster, &followers, "after").await;
    for follower in &followers {
        let mut all = data(follower);
        all.retain(|data| data != "between");
        assert_eq!(all.len(), 2 * cluster.len(), "{all:?}");
    }
}

#[tokio::test]
async fn a_selector_hears_all_topics_of_its_channel_in_one_slot() {
    let channel = Channel::open("orders").topics(&["orders.{user}"]);
    let channel = channel.with("wildcard", json!(true)).history(100);
    let (mut cluster, gateways) = serving(&channel).await;
    let followers = follow(&gateways, &["orders.*"]).await;
    let mut expected = Vec::new();
    for round in 0..2 {
        for user in 0..6 {
            let (topic, text) = (format!("orders.{user}"), format!("{round} {user}"));
            gateways[user % 2].publish(&topic, &text).await;
            expected.push(text);
        }
        moved(&mut cluster, "siar:{default/orders}:f:m").await;
    }
    gateways[0].publish("orders.last", "last").await;
    expected.push("last".into());
    for follower in &followers {
        follower.until_data("last").await;
        assert_eq!(data(follower), expected);
        let reasons: Vec<String> = follower.gaps().into_iter().map(|gap| gap.data).collect();
        assert!(reasons.len() <= 2, "{reasons:?}");
    }
}

#[tokio::test]
async fn a_live_only_channel_goes_on_and_tells_what_it_missed() {
    const NUMBERS: usize = 30;
    let topics = ["live.a", "live.b", "live.c"];
    let (mut cluster, gateways) = serving(&Channel::open("live").topics(&["live.{n}"])).await;
    let followers = follow(&gateways, &topics).await;
    for number in 0..NUMBERS {
        if number == NUMBERS / 2 {
            moved(&mut cluster, "siar:{default/live.a}:m").await;
        }
        for topic in topics {
            gateways[number % 2]
                .publish(topic, format!("{topic} {number}"))
                .await;
        }
    }
    for follower in &followers {
        let mut missing = 0;
        for topic in topics {
            // The newest may be the one that was missed; a later one tells.
            until("a topic to go on", || async {
                gateways[0]
                    .publish(topic, format!("{topic} {NUMBERS}"))
                    .await;
                let last = format!("{topic} {NUMBERS}");
                let heard = data(follower).contains(&last);
                heard.then_some(()).ok_or_else(|| "it does not".into())
            })
            .await;
            let heard = data(follower);
            let of_topic = |number: &usize| heard.contains(&format!("{topic} {number}"));
            missing += NUMBERS - (0..NUMBERS).filter(of_topic).count();
        }
        let gaps = follower.gaps();
        assert!(missing == 0 || !gaps.is_empty(), "{missing} are missing");
    }
}

async fn until_answers(gateways: &[Gateway; 2], path: &str, field: &str, expected: &Value) {
    for gateway in gateways {
        until(path, || async {
            let answer = gateway.get(path).await;
            if answer.status == 200 && answer.json()[field] == *expected {
                return Ok(());
            }
            Err(format!("{} {}", answer.status, answer.text()))
        })
        .await;
    }
}

#[tokio::test]
async fn presence_and_history_are_the_same_at_both_gateways() {
    let (mut cluster, gateways) = serving(&Channel::open("c").history(50)).await;
    let _followers = follow(&gateways, &["c"]).await;
    let (presence, history) = ("/presence?channel=c", "/history?channel=c");
    for number in 1..=3 {
        let published = gateways[number % 2].publish("c", number.to_string()).await;
        let position = json!(published.position);
        until_answers(&gateways, history, "position", &position).await;
        until_answers(&gateways, presence, "streams", &json!(2)).await;
        until_answers(&gateways, presence, "complete", &json!(true)).await;
        for gateway in &gateways {
            let messages = gateway.get(history).await.json()["messages"].clone();
            assert_eq!(messages.as_array().map(Vec::len), Some(number));
        }
        moved(&mut cluster, "siar:{default/c}:m").await;
        moved(&mut cluster, "siar:{ingest:default}:ledger").await;
    }
}
