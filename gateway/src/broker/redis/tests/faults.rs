//! What a server can do to a keeper: cut it off, fall silent, change its password, forget.

use super::server::{DEADLINE, Gateway, Server, policy, publication};
use crate::broker::{Arrival, Broker, Declined, PublishError, Target};
use crate::close::GapReason;
use crate::position::{Lineage, Position};
use std::sync::Arc;
use tokio::time::timeout;

pub(super) async fn publish(gateway: &Gateway, target: &Target, data: &str) -> Position {
    let published = gateway.broker.publish(publication(target, data)).await;
    published.unwrap().position
}

/// What the keeper tells after an interruption, skipping frames.
pub(super) async fn resumed(gateway: &Gateway) -> Lineage {
    loop {
        match gateway.next().await {
            Arrival::Resumed { lineage, .. } => return lineage,
            Arrival::Frame { .. } | Arrival::Interrupted { .. } => {}
            Arrival::Lost { .. } => panic!("nothing here has no numbers"),
        }
    }
}

#[tokio::test]
async fn a_killed_subscription_stands_again_and_tells_the_tail() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let target = gateway.target(&Arc::new(policy("orders", 10)), "orders");
    gateway.broker.subscribe(target.clone()).await.unwrap();
    publish(&gateway, &target, "one").await;
    gateway.frame().await;
    server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    publish(&gateway, &target, "two").await;
    assert_eq!(resumed(&gateway).await.last, 2);
    publish(&gateway, &target, "three").await;
    assert_eq!(gateway.frame().await.1, "three");
}

#[tokio::test]
async fn a_silent_server_is_found_and_left_behind() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let target = gateway.target(&Arc::new(policy("orders", 10)), "orders");
    gateway.broker.subscribe(target.clone()).await.unwrap();
    assert!(gateway.broker.up());
    server.signal("STOP");
    let mut standing = gateway.broker.standing.plain();
    timeout(DEADLINE, standing.wait_for(|standing| !standing.now))
        .await
        .expect("the probe finds it")
        .unwrap();
    let outcome = gateway.broker.publish(publication(&target, "x")).await;
    // The one connection may be given up already, and another one cannot be made.
    let said = matches!(
        outcome,
        Err(PublishError::OutcomeUnknown(_) | PublishError::Refused(_))
    );
    assert!(said, "{outcome:?}");
    server.signal("CONT");
    let last = resumed(&gateway).await.last;
    let position = publish(&gateway, &target, "y").await;
    assert!(position.offset > last);
}

#[tokio::test]
async fn a_changed_password_is_taken_up_when_it_is_known() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let target = gateway.target(&Arc::new(policy("orders", 10)), "orders");
    gateway.broker.subscribe(target.clone()).await.unwrap();
    let mut standing = gateway.broker.standing.plain();
    server.ask(&["CONFIG", "SET", "requirepass", "new"]).await;
    let url = format!("redis://:new@127.0.0.1:{}", server.port);
    let mut admin = redis::Client::open(url)
        .unwrap()
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    for kind in ["pubsub", "normal"] {
        redis::cmd("CLIENT")
            .arg(&["KILL", "TYPE", kind])
            .exec_async(&mut admin)
            .await
            .unwrap();
    }
    standing.wait_for(|standing| !standing.now).await.unwrap();
    let outcome = gateway.broker.publish(publication(&target, "x")).await;
    assert!(outcome.is_err());
    *gateway.password.lock() = Some("new".into());
    resumed(&gateway).await;
    publish(&gateway, &target, "y").await;
    assert_eq!(gateway.frame().await.1, "y");
}

#[tokio::test]
async fn a_server_that_rolled_back_begins_a_new_epoch_and_goes_on() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let target = gateway.target(&Arc::new(policy("orders", 10)), "orders");
    gateway.broker.subscribe(target.clone()).await.unwrap();
    publish(&gateway, &target, "1").await;
    let kept = publish(&gateway, &target, "2").await;
    server.ask(&["SAVE"]).await;
    let lost = publish(&gateway, &target, "3").await;
    server.kill();
    server.run().await;
    assert_eq!(resumed(&gateway).await.last, 2);
    let next = publish(&gateway, &target, "3 again").await;
    assert_eq!(next.offset, 3);
    assert_ne!(next.epoch, lost.epoch);
    let page = gateway.broker.read(target.clone(), kept).await;
    let page = page.unwrap();
    assert_eq!((page.lost, page.frames.len()), (Some(GapReason::Epoch), 1));
    let page = gateway.broker.read(target, lost).await.unwrap();
    assert_eq!((page.lost, page.frames.len()), (Some(GapReason::Epoch), 1));
    let epoch = next.epoch;
    assert_eq!(page.from, Position { epoch, ..kept });
}

#[tokio::test]
async fn a_lost_meta_starts_at_one_without_the_old_history() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let target = gateway.target(&Arc::new(policy("orders", 10)), "orders");
    for data in ["1", "2", "3"] {
        publish(&gateway, &target, data).await;
    }
    server.ask(&["DEL", "siar:{shop/orders}:m"]).await;
    let position = publish(&gateway, &target, "anew").await;
    assert_eq!(position.offset, 1);
    let page = gateway.broker.read(target, Position::NEVER).await;
    assert_eq!(page.unwrap().frames.len(), 1);
}

#[tokio::test]
async fn a_full_server_refuses_and_leaves_nothing_behind() {
    let server = Server::start().await;
    let gateway = Gateway::new(&server);
    let target = gateway.target(&Arc::new(policy("orders", 10)), "orders");
    publish(&gateway, &target, "1").await;
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let refused = publication(&target, "2");
    let outcome = gateway.broker.publish(refused.clone()).await;
    assert!(
        matches!(outcome, Err(PublishError::Declined(Declined::Full))),
        "{outcome:?}"
    );
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]).await;
    let published = gateway.broker.publish(refused).await.unwrap();
    assert_eq!((published.position.offset, published.replayed), (2, false));
}

#[tokio::test]
async fn a_keeper_without_a_server_says_so_and_serves_when_it_comes() {
    let server = Server::start().await;
    server.kill();
    let gateway = Gateway::new(&server);
    let target = gateway.target(&Arc::new(policy("orders", 10)), "orders");
    let outcome = gateway.broker.publish(publication(&target, "x")).await;
    assert!(
        matches!(outcome, Err(PublishError::Refused(_))),
        "nothing was sent: {outcome:?}"
    );
    let waiting = gateway.broker.subscribe(target);
    let (lineage, ()) = tokio::join!(waiting, server.run());
    assert_eq!(lineage.unwrap().position(), Position::NEVER);
}

#[tokio::test]
async fn a_dropped_keeper_ends_its_tasks_without_alarm() {
    let server = Server::start().await;
    let mut gateway = Gateway::new(&server);
    let mut standing = gateway.broker.standing.plain();
    standing.wait_for(|standing| standing.now).await.unwrap();
    drop(gateway.broker);
    // The link held the sender.
    timeout(DEADLINE, async {
        while standing.changed().await.is_ok() {}
    })
    .await
    .expect("the task ends");
    let ended = timeout(DEADLINE, gateway.ended.recv()).await;
    assert_eq!(ended.expect("all tasks end"), None);
}
