//! Encoding: what is published arrives byte for byte, whatever is in it, over every protocol and in a browser.
//!
//! Owns: the rules of the encoder as a listener sees them.

use crate::{Browser, Channel, Gateway, GatewaySetup};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tests::certs::Certs;
use tests::sse::Item;

/// Data that tempts an encoder.
const HARD: [&str; 26] = [
    "",
    " ",
    " x",
    "\n",
    "\n\n",
    "a\n",
    "a\r\nb",
    "a\rb",
    "a\n\rb",
    "\r\n",
    "\r",
    "data: x\n\nevent: evil",
    "id: 1\nid: 2",
    "event: siar.end\ndata: {}\n\n",
    "retry: 1\n",
    ":",
    ": comment",
    "\t",
    "\0",
    "\u{2028}",
    "\u{2029}",
    "\u{85}",
    "\u{feff}first",
    "\u{b}\u{c}\u{1c}\u{1d}\u{1e}",
    "€豆腐😀",
    "data",
];

/// What a listener gets of `data`: every line end has become LF.
fn arrives(data: &str) -> String {
    data.replace("\r\n", "\n").replace('\r', "\n")
}

async fn open() -> Gateway {
    Gateway::serving(
        &Channel::open("c")
            .limit("messageBytes", 1024 * 1024)
            .history(1000),
    )
    .await
}

#[tokio::test]
async fn hard_data_arrives_whole_as_one_event_each() {
    let gateway = open().await;
    let mut listener = gateway.listen("c").await;
    for data in HARD {
        gateway.publish("c", data).await;
        let event = listener.next().await;
        assert_eq!(
            (event.kind.as_str(), event.data),
            ("message", arrives(data)),
            "{data:?}"
        );
    }
    let mut again = gateway.listen("c").since("1000").await;
    assert_eq!(again.data(HARD.len()).await, HARD.map(arrives));
}

#[tokio::test]
async fn hard_data_arrives_over_tls_and_http2_too() {
    let certs = Certs::new();
    let gateway = GatewaySetup::new()
        .channel(&Channel::open("c").history(100))
        .tls(certs.folder())
        .start()
        .await;
    let tls = gateway.tls();
    let mut listeners = vec![
        gateway.listen("c").by(|route| route.http2 = true).await,
        gateway
            .listen("c")
            .by(|route| (route.address, route.tls) = (tls, Some(certs.client())))
            .await,
        gateway
            .listen("c")
            .by(|route| (route.address, route.tls, route.http2) = (tls, Some(certs.client()), true))
            .await,
    ];
    for data in HARD {
        gateway.publish("c", data).await;
        for listener in &mut listeners {
            assert_eq!(listener.next().await.data, arrives(data), "{data:?}");
        }
    }
}

#[tokio::test]
async fn random_data_type_and_id_arrive_as_they_were_sent() {
    const PIECES: [&str; 16] = [
        "\r", "\n", "\r\n", " ", ":", "data:", "event: x", "id: y", "retry: 1", "a", "\0",
        "\u{feff}", "é", "😀", "\u{2028}", "",
    ];
    let gateway = open().await;
    let mut listener = gateway.listen("c").await;
    let mut random = StdRng::seed_from_u64(11);
    for _ in 0..300 {
        let mut text = |most: usize| -> String {
            let count = random.random_range(0..most);
            (0..count)
                .map(|_| PIECES[random.random_range(0..PIECES.len())])
                .collect()
        };
        let line = |text: String| text.replace(['\r', '\n', '\0'], "");
        let (data, kind, id) = (text(12), line(text(4)), line(text(4)));
        let mut parameters = vec![("channel", "c")];
        parameters.extend(
            [("type", kind.as_str()), ("id", id.as_str())]
                .into_iter()
                .filter(|(_, text)| !text.is_empty()),
        );
        let published = gateway.publish_with(&parameters, &data).await;
        let event = listener.next().await;
        assert_eq!(event.data, arrives(&data));
        // One space after the colon is not the text's, all others are.
        assert_eq!(event.kind, if kind.is_empty() { "message" } else { &kind });
        assert_eq!(event.id, published.id);
        if !id.is_empty() {
            assert_eq!(event.id, id);
            assert_eq!(listener.cursor().await, published.position);
        }
    }
}

#[tokio::test]
async fn the_largest_message_makes_the_round_trip_and_one_byte_more_is_refused() {
    let gateway = open().await;
    let mut listener = gateway.listen("c").await;
    let line = "x".repeat(1024 * 1024);
    gateway.publish("c", &line).await;
    assert!(listener.next().await.data == line, "one line of 1 MiB");
    let lines = "ab\n".repeat(1024 * 1024 / 3);
    gateway.publish("c", &lines).await;
    assert!(listener.next().await.data == lines, "1 MiB of short lines");
    let answer = gateway
        .post(&[("channel", "c")], format!("{line}x"))
        .send()
        .await
        .expect(413);
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let far_over = "y".repeat(5 * 1024 * 1024);
    let answer = gateway.post(&[("channel", "c")], far_over).try_send().await;
    // A server may also close while such a body is still on its way.
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 413));
    gateway.publish("c", "after").await;
    assert_eq!(listener.next().await.data, "after");
}

#[tokio::test]
async fn line_ends_in_type_and_id_are_refused_at_the_door() {
    let gateway = open().await;
    let mut listener = gateway.listen("c").await;
    for evil in ["a\nb", "a\rb", "a\r\n\r\ndata: evil", "a\0b"] {
        for field in ["type", "id"] {
            let answer = gateway
                .post(&[("channel", "c"), (field, evil)], "x")
                .send()
                .await
                .expect(400);
            assert_eq!(
                answer.header("content-type"),
                Some("application/problem+json")
            );
            let item = json!({ "channel": "c", "data": "x", field: evil });
            assert_eq!(
                gateway.post_json(&item).await.status,
                400,
                "{field} {evil:?}"
            );
        }
    }
    let reserved = gateway
        .post(&[("channel", "c"), ("type", "siar.end")], "x")
        .send()
        .await;
    assert_eq!(reserved.status, 400);
    let not_text = gateway.post(&[("channel", "c")], b"\xff\xfe").send().await;
    assert_eq!(not_text.status, 400);
    gateway.publish("c", "next").await;
    assert_eq!(listener.next().await.data, "next");
    assert!(!listener.transcript().contains("evil"));
}

#[tokio::test]
async fn a_stream_begins_with_retry_and_a_comment_and_writes_no_empty_id() {
    let gateway = open().await;
    let mut listener = gateway.listen("c").await;
    assert!(matches!(listener.item().await, Item::Retry(1000..=3000)));
    assert!(matches!(listener.item().await, Item::Comment(_)));
    gateway
        .publish_with(&[("channel", "c"), ("id", "")], "x")
        .await;
    let event = listener.next().await;
    assert!(!event.id.is_empty());
    let transcript = listener.transcript();
    assert!(transcript.starts_with("retry: "), "{transcript}");
    assert!(
        !transcript.contains("id:\n") && !transcript.contains("id: \n"),
        "{transcript}"
    );
    assert!(!transcript.contains('\r'), "{transcript}");
}

#[tokio::test]
async fn chromium_reads_the_same() {
    let gateway = GatewaySetup::new()
        .channel(&Channel::open("c").history(100).origins(&["*"]))
        .start()
        .await;
    for data in HARD {
        gateway
            .publish_with(&[("channel", "c"), ("type", "hard")], data)
            .await;
    }
    let mut browser = Browser::start().await;
    let url = format!("http://{}/stream?channel=c&since=100", gateway.public());
    let script = format!(
        "new Promise((done) => {{
            const seen = [];
            const source = new EventSource({url:?});
            source.addEventListener('hard', (event) => {{
                seen.push([event.data, event.lastEventId]);
                if (seen.length === {}) {{ source.close(); done(seen); }}
            }});
        }})",
        HARD.len()
    );
    let seen = browser.run(&script).await;
    let mut ours = gateway.listen("c").since("100").await;
    for (at, data) in HARD.iter().enumerate() {
        let event = ours.next().await;
        assert_eq!(event.data, arrives(data));
        assert_eq!(seen[at], json!([event.data, event.id]), "{data:?}");
    }
}
