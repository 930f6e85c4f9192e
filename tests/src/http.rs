//! One request, one whole answer.
//!
//! Owns: what a test asks of a server besides streams. Never: follows redirects or retries.
//! Used by: `gateway`, `flask`, and tests that send what no library would.

use crate::wait::within;
use crate::wire::{self, Request, Route};
use std::net::SocketAddr;

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A request in the making.
#[derive(Clone)]
pub struct Ask {
    route: Route,
    request: Request,
}

impl Ask {
    /// A request of `method` for `path`, which carries its query already encoded.
    #[must_use]
    pub fn new(address: SocketAddr, method: &str, path: &str) -> Self {
        let request = Request {
            method: method.into(),
            path: path.into(),
            ..Request::default()
        };
        Self {
            route: Route::plain(address),
            request,
        }
        .header("Connection", "close")
    }

    /// `GET path`.
    #[must_use]
    pub fn get(address: SocketAddr, path: &str) -> Self {
        Self::new(address, "GET", path)
    }

    /// `POST path` with `body`.
    #[must_use]
    pub fn post(address: SocketAddr, path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(address, "POST", path).body(body)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request.headers.push((name.into(), value.into()));
        self
    }

    /// Sends that body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.request.body = body.into();
        self
    }

    /// Presents a bearer token.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// Goes by another route: TLS, HTTP/2, another source address.
    #[must_use]
    pub fn by(mut self, route: impl FnOnce(&mut Route)) -> Self {
        route(&mut self.route);
        if self.route.http2 {
            self.request
                .headers
                .retain(|(name, _)| name != "Connection");
        }
        self
    }

    /// The status only: the body may go on for ever.
    pub async fn head(&self) -> std::io::Result<u16> {
        Ok(wire::send(&self.route, &self.request).await?.status)
    }

    /// The answer, or why there was none.
    pub async fn try_send(&self) -> std::io::Result<Answer> {
        let mut response = wire::send(&self.route, &self.request).await?;
        let body = response.body.whole().await?;
        Ok(Answer {
            status: response.status,
            headers: std::mem::take(&mut response.headers),
            body,
        })
    }

    /// The answer.
    pub async fn send(self) -> Answer {
        let what = format!("an answer to {} {}", self.request.method, self.request.path);
        let answer = within(&what, self.try_send()).await;
        answer.unwrap_or_else(|error| panic!("no {what}: {error}"))
    }
}

/// The answer to these very bytes, which no library would send; none when the server just closed.
pub async fn raw(route: &Route, bytes: &[u8]) -> Option<Answer> {
    let answer = within("an answer or a close", async {
        let mut response = wire::send_raw(route, bytes).await.ok()?;
        let body = response.body.whole().await.ok()?;
        Some(Answer {
            status: response.status,
            headers: std::mem::take(&mut response.headers),
            body,
        })
    });
    answer.await
}

impl Answer {
    /// The first header of that name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON: {error}: {} {}", self.status, self.text()))
    }

    /// The word that a refusal has for itself: the end of the `type` of its problem.
    #[track_caller]
    #[must_use]
    pub fn word(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}",
            self.text()
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|text| text.len() > 10)
        );
        let kind = problem["type"].as_str().unwrap_or_default();
        kind.rsplit('/').next().unwrap_or_default().into()
    }

    /// Itself, if it has that status; else a panic with its body.
    #[track_caller]
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

/// `pairs` as a query with its question mark, percent-encoded; empty for none.
#[must_use]
pub fn query(pairs: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| format!("{}={}", encode(name), encode(value));
    let text = pairs.iter().map(pair).collect::<Vec<_>>().join("&");
    if text.is_empty() {
        text
    } else {
        format!("?{text}")
    }
}

/// `text` percent-encoded, all but what RFC 3986 calls unreserved.
#[must_use]
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
