//! What the admin port tells: every metric exists from the start and moves.

use crate::{Channel, Gateway, GatewaySetup, Redis};
use std::future::IntoFuture;
use tests::http::Ask;
use tests::metrics::Metrics;
use tests::wait::until;

mod bounds; // series are as many as Channels; probes and status; no secrets in the log

/// Each metric with the labels that may tell its series apart.
const METRICS: [(&str, &[&str]); 21] = [
    ("siar_connections", &[]),
    ("siar_connections_limit", &[]),
    ("siar_streams", &CHANNEL),
    ("siar_streams_limit", &CHANNEL),
    ("siar_streams_opened_total", &CHANNEL),
    (
        "siar_streams_closed_total",
        &["channel_namespace", "channel", "reason"],
    ),
    (
        "siar_messages_published_total",
        &["channel_namespace", "channel", "source"],
    ),
    (
        "siar_messages_malformed_total",
        &["channel_namespace", "channel", "source"],
    ),
    ("siar_messages_delivered_total", &CHANNEL),
    ("siar_sent_bytes_total", &[]),
    ("siar_delivery_seconds_count", &[]),
    (
        "siar_gaps_total",
        &["channel_namespace", "channel", "reason"],
    ),
    (
        "siar_resumes_total",
        &["channel_namespace", "channel", "result"],
    ),
    (
        "siar_access_denied_total",
        &["channel_namespace", "channel", "action", "reason"],
    ),
    ("siar_refusals_total", &["refusal"]),
    ("siar_redis_up", &["server"]),
    ("siar_redis_reconnects_total", &["server"]),
    ("siar_config_applies_total", &["result"]),
    ("siar_config_source_up", &[]),
    ("siar_draining", &[]),
    ("siar_worker_busy_ratio", &["worker"]),
];

const CHANNEL: [&str; 2] = ["channel_namespace", "channel"];

async fn text(gateway: &Gateway) -> String {
    Ask::get(gateway.admin(), "/metrics")
        .send()
        .await
        .expect(200)
        .text()
}

/// The Channel `c`, heard over Flask-SSE, too.
async fn on(redis: &Redis) -> Gateway {
    let channel = Channel::open("c").history(5).ingest(&["FlaskSse"]);
    let closed = Channel::closed("closed");
    let setup = GatewaySetup::new().channel(&channel).channel(&closed);
    setup
        .redis(&redis.url())
        .flag("--endpoint-delay", "2s")
        .start()
        .await
}

#[tokio::test]
async fn every_metric_is_there_from_the_start_with_every_word() {
    let redis = Redis::start().await;
    let gateway = on(&redis).await;
    let metrics = gateway.metrics().await;
    for (name, _) in METRICS {
        assert!(metrics.has(name, &[("gateway", "default")]), "{name}");
    }
    assert!(metrics.has("siar_config_revision_info", &[]));
    assert!(metrics.has("process_open_fds", &[]) && metrics.has("process_cpu_seconds_total", &[]));
    for (name, label, expected) in [
        (
            "siar_streams_closed_total",
            "reason",
            &[
                "capacity",
                "client-limit",
                "client_gone",
                "deleted",
                "draining",
                "expired",
                "revoked",
                "rotated",
                "stalled",
                "starting",
                "unavailable",
            ][..],
        ),
        (
            "siar_gaps_total",
            "reason",
            &["epoch", "ingest", "overflow", "too-old", "unknown-cursor"],
        ),
        (
            "siar_messages_published_total",
            "source",
            &["flask_sse", "juggernaut", "post", "raw"],
        ),
        ("siar_resumes_total", "result", &["complete", "gap"]),
        (
            "siar_access_denied_total",
            "reason",
            &["bad-token", "no-token", "not-admitted", "origin"],
        ),
        (
            "siar_config_applies_total",
            "result",
            &["applied", "rejected"],
        ),
        (
            "siar_refusals_total",
            "refusal",
            &[
                "bad-token",
                "body-timeout",
                "busy",
                "capacity",
                "client-limit",
                "draining",
                "internal",
                "key-conflict",
                "malformed",
                "method",
                "no-token",
                "not-acceptable",
                "not-admitted",
                "origin",
                "outcome-unknown",
                "rate",
                "redis-cluster",
                "redis-denied",
                "redis-disk",
                "redis-full",
                "redis-loading",
                "redis-read-only",
                "redis-replicas",
                "starting",
                "too-large",
                "two-tokens",
                "unavailable",
                "unknown-path",
                "unknown-topic",
            ],
        ),
    ] {
        assert_eq!(metrics.values(name, label), expected, "{name}");
    }
}

#[tokio::test]
async fn every_metric_moves() {
    let mut redis = Redis::start().await;
    let gateway = on(&redis).await;
    let before = gateway.metrics().await;
    let c = [("channel", "c")];
    let mut listener = gateway.listen("c").await;
    let second = gateway.listen("c").await;
    gateway.until_metric("siar_streams", &c, 2.0).await;
    assert!(gateway.metrics().await.sum("siar_connections", &[]) >= 2.0);
    for n in 0..8 {
        gateway.publish("c", n.to_string()).await;
    }
    listener.data(8).await;
    drop(second);
    let gone = [("channel", "c"), ("reason", "client_gone")];
    gateway
        .until_metric("siar_streams_closed_total", &gone, 1.0)
        .await;
    redis.publish("c", r#"{"data": "raw"}"#).await;
    redis.publish("c", "no message").await;
    assert_eq!(listener.next().await.data, "raw");
    let malformed = [("channel", "c"), ("source", "flask_sse")];
    gateway
        .until_metric("siar_messages_malformed_total", &malformed, 1.0)
        .await;
    // Back after a place that is kept, and after one that is not.
    let position = listener.last_event_id();
    gateway
        .listen("c")
        .last_event_id(&position)
        .await
        .cursor()
        .await;
    assert_eq!(
        gateway
            .listen("c")
            .last_event_id("garbage")
            .await
            .gap()
            .await
            .reason,
        "unknown-cursor"
    );
    assert_eq!(gateway.listen("closed").refused().await.status, 403);
    assert_eq!(gateway.listen("nowhere").refused().await.status, 404);
    gateway.apply(&Channel::open("more")).await;
    gateway.write("wrong", "kind: [");
    let rejected = [("result", "rejected")];
    gateway
        .until_metric("siar_config_applies_total", &rejected, 1.0)
        .await;
    let after = gateway.metrics().await;
    for (name, labels, by) in [
        ("siar_streams_opened_total", &c[..], 4.0),
        (
            "siar_messages_published_total",
            &[("channel", "c"), ("source", "post")],
            8.0,
        ),
        (
            "siar_messages_published_total",
            &[("channel", "c"), ("source", "flask_sse")],
            1.0,
        ),
        (
            "siar_gaps_total",
            &[("channel", "c"), ("reason", "unknown-cursor")],
            1.0,
        ),
        (
            "siar_resumes_total",
            &[("channel", "c"), ("result", "complete")],
            1.0,
        ),
        (
            "siar_resumes_total",
            &[("channel", "c"), ("result", "gap")],
            1.0,
        ),
        (
            "siar_access_denied_total",
            &[("channel", "closed"), ("reason", "not-admitted")],
            1.0,
        ),
        ("siar_refusals_total", &[("refusal", "not-admitted")], 1.0),
        ("siar_refusals_total", &[("refusal", "unknown-topic")], 1.0),
        ("siar_config_applies_total", &[("result", "applied")], 1.0),
    ] {
        let moved = after.sum(name, labels) - before.sum(name, labels);
        assert_eq!(moved, by, "{name} {labels:?}");
    }
    // The second listener left while messages came, so how many it got is its own affair.
    let delivered = after.sum("siar_messages_delivered_total", &c);
    assert!((9.0..=24.0).contains(&delivered), "{delivered}");
    assert!(after.sum("siar_delivery_seconds_count", &[]) >= 9.0);
    assert!(after.sum("siar_delivery_seconds_sum", &[]) < 60.0);
    assert!(after.sum("siar_sent_bytes_total", &[]) > 9.0 * 20.0);
    assert_ne!(revision(&before), revision(&after));
}

#[tokio::test]
async fn an_outage_of_redis_and_a_shutdown_are_seen() {
    let mut redis = Redis::start().await;
    let mut gateway = on(&redis).await;
    let mut listener = gateway.listen("c").await;
    listener.cursor().await;
    gateway.until_metric("siar_redis_up", &[], 1.0).await;
    redis.kill9();
    gateway.until_metric("siar_redis_up", &[], 0.0).await;
    redis.start_again().await;
    gateway.until_metric("siar_redis_up", &[], 1.0).await;
    assert!(
        gateway
            .metrics()
            .await
            .sum("siar_redis_reconnects_total", &[])
            >= 1.0
    );
    gateway.term();
    gateway.until_metric("siar_draining", &[], 1.0).await;
    assert!(gateway.exit().await.success());
}

#[tokio::test]
async fn limits_are_told_as_they_are_in_force() {
    let channel = Channel::open("c").limit("streams", 7);
    let setup = GatewaySetup::new().channel(&channel).open_files(300);
    let gateway = setup.start().await;
    let c = [("channel", "c")];
    gateway.until_metric("siar_streams_limit", &c, 7.0).await;
    gateway
        .until_metric("siar_connections_limit", &[], 44.0)
        .await;
    gateway.apply(&channel.limit("streams", 9)).await;
    gateway.until_metric("siar_streams_limit", &c, 9.0).await;
}

fn revision(metrics: &Metrics) -> Vec<String> {
    metrics.values("siar_config_revision_info", "revision")
}

#[tokio::test]
async fn a_busy_worker_says_so() {
    let gateway = Gateway::serving(&Channel::open("c").limit("publishPerSecond", 100_000)).await;
    let opening = (0..50).map(|_| gateway.listen("c").into_future());
    let _listeners = futures_util::future::join_all(opening).await;
    let busy = |metrics: &Metrics| {
        let workers = metrics.values("siar_worker_busy_ratio", "worker");
        let ratios = workers
            .iter()
            .map(|worker| metrics.sum("siar_worker_busy_ratio", &[("worker", worker)]));
        ratios.fold(0.0, f64::max)
    };
    until("a worker to be busy", || async {
        for _ in 0..20 {
            gateway.publish("c", "x").await;
        }
        let ratio = busy(&gateway.metrics().await);
        assert!((0.0..=1.0).contains(&ratio), "{ratio}");
        if ratio > 0.01 {
            Ok(())
        } else {
            Err(format!("it is {ratio}"))
        }
    })
    .await;
}
