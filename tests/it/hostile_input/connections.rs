//! Connections that never become a request: garbage, heads without end, heads or bodies too slow, broken HTTP/2.
//!
//! Owns: that they end in time, and only they.

use super::{Scene, problem};
use crate::Gateway;
use std::time::{Duration, Instant};
use tests::http::Answer;
use tests::wait::{within, within_time};
use tests::wire::{Route, connect, read_http1};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn garbage_in_place_of_a_request_ends_the_connection_and_no_other() {
    let mut scene = Scene::new().await;
    for garbage in [
        &b"\0\x01\x02\x03\xff\xfe\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET /stream?channel=c\r\n\r\n",
        b"GET  /stream?channel=c  HTTP/1.1\r\n\r\n",
        b"GET /stream?channel=c HTTP/9.9\r\n\r\n",
        b"GET /stream?channel=c HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /stream?channel=c HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
        b"POST /publish?channel=c HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\nx",
        b"POST /publish?channel=c HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello on the plain port\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nthis is no frame of HTTP/2, and long enough to be one",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x01\x05\x00\x00\x00\x00\x00\x00",
    ] {
        let answer = scene.raw(garbage).await;
        let shown = String::from_utf8_lossy(garbage);
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{shown:?} was served");
        assert!(!answer.windows(6).any(|six| six == b"retry:"), "{shown:?} is a stream");
        scene.unhurt().await;
    }
}

#[tokio::test]
async fn a_head_over_16_kib_is_not_served() {
    let mut scene = Scene::new().await;
    let long = "a".repeat(17 * 1024);
    let head = format!("GET /stream?channel=c HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n");
    let answer = String::from_utf8_lossy(&scene.raw(head.as_bytes()).await).into_owned();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    scene.unhurt().await;
    let target = format!("GET /stream?channel={long} HTTP/1.1\r\nHost: x\r\n\r\n");
    let answer = String::from_utf8_lossy(&scene.raw(target.as_bytes()).await).into_owned();
    let refused = ["HTTP/1.1 414", "HTTP/1.1 431"];
    let refused = refused.iter().any(|start| answer.starts_with(start));
    assert!(answer.is_empty() || refused, "{answer}");
    scene.unhurt().await;
    let listen = scene.gateway.listen("c").header("X-Long", &long);
    let opened = within("an end", listen.by(|route| route.http2 = true).try_open()).await;
    assert!(!matches!(opened, Ok(Ok(_))), "served over HTTP/2");
    scene.unhurt().await;
    let fits = scene
        .gateway
        .listen("c")
        .header("X-Long", &long[..12 * 1024]);
    drop(fits.await);
}

/// Sends `head`, then a byte each second, and says after how long the server ended the connection.
async fn drip(gateway: &Gateway, head: &[u8]) -> Duration {
    let (io, _socket) = connect(&Route::plain(gateway.public())).await.unwrap();
    let start = Instant::now();
    let (mut read, mut write) = tokio::io::split(io);
    write.write_all(head).await.unwrap();
    let dripping = async {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        loop {
            second.tick().await;
            if write.write_all(b"a").await.is_err() {
                return;
            }
        }
    };
    let end = async {
        let mut answer = Vec::new();
        drop(read.read_to_end(&mut answer).await);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{answer}"
        );
    };
    let both = async {
        tokio::select! {
            () = end => {}
            () = async { dripping.await; std::future::pending().await } => {}
        }
    };
    within_time(Duration::from_secs(25), "a slow head to be cut", both).await;
    start.elapsed()
}

#[tokio::test]
async fn a_head_that_is_not_there_after_ten_seconds_is_not_waited_for() {
    let mut scene = Scene::new().await;
    let gateway = &scene.gateway;
    let (none, line, header) = tokio::join!(
        drip(gateway, b"G"),
        drip(gateway, b"GET /stream?channel=c HTTP/1.1\r\n"),
        drip(
            gateway,
            b"GET /stream?channel=c HTTP/1.1\r\nHost: x\r\nX-A: "
        ),
    );
    for time in [none, line, header] {
        let seconds = time.as_secs_f64();
        assert!((9.0..16.0).contains(&seconds), "10 s, not {seconds}");
    }
    scene.unhurt().await;
}

/// Opens HTTP/2 and sends `frames` behind the preface.
async fn http2_frames(scene: &Scene, frames: &[u8]) -> Vec<u8> {
    let mut bytes =
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec();
    bytes.extend_from_slice(frames);
    scene.raw(&bytes).await
}

#[tokio::test]
async fn frames_that_break_http_2_end_that_connection_with_goaway() {
    const GOAWAY: u8 = 7;
    let mut scene = Scene::new().await;
    for (what, frames) in [
        (
            "DATA on stream 0",
            &b"\x00\x00\x01\x00\x00\x00\x00\x00\x00x"[..],
        ),
        (
            "HEADERS that are no HPACK",
            b"\x00\x00\x04\x01\x05\x00\x00\x00\x01\xff\xff\xff\xff",
        ),
        (
            "a frame over the limit",
            b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
        ),
        (
            "WINDOW_UPDATE of 0",
            b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        ),
    ] {
        let mut answer = &http2_frames(&scene, frames).await[..];
        let mut kinds = Vec::new();
        while let [a, b, c, kind, rest @ ..] = answer {
            kinds.push(*kind);
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            answer = rest.get(5 + length..).unwrap_or_default();
        }
        assert!(kinds.contains(&GOAWAY), "{what}: {kinds:?}");
        scene.unhurt().await;
    }
}

/// The answer to a request whose body never comes whole, and after how long.
async fn without_body(gateway: &Gateway, head: &str) -> (Answer, Duration) {
    let (mut io, socket) = connect(&Route::plain(gateway.public())).await.unwrap();
    let start = Instant::now();
    let request = format!("POST /publish{head}\r\nHost: x\r\nContent-Length: 9\r\n\r\n[");
    io.write_all(request.as_bytes()).await.unwrap();
    let reading = async {
        let mut response = read_http1(io, Default::default(), socket).await?;
        let body = response.body.whole().await?;
        std::io::Result::Ok(Answer {
            status: response.status,
            headers: response.headers,
            body,
        })
    };
    let answer = within_time(Duration::from_secs(45), "an answer", reading).await;
    (answer.unwrap(), start.elapsed())
}

#[tokio::test]
async fn a_body_that_is_not_there_after_thirty_seconds_is_body_timeout() {
    let mut scene = Scene::new().await;
    let (raw, json) = tokio::join!(
        without_body(&scene.gateway, "?channel=c HTTP/1.1"),
        without_body(
            &scene.gateway,
            " HTTP/1.1\r\nContent-Type: application/json"
        ),
    );
    for (answer, time) in [raw, json] {
        problem(&answer, 408, "body-timeout");
        let seconds = time.as_secs_f64();
        assert!((29.0..40.0).contains(&seconds), "30 s, not {seconds}");
    }
    assert_eq!(scene.refusals("body-timeout").await, 2.0);
    scene.unhurt().await;
}

#[tokio::test]
async fn head_is_refused_without_a_body() {
    let mut scene = Scene::new().await;
    let head = b"HEAD /stream?channel=c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = String::from_utf8(scene.raw(head).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "a body: {answer}");
    assert_eq!(scene.refusals("method").await, 1.0);
    scene.unhurt().await;
}
