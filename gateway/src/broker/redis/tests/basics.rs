//! Publishing, hearing and reading.

use super::server::{Gateway, Server, keeper, policy, publication};
use crate::address::Address;
use crate::broker::contract::{self, Keeper, Recorder, the_last};
use crate::broker::{Broker, PublishError, Since};
use crate::close::GapReason;
use crate::metrics::Metrics;
use crate::position::Position;
use crate::tasks::Essential;
use prometheus::Registry;
use std::sync::Arc;

#[tokio::test]
async fn redis_keeps_the_contract() {
    let server = Server::start().await;
    let (recorder, (essential, _ended)) = (Recorder::default(), Essential::new());
    let metrics = Metrics::new(&Registry::new(), "test").unwrap();
    let sink = recorder.sink();
    contract::all(&Keeper {
        broker: keeper(&server, "g", &Arc::default(), &metrics, sink, &essential),
        arrivals: recorder,
    })
    .await;
}

async fn publish(gateway: &Gateway, target: &crate::broker::Target, data: &str) -> Position {
    let published = gateway.broker.publish(publication(target, data)).await;
    published.unwrap().position
}

#[tokio::test]
async fn messages_are_numbered_kept_and_heard_in_order() {
    let server = Server::start().await;
    let (here, there) = (Gateway::new(&server), Gateway::new(&server));
    let policy = Arc::new(policy("orders", 3));
    let target = here.target(&policy, "orders");
    let lineage = here.broker.subscribe(target.clone()).await.unwrap();
    assert_eq!(lineage.position(), Position::NEVER);
    for data in ["one", "two", "three", "four"] {
        publish(&there, &target, data).await;
    }
    for (offset, data) in [(1, "one"), (2, "two"), (3, "three"), (4, "four")] {
        let (position, got) = here.frame().await;
        assert_eq!(got, data);
        assert!(position.ends_with(&format!("-{offset}")), "{position}");
    }
    let page = there
        .broker
        .read(target.clone(), Position::NEVER)
        .await
        .unwrap();
    assert_eq!(page.lost, Some(GapReason::TooOld));
    assert_eq!(page.from.offset, 1);
    assert_eq!(page.frames.len(), 3);
    let page = there
        .broker
        .read(target.clone(), page.lineage.at(2))
        .await
        .unwrap();
    assert_eq!((page.lost, page.frames.len(), page.more), (None, 2, false));
    assert_eq!(&page.frames[0].plain().event()[..], b"data: three\n");
}

#[tokio::test]
async fn a_key_is_published_once_and_conflicts_with_another_message() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let target = gateway.target(&Arc::new(policy("orders", 3)), "orders");
    let first = publication(&target, "x");
    let published = gateway.broker.publish(first.clone()).await.unwrap();
    assert!(!published.replayed);
    let again = gateway.broker.publish(first.clone()).await.unwrap();
    assert_eq!((again.position, again.replayed), (published.position, true));
    let mut other = first;
    other.key.content = "c1".into();
    let conflict = gateway.broker.publish(other).await;
    assert!(
        matches!(conflict, Err(PublishError::Conflict)),
        "{conflict:?}"
    );
    let lineage = gateway.broker.lineage(target.address).await.unwrap();
    assert_eq!(lineage.last, 1);
}

#[tokio::test]
async fn a_wildcard_channel_numbers_its_feed_in_the_same_step() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let mut policy = policy("orders", 10);
    policy.wildcard = true;
    let policy = Arc::new(policy);
    let (a, b) = (
        gateway.target(&policy, "orders.a"),
        gateway.target(&policy, "orders.b"),
    );
    let feed = Address::Feed {
        channel: policy.channel.clone(),
    };
    let mut heard = a.clone();
    heard.address = feed;
    gateway.broker.subscribe(heard.clone()).await.unwrap();
    publish(&gateway, &a, "1").await;
    publish(&gateway, &b, "2").await;
    assert!(gateway.frame().await.0.ends_with("-1"));
    assert!(gateway.frame().await.0.ends_with("-2"));
    let page = gateway.broker.newest(heard, the_last(10)).await.unwrap();
    let topics: Vec<&str> = page.frames.iter().map(|f| f.topic().as_str()).collect();
    assert_eq!(topics, ["orders.a", "orders.b"]);
    assert_eq!(gateway.broker.lineage(b.address).await.unwrap().last, 1);
}

#[tokio::test]
async fn a_start_is_found_by_count_and_by_time() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let target = gateway.target(&Arc::new(policy("orders", 5)), "orders");
    for index in 1..=8_u64 {
        let mut publication = publication(&target, "x");
        publication.time = index * 100;
        gateway.broker.publish(publication).await.unwrap();
    }
    for (since, expected) in [
        (Since::Messages(2), 6),
        (Since::Messages(100), 3),
        (Since::Messages(0), 8),
        (Since::Time(0), 3),
        (Since::Time(501), 5),
        (Since::Time(600), 5),
        (Since::Time(900), 8),
    ] {
        let position = gateway.broker.since(target.address.clone(), since).await;
        assert_eq!(position.unwrap().offset, expected, "{since:?}");
    }
}

#[tokio::test]
async fn a_live_only_channel_numbers_without_keeping() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let kept = gateway.target(&Arc::new(policy("orders", 5)), "orders");
    let live = gateway.target(&Arc::new(policy("orders", 0)), "orders");
    publish(&gateway, &kept, "1").await;
    assert_eq!(publish(&gateway, &live, "2").await.offset, 2);
    assert_eq!(publish(&gateway, &kept, "3").await.offset, 3);
    let page = gateway.broker.read(kept, Position::NEVER).await;
    let page = page.unwrap();
    assert_eq!((page.from.offset, page.frames.len()), (2, 1));
}

#[tokio::test]
async fn pages_of_history_join_without_a_hole() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let target = gateway.target(&Arc::new(policy("orders", 1000)), "orders");
    for index in 0..250 {
        publish(&gateway, &target, &index.to_string()).await;
    }
    let mut cursor = Position::NEVER;
    let mut got = Vec::new();
    loop {
        let page = gateway.broker.read(target.clone(), cursor).await;
        let page = page.unwrap();
        got.extend(page.frames.iter().map(|f| f.message().data().to_owned()));
        cursor = page.frames.last().unwrap().position().unwrap();
        if !page.more {
            break;
        }
    }
    let expected: Vec<String> = (0..250).map(|index| index.to_string()).collect();
    assert_eq!(got, expected);
}
