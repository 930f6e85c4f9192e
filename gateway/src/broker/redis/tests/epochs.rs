//! When a new epoch is drawn, and what a page says of the way into it.

use super::faults::{publish, resumed};
use super::server::{Gateway, Server, policy};
use crate::broker::contract::offsets;
use crate::broker::{Arrival, Broker, Page, Target};
use crate::close::GapReason;
use crate::position::Position;
use std::sync::Arc;

/// The server starts again from what it saved, and the gateway hears it again.
async fn start_again(server: &Server, gateway: &Gateway) {
    server.kill();
    server.run().await;
    resumed(gateway).await;
}

async fn read(gateway: &Gateway, target: &Target, cursor: Position) -> Page {
    let read = gateway.broker.read(target.clone(), cursor);
    read.await.unwrap()
}

#[tokio::test]
async fn a_page_ends_with_its_epoch_and_the_next_one_tells_the_way_over() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let target = gateway.target(&Arc::new(policy("orders", 10)), "orders");
    gateway.broker.subscribe(target.clone()).await.unwrap();
    publish(&gateway, &target, "1").await;
    let first = publish(&gateway, &target, "2").await;
    server.ask(&["SAVE"]).await;
    start_again(&server, &gateway).await;
    let second = publish(&gateway, &target, "3").await;
    server.ask(&["SAVE"]).await;
    start_again(&server, &gateway).await;
    let third = publish(&gateway, &target, "4").await;
    let told = async |cursor| {
        let page = read(&gateway, &target, cursor).await;
        (page.lost, page.from, offsets(&page.frames), page.more)
    };
    let never = Position::NEVER;
    assert_eq!(told(never).await, (None, never, vec![1, 2], true));
    let epoch = Some(GapReason::Epoch);
    let before_second = Position {
        offset: 2,
        ..second
    };
    let before_third = Position { offset: 3, ..third };
    assert_eq!(told(first).await, (epoch, before_second, vec![3], true));
    let follows = told(before_second).await;
    assert_eq!(follows, (None, before_second, vec![3], true));
    assert_eq!(told(second).await, (epoch, before_third, vec![4], false));
    assert_eq!(told(third).await, (None, third, vec![], false));
}

#[tokio::test]
async fn what_was_acknowledged_and_rolled_back_is_told_to_who_had_not_heard_it() {
    let server = Server::start().await;
    let (publisher, other) = (Gateway::new(&server), Gateway::new(&server));
    let target = publisher.target(&Arc::new(policy("orders", 10)), "orders");
    other.broker.subscribe(target.clone()).await.unwrap();
    publisher.stands().await;
    let heard = publish(&publisher, &target, "1").await;
    assert_eq!(other.frame().await.1, "1");
    server.ask(&["SAVE"]).await;
    // The other one is cut off and cannot come back before the message is lost.
    server.ask(&["CONFIG", "SET", "requirepass", "new"]).await;
    let mut standing = other.broker.standing.plain();
    let kill = ["CLIENT", "KILL", "TYPE", "pubsub"];
    server.ask_with("new", &kill).await;
    standing.wait_for(|standing| !standing.now).await.unwrap();
    let lost = publish(&publisher, &target, "2").await;
    server.kill();
    server.run().await;
    let mut told = Vec::new();
    while told.last().is_none_or(|&word| word != "resumed") {
        told.push(match other.next().await {
            Arrival::Frame { .. } => "frame",
            Arrival::Interrupted { .. } => "interrupted",
            Arrival::Resumed { .. } => "resumed",
            Arrival::Lost { .. } => "lost",
        });
    }
    assert_eq!(told[..1], ["interrupted"], "{told:?}");
    assert!(!told.contains(&"frame"), "{told:?}");
    let next = publish(&other, &target, "2 again").await;
    assert_eq!(other.frame().await.1, "2 again");
    assert_eq!(next.offset, lost.offset);
    let page = read(&other, &target, heard).await;
    let epoch = next.epoch;
    let from = Position { epoch, ..heard };
    assert_eq!((page.lost, page.from), (Some(GapReason::Epoch), from));
    assert_eq!(read(&other, &target, from).await.lost, None, "told once");
}

#[tokio::test]
async fn a_master_that_was_demoted_and_promoted_begins_a_new_epoch() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let target = gateway.target(&Arc::new(policy("orders", 10)), "orders");
    let before = publish(&gateway, &target, "1").await;
    assert_eq!(publish(&gateway, &target, "2").await.epoch, before.epoch);
    server.ask(&["REPLICAOF", "127.0.0.1", "1"]).await;
    server.ask(&["REPLICAOF", "NO", "ONE"]).await;
    let after = publish(&gateway, &target, "3").await;
    assert_ne!(after.epoch, before.epoch);
    assert_eq!(publish(&gateway, &target, "4").await.epoch, after.epoch);
}

#[tokio::test]
async fn a_meta_of_an_older_version_is_compared_by_its_run_id() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let target = gateway.target(&Arc::new(policy("orders", 10)), "orders");
    let before = publish(&gateway, &target, "1").await;
    let meta = "siar:{shop/orders}:m";
    server.ask(&["HDEL", meta, "s"]).await;
    assert_eq!(publish(&gateway, &target, "2").await.epoch, before.epoch);
    server.ask(&["HDEL", meta, "s"]).await;
    server.ask(&["HSET", meta, "r", "another"]).await;
    let after = publish(&gateway, &target, "3").await;
    assert_ne!(after.epoch, before.epoch);
    let written = server.ask(&["HGET", meta, "r"]).await;
    assert_ne!(written, redis::Value::BulkString(b"another".to_vec()));
}
