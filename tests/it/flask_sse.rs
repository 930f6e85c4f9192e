//! Flask-SSE: its payloads on a real Redis arrive as its own stream would have sent them, without its bugs.
//!
//! Owns: its 20 tests as black-box cases, the payloads that it writes, the bugs that Siar does not have.

use crate::{Channel, Gateway, GatewaySetup, Listener, Redis};

mod app; // the real app and the real library
mod bugs; // what goes wrong there and must not here
mod cases; // its own tests
mod gateways; // several of them, and one publisher that knows of none
mod load; // thousands of streams, few connections
mod vectors; // each payload, and what a listener gets

/// A Channel `sse` that hears Flask-SSE and keeps nothing.
fn sse() -> Channel {
    Channel::open("sse").ingest(&["FlaskSse"])
}

/// A gateway with these Channels on a Redis of its own.
async fn serve(channels: &[Channel]) -> (Redis, Gateway) {
    let redis = Redis::start().await;
    let setup = channels
        .iter()
        .fold(GatewaySetup::new(), |setup, channel| setup.channel(channel));
    let gateway = setup.redis(&redis.url()).start().await;
    (redis, gateway)
}

/// A gateway with the Channel `sse`, and a stream on it.
async fn listen() -> (Redis, Gateway, Listener) {
    let (redis, gateway) = serve(&[sse()]).await;
    let listener = gateway.listen("sse").await;
    (redis, gateway, listener)
}

/// `{"data": data}` as Flask-SSE writes it: everything but ASCII escaped.
fn payload(data: &str) -> String {
    let escape = |c: char| {
        let mut units = [0; 2];
        match c {
            ' '..='~' if c != '"' && c != '\\' => c.to_string(),
            _ => c
                .encode_utf16(&mut units)
                .iter()
                .map(|unit| format!("\\u{unit:04x}"))
                .collect(),
        }
    };
    format!(
        r#"{{"data": "{}"}}"#,
        data.chars().map(escape).collect::<String>()
    )
}
