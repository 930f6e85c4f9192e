//! A listener that stops reading costs a bounded number of bytes, ends as stalled, and delays nobody else:
//! over HTTP/1.1, TLS and HTTP/2.

use crate::{Channel, Gateway, GatewaySetup};
use std::time::{Duration, Instant};
use tests::certs::Certs;
use tests::wire::Route;

/// `SO_RCVBUF` of the slow listener; the kernel doubles it.
const RECEIVE: u32 = 16 * 1024;
/// `SO_SNDBUF` of 64 KiB as the kernel doubles it.
const SEND: usize = 128 * 1024;
/// What TLS and HTTP/2 may hold beside the socket.
const BESIDE: usize = 64 * 1024;
const MESSAGE: usize = 8 * 1024;
const MESSAGES: usize = 200;

async fn stalls(gateway: &Gateway, route: impl FnOnce(&mut Route), beside: usize) {
    let slow = gateway.listen("c").by(|way| {
        way.receive_buffer = Some(RECEIVE);
        route(way);
    });
    let mut slow = slow.await;
    let mut fast = gateway.listen("c").await;
    let text = |number: usize| format!("{number:08}{}", "x".repeat(MESSAGE - 8));
    let mut slowest = Duration::ZERO;
    for number in 0..MESSAGES {
        let began = Instant::now();
        gateway.publish("c", text(number)).await;
        assert_eq!(fast.next().await.data, text(number));
        slowest = slowest.max(began.elapsed());
    }
    assert!(
        slowest < Duration::from_secs(5),
        "the other listener waited {slowest:?}"
    );
    gateway
        .until_metric("siar_streams_closed_total", &[("reason", "stalled")], 1.0)
        .await;
    // What still comes out is what the buffers on the way held.
    let mut held = 0;
    while let Some(item) = slow.read().await {
        if let tests::sse::Item::Event(event) = item {
            held += event.data.len();
        }
    }
    let most = SEND + 2 * RECEIVE as usize + beside + MESSAGE;
    assert!(held <= most, "{held} bytes, more than {most}");
    gateway.publish("c", "after").await;
    assert_eq!(fast.next().await.data, "after");
}

#[tokio::test]
async fn over_http1() {
    let gateway = Gateway::serving(&Channel::open("c")).await;
    stalls(&gateway, |_| {}, 0).await;
}

#[tokio::test]
async fn over_http2() {
    let gateway = Gateway::serving(&Channel::open("c")).await;
    stalls(&gateway, |route| route.http2 = true, BESIDE).await;
}

async fn over_tls(http2: bool, beside: usize) {
    let certs = Certs::new();
    let gateway = GatewaySetup::new()
        .channel(&Channel::open("c"))
        .tls(certs.folder())
        .start()
        .await;
    let (address, client) = (gateway.tls(), certs.client());
    let route = move |route: &mut Route| {
        route.address = address;
        route.tls = Some(client);
        route.http2 = http2;
    };
    stalls(&gateway, route, beside).await;
}

#[tokio::test]
async fn over_http1_in_tls() {
    over_tls(false, BESIDE).await;
}

#[tokio::test]
async fn over_http2_in_tls() {
    over_tls(true, 2 * BESIDE).await;
}

/// Publishes four times what a ring holds to a listener that does not read meanwhile, and lets it read then.
async fn falls_behind(channel: Channel) -> (Vec<String>, Vec<usize>) {
    const MANY: usize = 4 * 1024 * 1024 / MESSAGE;
    let gateway = Gateway::serving(&channel.limit("publishPerSecond", 100_000)).await;
    let slow = gateway
        .listen("c")
        .by(|way| way.receive_buffer = Some(RECEIVE));
    let mut slow = slow.await;
    for number in 0..MANY {
        gateway
            .publish("c", format!("{number:08}{}", "x".repeat(MESSAGE - 8)))
            .await;
    }
    let (mut gaps, mut numbers) = (Vec::new(), Vec::new());
    while numbers.last() != Some(&(MANY - 1)) {
        let event = slow.event().await;
        match event.kind.as_str() {
            "siar.gap" => gaps.push(event.data),
            _ => numbers.push(event.data[..8].parse().unwrap()),
        }
    }
    assert!(numbers.is_sorted(), "in order");
    (gaps, numbers)
}

#[tokio::test]
async fn who_falls_behind_without_history_is_told_and_goes_on_with_the_oldest_kept() {
    let (gaps, numbers) = falls_behind(Channel::open("c")).await;
    let reason = "overflow";
    let gap = format!(r#"{{"channel":"c","reason":"{reason}"}}"#);
    assert_eq!(gaps, [gap]);
    assert!(numbers.len() < 512, "{} messages", numbers.len());
}

#[tokio::test]
async fn who_falls_behind_with_history_reads_it_again_and_misses_nothing() {
    let (gaps, numbers) = falls_behind(Channel::open("c").history(10_000)).await;
    assert_eq!(gaps, Vec::<String>::new());
    assert_eq!(numbers, Vec::from_iter(0..512));
}
