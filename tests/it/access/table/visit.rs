//! A visit: the request as it is sent, and what comes of it.

use super::Expected;
use super::world::{WATCHER, World};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tests::http::Answer;
use tests::wire::{self, Request, Response, Route};

/// How long a visit may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the body of an answer may take, and an open stream until presence tells of it.
const SOON: Duration = Duration::from_secs(5);
/// Topics of their own, so that presence tells of one visit alone.
static TOPICS: AtomicUsize = AtomicUsize::new(0);

/// A request in the making.
#[derive(Clone)]
pub struct Visit {
    method: &'static str,
    path: String,
    /// As it stands after `channel=`.
    topic: String,
    /// Further parameters, as they stand.
    query: String,
    headers: Vec<(String, String)>,
    from: Option<&'static str>,
}

impl Visit {
    /// A stream on a topic of the Channel that no other visit has.
    pub fn channel(channel: &str) -> Self {
        let number = TOPICS.fetch_add(1, Ordering::Relaxed);
        Self::topic(&format!("{channel}.{number}"))
    }

    /// A stream on this topic, encoded as it stands in the query.
    pub fn topic(topic: &str) -> Self {
        Self {
            method: "GET",
            path: "/stream".into(),
            topic: topic.into(),
            query: String::new(),
            headers: vec![("Accept".into(), "text/event-stream".into())],
            from: None,
        }
    }

    /// Another path; a POST for `/publish`.
    pub fn at(mut self, path: &str) -> Self {
        self.path = path.into();
        if path.ends_with("/publish") {
            self.method = "POST";
        }
        self.headers.retain(|(name, _)| name != "Accept");
        self
    }

    /// What a browser asks before it lets a page of `origin` send.
    pub fn preflight(mut self, origin: &str) -> Self {
        self.method = "OPTIONS";
        self.header("Origin", origin)
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "authorization")
    }

    /// One more header, also of a name that is there.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn token(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub fn cookie(self, token: &str) -> Self {
        self.header("Cookie", &format!("theme=dark; siar_token={token}"))
    }

    pub fn origin(self, origin: &str) -> Self {
        self.header("Origin", origin)
    }

    /// One more parameter, as it stands in the query.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query += &format!("&{name}={value}");
        self
    }

    pub fn access_token(self, token: &str) -> Self {
        self.query("access_token", token)
    }

    /// Comes from that loopback address.
    pub fn from(mut self, address: &'static str) -> Self {
        self.from = Some(address);
        self
    }

    /// Comes, and says what else happened if it is not what was expected.
    pub async fn come(&self, world: &World, expected: Expected) -> Result<(), String> {
        match tokio::time::timeout(PATIENCE, self.ask(world, expected)).await {
            Ok(seen) => seen,
            Err(_) => Err("nothing came".into()),
        }
    }

    async fn ask(&self, world: &World, expected: Expected) -> Result<(), String> {
        let response = match wire::send(&self.route(world), &self.request()).await {
            Ok(response) => response,
            Err(_) if matches!(expected, Expected::TurnedAway) => return Ok(()),
            Err(error) => return Err(format!("there was no answer: {error}")),
        };
        if response.headers.iter().any(|(name, _)| name == "x-evil") {
            return Err("the answer has a header of the request".into());
        }
        match expected {
            Expected::Stream(identity) => self.is_open(world, response, identity).await,
            _ => check(&whole(response).await?, expected),
        }
    }

    fn route(&self, world: &World) -> Route {
        let mut route = Route::plain(world.gateway.public());
        route.from = self.from.map(|address| address.parse().unwrap());
        route
    }

    fn request(&self) -> Request {
        let body = if self.method == "POST" { "x" } else { "" };
        Request {
            method: self.method.into(),
            path: format!("{}?channel={}{}", self.path, self.topic, self.query),
            headers: self.headers.clone(),
            body: body.into(),
        }
    }

    /// Whether it is a stream, and whose: it stays open until presence was asked.
    async fn is_open(
        &self,
        world: &World,
        response: Response,
        identity: Option<&str>,
    ) -> Result<(), String> {
        if response.status != 200 {
            let answer = whole(response).await?;
            return Err(format!("{} {}", answer.status, answer.text()));
        }
        let expected: Vec<&str> = identity.into_iter().collect();
        let asked = Visit::topic(&self.topic).at("/presence").token(WATCHER);
        let since = Instant::now();
        loop {
            let presence = wire::send(&self.route(world), &asked.request()).await;
            let answer = whole(presence.map_err(|error| error.to_string())?).await?;
            if answer.status != 200 {
                return Err(format!("presence: {} {}", answer.status, answer.text()));
            }
            let presence = answer.json();
            let open = presence["streams"].as_u64().is_some_and(|count| count > 0);
            if open && presence["identities"] == serde_json::json!(expected) {
                return Ok(());
            }
            if since.elapsed() > SOON {
                return Err(format!("presence tells of {presence}"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn whole(mut response: Response) -> Result<Answer, String> {
    let body = response.body.whole();
    let body = tokio::time::timeout(SOON, body).await;
    let body = body.map_err(|_| format!("{} and a body without end", response.status))?;
    Ok(Answer {
        status: response.status,
        headers: response.headers,
        body: body.map_err(|error| error.to_string())?,
    })
}

/// Compares an answer that is no stream.
fn check(answer: &Answer, expected: Expected) -> Result<(), String> {
    let allowed = answer.header("access-control-allow-origin");
    let says = |name: &str| answer.header(name).is_some();
    let right = match expected {
        Expected::Stream(_) => false,
        Expected::Answer(status) => answer.status == status,
        Expected::Refused(status, word) => {
            let advised = says("retry-after") == matches!(status, 429 | 503);
            let challenged = says("www-authenticate") || status != 401;
            // No page of a foreign origin may read why it is refused.
            let readable = allowed.is_some() && word == "origin";
            answer.status == status
                && self::word(answer).as_deref() == Some(word)
                && advised
                && challenged
                && !readable
        }
        Expected::Passing => {
            let text = answer.text();
            let is_stream = answer
                .header("content-type")
                .is_some_and(|kind| kind.starts_with("text/event-stream"));
            answer.status == 200
                && is_stream
                && text.contains("retry:")
                && text.contains("siar.end")
                && text.contains("\"unavailable\"")
        }
        Expected::TurnedAway => (400..500).contains(&answer.status),
        Expected::Allowed(origin) => {
            answer.status == 204
                && allowed == Some(origin)
                && says("access-control-allow-headers")
                && says("access-control-allow-methods")
        }
        Expected::Silent => {
            allowed.is_none()
                && !says("access-control-allow-headers")
                && !says("access-control-allow-methods")
                && !says("access-control-allow-credentials")
        }
    };
    let seen = || format!("{} {}", answer.status, answer.text());
    right.then_some(()).ok_or_else(seen)
}

/// The end of the `type` of a problem.
fn word(answer: &Answer) -> Option<String> {
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    let kind = problem["type"].as_str()?;
    Some(kind.rsplit('/').next()?.to_owned())
}
