//! The admin port: metrics, probes and status.
//!
//! Owns: its accept loop and its few routes. Never: serves a stream or anything public; asks Redis.
//! Used by: `app`.

use crate::readiness::Readiness;
use crate::tasks;
use axum::extract::State as Given;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use crds::report::Report;
use http::{StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Registry, TextEncoder};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;

/// Connections at once: probes, a scraper, an operator. One more waits in the kernel.
const MOST_CONNECTIONS: usize = 128;
/// For the head of a request, and how long an idle connection stays.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// After an accept that failed for want of files; at once again it would burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What the routes tell.
#[derive(Clone)]
pub struct State {
    pub registry: Registry,
    pub readiness: Readiness,
    /// Made anew for each request.
    pub report: Arc<dyn Fn() -> Report + Send + Sync>,
}

/// Serves `listener` for ever.
pub async fn serve(listener: TcpListener, state: State) {
    let routes = router(state);
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((socket, _)) => {
                let routes = routes.clone();
                tasks::background(async move {
                    let _permit = permit;
                    connection(routes, socket).await;
                });
            }
            Err(error) => {
                tracing::warn!(error = error.to_string(), "admin port cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(routes: Router, socket: TcpStream) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(16 * 1024)
        .serve_connection(
            TokioIo::new(socket),
            service_fn(move |request: http::Request<Incoming>| routes.clone().oneshot(request)),
        )
        .await;
    if let Err(error) = served {
        tracing::debug!(error = error.to_string(), "admin connection ended");
    }
}

fn router(state: State) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .with_state(state)
}

async fn metrics(Given(state): Given<State>) -> Response {
    match TextEncoder::new().encode_to_string(&state.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(error = error.to_string(), "metrics cannot be encoded");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn readyz(Given(state): Given<State>) -> (StatusCode, String) {
    let missing = state.readiness.missing();
    if missing.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    let text = format!("not ready: {}\n", missing.join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, text)
}

async fn status(Given(state): Given<State>) -> Json<Report> {
    Json((state.report)())
}
