//! An ordinary server as one writes it with axum and a broadcast channel: a task and a receiver for each stream.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use futures_util::stream;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::broadcast::{Receiver, Sender, channel};

/// Messages that a slow receiver may lag behind.
const LAG: usize = 4096;

#[derive(Clone)]
struct Shared {
    sender: Sender<Bytes>,
    number: Arc<AtomicU64>,
}

/// Serves for ever.
pub async fn serve(listener: tokio::net::TcpListener) {
    let shared = Shared {
        sender: channel(LAG).0,
        number: Arc::default(),
    };
    let routes = Router::new()
        .route("/stream", get(listen))
        .route("/publish", post(publish))
        .with_state(shared);
    axum::serve(listener, routes).await.expect("a listener");
}

async fn listen(State(shared): State<Shared>) -> impl IntoResponse {
    let first = Bytes::from_static(b"retry: 2000\n: axum\n\nid: 0-0\n\n");
    let events = stream::unfold((Some(first), shared.sender.subscribe()), next);
    (
        [(header::CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(events),
    )
}

type Pending = (Option<Bytes>, Receiver<Bytes>);

async fn next((first, mut receiver): Pending) -> Option<(Result<Bytes, Infallible>, Pending)> {
    let event = match first {
        Some(first) => first,
        None => receiver.recv().await.ok()?,
    };
    Some((Ok(event), (None, receiver)))
}

async fn publish(State(shared): State<Shared>, body: Bytes) -> &'static str {
    let number = shared.number.fetch_add(1, Ordering::Relaxed) + 1;
    let event = [
        b"data: ",
        &body[..],
        format!("\nid: abcdef-{number}\n\n").as_bytes(),
    ]
    .concat();
    // Without listeners there is nobody to tell.
    drop(shared.sender.send(event.into()));
    "{}"
}
