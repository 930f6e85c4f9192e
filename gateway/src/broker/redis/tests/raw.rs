//! Raw publishers, heard by one gateway.

use super::server::{FLASK, Gateway, JUGGERNAUT, PLAIN, Server, ingesting, policy, publication};
use crate::broker::{Arrival, Broker};
use crate::close::GapReason;
use crate::metrics::Source;
use crate::position::Position;
use crds::policy::{IngestSet, Policy};
use std::sync::Arc;

/// Waits for an interruption of raw messages.
async fn lost(gateway: &Gateway) -> GapReason {
    loop {
        if let Arrival::Lost { reason, .. } = gateway.next().await {
            return reason;
        }
    }
}

#[tokio::test]
async fn live_only_raw_messages_go_straight_to_the_streams_once() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let policy = ingesting("sse", 0, &["sse", "users.{id}"], FLASK);
    gateway.broker.apply(vec![policy.clone()]);
    for topic in ["sse", "users.7"] {
        let target = gateway.target(&policy, topic);
        gateway.broker.subscribe(target).await.unwrap();
    }
    server.ask(&["PUBLISH", "sse", r#"{"data": "1"}"#]).await;
    server
        .ask(&["PUBLISH", "users.7", r#"{"data": {"a": 2}}"#])
        .await;
    server
        .ask(&["PUBLISH", "users.8", r#"{"data": "nobody's"}"#])
        .await;
    server.ask(&["PUBLISH", "sse", "{}"]).await;
    server.ask(&["PUBLISH", "sse", r#"{"data": "3"}"#]).await;
    for data in ["1", r#"{"a": 2}"#, "3"] {
        assert_eq!(gateway.frame().await, (String::new(), data.to_owned()));
    }
    let metrics = gateway.metrics.channel(&policy.channel);
    assert_eq!(metrics.malformed[Source::FlaskSse as usize].get(), 1);
    assert_eq!(metrics.published[Source::FlaskSse as usize].get(), 3);
}

#[tokio::test]
async fn nobody_is_subscribed_after_the_last_topic_is_left() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let policy = ingesting("sse", 0, &["sse"], FLASK);
    gateway.broker.apply(vec![policy.clone()]);
    let target = gateway.target(&policy, "sse");
    gateway.broker.subscribe(target.clone()).await.unwrap();
    let heard = server.ask(&["PUBLISH", "sse", r#"{"data":"x"}"#]).await;
    assert_eq!(heard, redis::Value::Int(1));
    gateway.broker.unsubscribe(target.address).await;
    given_up(&server, "sse").await;
}

#[tokio::test]
async fn raw_messages_of_a_channel_with_history_are_numbered_without_listeners() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let policy = ingesting("users", 10, &["users.{id}", "sse"], FLASK);
    gateway.broker.apply(vec![policy.clone()]);
    gateway.broker.numbering().await;
    for data in 1..=5 {
        let payload = format!(r#"{{"data": {data}}}"#);
        server.ask(&["PUBLISH", "users.7", &payload]).await;
    }
    let target = gateway.target(&policy, "users.7");
    gateway.broker.subscribe(target.clone()).await.unwrap();
    server.ask(&["PUBLISH", "users.7", r#"{"data": 6}"#]).await;
    loop {
        let (position, data) = gateway.frame().await;
        assert!(position.ends_with(&format!("-{data}")));
        if data == "6" {
            break;
        }
    }
    let page = gateway.broker.read(target, Position::NEVER).await;
    let page = page.unwrap();
    let data = page.frames.iter().map(|frame| frame.message().data());
    assert_eq!(Vec::from_iter(data), ["1", "2", "3", "4", "5", "6"]);
    let metrics = gateway.metrics.channel(&policy.channel);
    assert_eq!(metrics.published[Source::FlaskSse as usize].get(), 6);
}

#[tokio::test]
async fn raw_and_posted_messages_share_one_order() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let policy = ingesting("sse", 10, &["sse"], PLAIN);
    gateway.broker.apply(vec![policy.clone()]);
    let target = gateway.target(&policy, "sse");
    gateway.broker.subscribe(target.clone()).await.unwrap();
    server.ask(&["PUBLISH", "sse", "raw"]).await;
    assert_eq!(gateway.frame().await.1, "raw");
    let posted = gateway.broker.publish(publication(&target, "posted")).await;
    assert_eq!(posted.unwrap().position.offset, 2);
    assert_eq!(gateway.frame().await.1, "posted");
}

#[tokio::test]
async fn juggernaut_broadcasts_reach_each_channel_they_name() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let live = ingesting("live", 0, &["c1", "/chat"], JUGGERNAUT);
    let mut kept = (*ingesting("kept", 10, &["k1"], JUGGERNAUT)).clone();
    kept.prefix = "app:".into();
    let kept = Arc::new(kept);
    gateway.broker.apply(vec![live.clone(), kept.clone()]);
    for (policy, topic) in [(&live, "c1"), (&live, "/chat"), (&kept, "k1")] {
        let target = gateway.target(policy, topic);
        gateway.broker.subscribe(target).await.unwrap();
    }
    let publish = async |channel: &str, payload: &str| {
        server.ask(&["PUBLISH", channel, payload]).await;
    };
    publish(
        "juggernaut",
        r#"{"channels":["c1","/chat","c1"],"data":"a"}"#,
    )
    .await;
    publish("juggernaut", r#"{"channels":["c1"#).await;
    publish("juggernaut", r#"{"channel":"c1","data":"b"}"#).await;
    for data in ["a", "a", "b"] {
        assert_eq!(gateway.frame().await.1, data);
    }
    publish("app:juggernaut", r#"{"channels":["k1","c1"],"data":"c"}"#).await;
    let (position, data) = gateway.frame().await;
    assert!(position.ends_with("-1"), "{position}");
    assert_eq!(data, "c");
    let metrics = gateway.metrics.channel(&live.channel);
    assert_eq!(metrics.malformed[Source::Juggernaut as usize].get(), 1);
}

#[tokio::test]
async fn an_interruption_of_raw_messages_is_told_once() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let live = ingesting("live", 0, &["live"], FLASK);
    let kept = ingesting("kept", 10, &["kept"], FLASK);
    let plain = Arc::new(policy("plain", 10));
    let policies = vec![live.clone(), kept.clone(), plain.clone()];
    gateway.broker.apply(policies);
    for policy in [&live, &kept, &plain] {
        let target = gateway.target(policy, policy.channel.name());
        gateway.broker.subscribe(target).await.unwrap();
    }
    server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    assert_eq!(lost(&gateway).await, GapReason::Ingest);
    assert_eq!(lost(&gateway).await, GapReason::Ingest);
    // What comes next is no third loss.
    let target = gateway.target(&plain, "plain");
    gateway
        .broker
        .publish(publication(&target, "x"))
        .await
        .unwrap();
    server.ask(&["PUBLISH", "kept", r#"{"data":"y"}"#]).await;
    let mut seen = 0;
    while seen < 2 {
        match gateway.next().await {
            Arrival::Frame { .. } => seen += 1,
            Arrival::Interrupted { .. } | Arrival::Resumed { .. } => {}
            Arrival::Lost { .. } => panic!("told twice"),
        }
    }
}

#[tokio::test]
async fn a_flushed_server_interrupts_no_raw_publisher() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let policy = ingesting("sse", 10, &["sse"], FLASK);
    gateway.broker.apply(vec![policy.clone()]);
    let target = gateway.target(&policy, "sse");
    gateway.broker.subscribe(target).await.unwrap();
    server.ask(&["FLUSHALL"]).await;
    for data in ["1", "2", "3"] {
        let payload = format!(r#"{{"data": {data}}}"#);
        server.ask(&["PUBLISH", "sse", &payload]).await;
        assert_eq!(gateway.frame().await.1, data);
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    }
}

#[tokio::test]
async fn a_channel_that_begins_to_hear_raw_publishers_does_so_for_open_streams() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let deaf = ingesting("sse", 0, &["sse"], IngestSet::default());
    gateway.broker.apply(vec![deaf.clone()]);
    let target = gateway.target(&deaf, "sse");
    gateway.broker.subscribe(target).await.unwrap();
    gateway
        .broker
        .apply(vec![ingesting("sse", 0, &["sse"], FLASK)]);
    tokio::time::timeout(super::server::DEADLINE, async {
        let payload = r#"{"data": "x"}"#;
        while server.ask(&["PUBLISH", "sse", payload]).await != redis::Value::Int(1) {}
    })
    .await
    .expect("the subscription begins");
    assert_eq!(gateway.frame().await.1, "x");
}

/// Waits until nobody hears what is published at `channel`.
async fn given_up(server: &Server, channel: &str) {
    let given_up =
        async { while server.ask(&["PUBLISH", channel, "x"]).await != redis::Value::Int(0) {} };
    tokio::time::timeout(super::server::DEADLINE, given_up)
        .await
        .expect("the subscription ends");
}

/// Channel `name` has the topic, and hears raw publishers behind its name.
fn prefixed(name: &str) -> Arc<Policy> {
    let mut policy = (*ingesting(name, 0, &["sse"], PLAIN)).clone();
    policy.prefix = format!("{name}:").into();
    Arc::new(policy)
}

#[tokio::test]
async fn a_topic_that_passes_to_another_channel_is_heard_as_that_one_says() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let (one, two) = (prefixed("one"), prefixed("two"));
    for between in [vec![two.clone()], Vec::new()] {
        gateway.broker.apply(vec![one.clone()]);
        let target = gateway.target(&one, "sse");
        gateway.broker.subscribe(target.clone()).await.unwrap();
        server.ask(&["PUBLISH", "one:sse", "1"]).await;
        assert_eq!(gateway.frame().await.1, "1");
        gateway.broker.apply(between);
        gateway.broker.apply(vec![two.clone()]);
        assert!(!gateway.broker.reaches(&target.address), "not at once");
        let reached = async {
            while !gateway.broker.reaches(&target.address) {
                tokio::task::yield_now().await;
            }
        };
        let reached = tokio::time::timeout(super::server::DEADLINE, reached);
        reached.await.expect("in time");
        let heard = server.ask(&["PUBLISH", "two:sse", "2"]).await;
        assert_eq!(heard, redis::Value::Int(1));
        assert_eq!(gateway.frame().await.1, "2");
        given_up(&server, "one:sse").await;
        gateway.broker.unsubscribe(target.address).await;
        given_up(&server, "two:sse").await;
    }
}

#[tokio::test]
async fn a_join_stands_when_what_its_channel_wants_by_then_is_heard() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    gateway.stands().await;
    let (one, two) = (prefixed("one"), prefixed("two"));
    gateway.broker.apply(vec![one.clone()]);
    let joining = gateway.broker.subscribe(gateway.target(&one, "sse"));
    let passes = async { gateway.broker.apply(vec![two]) };
    let (joined, ()) = tokio::join!(joining, passes);
    joined.unwrap();
    let heard = server.ask(&["PUBLISH", "two:sse", "1"]).await;
    assert_eq!(heard, redis::Value::Int(1));
    assert_eq!(gateway.frame().await.1, "1");
}

#[tokio::test]
async fn a_restarted_server_interrupts_raw_publishers_once() {
    let server = Server::start().await;
    let one = Gateway::new(&server);
    let two = Gateway::new(&server);
    let policy = ingesting("sse", 10, &["sse"], FLASK);
    for gateway in [&one, &two] {
        gateway.broker.apply(vec![policy.clone()]);
        let target = gateway.target(&policy, "sse");
        gateway.broker.subscribe(target).await.unwrap();
    }
    for _ in 0..2 {
        server.kill();
        server.run().await;
        for gateway in [&one, &two] {
            assert_eq!(lost(gateway).await, GapReason::Ingest);
        }
    }
    // One may be told by an answer before it hears anything itself.
    for gateway in [&one, &two] {
        gateway.stands().await;
    }
    server.ask(&["PUBLISH", "sse", r#"{"data":"x"}"#]).await;
    for gateway in [&one, &two] {
        loop {
            match gateway.next().await {
                Arrival::Frame { frame, .. } => break assert_eq!(frame.message().data(), "x"),
                Arrival::Interrupted { .. } | Arrival::Resumed { .. } => {}
                Arrival::Lost { .. } => panic!("told twice"),
            }
        }
    }
}

/// Whoever numbers next must not take a server that remembers nothing for one on which nothing was ever missed.
#[tokio::test]
async fn a_server_that_forgot_who_numbered_interrupts_those_who_outlive_both() {
    let server = Server::start().await;
    let (one, two) = (Gateway::new(&server), Gateway::new(&server));
    let policy = ingesting("sse", 10, &["sse"], FLASK);
    for gateway in [&one, &two] {
        gateway.broker.apply(vec![policy.clone()]);
        let target = gateway.target(&policy, "sse");
        gateway.broker.subscribe(target).await.unwrap();
    }
    server.kill();
    drop(one);
    server.run().await;
    assert_eq!(lost(&two).await, GapReason::Ingest);
}
