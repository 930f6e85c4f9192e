//! The request of a stream, as a browser or library sends it.
//!
//! Owns: how a stream is asked for, and how a refusal is told from one. Never: reconnects (that is `follow`).
//! Used by: nearly every test.

use crate::http::{Answer, encode};
use crate::wait::within;
use crate::wire::{self, Request, Response, Route};
use std::future::{Future, IntoFuture};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

mod listener;
pub use listener::{End, Ended, Gap, Listener};

/// The request of a stream; awaiting it opens the stream.
#[derive(Clone)]
pub struct Listen {
    route: Route,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    last_event_id: String,
}

impl Listen {
    /// `GET /stream` at `address`, as an `EventSource` sends it; no `channel` yet.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self {
            route: Route::plain(address),
            path: "/stream".into(),
            query: Vec::new(),
            headers: vec![
                ("Accept".into(), "text/event-stream".into()),
                ("Cache-Control".into(), "no-cache".into()),
            ],
            last_event_id: String::new(),
        }
    }

    /// Another path, without query.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.path = path.into();
        self
    }

    /// One more parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// One more header; one of the same name is replaced.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.into(), value.into()));
        self
    }

    /// One more topic.
    #[must_use]
    pub fn channel(self, topic: &str) -> Self {
        self.query("channel", topic)
    }

    /// A bearer token.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// Comes from a page of that origin.
    #[must_use]
    pub fn origin(self, origin: &str) -> Self {
        self.header("Origin", origin)
    }

    /// Resumes after that id.
    #[must_use]
    pub fn last_event_id(mut self, id: &str) -> Self {
        self.last_event_id = id.into();
        if id.is_empty() {
            self
        } else {
            self.header("Last-Event-ID", id)
        }
    }

    /// Starts with the last `n` messages, or those of a duration.
    #[must_use]
    pub fn since(self, since: &str) -> Self {
        self.query("since", since)
    }

    /// Asks for data as one line of JSON.
    #[must_use]
    pub fn envelope(self) -> Self {
        self.query("envelope", "1")
    }

    /// Asks for `siar.open` and `siar.heartbeat`.
    #[must_use]
    pub fn control(self) -> Self {
        self.query("control", "1")
    }

    /// Goes by another route: TLS, HTTP/2, a small receive buffer, another source address.
    #[must_use]
    pub fn by(mut self, route: impl FnOnce(&mut Route)) -> Self {
        route(&mut self.route);
        self
    }

    /// The response, whatever its status, or why there was none.
    pub async fn respond(&self) -> io::Result<Response> {
        let pair = |(name, value): &(String, String)| format!("{}={}", encode(name), encode(value));
        let query = self.query.iter().map(pair).collect::<Vec<_>>().join("&");
        let mark = if query.is_empty() { "" } else { "?" };
        let request = Request {
            method: "GET".into(),
            path: format!("{}{mark}{query}", self.path),
            headers: self.headers.clone(),
            body: Vec::new(),
        };
        wire::send(&self.route, &request).await
    }

    /// The stream, or what was answered instead.
    pub async fn try_open(&self) -> io::Result<Result<Listener, Answer>> {
        let mut response = self.respond().await?;
        if response.status == 200 {
            return Ok(Ok(Listener::new(response, &self.last_event_id)));
        }
        let body = response.body.whole().await?;
        Ok(Err(Answer {
            status: response.status,
            headers: response.headers,
            body,
        }))
    }

    /// The refusal, which is not 200.
    pub async fn refused(self) -> Answer {
        match within("a refusal", self.try_open())
            .await
            .expect("the server answers")
        {
            Ok(_) => panic!("{} {:?} was not refused", self.path, self.query),
            Err(answer) => answer,
        }
    }
}

impl IntoFuture for Listen {
    type Output = Listener;
    type IntoFuture = Pin<Box<dyn Future<Output = Listener> + Send>>;

    #[track_caller]
    fn into_future(self) -> Self::IntoFuture {
        let caller = std::panic::Location::caller();
        Box::pin(async move {
            let what = format!("{caller}: {} {:?}", self.path, self.query);
            match within(format!("a stream to open ({what})"), self.try_open()).await {
                Ok(Ok(listener)) => listener,
                Ok(Err(answer)) => panic!("{what}: {} {}", answer.status, answer.text()),
                Err(error) => panic!("{what}: no answer: {error}"),
            }
        })
    }
}
