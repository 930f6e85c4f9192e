//! The admin port: metrics and probes.
//!
//! Owns: its accept loop and its few routes. Never: asks the API server; is up before the lease. Used by:
//! `app`.

use crate::readiness::Readiness;
use crate::tasks;
use axum::Router;
use axum::extract::State as Given;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
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

/// Connections at once: probes and a scraper. One more waits in the kernel.
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
    /// Asked anew for each request; the error says why the process should be started again.
    pub alive: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
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
            service_fn(move |request: Request<Incoming>| routes.clone().oneshot(request)),
        )
        .await;
    if let Err(error) = served {
        tracing::debug!(error = error.to_string(), "admin connection ended");
    }
}

fn router(state: State) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
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

async fn livez(Given(state): Given<State>) -> (StatusCode, String) {
    match (state.alive)() {
        Ok(()) => ok(),
        Err(why) => not("alive", &why),
    }
}

async fn readyz(Given(state): Given<State>) -> (StatusCode, String) {
    let missing = state.readiness.missing();
    if missing.is_empty() {
        return ok();
    }
    not("ready", &missing.join(", "))
}

fn ok() -> (StatusCode, String) {
    (StatusCode::OK, "ok\n".to_owned())
}

fn not(state: &str, why: &str) -> (StatusCode, String) {
    let text = format!("not {state}: {why}\n");
    (StatusCode::SERVICE_UNAVAILABLE, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};

    fn state() -> State {
        State {
            registry: Registry::new(),
            readiness: Readiness::new(),
            alive: Arc::new(|| Ok(())),
        }
    }

    async fn ask(state: &State, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = router(state.clone()).oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), 64 * 1024).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_says_what_is_missing_and_liveness_does_not_care() {
        let state = state();
        let guard = state.readiness.wait_for("no list of Channels yet");
        let not_ready = "not ready: no list of Channels yet\n".to_owned();
        assert_eq!(ask(&state, "/readyz").await, (503, not_ready));
        assert_eq!(ask(&state, "/livez").await.0, 200);
        drop(guard);
        assert_eq!(ask(&state, "/readyz").await, (200, "ok\n".to_owned()));
    }

    #[tokio::test]
    async fn liveness_says_why_a_new_start_would_help() {
        let mut state = state();
        state.alive = Arc::new(|| Err("the watch of Secrets is stale".to_owned()));
        let not_alive = "not alive: the watch of Secrets is stale\n".to_owned();
        assert_eq!(ask(&state, "/livez").await, (503, not_alive));
        assert_eq!(ask(&state, "/readyz").await.0, 200);
    }

    #[tokio::test]
    async fn metrics_are_as_they_are_now() {
        let state = state();
        let metrics = crate::metrics::Metrics::new(&state.registry).unwrap();
        let leader = async || ask(&state, "/metrics").await.1;
        assert!(leader().await.contains("siar_operator_leader 0"));
        metrics.leader(true);
        assert!(leader().await.contains("siar_operator_leader 1"));
    }

    #[tokio::test]
    async fn nothing_else_is_there() {
        assert_eq!(ask(&state(), "/status").await.0, 404);
    }
}
