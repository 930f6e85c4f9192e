//! `GET /stream`: who asks for what, and the connection becomes a stream.
//!
//! Owns: the order in which a stream is asked, decided, counted, joined and handed over. Never: writes it.
//! Used by: `http`.

use super::channels::{self, Wanted};
use super::request::{Begin, SubscribeRequest};
use super::{Asked, InPath, Refusal, Routes, Verdict, start};
use crate::access::{Action, Ask, Grant, Subject};
use crate::broker::{Target, Unavailable};
use crate::clock;
use crate::close::CloseReason;
use crate::limits::{Client, Permit};
use crate::message::Session;
use crate::readiness::Phase;
use crate::worker::opening::{Filter, Handover, Joined, Opening, Subscription};
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use http::{HeaderMap, Method, header};
use std::time::Duration;

/// Percent of `maxAge` and `retry` between which a stream's own lie, lest all come back together.
const AGE_JITTER: [u32; 2] = [80, 120];
const RETRY_JITTER: [u32; 2] = [50, 150];

/// Answers only when no stream opens: otherwise the worker writes the response.
pub async fn route(Shared(state): Shared<Routes>, in_path: InPath, request: Request) -> Response {
    let (mut asked, _body) = Asked::new(state, in_path, request);
    match asked.parts.method {
        Method::GET => {}
        Method::OPTIONS => return asked.preflight(),
        _ => return asked.refuse(&Refusal::Method("GET, OPTIONS")),
    }
    let event_stream = wants_events(&asked.parts.headers);
    let refusal = match open(&mut asked).await {
        Ok((handover, opening)) => {
            // Only a connection that cannot be handed over comes back from here.
            handover.open(opening).await;
            Refusal::Internal("a connection was handed over twice")
        }
        Err(refusal) => refusal,
    };
    asked.refuse_stream(&refusal, event_stream)
}

async fn open(asked: &mut Asked) -> Result<(Handover, Opening), Refusal> {
    if !accepts_events(&asked.parts.headers) {
        return Err(Refusal::NotAcceptable);
    }
    let request = SubscribeRequest::parse(&asked.query, &asked.parts.headers)?;
    let snapshot = asked.snapshot()?;
    let wanted = channels::find(&request.names, &asked.namespace, &snapshot)?;
    let verdict = asked.judge_origin(wanted.iter().map(|wanted| &wanted.policy))?;
    let grant = admit(asked, &wanted, verdict).await?;
    let retry = wanted
        .iter()
        .map(|wanted| wanted.policy.stream.retry)
        .max()
        .unwrap_or_default();
    if matches!(*asked.state.phase.borrow(), Phase::Closing { .. }) {
        return Err(asked.passing(CloseReason::Draining, retry));
    }
    let permit = take_place(asked, &grant).map_err(|reason| asked.passing(reason, retry))?;
    let opening = prepare(asked, &request, wanted, grant, permit).await;
    let opening = opening.map_err(|reason| asked.passing(reason, retry))?;
    let handover = asked.parts.extensions.get::<Handover>().cloned();
    let handover = handover.ok_or(Refusal::Internal("a request without a connection"))?;
    Ok((handover, opening))
}

async fn admit(asked: &Asked, wanted: &[Wanted], verdict: Verdict) -> Result<Grant, Refusal> {
    let asks: Vec<Ask> = wanted.iter().map(Wanted::ask).collect();
    let presented = asked.presented(Action::Subscribe, &asks, verdict)?;
    asked.decide(Action::Subscribe, &asks, &presented).await
}

/// Takes a place in each Channel, for the verified identity or else the address.
fn take_place(asked: &Asked, grant: &Grant) -> Result<Permit, CloseReason> {
    if asked.peer.full {
        return Err(CloseReason::Capacity);
    }
    let channels = grant.channels().map(|(policy, identity)| {
        let client = identity
            .cloned()
            .map(Client::Identity)
            .or(asked.visitor.address.map(Client::at));
        if client.is_none() && policy.limits.streams_per_client.is_some() {
            asked.state.limits.tell_uncounted(asked.peer.addr.ip());
        }
        (&**policy, client)
    });
    asked.state.limits.stream(channels)
}

async fn prepare(
    asked: &Asked,
    request: &SubscribeRequest,
    wanted: Vec<Wanted>,
    grant: Grant,
    permit: Permit,
) -> Result<Opening, CloseReason> {
    let unavailable = |error: Unavailable| {
        tracing::debug!(%error, "a stream cannot open now");
        CloseReason::Unavailable
    };
    let state = &asked.state;
    let targets: Vec<Target> = wanted
        .iter()
        .map(|wanted| match &wanted.subject {
            Subject::Topic(topic) => state.topics.target(&wanted.policy, topic),
            Subject::Feed => state.topics.feed(&wanted.policy),
        })
        .collect();
    for target in &targets {
        state.topics.reach(target).await.map_err(unavailable)?;
    }
    if !state.topics.have_places(&targets) {
        return Err(CloseReason::Capacity);
    }
    let joined = state.door.join(&targets).await.map_err(unavailable)?;
    let lineages: Vec<_> = joined.iter().map(Joined::lineage).collect();
    let starts = start::find(
        &request.begin,
        &targets,
        &lineages,
        &state.topics,
        clock::now(),
    )
    .await
    .map_err(unavailable)?;
    let policies = || wanted.iter().map(|wanted| &wanted.policy.stream);
    let heartbeat = policies()
        .map(|stream| stream.heartbeat)
        .min()
        .unwrap_or_default();
    let retry = policies()
        .map(|stream| stream.retry)
        .max()
        .unwrap_or_default();
    let max_age = policies().filter_map(|stream| stream.max_age).min();
    let scaled = |time: Duration, [low, high]: [u32; 2]| state.chance.scaled(time, low, high);
    let session = named_session(asked, request.control, &wanted);
    let subscriptions =
        joined
            .into_iter()
            .zip(starts)
            .zip(wanted)
            .map(|((joined, start), wanted)| Subscription {
                joined,
                start,
                filter: (!wanted.selectors.is_empty()).then(|| Filter::new(wanted.selectors)),
            });
    let recheck = grant.recheck();
    Ok(Opening {
        head: asked.lines.clone().unwrap_or_default(),
        subscriptions: subscriptions.collect(),
        grant,
        permit,
        envelope: request.envelope,
        control: request.control,
        session,
        resumed: request.begin != Begin::Live,
        heartbeat,
        retry: scaled(retry, RETRY_JITTER),
        max_age: max_age.map(|age| scaled(age, AGE_JITTER)),
        recheck: recheck.map(|time| scaled(time, AGE_JITTER)),
    })
}

/// Sessions are for those who can get to know them: pages with `control`, and publishers over Juggernaut.
fn named_session(asked: &Asked, control: bool, wanted: &[Wanted]) -> Option<Session> {
    let heard = wanted.iter().any(|wanted| wanted.policy.ingest.juggernaut);
    (control || heard).then(|| asked.state.chance.session())
}

/// Whether the client takes a stream at all.
fn accepts_events(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::ACCEPT).iter().peekable();
    lines.peek().is_none()
        || lines.any(|line| {
            let ranges = line.to_str().unwrap_or_default().split(',');
            ranges
                .map(essence)
                .any(|range| matches!(range.as_str(), "text/event-stream" | "text/*" | "*/*"))
        })
}

/// Whether an EventSource asks: it names the type itself.
fn wants_events(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|line| {
        let ranges = line.to_str().unwrap_or_default().split(',');
        ranges
            .map(essence)
            .any(|range| range == "text/event-stream")
    })
}

fn essence(range: &str) -> String {
    range
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}
