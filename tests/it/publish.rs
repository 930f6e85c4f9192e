//! Publishing over HTTP: raw bodies and JSON, one and many, keys under which a message is published once.
//!
//! Owns: what is answered, and that what is refused reaches nobody. Never: payloads byte by byte (that is `encoding`).

use crate::{Channel, Gateway, GatewaySetup, Listener, Redis};
use serde_json::{Value, json};
use tests::http::{Answer, Ask};
use tests::manifest::secret;
use tests::wait::until;

mod keys; // under one key one message

/// The topics `c` and `c.{n}`, with history.
fn channel() -> Channel {
    Channel::open("c").topics(&["c", "c.{n}"]).history(100)
}

/// That a problem has this status and word.
#[track_caller]
fn refused(answer: Answer, status: u16, word: &str) {
    let answer = answer.expect(status);
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let problem = answer.json();
    let kind = problem["type"].as_str().expect("a problem has a type");
    assert_eq!(kind.rsplit('/').next(), Some(word), "{problem}");
    assert_eq!(problem["status"], status);
}

/// That nothing arrived before a message published now.
async fn nothing_came(gateway: &Gateway, listener: &mut Listener) {
    gateway.publish("c", "the next").await;
    assert_eq!(listener.next().await.data, "the next");
}

#[tokio::test]
async fn a_raw_body_is_the_data_whatever_its_type() {
    let gateway = Gateway::serving(&channel()).await;
    let mut listener = gateway.listen("c").await;
    for kind in [
        Some("text/plain"),
        Some("application/json"),
        Some("application/octet-stream"),
        Some("image/png; x=y"),
        Some("nonsense"),
        None,
    ] {
        let ask = Ask::post(gateway.public(), "/publish?channel=c", "{\"data\": 1}");
        let ask = match kind {
            Some(kind) => ask.header("Content-Type", kind),
            None => ask,
        };
        let answer = ask.send().await.expect(200).json();
        assert_eq!(answer["channel"], "c");
        let event = listener.next().await;
        assert_eq!(event.data, "{\"data\": 1}", "{kind:?}");
        assert_eq!(event.kind, "message");
        assert_eq!(answer["id"], event.id.as_str());
        assert_eq!(answer["position"], answer["id"]);
    }
}

#[tokio::test]
async fn a_raw_body_without_channel_goes_to_sse() {
    let gateway = Gateway::serving(&Channel::open("sse")).await;
    let mut listener = gateway.listen("sse").await;
    let published = gateway.publish_with(&[], "x").await;
    assert_eq!(published.channel, "sse");
    assert_eq!(listener.next().await.data, "x");
}

#[tokio::test]
async fn a_chunked_body_and_http_2_publish_too() {
    let gateway = Gateway::serving(&channel()).await;
    let mut listener = gateway.listen("c").await;
    let ask = Ask::post(gateway.public(), "/publish?channel=c", "two");
    let _ = ask.by(|route| route.http2 = true).send().await.expect(200);
    assert_eq!(listener.next().await.data, "two");
    let chunks = "3\r\nchu\r\n3\r\nnks\r\n0\r\n\r\n";
    let ask = Ask::new(gateway.public(), "PUT", "/publish?channel=c");
    refused(ask.send().await, 405, "method");
    let route = tests::wire::Route::plain(gateway.public());
    let (mut io, socket) = tests::wire::connect(&route).await.unwrap();
    let head = "POST /publish?channel=c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let request = format!("{head}{chunks}");
    tokio::io::AsyncWriteExt::write_all(&mut io, request.as_bytes())
        .await
        .unwrap();
    let answer = tests::wire::read_http1(io, Default::default(), socket).await;
    assert_eq!(answer.unwrap().status, 200);
    assert_eq!(listener.next().await.data, "chunks");
}

#[tokio::test]
async fn own_id_type_and_retry_reach_the_page() {
    let gateway = Gateway::serving(&channel()).await;
    let mut listener = gateway.listen("c").await;
    let raw = [
        ("channel", "c"),
        ("type", "sold"),
        ("id", "a/1 é"),
        ("retry", "7000"),
    ];
    let published = gateway.publish_with(&raw, "raw").await;
    assert_eq!(published.id, "a/1 é");
    assert_ne!(published.position, published.id);
    let event = listener.next().await;
    assert_eq!(
        (&*event.kind, &*event.id, &*event.data),
        ("sold", "a/1 é", "raw")
    );
    assert_eq!(listener.retry(), Some(7000));
    assert_eq!(listener.cursor().await, published.position);
    let body = json!({"channel": "c", "data": "j", "type": "t", "id": 12, "retry": 8000});
    let answer = gateway.post_json(&body).await.expect(200).json();
    assert_eq!(answer["id"], "12");
    let event = listener.next().await;
    assert_eq!((&*event.kind, &*event.id, &*event.data), ("t", "12", "j"));
    assert_eq!(listener.retry(), Some(8000));
}

#[tokio::test]
async fn json_data_that_is_no_string_is_its_json() {
    let gateway = Gateway::serving(&channel()).await;
    let mut listener = gateway.listen("c").await;
    for (data, text) in [
        (json!("text"), "text"),
        (json!({"a": [1, null]}), r#"{"a":[1,null]}"#),
        (json!(null), "null"),
        (json!(1.5), "1.5"),
    ] {
        let body = json!({"channel": "c", "data": data});
        let answer = gateway.post_json(&body).await.expect(200).json();
        assert_eq!(answer["channel"], "c", "one object, one answer: {answer}");
        assert_eq!(listener.next().await.data, text);
    }
}

#[tokio::test]
async fn an_array_is_published_in_order_with_a_result_for_each_item() {
    let gateway = Gateway::serving(&channel()).await;
    let mut listener = gateway.listen("c").await;
    let mut other = gateway.listen("c.2").await;
    let body = json!([
        {"channel": "c", "data": "1"},
        {"channels": ["c", "c.2"], "data": "2", "id": "own"},
        {"channel": "c", "data": "3"},
    ]);
    let answer = gateway.post_json(&body).await.expect(200).json();
    let results = answer["results"].as_array().unwrap();
    let channels: Vec<&Value> = results.iter().map(|result| &result["channel"]).collect();
    assert_eq!(channels, ["c", "c", "c.2", "c"]);
    assert_eq!(results[1]["id"], "own");
    for (data, result) in ["1", "2", "3"].iter().zip([0, 1, 3]) {
        let event = listener.next().await;
        assert_eq!(event.data, *data);
        assert_eq!(results[result]["id"], event.id.as_str());
    }
    assert_eq!(other.next().await.data, "2");
}

#[tokio::test]
async fn one_bad_item_and_no_item_is_published() {
    let gateway = Gateway::serving(&channel().limit("messageBytes", 1024)).await;
    let mut listener = gateway.listen("c").await;
    let good = json!({"channel": "c", "data": "good"});
    for (bad, status, word) in [
        (json!({"channel": "c"}), 400, "malformed"),
        (
            json!({"channel": "c", "data": 1, "chanel": "c"}),
            400,
            "malformed",
        ),
        (
            json!({"channel": "c", "channels": ["c"], "data": 1}),
            400,
            "malformed",
        ),
        (json!({"channels": [], "data": 1}), 400, "malformed"),
        (
            json!({"channel": "c", "data": 1, "id": [1]}),
            400,
            "malformed",
        ),
        (
            json!({"channel": "c", "data": 1, "type": "siar.end"}),
            400,
            "malformed",
        ),
        (
            json!({"channel": "c", "data": 1, "retry": -1}),
            400,
            "malformed",
        ),
        (
            json!({"channel": "nobody", "data": 1}),
            404,
            "unknown-topic",
        ),
        (
            json!({"channel": "c", "data": "x".repeat(1025)}),
            413,
            "too-large",
        ),
        (json!(7), 400, "malformed"),
    ] {
        let batch = json!([good, bad, good]);
        refused(gateway.post_json(&batch).await, status, word);
    }
    refused(gateway.post_json(&json!([])).await, 400, "malformed");
    let many = Value::from(vec![good; 101]);
    refused(gateway.post_json(&many).await, 400, "malformed");
    nothing_came(&gateway, &mut listener).await;
}

#[tokio::test]
async fn one_item_that_is_not_admitted_and_no_item_is_published() {
    let closed = Channel::open("closed").tokens("publish", "writers");
    let gateway = GatewaySetup::new()
        .channel(&channel())
        .file(
            "w",
            vec![closed.manifest(), secret("writers", &[("w", "the-token")])],
        )
        .start()
        .await;
    let mut listener = gateway.listen("c").await;
    let body = json!([{"channel": "c", "data": 1}, {"channel": "closed", "data": 2}]);
    refused(gateway.post_json(&body).await, 401, "no-token");
    nothing_came(&gateway, &mut listener).await;
}

#[tokio::test]
async fn an_item_that_fails_tells_so_in_its_result_and_the_others_stand() {
    let redis = Redis::start().await;
    let mut gone = Redis::start().await;
    let away = Channel::open("away").redis(&gone.url());
    let setup = GatewaySetup::new().channel(&channel()).channel(&away);
    let gateway = setup.redis(&redis.url()).start().await;
    let mut listener = gateway.listen("c").await;
    gone.kill9();
    let body = json!([
        {"channel": "c", "data": "1"},
        {"channel": "away", "data": "lost"},
        {"channel": "c", "data": "2"},
    ]);
    let answer = gateway.post_json(&body).await.expect(200).json();
    let results = answer["results"].as_array().unwrap();
    let error = results[1]["error"].as_str().unwrap();
    assert!(
        ["unavailable", "outcome-unknown"].contains(&error),
        "{answer}"
    );
    assert!(results[1]["id"].is_null(), "{answer}");
    assert!(
        results[0]["error"].is_null() && results[2]["error"].is_null(),
        "{answer}"
    );
    assert_eq!(listener.data(2).await, ["1", "2"]);
    let single = gateway.post(&[("channel", "away")], "lost").send().await;
    assert_eq!(single.expect(503).header("retry-after"), Some("2"));
}

#[tokio::test]
async fn an_unknown_topic_is_404_in_every_form() {
    let gateway = Gateway::serving(&channel()).await;
    for topic in ["other", "c.1.2", "C", "c."] {
        let answer = gateway.post(&[("channel", topic)], "x").send().await;
        refused(answer, 404, "unknown-topic");
        let body = json!({"channel": topic, "data": "x"});
        refused(gateway.post_json(&body).await, 404, "unknown-topic");
    }
    let several = [("channel", "c"), ("channel", "other")];
    let mut listener = gateway.listen("c").await;
    let answer = gateway.post(&several, "x").send().await;
    refused(answer, 404, "unknown-topic");
    nothing_came(&gateway, &mut listener).await;
}

#[tokio::test]
async fn except_withholds_the_message_and_leaves_its_position() {
    let gateway = Gateway::serving(&channel()).await;
    let mut own = gateway.listen("c").control().await;
    let mut other = gateway.listen("c").control().await;
    let session = own.opened().await["session"].as_str().unwrap().to_owned();
    other.opened().await;
    let raw = [("channel", "c"), ("except", &*session)];
    let withheld = gateway.publish_with(&raw, "mine").await;
    assert_eq!(own.cursor().await, withheld.position);
    let body = json!({"channel": "c", "data": "mine too", "except": [session, "nobody"]});
    let _ = gateway.post_json(&body).await.expect(200);
    gateway.publish("c", "for all").await;
    assert_eq!(own.next().await.data, "for all");
    assert_eq!(other.data(3).await, ["mine", "mine too", "for all"]);
    let mut again = gateway.listen("c").last_event_id(&withheld.position).await;
    assert_eq!(
        again.data(2).await,
        ["mine too", "for all"],
        "another session"
    );
}

#[tokio::test]
async fn a_list_over_the_rate_passes_once_and_what_follows_waits() {
    let gateway = Gateway::serving(&channel().limit("publishPerSecond", 2)).await;
    let mut listener = gateway.listen("c").await;
    let item = |data: u8| json!({"channel": "c", "data": data});
    let list = json!([item(1), item(2), item(3), item(4)]);
    let _ = gateway.post_json(&list).await.expect(200);
    let answer = gateway.post_json(&json!([item(5)])).await;
    assert_eq!(answer.header("retry-after"), Some("2"));
    refused(answer, 429, "rate");
    assert_eq!(listener.data(4).await, ["1", "2", "3", "4"]);
    until("the rate to allow the next", || async {
        let answer = gateway.post(&[("channel", "c")], "later").send().await;
        (answer.status == 200)
            .then_some(())
            .ok_or_else(|| answer.text())
    })
    .await;
    assert_eq!(listener.next().await.data, "later");
}
