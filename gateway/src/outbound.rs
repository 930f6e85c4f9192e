//! Asks the HTTP services that tenants name: key sets and webhooks.
//!
//! Owns: the one client with its bounds, and that no connection is made to an address that the [`Targets`] do
//! not admit. Never: follows a redirect, uses a proxy, repeats a query, a token or a body in an error. Used by:
//! `access`, on the control runtime, where its idle connections live.

mod resolve;

use bytes::{Bytes, BytesMut};
use crds::targets::Targets;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, ClientBuilder, Method, Request, Response, Url, redirect};
use resolve::{Judge, Lookup, Lost, system};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time;

/// The most bytes of an answer's body.
pub const MOST_BYTES: usize = 1024 * 1024;
/// Time to reach a server, TLS included.
const CONNECT: Duration = Duration::from_secs(2);
/// So long a connection without a request is kept.
const IDLE: Duration = Duration::from_secs(60);
/// So many of them for one host; with HTTP/2 one carries all.
const IDLE_CONNECTIONS: usize = 4;
/// What servers see in their logs.
const USER_AGENT: &str = concat!("siar-gateway/", env!("CARGO_PKG_VERSION"));

/// The client.
#[derive(Clone, Debug)]
pub struct Outbound {
    client: Client,
    targets: Arc<Targets>,
}

/// What a server said, whatever its status; a redirect is a status, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// At most [`MOST_BYTES`].
    pub body: Bytes,
}

/// Why there is no answer: the step that failed, in words that may be logged and told to tenants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// It is not http or https, names no host, or holds user info.
    #[error("the URL cannot be used")]
    Url,
    /// No address that it leads to is admitted.
    #[error("the URL leads to no address that --allow-targets admits")]
    Refused,
    /// The DNS knows no address, or did not answer.
    #[error("the host name was not resolved")]
    Resolve,
    /// No address let itself be connected to, or TLS failed; with the last cause.
    #[error("no connection was made: {0}")]
    Connect(String),
    /// The answer was not complete in time.
    #[error("no answer came in time")]
    Late,
    /// The body is larger than [`MOST_BYTES`].
    #[error("the answer is larger than 1 MiB")]
    TooLarge,
    /// What came is not HTTP, or the connection broke before the end.
    #[error("the answer broke off or is no HTTP")]
    Broken,
}

/// The client cannot be made: TLS is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("make the client of key sets and webhooks")]
pub struct NoClient(#[from] reqwest::Error);

impl Outbound {
    /// A client that goes only where `targets` admit. Where the system has no CA certificates it trusts no
    /// server, and says so once in the log: `http://` goes on.
    pub fn new(targets: Arc<Targets>) -> Result<Self, NoClient> {
        Self::with_lookup(targets, &system())
    }

    fn with_lookup(targets: Arc<Targets>, lookup: &Lookup) -> Result<Self, NoClient> {
        let client = match builder(&targets, lookup).build() {
            Ok(client) => client,
            Err(error) => {
                let error = cause(&error);
                tracing::warn!(error, "https:// of key sets and webhooks will fail");
                let tls =
                    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
                let tls = tls.with_safe_default_protocol_versions();
                let tls = tls.expect("aws-lc-rs has the protocol versions of rustls");
                let none = tls.with_root_certificates(RootCertStore::empty());
                let builder = builder(&targets, lookup);
                builder
                    .tls_backend_preconfigured(none.with_no_client_auth())
                    .build()?
            }
        };
        Ok(Self { client, targets })
    }

    /// Asks by GET; all of it, the body too, within `timeout`.
    pub async fn get(&self, url: &str, timeout: Duration) -> Result<Answer, Failed> {
        let request = Request::new(Method::GET, self.check(url)?);
        self.ask(request, timeout).await
    }

    /// Asks by POST with a JSON body; all of it, the answer's body too, within `timeout`.
    pub async fn post_json(
        &self,
        url: &str,
        body: &serde_json::Value,
        timeout: Duration,
    ) -> Result<Answer, Failed> {
        let mut request = Request::new(Method::POST, self.check(url)?);
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        *request.body_mut() = Some(body.to_string().into());
        self.ask(request, timeout).await
    }

    /// The URL, its address judged where it names one: no resolver is asked for those.
    fn check(&self, url: &str) -> Result<Url, Failed> {
        let url = Url::parse(url).map_err(|_unsaid| Failed::Url)?;
        let has_user = !url.username().is_empty() || url.password().is_some();
        if !matches!(url.scheme(), "http" | "https") || has_user {
            return Err(Failed::Url);
        }
        let host = url.host_str().ok_or(Failed::Url)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(address) if !self.targets.admits(bare, address) => Err(Failed::Refused),
            _ => Ok(url),
        }
    }

    async fn ask(&self, request: Request, timeout: Duration) -> Result<Answer, Failed> {
        let answer = async {
            let response = self.client.execute(request).await;
            read(response.map_err(|error| failed(&error))?).await
        };
        // On the heap: the future of a request is large, and callers keep it in theirs.
        let answer = time::timeout(timeout, Box::pin(answer)).await;
        answer.unwrap_or(Err(Failed::Late))
    }
}

fn builder(targets: &Arc<Targets>, lookup: &Lookup) -> ClientBuilder {
    Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .dns_resolver(Judge::new(targets.clone(), lookup.clone()))
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
}

/// Reads by chunk, and no further than the bound.
async fn read(mut response: Response) -> Result<Answer, Failed> {
    let status = response.status().as_u16();
    if response
        .content_length()
        .is_some_and(|length| length > MOST_BYTES as u64)
    {
        return Err(Failed::TooLarge);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(Failed::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    let body = body.freeze();
    Ok(Answer { status, body })
}

/// The step that failed. Only what happens before a request is sent is told with its cause: later ones may
/// repeat what the server said.
fn failed(error: &reqwest::Error) -> Failed {
    match causes(error).find_map(|cause| cause.downcast_ref::<Lost>()) {
        Some(Lost::Refused) => Failed::Refused,
        Some(Lost::Unknown) => Failed::Resolve,
        None if error.is_connect() => Failed::Connect(cause(error)),
        None if error.is_builder() => Failed::Url,
        None => Failed::Broken,
    }
}

/// The innermost cause; the outer ones name the URL.
fn cause(error: &reqwest::Error) -> String {
    let innermost = causes(error).last();
    innermost.map_or_else(|| "the cause is unknown".to_owned(), ToString::to_string)
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&error| error.source())
}

#[cfg(test)]
mod tests;
