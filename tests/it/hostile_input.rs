//! Whatever is sent is answered with the right word or cut, is counted, and hurts nobody who was there before.
//!
//! Owns: bytes that no honest client sends. Never: load, slow readers.

use crate::{Channel, Gateway, Listener};
use tests::http::{Answer, Ask, encode, query};
use tests::listen::Listen;
use tests::wait::within;
use tests::wire::{Route, connect, read_http1};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

mod connections; // what is wrong before there is a request

/// A gateway, and a listener that was there before.
struct Scene {
    gateway: Gateway,
    listener: Listener,
    told: usize,
}

impl Scene {
    async fn new() -> Self {
        let channel = Channel::open("c").topics(&["c", "c.{n}"]).history(100);
        let channel = channel.limit("messageBytes", 1024);
        let gateway = Gateway::serving(&channel).await;
        let listener = gateway.listen("c").await;
        Self {
            gateway,
            listener,
            told: 0,
        }
    }

    /// The listener from before gets the next message, and nothing else came.
    async fn unhurt(&mut self) {
        self.told += 1;
        let data = format!("message {}", self.told);
        self.gateway.publish("c", &data).await;
        assert_eq!(self.listener.next().await.data, data);
    }

    async fn refusals(&self, word: &str) -> f64 {
        let metrics = self.gateway.metrics().await;
        metrics.sum("siar_refusals_total", &[("refusal", word)])
    }

    /// The answer is a problem with that word, counted once, and nobody is hurt.
    async fn refuses(&mut self, ask: Ask, status: u16, word: &str) {
        let before = self.refusals(word).await;
        problem(&ask.send().await, status, word);
        assert_eq!(self.refusals(word).await, before + 1.0, "{word}");
        self.unhurt().await;
    }

    /// `GET` of a path that is sent as it stands.
    fn get(&self, path: &str) -> Ask {
        Ask::get(self.gateway.public(), path).header("Accept", "text/event-stream")
    }

    fn post(&self, parameters: &[(&str, &str)], body: impl AsRef<[u8]>) -> Ask {
        self.gateway.post(parameters, body)
    }

    fn post_json(&self, body: &[u8]) -> Ask {
        let ask = Ask::post(self.gateway.public(), "/publish", body);
        ask.header("Content-Type", "application/json")
    }

    /// What comes back on a connection of its own, up to its end.
    async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let (mut io, _socket) = connect(&Route::plain(self.gateway.public())).await.unwrap();
        let mut answer = Vec::new();
        within("the connection to end", async {
            // The server may close before all is written; what it said still counts.
            drop(io.write_all(bytes).await);
            drop(io.read_to_end(&mut answer).await);
        })
        .await;
        answer
    }
}

#[track_caller]
fn problem(answer: &Answer, status: u16, word: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    let problem = answer.json();
    let kind = problem["type"].as_str().unwrap();
    assert_eq!(kind.rsplit('/').next(), Some(word), "{problem}");
    assert!(!problem["detail"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn a_body_over_the_limit_is_too_large() {
    let mut scene = Scene::new().await;
    let to_c = [("channel", "c")];
    let over = "x".repeat(1025);
    let ask = scene.post(&to_c, &over);
    scene.refuses(ask, 413, "too-large").await;
    let item = serde_json::json!({"channel": "c", "data": over}).to_string();
    let ask = scene.post_json(item.as_bytes());
    scene.refuses(ask, 413, "too-large").await;
    let list = format!("[{}]", " ".repeat(9 * 1024 * 1024));
    let ask = scene
        .post_json(list.as_bytes())
        .by(|route| route.http2 = true);
    // The answer may come while the body still goes out; then the client sees it or a cut stream.
    let before = scene.refusals("too-large").await;
    if let Ok(answer) = within("an answer", ask.try_send()).await {
        problem(&answer, 413, "too-large");
    }
    assert_eq!(scene.refusals("too-large").await, before + 1.0);
    scene.unhurt().await;
    let fits = scene.post(&[("channel", "c.1")], "x".repeat(1024));
    let _ = fits.send().await.expect(200);
}

#[tokio::test]
async fn a_body_that_breaks_off_publishes_nothing() {
    let mut scene = Scene::new().await;
    for (framing, part) in [
        ("Content-Length: 100", "short"),
        ("Transfer-Encoding: chunked", "5\r\nshort\r\n"),
        ("Transfer-Encoding: chunked", "zz\r\nshort\r\n0\r\n\r\n"),
    ] {
        let (mut io, socket) = connect(&Route::plain(scene.gateway.public()))
            .await
            .unwrap();
        let head =
            format!("POST /publish?channel=c HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n{part}");
        io.write_all(head.as_bytes()).await.unwrap();
        io.shutdown().await.unwrap();
        let answer = within("an end", read_http1(io, Default::default(), socket)).await;
        let status = answer.map_or(0, |response| response.status);
        assert!([0, 400].contains(&status), "{framing}: {status}");
        scene.unhurt().await;
    }
}

#[tokio::test]
async fn line_ends_and_nul_in_id_and_type_are_malformed() {
    let mut scene = Scene::new().await;
    for bad in ["a\rb", "a\nb", "a\r\nb", "a\0b", "\n\ndata: forged"] {
        for field in ["id", "type"] {
            let ask = scene.post(&[("channel", "c"), (field, bad)], "x");
            scene.refuses(ask, 400, "malformed").await;
            let body = serde_json::json!({"channel": "c", "data": "x", field: bad}).to_string();
            let ask = scene.post_json(body.as_bytes());
            scene.refuses(ask, 400, "malformed").await;
        }
    }
    let ask = scene.post(&[("channel", "c"), ("type", "siar.gap")], "x");
    scene.refuses(ask, 400, "malformed").await;
    assert!(!scene.listener.transcript().contains("forged"));
}

#[tokio::test]
async fn a_body_that_is_no_text_is_malformed() {
    let mut scene = Scene::new().await;
    let ask = scene.post(&[("channel", "c")], b"\xff\xfe");
    scene.refuses(ask, 400, "malformed").await;
}

#[tokio::test]
async fn malformed_json_is_malformed() {
    let mut scene = Scene::new().await;
    let deep = "[".repeat(10_000);
    for body in [
        &b""[..],
        b"{",
        b"null",
        b"\"text\"",
        b"[[]]",
        b"[{}]",
        b"{\"channel\": \"c\", \"data\": 1} and more",
        b"{\"channel\": 1, \"data\": 1}",
        b"{\"channel\": \"c\", \"data\": \"\\ud800\", \"id\": \"\\ud800\"}",
        b"\xff\xff",
        deep.as_bytes(),
    ] {
        let ask = scene.post_json(body);
        scene.refuses(ask, 400, "malformed").await;
    }
}

#[tokio::test]
async fn whatever_a_client_says_it_saw_last_its_stream_opens() {
    let mut scene = Scene::new().await;
    scene.unhurt().await;
    let long = "a".repeat(5 * 1024);
    for cursor in [
        "garbage",
        "é€",
        "-",
        "~~",
        "a-1",
        "0-0-0",
        "abcdef-99999999999999999999",
        &long,
    ] {
        let mut header = scene.gateway.listen("c").last_event_id(cursor).await;
        header.gap().await;
        let mut parameter = scene
            .gateway
            .listen("c")
            .query("last_event_id", cursor)
            .await;
        parameter.gap().await;
        assert_eq!(header.next().await.data, "message 1", "{cursor:.20}");
        assert_eq!(parameter.next().await.data, "message 1", "{cursor:.20}");
    }
    // Bytes that are no UTF-8, which a browser does not send but a proxy may.
    let ask = b"GET /stream?channel=c HTTP/1.1\r\nHost: x\r\nLast-Event-ID: \xff\xfe\r\n\r\n";
    let (mut io, socket) = connect(&Route::plain(scene.gateway.public()))
        .await
        .unwrap();
    io.write_all(ask).await.unwrap();
    let response = within("a head", read_http1(io, Default::default(), socket)).await;
    assert_eq!(response.unwrap().status, 200);
    scene.unhurt().await;
}

#[tokio::test]
async fn topics_are_decoded_once_and_no_name_gets_round_that() {
    let mut scene = Scene::new().await;
    for (topic, status, word) in [
        ("%00", 400, "malformed"),
        ("c%00", 400, "malformed"),
        ("c%0A", 400, "malformed"),
        ("%20c", 400, "malformed"),
        ("c+", 400, "malformed"),
        ("%ff", 400, "malformed"),
        ("c%252e1", 404, "unknown-topic"),
        ("c.1%2e2", 404, "unknown-topic"),
        ("*", 404, "unknown-topic"),
        ("%2a", 404, "unknown-topic"),
        ("..%2f..%2fetc", 404, "unknown-topic"),
        ("siar:%7bdefault%2fc%7d", 404, "unknown-topic"),
    ] {
        let ask = scene.get(&format!("/stream?channel={topic}"));
        scene.refuses(ask, status, word).await;
    }
    let ask = scene.get(&format!("/stream?channel={}", "t".repeat(256)));
    scene.refuses(ask, 400, "malformed").await;
    let ask = scene.post(&[("channel", "*")], "x");
    scene.refuses(ask, 400, "malformed").await;
    // `%2e` is a dot, after one decoding.
    let listen = Listen::at(scene.gateway.public()).channel("c.1");
    let mut dotted = listen.await;
    let post = Ask::post(scene.gateway.public(), "/publish?channel=c%2e1", "dot");
    let _ = post.send().await.expect(200);
    assert_eq!(dotted.next().await.data, "dot");
    scene.unhurt().await;
}

#[tokio::test]
async fn an_unknown_path_is_an_unknown_path() {
    let mut scene = Scene::new().await;
    for path in [
        "/",
        "/streams",
        "/a/b/stream",
        "/metrics",
        "/status",
        "/../../stream",
        "/%73tream/x",
        "//",
    ] {
        let ask = scene.get(path);
        scene.refuses(ask, 404, "unknown-path").await;
    }
    let asked = query(&[("channel", "c")]);
    let ask = scene.get(&format!("/{}{asked}", encode("stream\0")));
    scene.refuses(ask, 404, "unknown-path").await;
}
