//! The requests of the smoke test.
//!
//! Owns: URLs, limits of time, and reading refusals. Never: follows a redirect or uses a proxy, which would hide where
//! the answer came from; prints a token. Used by: `smoke`.

use super::Failed;
use super::events::{Event, Events};
use crate::args::SmokeSettings;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Response, Url, redirect};
use serde::Deserialize;
use std::error::Error;
use std::time::Duration;
use tokio::time::timeout;

/// Time to reach a server, TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// Time for an answer, and for what is to come on a stream.
const LIMIT: Duration = Duration::from_secs(10);
/// The most bytes read of what is no stream.
const MOST_BYTES: usize = 64 * 1024;
/// How the type of a problem begins, whatever the word.
const TYPES: &str = "https://siar.dev/refusals/";

/// Who asks one gateway.
pub struct Client {
    client: reqwest::Client,
    url: Url,
    namespace: Option<String>,
    token: Option<HeaderValue>,
}

/// An open stream.
pub struct Stream {
    response: Response,
    events: Events,
    topic: String,
}

/// What `POST /publish` answers, as far as it matters here.
#[derive(Deserialize)]
struct Published {
    position: String,
}

/// The body of a refusal.
#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
    detail: String,
}

impl Client {
    /// A client that asks what `settings` name.
    pub fn new(settings: &SmokeSettings) -> Result<Self, Failed> {
        let client = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT);
        let client = client
            .build()
            .map_err(|error| Failed::Client(cause(&error)))?;
        let url = Url::parse(&settings.url).map_err(|error| Failed::Client(error.to_string()))?;
        Ok(Self {
            client,
            url,
            namespace: settings.namespace.clone(),
            token: token(settings)?,
        })
    }

    /// The gateway.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Opens a stream, after `cursor` if one is given.
    pub async fn listen(&self, topic: &str, cursor: Option<&str>) -> Result<Stream, Failed> {
        let mut request = self.client.get(self.route("stream", topic));
        request = request.header(ACCEPT, "text/event-stream");
        if let Some(cursor) = cursor {
            request = request.header("Last-Event-ID", cursor);
        }
        let response = self.send(request).await?;
        let kind = response.headers().get(CONTENT_TYPE);
        let events = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if response.status() != 200 || !events {
            return Err(self.refusal("listen to", topic, response).await);
        }
        Ok(Stream {
            response,
            events: Events::default(),
            topic: topic.to_owned(),
        })
    }

    /// Publishes and answers the position.
    pub async fn publish(&self, topic: &str, data: &str) -> Result<String, Failed> {
        let request = self.client.post(self.route("publish", topic));
        let request = request.header(CONTENT_TYPE, "text/plain; charset=utf-8");
        let response = self.send(request.body(data.to_owned())).await?;
        if response.status() != 200 {
            return Err(self.refusal("publish to", topic, response).await);
        }
        let status = response.status().as_u16();
        let body = read(response).await;
        let published = serde_json::from_slice::<Published>(&body);
        let published = published.map_err(|_not_ours| self.foreign(status, &body))?;
        Ok(published.position)
    }

    fn route(&self, route: &str, topic: &str) -> Url {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        let path = match &self.namespace {
            Some(namespace) => format!("{base}/{namespace}/{route}"),
            None => format!("{base}/{route}"),
        };
        url.set_path(&path);
        url.query_pairs_mut().append_pair("channel", topic);
        url
    }

    async fn send(&self, mut request: RequestBuilder) -> Result<Response, Failed> {
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        let unreachable = |cause: String| Failed::Unreachable {
            url: self.url.to_string(),
            cause,
        };
        match timeout(LIMIT, Box::pin(request.send())).await {
            Ok(answer) => answer.map_err(|error| unreachable(cause(&error))),
            Err(_) => Err(unreachable(format!(
                "no answer came for {} s",
                LIMIT.as_secs()
            ))),
        }
    }

    /// What an answer means that is not the hoped-for one.
    async fn refusal(&self, action: &'static str, topic: &str, response: Response) -> Failed {
        let status = response.status().as_u16();
        let body = read(response).await;
        let problem = serde_json::from_slice::<Problem>(&body).ok();
        let problem = problem.and_then(|problem| {
            let word = problem.kind.strip_prefix(TYPES)?.to_owned();
            Some((word, problem.detail))
        });
        match problem {
            Some((word, detail)) => Failed::Refused {
                action,
                topic: topic.to_owned(),
                status,
                word,
                detail: detail.trim_end_matches('.').to_owned(),
            },
            None => self.foreign(status, &body),
        }
    }

    /// Its first line at most: it may be a page.
    fn foreign(&self, status: u16, body: &[u8]) -> Failed {
        let text = String::from_utf8_lossy(body);
        let line: String = text
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(80)
            .collect();
        Failed::Foreign {
            url: self.url.to_string(),
            status,
            said: format!("{status} {line}").trim_end().to_owned(),
        }
    }
}

impl Stream {
    /// What `wait` finds on this stream, in time.
    pub async fn in_time<T>(
        &mut self,
        wait: impl AsyncFnOnce(&mut Self) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        let topic = self.topic.clone();
        let waited = timeout(LIMIT, Box::pin(wait(self))).await;
        waited.unwrap_or(Err(Failed::Silent {
            topic,
            limit: LIMIT,
        }))
    }

    /// Waits until the gateway has said where the stream is: from then on it gets all.
    pub async fn opening(&mut self) -> Result<(), Failed> {
        match self.said().await? {
            None => Ok(()),
            Some(event) if event.kind == "siar.end" => Err(Failed::ended(&self.topic, &event.data)),
            // A message, which came after the opening.
            Some(_) => Ok(()),
        }
    }

    /// The next event.
    pub async fn event(&mut self) -> Result<Event, Failed> {
        loop {
            if let Some(event) = self.said().await? {
                return Ok(event);
            }
        }
    }

    /// Where the stream is.
    pub fn cursor(&self) -> &str {
        self.events.cursor()
    }

    async fn said(&mut self) -> Result<Option<Event>, Failed> {
        let cut = |reason: &str| Failed::Ended {
            topic: self.topic.clone(),
            reason: reason.to_owned(),
        };
        let events = &mut self.events;
        let response = &mut self.response;
        loop {
            if let Some(said) = events.take() {
                return Ok(said);
            }
            match response.chunk().await {
                Ok(Some(bytes)) if events.push(&bytes).is_ok() => {}
                Ok(Some(_)) => return Err(cut("an event is larger than any may be")),
                Ok(None) => return Err(cut("without siar.end")),
                Err(error) => return Err(cut(&cause(&error))),
            }
        }
    }
}

/// The header that presents the token, if there is one.
fn token(settings: &SmokeSettings) -> Result<Option<HeaderValue>, Failed> {
    let text = match (&settings.token, &settings.token_file) {
        (Some(token), _) => token.clone(),
        (None, Some(path)) => {
            std::fs::read_to_string(path).map_err(|source| Failed::TokenFile {
                path: path.display().to_string(),
                source,
            })?
        }
        (None, None) => return Ok(None),
    };
    let header = HeaderValue::from_str(&format!("Bearer {}", text.trim()));
    let mut header = header.map_err(|_shows_it| Failed::Token)?;
    header.set_sensitive(true);
    Ok(Some(header))
}

/// As much of a body as explains it.
async fn read(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    let all = async {
        while let Ok(Some(bytes)) = response.chunk().await {
            body.extend_from_slice(&bytes);
            if body.len() >= MOST_BYTES {
                return;
            }
        }
    };
    // What came in time will do.
    drop(timeout(LIMIT, Box::pin(all)).await);
    body
}

/// The innermost cause; the outer ones name the URL.
fn cause(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}
