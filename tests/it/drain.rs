//! SIGTERM: balancers get to know, then streams end spread over the window, each with a word and a time to come back.
//!
//! Owns: what a rollout looks like to a probe, to open streams, to those that come meanwhile, and to whoever waits
//! for the exit code.

use crate::{Channel, Gateway, GatewaySetup, Listener};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tests::http::{Answer, Ask};
use tests::wait::{until, within};

const STREAMS: usize = 500;
const WINDOW: Duration = Duration::from_secs(3);
const ENDPOINT_DELAY: Duration = Duration::from_secs(1);
/// For what is asked of the clock on a busy machine.
const MARGIN: Duration = Duration::from_secs(2);

fn channel() -> Channel {
    Channel::open("c").history(100).stream("1s", "2s", "30m")
}

async fn gateway(endpoint_delay: &str, drain: &str) -> Gateway {
    GatewaySetup::new()
        .channel(&channel())
        .flag("--endpoint-delay", endpoint_delay)
        .flag("--drain", drain)
        .start()
        .await
}

async fn ready(gateway: &Gateway) -> Answer {
    Ask::get(gateway.admin(), "/readyz").send().await
}

/// Waits until `/readyz` says no.
async fn until_unready(gateway: &Gateway) {
    until("/readyz to say no", || async {
        match ready(gateway).await {
            answer if answer.status == 503 => Ok(()),
            answer => Err(format!("it says {}", answer.status)),
        }
    })
    .await;
}

/// Waits until streams are being closed.
async fn until_closing(gateway: &mut Gateway) {
    until("streams to be closed", || {
        let closing = gateway.process().log().contains("closing streams");
        async move { closing.then_some(()).ok_or_else(|| "they are not".into()) }
    })
    .await;
}

/// How one stream ended.
struct Told {
    reason: String,
    retry: u64,
    /// Messages that it got.
    data: Vec<String>,
    at: Instant,
}

/// Reads to the end.
async fn told(mut listener: Listener) -> Told {
    let events = listener.rest().await;
    let (last, before) = events.split_last().expect("siar.end");
    assert_eq!(last.kind, "siar.end", "{last:?}");
    let end: serde_json::Value = serde_json::from_str(&last.data).unwrap();
    Told {
        reason: end["reason"].as_str().unwrap().to_owned(),
        retry: listener.retry().expect("a time to come back"),
        data: before.iter().map(|event| event.data.clone()).collect(),
        at: Instant::now(),
    }
}

#[tokio::test]
async fn five_hundred_streams_end_spread_over_the_window() {
    let mut gateway = gateway("1s", "3s").await;
    let mut reading = Vec::new();
    for _ in 0..STREAMS {
        reading.push(tokio::spawn(told(gateway.listen("c").await)));
    }
    let begin = Instant::now();
    gateway.term();
    until_unready(&gateway).await;
    let unready = begin.elapsed();
    assert!(unready < ENDPOINT_DELAY, "unready after {unready:?}");
    assert!(ready(&gateway).await.text().contains("shutting down"));

    gateway.publish("c", "in the delay").await;
    reading.push(tokio::spawn(told(gateway.listen("c").since("1").await)));
    let metrics = gateway.metrics().await;
    assert_eq!(metrics.sum("siar_draining", &[]), 1.0);
    assert_eq!(metrics.sum("siar_streams", &[]), STREAMS as f64 + 1.0);
    assert_eq!(metrics.sum("siar_streams_closed_total", &[]), 0.0);
    assert_eq!(gateway.status().await["draining"], true);
    let within_delay = begin.elapsed();
    assert!(within_delay < ENDPOINT_DELAY, "{within_delay:?}: too slow");

    let mut ends = Vec::new();
    for told in reading {
        ends.push(within("a stream to end", told).await.unwrap());
    }
    assert!(gateway.exit().await.success());
    let took = begin.elapsed();
    assert!(took < ENDPOINT_DELAY + WINDOW + MARGIN, "{took:?}");

    for end in &ends {
        assert_eq!(end.reason, "draining");
        assert_eq!(end.data, ["in the delay"]);
        assert!((1000..=6000).contains(&end.retry), "{}", end.retry);
    }
    let retries: BTreeSet<u64> = ends.iter().map(|end| end.retry).collect();
    assert!(retries.len() > STREAMS / 5, "only {} differ", retries.len());
    spread(begin, &ends);
}

/// No stream ends in the endpoint delay, and each third of the window has its share.
fn spread(begin: Instant, ends: &[Told]) {
    let mut thirds = [0; 3];
    for end in ends {
        let after = end.at - begin;
        assert!(after >= ENDPOINT_DELAY, "a stream ended after {after:?}");
        let third = (after - ENDPOINT_DELAY).as_secs_f64() / WINDOW.as_secs_f64() * 3.0;
        thirds[(third as usize).min(2)] += 1;
    }
    for share in thirds {
        assert!(share >= ends.len() / 6, "not spread: {thirds:?}");
    }
}

#[tokio::test]
async fn while_streams_are_closed_new_ones_are_asked_to_come_back() {
    let mut gateway = gateway("0s", "20s").await;
    let mut held = Vec::new();
    for _ in 0..50 {
        held.push(gateway.listen("c").await);
    }
    gateway.term();
    until_closing(&mut gateway).await;

    let new = told(gateway.listen("c").await).await;
    assert_eq!(new.reason, "draining");
    assert!((2000..=6000).contains(&new.retry), "{}", new.retry);
    assert_eq!(new.data, Vec::<String>::new());

    let other = gateway.listen("c").header("Accept", "*/*").refused().await;
    assert_eq!(other.status, 503);
    assert!(other.header("retry-after").is_some());
    assert!(other.text().contains("/draining"), "{}", other.text());

    gateway.publish("c", "still published").await;
    let mut last = held.pop().unwrap();
    loop {
        let event = last.event().await;
        if event.data == "still published" {
            break;
        }
        assert_eq!(event.kind, "siar.end", "{event:?}");
        last = held.pop().expect("a stream that stands");
    }
    gateway.process().must_run();
}

#[tokio::test]
async fn answers_of_the_endpoint_delay_close_their_connection() {
    let gateway = gateway("20s", "1s").await;
    let before = gateway.get("/presence?channel=c").await;
    assert_ne!(before.status, 503);
    gateway.term();
    until_unready(&gateway).await;
    let answer = gateway.post(&[("channel", "c")], "x").send().await;
    let answer = answer.expect(200);
    assert_eq!(answer.header("connection"), Some("close"));
}

#[tokio::test]
async fn over_http2_streams_are_told_too() {
    let mut gateway = gateway("0s", "1s").await;
    let listener = gateway.listen("c").by(|route| route.http2 = true).await;
    gateway.term();
    assert_eq!(told(listener).await.reason, "draining");
    assert!(gateway.exit().await.success());
}

#[tokio::test]
async fn without_streams_it_ends_at_once() {
    let mut gateway = gateway("0s", "20s").await;
    let begin = Instant::now();
    gateway.term();
    assert_eq!(gateway.exit().await.code(), Some(0));
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_listener_that_does_not_read_holds_up_nothing() {
    let mut gateway = gateway("0s", "2s").await;
    let idle = gateway
        .listen("c")
        .by(|route| route.receive_buffer = Some(4096))
        .await;
    for _ in 0..20 {
        gateway.publish("c", "x".repeat(60 * 1024)).await;
    }
    let begin = Instant::now();
    gateway.term();
    assert_eq!(gateway.exit().await.code(), Some(0));
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(2) + MARGIN, "{took:?}");
    drop(idle);
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once_with_1() {
    for second in [Signal::TERM, Signal::INT] {
        let mut gateway = gateway("20s", "20s").await;
        let mut listener = gateway.listen("c").await;
        gateway.term();
        until_unready(&gateway).await;
        let begin = Instant::now();
        gateway.process().signal(second);
        assert_eq!(gateway.exit().await.code(), Some(1));
        let took = begin.elapsed();
        assert!(took < MARGIN, "{took:?}");
        let rest = listener.rest().await;
        assert_eq!(rest, [], "nobody had the time to tell");
    }
}

#[tokio::test]
async fn sigint_drains_as_sigterm_does() {
    let mut gateway = gateway("0s", "1s").await;
    let listener = gateway.listen("c").await;
    gateway.process().signal(Signal::INT);
    assert_eq!(told(listener).await.reason, "draining");
    assert_eq!(gateway.exit().await.code(), Some(0));
}
