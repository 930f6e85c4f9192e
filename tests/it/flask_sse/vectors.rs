//! Each payload that Flask-SSE writes, published raw, and what a listener of Siar gets.

use super::{payload, serve, sse};
use tests::sse::{Event, Item};

/// Payload; type, data, id and retry that arrive. An id stays until another one comes.
const VECTORS: [(&str, &str, &str, &str, Option<u64>); 17] = [
    (r#"{"data": "foo"}"#, "message", "foo", "", None),
    (
        r#"{"data": {"message": "Hello!"}}"#,
        "message",
        r#"{"message": "Hello!"}"#,
        "",
        None,
    ),
    (r#"{"data": "foo\nbar"}"#, "message", "foo\nbar", "", None),
    (
        r#"{"data": "foo", "id": 5, "retry": 500, "type": "example"}"#,
        "example",
        "foo",
        "5",
        Some(500),
    ),
    (
        r#"{"data": "thing", "type": "example"}"#,
        "example",
        "thing",
        "5",
        None,
    ),
    (
        r#"{"data": "whee", "id": "abc"}"#,
        "message",
        "whee",
        "abc",
        None,
    ),
    (r#"{"data": 5}"#, "message", "5", "abc", None),
    (r#"{"data": true}"#, "message", "true", "abc", None),
    (r#"{"data": null}"#, "message", "null", "abc", None),
    (
        r#"{"data": {"k": "\u00e9"}}"#,
        "message",
        r#"{"k": "\u00e9"}"#,
        "abc",
        None,
    ),
    (r#"{"data": "\u00e9"}"#, "message", "é", "abc", None),
    // Beyond what it writes itself: the text of other JSON stays as it stood, other keys are ignored.
    (
        r#"{"data": [1,  2.50, "a"]}"#,
        "message",
        r#"[1,  2.50, "a"]"#,
        "abc",
        None,
    ),
    (
        r#"{"data": {"a": {"b": []}}, "other": {"x": 1}}"#,
        "message",
        r#"{"a": {"b": []}}"#,
        "abc",
        None,
    ),
    (
        r#"{"type": null, "id": null, "data": "none"}"#,
        "message",
        "none",
        "abc",
        None,
    ),
    (
        r#"{"type": "", "id": "", "data": "empty"}"#,
        "message",
        "empty",
        "abc",
        None,
    ),
    (
        r#"{"data": "late", "retry": "1500"}"#,
        "message",
        "late",
        "abc",
        Some(1500),
    ),
    (
        r#"{"data": "bad retry", "retry": -1}"#,
        "message",
        "bad retry",
        "abc",
        None,
    ),
];

#[tokio::test]
async fn every_payload_arrives_as_flask_sse_would_have_sent_it() {
    let (mut redis, gateway) = serve(&[sse()]).await;
    let mut listener = gateway.listen("sse").await;
    for (payload, kind, data, id, retry) in VECTORS {
        redis.publish("sse", payload).await;
        let (mut seen, mut retries) = (None, Vec::new());
        while seen.is_none() {
            match listener.item().await {
                Item::Event(event) => seen = Some(event),
                Item::Retry(retry) => retries.push(retry),
                Item::Comment(_) | Item::Cursor(_) => {}
            }
        }
        let expected = Event {
            kind: kind.into(),
            data: data.into(),
            // Until the app gives an id, it is where the stream stands.
            id: if id.is_empty() { "0-0" } else { id }.into(),
        };
        assert_eq!(seen, Some(expected), "{payload}");
        // Only the first event comes after the stream's own retry.
        if payload != VECTORS[0].0 {
            assert_eq!(retries.last().copied(), retry, "{payload}");
        }
    }
}

#[tokio::test]
async fn what_is_no_message_is_counted_and_nobody_sees_it() {
    let (mut redis, gateway) = serve(&[sse()]).await;
    let mut listener = gateway.listen("sse").await;
    let malformed: [&[u8]; 12] = [
        b"",
        b"{",
        b"[]",
        b"\"text\"",
        b"5",
        b"{}",
        br#"{"data": NaN}"#,
        br#"{"data": "x"} trailing"#,
        br#"{"data": "x", "type": 5}"#,
        br#"{"data": "x", "id": true}"#,
        b"{\"data\": \"\xff\"}",
        br#"{"data": "x", "type": "siar.end"}"#,
    ];
    for payload in malformed {
        redis.publish("sse", payload).await;
    }
    redis.publish("sse", payload("after all of them")).await;
    assert_eq!(listener.next().await.data, "after all of them");
    let labels = [("source", "flask_sse")];
    gateway
        .until_metric(
            "siar_messages_malformed_total",
            &labels,
            malformed.len() as f64,
        )
        .await;
    gateway
        .until_metric("siar_messages_published_total", &labels, 1.0)
        .await;
}
