//! Several requests and streams on one connection, and clients that speak another protocol than their port.

use crate::{Channel, Gateway, GatewaySetup};
use tests::certs::Certs;
use tests::http::{Ask, raw};
use tests::wait::within;
use tests::wire::{self, Route};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn serving_tls() -> (Certs, Gateway) {
    let certs = Certs::new();
    let gateway = GatewaySetup::new()
        .channel(&Channel::open("c").history(100))
        .tls(certs.folder())
        .start()
        .await;
    (certs, gateway)
}

async fn read_until(body: &mut h2::RecvStream, text: &str) {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(text) {
        let data = within(text, body.data()).await;
        let data = data.expect("the stream is open").unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        seen.extend_from_slice(&data);
    }
}

#[tokio::test]
async fn one_http2_connection_carries_many_streams_and_requests() {
    let gateway = Gateway::serving(&Channel::open("c").topics(&["c.{n}"])).await;
    let (io, _) = wire::connect(&Route::plain(gateway.public()))
        .await
        .unwrap();
    let (client, connection) = h2::client::handshake(io).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let mut ask = |method: &str, path: String| {
        let uri = format!("http://{}{path}", gateway.public());
        let request = http::Request::builder().method(method).uri(uri);
        let request = request
            .header("accept", "text/event-stream")
            .body(())
            .unwrap();
        client.send_request(request, true).unwrap()
    };
    let mut bodies = Vec::new();
    for n in 0..100 {
        let (answer, _) = ask("GET", format!("/stream?channel=c.{}", n % 10));
        let answer = within("an answer", answer).await.unwrap();
        assert_eq!(answer.status(), 200);
        let mut body = answer.into_body();
        read_until(&mut body, "id: 0-0\n").await;
        bodies.push(body);
    }
    gateway
        .until_metric("siar_streams", &[("channel", "c")], 100.0)
        .await;
    // Some go, each by itself: nobody else notices.
    bodies.truncate(50);
    gateway
        .until_metric("siar_streams", &[("channel", "c")], 50.0)
        .await;
    for n in 0..10 {
        gateway.publish(&format!("c.{n}"), format!("to {n}")).await;
    }
    for (n, body) in bodies.iter_mut().enumerate() {
        read_until(body, &format!("data: to {}\n", n % 10)).await;
    }
    let (answer, _) = ask("GET", "/history?channel=c.1".into());
    assert_eq!(within("an answer", answer).await.unwrap().status(), 200);
    driver.abort();
    gateway
        .until_metric("siar_streams", &[("channel", "c")], 0.0)
        .await;
}

#[tokio::test]
async fn a_stream_may_follow_other_requests_on_its_connection() {
    let gateway = Gateway::serving(&Channel::open("c").history(10)).await;
    let host = gateway.public();
    let post =
        format!("POST /publish?channel=c HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3\r\n\r\none");
    let get = format!("GET /stream?channel=c&since=1 HTTP/1.1\r\nHost: {host}\r\n\r\n");
    // All in one piece: what was read ahead belongs to the next request.
    let mut socket = TcpStream::connect(host).await.unwrap();
    socket
        .write_all(format!("{post}{get}").as_bytes())
        .await
        .unwrap();
    let mut seen = Vec::new();
    within("both answers", async {
        while !String::from_utf8_lossy(&seen).contains("data: one\n") {
            assert!(socket.read_buf(&mut seen).await.unwrap() > 0, "closed");
        }
    })
    .await;
    let text = String::from_utf8_lossy(&seen);
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2, "{text}");
}

#[tokio::test]
async fn plain_requests_to_the_tls_port_and_the_reverse_end_without_harm() {
    let (certs, gateway) = serving_tls().await;
    let mut plain_to_tls = Route::plain(gateway.tls());
    plain_to_tls.http2 = false;
    let answer = raw(
        &plain_to_tls,
        b"GET /stream?channel=c HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    .await;
    assert!(answer.is_none(), "{answer:?}");
    let mut tls_to_plain = Route::plain(gateway.public());
    tls_to_plain.tls = Some(certs.client());
    assert!(
        within("an end", wire::connect(&tls_to_plain))
            .await
            .is_err()
    );
    let ask = Ask::get(gateway.tls(), "/history?channel=c");
    let _ = ask
        .by(|route| route.tls = Some(certs.client()))
        .send()
        .await
        .expect(200);
}

#[tokio::test]
async fn beyond_its_open_files_a_gateway_has_no_place_for_streams_and_serves_the_rest() {
    // Of these files 256 are its own, so 20 connections are left.
    let setup = GatewaySetup::new().channel(&Channel::open("c").history(10));
    let gateway = setup.open_files(276).start().await;
    let mut listeners = Vec::new();
    for _ in 0..20 {
        let mut listener = gateway.listen("c").await;
        listener.cursor().await;
        listeners.push(listener);
    }
    let mut beyond = gateway.listen("c").await;
    assert_eq!(beyond.end().await.reason, "capacity");
    let retry = beyond.retry().unwrap();
    assert!((15_000..=45_000).contains(&retry), "{retry}");
    drop(beyond);
    // A request is answered, and its connection does not stay.
    let ask = Ask::post(gateway.public(), "/publish?channel=c", "x");
    let answer = ask
        .header("Connection", "keep-alive")
        .send()
        .await
        .expect(200);
    assert_eq!(answer.header("connection"), Some("close"));
    for listener in &mut listeners {
        assert_eq!(listener.next().await.data, "x");
    }
    listeners.truncate(10);
    gateway.until_metric("siar_streams", &[], 10.0).await;
    gateway.listen("c").await.cursor().await;
}
