//! Pods that are ready and give no report, or none that can be read.

use super::*;
use crate::operator::ready_pod;
use serde_json::json;
use std::net::SocketAddr;
use tests::cluster::ADMIN;
use tests::wait::DEADLINE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What a Pod says when it is asked for its report.
#[derive(Clone, Copy)]
enum Says {
    Nothing,
    Rubbish,
    /// A report that has no end within 5 MiB.
    TooMuch,
}

/// An admin port that is no gateway's.
async fn port(says: Says) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let body = match says {
                    Says::Nothing => std::future::pending().await,
                    Says::Rubbish => b"<html>".to_vec(),
                    Says::TooMuch => vec![b' '; 5 * 1024 * 1024],
                };
                // The head of a request fits into one packet; who hangs up has heard enough.
                drop(socket.read(&mut [0; 4096]).await);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                drop(socket.write_all(head.as_bytes()).await);
                drop(socket.write_all(&body).await);
            });
        }
    });
    address
}

#[tokio::test]
async fn pods_without_a_report_are_named_and_neither_delay_nor_spoil_anything_else() {
    let cluster = Cluster::start().await;
    cluster.install_crd().await;
    cluster.kubectl(&["create", "namespace", SHOP]).await;
    let redis = Redis::start().await;
    let edge = FleetSetup::new("edge").redis(&redis.url());
    let edge = edge.start(&cluster).await;
    let operator = OperatorSetup::new().fleets(&["default", "edge"]);
    let fleet = FleetSetup::new("default").redis(&redis.url());
    let fleet = fleet.start(&cluster).await;
    let operator = operator.start(&cluster).await;
    operator.until_ready().await;
    let _ = fleet.until_ready(1).await;
    let good = edge.until_ready(1).await.remove(0);
    let world = World {
        fleet,
        operator,
        cluster,
        redis,
    };
    let at_edge = |name: &str| open(name).with("gateway", json!("edge"));
    world.apply(&at_edge("news")).await;
    world
        .until_condition("news", "Ready", "True", "Ready")
        .await;
    world.serve("orders").await;
    let mut listener = listen(&good, "news").await;
    // It would start a process for each.
    edge.kubelet(false).await;
    for (name, says) in [
        ("edge-mute", Says::Nothing),
        ("edge-odd", Says::Rubbish),
        ("edge-vast", Says::TooMuch),
    ] {
        ready_pod(&world.cluster, "edge", name, port(says).await).await;
    }
    // They are new for 5 s; then one is named, and the others within 10 s.
    world
        .until_condition("news", "Programmed", "False", "Pending")
        .await;
    until("all three to be named", || async {
        let why = world
            .until_condition("news", "Programmed", "False", "Pending")
            .await;
        if why.contains("edge-mute, edge-odd, edge-vast.") {
            return Ok(());
        }
        Err(why)
    })
    .await;
    assert_eq!(world.channel("news").await["status"]["programmed"], "1/4");
    // A change is in force where there is somebody, and is told.
    world.apply(&at_edge("late")).await;
    until_time(DEADLINE, "late to be served", || async {
        match Ask::get(good.public, "/shop/history?channel=late")
            .send()
            .await
            .status
        {
            200 => Ok(()),
            other => Err(format!("it answers {other}")),
        }
    })
    .await;
    world
        .until_condition("late", "Programmed", "False", "Pending")
        .await;
    // Other fleets never hear of it.
    world.serve("after").await;
    let orders = world.channel("orders").await;
    assert_eq!(orders["status"]["programmed"], "1/1");
    publish(&good, "news", "it goes on").await;
    assert_eq!(listener.next().await.data, "it goes on");
    for name in ["edge-mute", "edge-odd", "edge-vast"] {
        let path = format!("/api/v1/namespaces/siar/pods/{name}");
        let options = json!({ "gracePeriodSeconds": 0 });
        let delete = world.cluster.api(ADMIN).delete(&path, &options);
        let _ = delete.send().await.expect(200);
    }
    for name in ["news", "late"] {
        world.until_condition(name, "Ready", "True", "Ready").await;
    }
}
