//! The public port: what is asked there, and how it is answered.
//!
//! Owns: the routes and what all of them share. Never: writes to streams, a worker does; decides access
//! (`access`) or encodes messages (`frame`). Each worker has a router of its own. Used by: `app`.

pub mod chance;
mod channels;
mod client;
mod cors;
mod inspect;
mod publish;
mod query;
mod refusal;
mod request;
mod start;
mod stream;
#[cfg(test)]
mod tests;

use crate::access::{Action, Again, Ask, Denial, Facts, Grant, Request as Presented};
use crate::clock;
use crate::close::CloseReason;
use crate::config::Watch;
use crate::evidence::{Evidence as Source, Outcome};
use crate::limits::Limits;
use crate::metrics::{Denied, Metrics};
use crate::readiness::Phase;
use crate::topics::Topics;
use crate::worker::opening::{Door, Peer};
use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State as Shared};
use axum::response::Response;
use axum::routing::any;
use chance::Chance;
use client::Visitor;
use cors::{Lines, Site, Verdict};
use crds::policy::Policy;
use crds::snapshot::Snapshot;
use http::{HeaderValue, Method, StatusCode, header, request::Parts};
use ipnet::IpNet;
use query::Query;
use refusal::{Passing, Refusal};
use request::evidence::Evidence;
use request::{Bad, preflight_names};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// When to come back while nothing is known of the Channel.
const USUAL_RETRY: Duration = Duration::from_secs(2);
/// When to come back to a place that is full; it needs others to leave first.
const FULL_RETRY: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(45)];

/// What the flags say about requests.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespace of paths that name none.
    pub default_namespace: String,
    /// Whose `X-Forwarded-*` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The cookie that may carry a token.
    pub cookie: String,
}

/// What the routes of one worker work with.
pub struct State {
    pub snapshots: Watch,
    pub phase: watch::Receiver<Phase>,
    pub topics: Arc<Topics>,
    pub limits: Arc<Limits>,
    pub metrics: Arc<Metrics>,
    pub evidence: Arc<Source>,
    pub door: Door,
    pub chance: Chance,
    pub settings: Settings,
}

type Routes = Arc<State>;

/// The router of one worker.
pub fn router(state: State) -> Router {
    for word in Refusal::WORDS {
        state.metrics.refusals.with_label_values(&[word]);
    }
    Router::new()
        .route("/stream", any(stream::route))
        .route("/publish", any(publish::route))
        .route("/history", any(inspect::history))
        .route("/presence", any(inspect::presence))
        .route("/{namespace}/stream", any(stream::route))
        .route("/{namespace}/publish", any(publish::route))
        .route("/{namespace}/history", any(inspect::history))
        .route("/{namespace}/presence", any(inspect::presence))
        .fallback(unknown)
        .with_state(Arc::new(state))
}

async fn unknown(Shared(state): Shared<Routes>, request: Request) -> Response {
    let (asked, _body) = Asked::new(state, Ok(None), request);
    asked.refuse(&Refusal::UnknownPath)
}

/// A request as every route sees it.
struct Asked {
    state: Routes,
    namespace: String,
    query: Query,
    parts: Parts,
    peer: Peer,
    visitor: Visitor,
    site: Site,
    /// Lines of the answer about its origin; none as long as that is not judged.
    lines: Option<Lines>,
}

/// The namespace in the path, if the path has one; the error: it is no text.
type InPath = Result<Option<Path<String>>, PathRejection>;

impl Asked {
    fn new(state: Routes, in_path: InPath, request: Request) -> (Self, Body) {
        let (parts, body) = request.into_parts();
        let peer = parts.extensions.get::<Peer>().copied().unwrap_or(Peer {
            addr: ([0, 0, 0, 0], 0).into(),
            tls: false,
            full: false,
        });
        let visitor = client::visitor(&peer, &parts.headers, &state.settings.trusted_proxies);
        let site = Site::of(&parts.headers, &parts.uri, visitor.https);
        let namespace = match in_path {
            Ok(Some(Path(name))) => name,
            Ok(None) => state.settings.default_namespace.clone(),
            // No namespace has such a name, so nothing will be found in it.
            Err(_not_text) => String::new(),
        };
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        (
            Self {
                state,
                namespace,
                query,
                parts,
                peer,
                visitor,
                site,
                lines: None,
            },
            body,
        )
    }

    /// The Channels in force.
    fn snapshot(&mut self) -> Result<Arc<Snapshot>, Refusal> {
        let snapshot = self.state.snapshots.borrow().clone();
        snapshot.ok_or_else(|| {
            // Whose origins are listed is not known yet, and this answer holds nothing to protect.
            self.lines = Some(self.site.lines(Verdict::Listed));
            self.passing(CloseReason::Starting, USUAL_RETRY)
        })
    }

    /// What will pass, with the time to come back.
    fn passing(&self, reason: CloseReason, retry: Duration) -> Refusal {
        let chance = &self.state.chance;
        let retry = match reason {
            CloseReason::Capacity | CloseReason::ClientLimit => {
                chance.between(FULL_RETRY[0], FULL_RETRY[1])
            }
            _ => chance.scaled(retry, 100, 300),
        };
        Refusal::Passing(Passing { reason, retry })
    }

    /// Judges the page's origin by the Channels that are asked for.
    fn judge_origin<'a>(
        &mut self,
        policies: impl IntoIterator<Item = &'a Arc<Policy>>,
    ) -> Result<Verdict, Refusal> {
        let mut policies = policies.into_iter().peekable();
        let first = policies.peek().map(|policy| policy.channel.clone());
        let verdict = self
            .site
            .judge_all(policies.map(|policy| &policy.access.origins));
        self.lines = Some(self.site.lines(verdict));
        if verdict != Verdict::Refused {
            return Ok(verdict);
        }
        if let Some(channel) = first {
            self.count_denied(&channel, self.action(), Denied::Origin);
        }
        let origin = self.parts.headers.get(header::ORIGIN);
        let origin = origin.map_or("", |origin| origin.to_str().unwrap_or("?"));
        Err(Refusal::Origin(origin.chars().take(100).collect()))
    }

    fn action(&self) -> Action {
        if self.parts.method == Method::POST {
            Action::Publish
        } else {
            Action::Subscribe
        }
    }

    /// The token that was sent.
    fn evidence(&self) -> Result<Evidence, Bad> {
        Evidence::parse(
            &self.query,
            &self.parts.headers,
            &self.state.settings.cookie,
        )
    }

    /// What the rules of `asks` read of this request. Tokens are looked at only where a rule reads them: a
    /// site-wide cookie must not break an anonymous Channel.
    fn presented(
        &self,
        action: Action,
        asks: &[Ask],
        verdict: Verdict,
    ) -> Result<Presented, Refusal> {
        let mut presented = Presented::default();
        if asks.iter().any(|ask| action.reads_tokens(&ask.policy)) {
            let evidence = self.evidence()?;
            let posted = self.parts.method == Method::POST;
            if posted && evidence.from_cookie && self.site == Site::Absent {
                return Err(Refusal::CookieWithoutOrigin);
            }
            presented.token = evidence.token(verdict != Verdict::Any);
        }
        if asks.iter().any(|ask| action.reads_requests(&ask.policy)) {
            presented.facts = Some(Arc::new(self.facts()));
        }
        Ok(presented)
    }

    fn facts(&self) -> Facts {
        let mut facts = Facts {
            ip: self
                .visitor
                .address
                .unwrap_or(self.peer.addr.ip().to_canonical())
                .to_string()
                .into(),
            path: self.parts.uri.path().into(),
            ..Facts::default()
        };
        for (name, value) in &self.parts.headers {
            if matches!(*name, header::AUTHORIZATION | header::COOKIE) {
                continue;
            }
            let value = String::from_utf8_lossy(value.as_bytes());
            let known = facts.headers.entry(name.as_str().into()).or_default();
            *known = if known.is_empty() {
                value.into()
            } else {
                format!("{known}, {value}").into()
            };
        }
        facts.origin = facts.headers.get("origin").cloned().unwrap_or_default();
        facts
    }

    /// Decides by what is presented.
    async fn decide(
        &self,
        action: Action,
        asks: &[Ask],
        presented: &Presented,
    ) -> Result<Grant, Refusal> {
        match self.state.evidence.decide(action, asks, presented).await {
            Outcome::Granted(grant) => Ok(grant),
            Outcome::Denied(denial) => Err(self.denied(action, &denial)),
            Outcome::Unreachable => {
                let retries = asks.iter().map(|ask| ask.policy.stream.retry);
                let retry = retries.max().unwrap_or(USUAL_RETRY);
                Err(self.passing(CloseReason::Unavailable, retry))
            }
        }
    }

    /// The grant, if nothing changed while it took time to get here: a reviewer was asked, a body was read. What
    /// did change is decided when the client comes again.
    fn still(&mut self, grant: Grant) -> Result<Grant, Refusal> {
        let snapshot = self.snapshot()?;
        let now = clock::now();
        let expired = grant.expires().is_some_and(|expires| expires <= now.unix);
        match grant.again(&snapshot, &self.state.evidence.known(now)) {
            Again::Unchanged if !expired => Ok(grant),
            Again::Renewed(grant) if !expired => Ok(grant),
            Again::Unchanged | Again::Renewed(_) | Again::Ended(_) => {
                Err(self.passing(CloseReason::Unavailable, USUAL_RETRY))
            }
        }
    }

    fn denied(&self, action: Action, denial: &Denial) -> Refusal {
        self.count_denied(&denial.ask.policy.channel, action, denial.reason);
        Refusal::Denied {
            reason: denial.reason,
            topic: denial.ask.name().to_owned(),
            action: action.word(),
        }
    }

    fn count_denied(&self, channel: &crds::name::ChannelName, action: Action, reason: Denied) {
        let metrics = self.state.metrics.channel(channel);
        let index = match action {
            Action::Subscribe => 0,
            Action::Publish => 1,
        };
        metrics.denied[index][reason as usize].inc();
    }

    /// The union of what the namespace's Channels say about the page's origin.
    fn judge_namespace(&self) -> Verdict {
        let Some(snapshot) = &*self.state.snapshots.borrow() else {
            // As in `snapshot`; the request itself is judged when it comes.
            return Verdict::Listed;
        };
        let policies = snapshot.policies().iter();
        let here = policies.filter(|policy| **policy.channel.namespace() == *self.namespace);
        self.site
            .judge_any(here.map(|policy| &policy.access.origins))
    }

    /// The answer to a preflight: for the Channels that the query names, or any of the namespace.
    fn preflight(mut self) -> Response {
        let names = preflight_names(&self.query);
        let snapshot = self.state.snapshots.borrow().clone();
        let named = snapshot
            .filter(|_| !names.is_empty())
            .and_then(|snapshot| channels::find(&names, &self.namespace, &snapshot).ok());
        let verdict = match named {
            None => self.judge_namespace(),
            Some(named) => {
                let origins = named.iter().map(|wanted| &wanted.policy.access.origins);
                self.site.judge_all(origins)
            }
        };
        let mut lines = self.site.lines(verdict);
        if verdict != Verdict::Refused {
            lines.extend(cors::preflight());
        }
        self.lines = Some(lines);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        self.finish(response)
    }

    fn refuse(self, refusal: &Refusal) -> Response {
        self.refuse_stream(refusal, false)
    }

    /// The same; `event_stream`: an EventSource asked, which any status but 200 would stop for good.
    fn refuse_stream(self, refusal: &Refusal, event_stream: bool) -> Response {
        let response = refusal.answer(event_stream, &self.state.metrics);
        self.finish(response)
    }

    /// A JSON answer.
    fn json(self, body: Vec<u8>) -> Response {
        let mut response = Response::new(Body::from(body));
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self.finish(response)
    }

    /// Adds what every answer has.
    fn finish(mut self, mut response: Response) -> Response {
        let lines = self.lines.take();
        for (name, value) in lines.unwrap_or_else(|| self.site.lines(self.judge_namespace())) {
            response.headers_mut().append(name, value);
        }
        let stays = *self.state.phase.borrow() == Phase::Serving && !self.peer.full;
        if !stays {
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
