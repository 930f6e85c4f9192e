//! What a stream can be asked for, and how it is asked: URLs, topics, switches, methods, protocols, TLS, age.
//!
//! Owns: the request of a stream and its first bytes. Never: what is lost and resumed (that is `resume`).

use crate::{Channel, Gateway, GatewaySetup, Listener};
use serde_json::Value;
use std::time::Duration;
use tests::certs::Certs;
use tests::http::Ask;
use tests::listen::{Ended, Listen};
use tests::sse::Item;
use tests::wait::{until, within};
use tests::wire::{Body, Route, connect, read_http1};
use tokio::io::AsyncWriteExt as _;

mod wildcard; // selectors, and the one feed that serves them

/// The topics `orders` and `orders.{user}`, with history and a heartbeat each second.
fn orders() -> Channel {
    Channel::open("orders")
        .topics(&["orders", "orders.{user}"])
        .history(100)
        .stream("1s", "2s", "30m")
}

/// Whether a message published now arrives.
async fn arrives(gateway: &Gateway, listener: &mut Listener, data: &str) {
    gateway.publish("orders", data).await;
    assert_eq!(listener.next().await.data, data);
}

#[tokio::test]
async fn the_head_of_a_stream_keeps_proxies_from_buffering_and_caching() {
    let gateway = Gateway::serving(&orders()).await;
    let listener = gateway.listen("orders").await;
    for (name, value) in [
        ("content-type", "text/event-stream; charset=utf-8"),
        ("cache-control", "no-cache, no-transform"),
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(listener.header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn the_first_bytes_are_a_retry_near_the_channels_and_a_comment() {
    let gateway = Gateway::serving(&orders()).await;
    let mut listener = gateway.listen("orders").await;
    let Item::Retry(retry) = listener.item().await else {
        panic!("{:?}", listener.transcript());
    };
    assert!(
        (1000..=3000).contains(&retry),
        "0.5 to 1.5 times 2 s, not {retry}"
    );
    assert!(matches!(listener.item().await, Item::Comment(_)));
}

#[tokio::test]
async fn a_path_with_a_namespace_reaches_that_namespace_only() {
    let here = orders();
    let shop = orders().namespace("shop");
    let gateway = GatewaySetup::new()
        .file("here", vec![here.manifest()])
        .file("shop", vec![shop.manifest()])
        .start()
        .await;
    let mut usual = gateway.listen("orders").await;
    let mut by_name = gateway.listen("orders").path("/default/stream").await;
    let mut other = gateway.listen("orders").path("/shop/stream").await;
    let post = Ask::post(gateway.public(), "/shop/publish?channel=orders", "sold");
    let _ = post.send().await.expect(200);
    assert_eq!(other.next().await.data, "sold");
    gateway.publish("orders", "here").await;
    assert_eq!(usual.next().await.data, "here");
    assert_eq!(by_name.next().await.data, "here");
    assert_eq!(other.silent_for(Duration::from_millis(300)).await, Ok(()));
    let nowhere = gateway.listen("orders").path("/elsewhere/stream");
    let nowhere = nowhere.refused().await.expect(404);
    assert!(
        nowhere.text().contains("unknown-topic"),
        "{}",
        nowhere.text()
    );
}

#[tokio::test]
async fn a_stream_that_names_no_topic_is_on_sse() {
    let gateway = Gateway::serving(&Channel::open("sse")).await;
    let mut listener = Listen::at(gateway.public()).await;
    gateway.publish_with(&[], "usual").await;
    assert_eq!(listener.next().await.data, "usual");
}

#[tokio::test]
async fn several_topics_of_several_channels_come_in_one_stream_under_joined_ids() {
    let gateway = GatewaySetup::new()
        .channel(&orders())
        .channel(&Channel::open("news").history(10))
        .start()
        .await;
    let listen = gateway.listen("orders.7").channel("news").channel("orders");
    let mut listener = listen.channel("news").await;
    assert_eq!(listener.cursor().await, "0-0~0-0~0-0");
    let news = gateway.publish("news", "a").await.position;
    let orders = gateway.publish("orders", "b").await.position;
    let seven = gateway.publish("orders.7", "c").await.position;
    gateway.publish("orders.8", "not here").await;
    let [a, b, c] = [
        listener.next().await,
        listener.next().await,
        listener.next().await,
    ];
    let mut seen = [a.data, b.data, c.data.clone()];
    seen.sort();
    assert_eq!(seen, ["a", "b", "c"]);
    assert_eq!(c.id, format!("{news}~{orders}~{seven}"), "sorted by topic");
    assert_eq!(
        listener.silent_for(Duration::from_millis(300)).await,
        Ok(())
    );
}

#[tokio::test]
async fn more_topics_than_a_stream_may_have_are_malformed() {
    let gateway = Gateway::serving(&orders()).await;
    let most = (0..32).fold(Listen::at(gateway.public()), |listen, n| {
        listen.channel(&format!("orders.{n}"))
    });
    drop(most.clone().await);
    let answer = most.channel("orders").refused().await.expect(400);
    assert!(answer.text().contains("malformed"), "{}", answer.text());
}

#[tokio::test]
async fn an_envelope_is_one_line_of_json_that_says_where_from_and_when() {
    let gateway = Gateway::serving(&orders()).await;
    let mut listener = gateway
        .listen("orders")
        .channel("orders.7")
        .envelope()
        .await;
    let mut plain = gateway.listen("orders.7").await;
    let parameters = [("channel", "orders.7"), ("type", "sold"), ("id", "own")];
    gateway.publish_with(&parameters, "two\nlines \"é\"").await;
    let event = listener.next().await;
    assert_eq!((event.kind.as_str(), event.id.as_str()), ("sold", "own"));
    assert!(!event.data.contains('\n'), "{:?}", event.data);
    let envelope: Value = serde_json::from_str(&event.data).unwrap();
    assert_eq!(envelope["channel"], "orders.7");
    assert_eq!(envelope["id"], "own");
    assert_eq!(envelope["type"], "sold");
    assert_eq!(envelope["data"], "two\nlines \"é\"");
    assert!(!envelope["time"].is_null(), "{envelope}");
    assert_eq!(envelope.as_object().unwrap().len(), 5, "{envelope}");
    assert_eq!(plain.next().await.data, "two\nlines \"é\"");
}

#[tokio::test]
async fn a_switch_that_is_neither_on_nor_off_is_malformed() {
    let gateway = Gateway::serving(&orders()).await;
    for name in ["envelope", "control"] {
        let answer = gateway
            .listen("orders")
            .query(name, "maybe")
            .refused()
            .await;
        assert!(answer.expect(400).text().contains("malformed"), "{name}");
        drop(gateway.listen("orders").query(name, "0").await);
    }
}

#[tokio::test]
async fn control_tells_the_session_and_whether_it_resumed() {
    let gateway = Gateway::serving(&orders()).await;
    let mut first = gateway.listen("orders").control().await;
    let opened = first.opened().await;
    assert_eq!(opened["resumed"], false);
    let session = opened["session"].as_str().unwrap().to_owned();
    assert!(!session.is_empty());
    let id = gateway.publish("orders", "x").await.id;
    let mut second = gateway.listen("orders").control().last_event_id(&id).await;
    let opened = second.opened().await;
    assert_eq!(opened["resumed"], true);
    assert_ne!(opened["session"], session, "each stream has its own");
}

#[tokio::test]
async fn control_beats_with_an_event_in_place_of_the_comment() {
    let gateway = Gateway::serving(&orders()).await;
    let mut listener = gateway.listen("orders").control().await;
    listener.opened().await;
    let before = listener.last_event_id();
    let event = listener.event().await;
    assert_eq!(event.kind, "siar.heartbeat");
    assert_eq!(listener.last_event_id(), before, "it carries no id");
    let comments = listener.transcript().matches("\n:\n").count();
    assert_eq!(comments, 0, "{:?}", listener.transcript());
}

#[tokio::test]
async fn without_control_no_control_event_comes_before_the_end() {
    let gateway = Gateway::serving(&orders()).await;
    let mut listener = gateway.listen("orders").await;
    assert_eq!(
        listener.silent_for(Duration::from_millis(2500)).await,
        Ok(())
    );
    assert!(!listener.transcript().contains("event:"));
}

#[tokio::test]
async fn a_heartbeat_comes_after_silence_only() {
    let gateway = Gateway::serving(&orders()).await;
    let mut busy = gateway.listen("orders").await;
    let mut silent = gateway.listen("orders.7").await;
    // Three heartbeats long there is never a silence of one.
    for number in 0..15 {
        arrives(&gateway, &mut busy, &number.to_string()).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let beats = |listener: &Listener| listener.transcript().matches("\n:\n").count();
    assert_eq!(beats(&busy), 0, "{:?}", busy.transcript());
    assert_eq!(silent.silent_for(Duration::from_millis(100)).await, Ok(()));
    assert!(
        (2..=3).contains(&beats(&silent)),
        "{:?}",
        silent.transcript()
    );
}

#[tokio::test]
async fn other_methods_are_told_which_fit() {
    let gateway = Gateway::serving(&orders()).await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "HEAD"] {
        let ask = Ask::new(gateway.public(), method, "/stream?channel=orders");
        let ask = ask.by(|route| route.http2 = true);
        let answer = ask.send().await.expect(405);
        assert_eq!(answer.header("allow"), Some("GET, OPTIONS"), "{method}");
        assert_eq!(
            answer.text().contains("refusals/method\""),
            method != "HEAD"
        );
    }
    let labels = [("refusal", "method")];
    gateway
        .until_metric("siar_refusals_total", &labels, 5.0)
        .await;
}

#[tokio::test]
async fn who_takes_no_event_stream_is_not_acceptable() {
    let gateway = Gateway::serving(&orders()).await;
    for accept in ["text/html", "application/json, image/*", ""] {
        let listen = gateway.listen("orders").header("Accept", accept);
        let answer = listen.refused().await.expect(406);
        let kind = answer.json()["type"].as_str().unwrap().to_owned();
        assert_eq!(kind.rsplit('/').next(), Some("not-acceptable"), "{accept}");
    }
    for accept in ["*/*", "text/*", "text/html, text/event-stream;q=0.1"] {
        drop(gateway.listen("orders").header("Accept", accept).await);
    }
}

/// Reads the body until it holds `text`.
async fn read_to(body: &mut Body, text: &str) -> String {
    let mut all = Vec::new();
    within(format!("{text:?}"), async {
        while !String::from_utf8_lossy(&all).contains(text) {
            let piece = body.chunk().await.expect("the stream goes on");
            all.extend_from_slice(&piece.expect("the stream goes on"));
        }
    })
    .await;
    String::from_utf8(all).unwrap()
}

#[tokio::test]
async fn http_1_0_gets_the_stream_without_chunks() {
    let gateway = Gateway::serving(&orders()).await;
    let (mut io, socket) = connect(&Route::plain(gateway.public())).await.unwrap();
    let head = "GET /stream?channel=orders HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n";
    io.write_all(head.as_bytes()).await.unwrap();
    let mut response = within("a head", read_http1(io, Default::default(), socket))
        .await
        .unwrap();
    assert_eq!(response.status, 200);
    let chunked = |(name, _): &(String, String)| name == "transfer-encoding";
    assert!(
        !response.headers.iter().any(chunked),
        "{:?}",
        response.headers
    );
    gateway.publish("orders", "old").await;
    let text = read_to(&mut response.body, "data: old\n").await;
    assert!(text.starts_with("retry: "), "no chunk sizes: {text:?}");
}

#[tokio::test]
async fn one_port_speaks_http_1_and_http_2() {
    let gateway = Gateway::serving(&orders()).await;
    let mut one = gateway.listen("orders").await;
    let mut two = gateway
        .listen("orders")
        .by(|route| route.http2 = true)
        .await;
    assert_eq!(one.header("transfer-encoding"), Some("chunked"));
    assert_eq!(two.header("transfer-encoding"), None);
    let id = gateway.publish("orders", "both").await.id;
    let (one, two) = (one.next().await, two.next().await);
    assert_eq!(one, two);
    assert_eq!((one.data.as_str(), one.id), ("both", id));
}

#[tokio::test]
async fn over_tls_both_protocols_stream_and_the_plain_port_stays() {
    let certs = Certs::new();
    let setup = GatewaySetup::new().channel(&orders());
    let gateway = setup.tls(certs.folder()).start().await;
    let listen = Listen::at(gateway.tls()).channel("orders");
    let listen = listen.by(|route| route.tls = Some(certs.client()));
    let mut one = listen.clone().await;
    let mut two = listen.by(|route| route.http2 = true).await;
    let mut plain = gateway.listen("orders").await;
    gateway.publish("orders", "all").await;
    for listener in [&mut one, &mut two, &mut plain] {
        assert_eq!(listener.next().await.data, "all");
    }
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_ends_no_stream() {
    let (certs, next) = (Certs::new(), Certs::new());
    let setup = GatewaySetup::new().channel(&orders());
    let gateway = setup.tls(certs.folder()).start().await;
    let listen = Listen::at(gateway.tls()).channel("orders");
    let before = listen.clone().by(|route| route.tls = Some(certs.client()));
    let after = listen.by(|route| route.tls = Some(next.client()));
    let mut listener = before.clone().await;
    assert!(
        after.try_open().await.is_err(),
        "it is of another authority"
    );
    for file in ["tls.key", "tls.crt"] {
        std::fs::copy(next.path(file), certs.path(file)).unwrap();
    }
    let mut renewed = until("the new certificate", || async {
        let opened = after.try_open().await;
        opened
            .map_err(|error| error.to_string())
            .map(|opened| opened.ok().unwrap())
    })
    .await;
    assert!(before.try_open().await.is_err(), "the old one is gone");
    gateway.publish("orders", "still").await;
    assert_eq!(listener.next().await.data, "still");
    assert_eq!(renewed.next().await.data, "still");
}

#[tokio::test]
async fn at_its_age_a_stream_ends_with_rotated_and_resumes_without_loss() {
    let channel = orders().with("stream", serde_json::json!({ "maxAge": "1m" }));
    let gateway = Gateway::serving(&channel).await;
    let start = std::time::Instant::now();
    let mut listener = gateway.listen("orders").await;
    arrives(&gateway, &mut listener, "young").await;
    let limit = Duration::from_secs(90);
    let rest = tests::wait::within_time(limit, "maxAge", async {
        loop {
            match listener.read().await {
                Some(Item::Event(event)) => return event,
                Some(_) => {}
                None => panic!("no siar.end: {:?}", listener.transcript()),
            }
        }
    });
    let end = rest.await;
    assert_eq!(end.kind, "siar.end");
    let told: Value = serde_json::from_str(&end.data).unwrap();
    assert_eq!(told["reason"], "rotated");
    let age = start.elapsed().as_secs_f64();
    assert!((47.9..=73.0).contains(&age), "1m ± 20 %, not {age}");
    assert_eq!(listener.rest().await, []);
    assert_eq!(listener.ended(), Some(Ended::Orderly));
    gateway.publish("orders", "meanwhile").await;
    let id = listener.last_event_id();
    let mut again = gateway.listen("orders").last_event_id(&id).await;
    assert_eq!(again.next().await.data, "meanwhile");
}
