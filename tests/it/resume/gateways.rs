//! Gateways killed: over Redis another goes on, in memory the loss is told once.

use super::{Follower, Gateway, GatewaySetup, complete, kept, on, publish};
use crate::Redis;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test]
async fn one_of_two_gateways_killed_under_load_loses_nothing_and_repeats_nothing() {
    const CLIENTS: usize = 50;
    const AFTER: usize = 200;
    let redis = Redis::start().await;
    let (mut dying, living) = (on(&redis).await, Arc::new(on(&redis).await));
    let places = vec![dying.listen("c"), living.listen("c")];
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Follower::start(places.clone()).await);
    }
    let killed = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn({
        let (living, killed) = (living.clone(), killed.clone());
        async move {
            let (mut sent, mut left) = (0, AFTER);
            while left > 0 {
                living.publish("c", sent.to_string()).await;
                sent += 1;
                left -= usize::from(killed.load(Ordering::SeqCst));
            }
            sent
        }
    });
    clients[0]
        .until("some messages", |received| received.events.len() >= 100)
        .await;
    dying.kill9();
    killed.store(true, Ordering::SeqCst);
    let sent = load.await.unwrap();
    for client in &clients {
        client.until_data(&(sent - 1).to_string()).await;
        complete(client, 0..sent);
        assert!(client.received().opened >= 2);
    }
}

#[tokio::test]
async fn a_client_that_published_through_the_killed_gateway_finds_it_on_the_other() {
    let redis = Redis::start().await;
    let (mut dying, living) = (on(&redis).await, on(&redis).await);
    let mut listener = dying.listen("c").await;
    publish(&dying, 0..10).await;
    assert_eq!(listener.data(10).await, super::data(0..10));
    let id = listener.last_event_id();
    publish(&dying, 10..20).await;
    dying.kill9();
    let mut listener = living.listen("c").last_event_id(&id).await;
    publish(&living, 20..30).await;
    assert_eq!(listener.data(20).await, super::data(10..30));
}

#[tokio::test]
async fn in_memory_cut_connections_lose_nothing() {
    let gateway = Gateway::serving(&kept("c")).await;
    let client = Follower::start(vec![gateway.listen("c")]).await;
    let mut sent = 0;
    for round in 0..5 {
        publish(&gateway, sent..sent + 20).await;
        let half = sent + 10;
        sent += 20;
        client
            .until("half of the round", |received| {
                received.events.len() >= half
            })
            .await;
        client.cut();
        publish(&gateway, sent..sent + 5).await;
        sent += 5;
        let opened = round + 2;
        client
            .until("the client to be back", |received| {
                received.opened >= opened
            })
            .await;
    }
    publish(&gateway, sent..sent + 1).await;
    client.until_data(&sent.to_string()).await;
    complete(&client, 0..sent + 1);
}

#[tokio::test]
async fn in_memory_a_restart_is_one_gap_for_each_topic() {
    let setup = GatewaySetup::new().channel(&kept("c").topics(&["c", "d"]));
    let mut gateway = setup.start().await;
    let both = gateway.listen("c").channel("d");
    let client = Follower::start(vec![both]).await;
    publish(&gateway, 0..3).await;
    gateway.publish("d", "of d").await;
    client
        .until("what was published", |received| received.events.len() >= 4)
        .await;
    gateway.kill9();
    gateway.restart_same_port().await;
    client
        .until("two gaps", |received| {
            received
                .events
                .iter()
                .filter(|event| event.kind == "siar.gap")
                .count()
                >= 2
        })
        .await;
    publish(&gateway, 3..4).await;
    client.until_data("3").await;
    let mut channels: Vec<String> = client.gaps().into_iter().map(|gap| gap.data).collect();
    channels.sort();
    assert_eq!(
        channels,
        [
            r#"{"channel":"c","reason":"epoch"}"#,
            r#"{"channel":"d","reason":"epoch"}"#,
        ]
    );
    // The gap's own id is where the client goes on: it is not told again.
    let opened = client.received().opened;
    client.cut();
    client
        .until("the client to be back", |received| received.opened > opened)
        .await;
    publish(&gateway, 4..5).await;
    client.until_data("4").await;
    assert_eq!(client.gaps().len(), 2);
    let events = client.received().events;
    let messages = events.iter().filter(|event| event.kind == "message");
    let data: Vec<&str> = messages.map(|event| event.data.as_str()).collect();
    assert_eq!(data, ["0", "1", "2", "of d", "3", "4"]);
}
