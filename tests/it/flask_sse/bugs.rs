//! The bugs of Flask-SSE, a to i, each a fact about Siar. Its connections (e) and workers (h) are in `load`.

use super::{listen, payload, serve, sse};
use crate::Channel;
use std::time::Duration;
use tests::wait::until_time;

#[tokio::test]
async fn a_type_and_id_cannot_inject_fields() {
    let (mut redis, gateway, mut listener) = listen().await;
    let evil = [
        "a\ndata: evil",
        "a\rdata: evil",
        "a\r\n\r\ndata: evil",
        "a\0b",
    ];
    for text in evil {
        for field in ["type", "id"] {
            redis
                .publish(
                    "sse",
                    serde_json::json!({ "data": "x", field: text }).to_string(),
                )
                .await;
        }
    }
    redis.publish("sse", r#"{"data": "next"}"#).await;
    assert_eq!(listener.next().await.data, "next");
    assert!(!listener.transcript().contains("evil"));
    let count = (2 * evil.len()) as f64;
    gateway
        .until_metric(
            "siar_messages_malformed_total",
            &[("source", "flask_sse")],
            count,
        )
        .await;
}

#[tokio::test]
async fn b_only_cr_and_lf_end_a_line() {
    let (mut redis, _gateway, mut listener) = listen().await;
    for c in [
        '\x0b', '\x0c', '\x1c', '\x1d', '\x1e', '\u{85}', '\u{2028}', '\u{2029}',
    ] {
        let text = format!("a{c}b");
        redis.publish("sse", payload(&text)).await;
        assert_eq!(listener.next().await.data, text);
        assert!(
            listener.transcript().contains(&format!("data: {text}\n")),
            "{c:?} is not in one line"
        );
    }
}

#[tokio::test]
async fn c_empty_data_and_final_newlines_arrive_whole() {
    let (mut redis, _gateway, mut listener) = listen().await;
    for text in ["", "foo\n", "\n", "\n\n"] {
        redis.publish("sse", payload(text)).await;
        assert_eq!(listener.next().await.data, text);
    }
}

#[tokio::test]
async fn d_zero_is_an_id_and_a_retry_and_empty_is_none() {
    let (mut redis, _gateway, mut listener) = listen().await;
    redis
        .publish("sse", r#"{"data": "x", "id": 0, "retry": 0}"#)
        .await;
    assert_eq!(listener.next().await.id, "0");
    assert_eq!(listener.retry(), Some(0));
    redis
        .publish("sse", r#"{"data": "y", "id": "", "type": ""}"#)
        .await;
    let event = listener.next().await;
    assert_eq!((event.kind.as_str(), event.id.as_str()), ("message", "0"));
}

#[tokio::test]
async fn f_a_vanished_client_is_noticed_without_any_publish() {
    let (_redis, gateway) = serve(&[sse().stream("1s", "2s", "30m")]).await;
    let listener = gateway.listen("sse").await;
    gateway
        .until_metric("siar_streams", &[("channel", "sse")], 1.0)
        .await;
    listener.vanish();
    // Unacknowledged heartbeats end it after TCP_USER_TIMEOUT, 30 s.
    until_time(
        Duration::from_secs(60),
        "the stream to be noticed",
        || async {
            let streams = gateway
                .metrics()
                .await
                .sum("siar_streams", &[("channel", "sse")]);
            if streams == 0.0 {
                Ok(())
            } else {
                Err(format!("there are {streams}"))
            }
        },
    )
    .await;
    let closed = gateway
        .metrics()
        .await
        .sum("siar_streams_closed_total", &[("reason", "client_gone")]);
    assert_eq!(closed, 1.0);
    drop(listener);
}

#[tokio::test]
async fn g_several_channels_on_one_stream_resume_after_a_reconnect() {
    let (mut redis, gateway) = serve(&[
        sse().history(100),
        Channel::open("garden").ingest(&["FlaskSse"]).history(100),
    ])
    .await;
    redis.until_subscribers("sse", 1).await;
    redis.until_subscribers("garden", 1).await;
    let both = gateway.listen("sse").channel("garden");
    let mut listener = both.clone().await;
    redis.publish("sse", payload("before")).await;
    assert_eq!(listener.next().await.data, "before");
    let id = listener.last_event_id();
    drop(listener);
    redis
        .publish("garden", payload("meanwhile in the garden"))
        .await;
    redis.publish("sse", payload("meanwhile")).await;
    let mut listener = both.last_event_id(&id).await;
    let mut seen = listener.data(2).await;
    seen.sort();
    assert_eq!(seen, ["meanwhile", "meanwhile in the garden"]);
}

#[tokio::test]
async fn g_a_live_only_stream_is_told_that_raw_messages_may_be_lost() {
    let (mut redis, gateway, mut listener) = listen().await;
    redis.publish("sse", payload("before")).await;
    assert_eq!(listener.next().await.data, "before");
    redis.kill_clients("pubsub").await;
    let gap = listener.gap().await;
    assert_eq!(
        (gap.channel.as_str(), gap.reason.as_str()),
        ("sse", "ingest")
    );
    redis.until_subscribers("sse", 1).await;
    redis.publish("sse", payload("after")).await;
    assert_eq!(listener.next().await.data, "after");
    gateway
        .until_metric("siar_gaps_total", &[("reason", "ingest")], 1.0)
        .await;
}

#[tokio::test]
async fn i_leading_spaces_of_a_line_stay() {
    let (mut redis, _gateway, mut listener) = listen().await;
    for text in [" x", "a\n b", "  ", "\t x"] {
        redis.publish("sse", payload(text)).await;
        assert_eq!(listener.next().await.data, text);
    }
}
