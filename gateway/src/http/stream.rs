//! `GET /stream`: who asks for what, and the connection becomes a stream.
//!
//! Owns: the order in which a stream is asked, decided, counted, joined and handed over. Never: writes it.
//! Used by: `http`.

use super::{Asked, InPath, Refusal, Routes, Verdict, start};
use crate::access::{Action, Ask, Grant, Subject};
use crate::broker::Target;
use crate::clock;
use crate::close::CloseReason;
use crate::limits::{Client, Permit};
use crate::message::Session;
use crate::readiness::Phase;
use crate::worker::opening::{Filter, Handover, Opening, Selector, Subscription};
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use crds::name::Topic;
use crds::pattern::TopicPattern;
use crds::policy::Policy;
use crds::snapshot::Snapshot;
use http::{HeaderMap, Method, header};
use std::sync::Arc;
use std::time::Duration;

use super::request::{Begin, Name, SubscribeRequest};

/// Percent of `maxAge` and `retry` between which a stream's own lie, lest all come back together.
const AGE_JITTER: [u32; 2] = [80, 120];
const RETRY_JITTER: [u32; 2] = [50, 150];

/// What a stream listens to: a topic, or the feed of a Channel as far as its selectors want it.
struct Wanted {
    policy: Arc<Policy>,
    subject: Subject,
    selectors: Vec<Selector>,
}

/// Answers only when no stream opens: otherwise the worker writes the response.
pub async fn route(Shared(state): Shared<Routes>, in_path: InPath, request: Request) -> Response {
    let (mut asked, _body) = Asked::new(state, in_path, request);
    match asked.parts.method {
        Method::GET => {}
        Method::OPTIONS => return asked.preflight(),
        _ => return asked.refuse(&Refusal::Method("GET, OPTIONS")),
    }
    let refusal = match open(&mut asked).await {
        Ok((handover, opening)) => {
            // Only a connection that cannot be handed over comes back from here.
            handover.open(opening).await;
            Refusal::Internal("a connection was handed over twice")
        }
        Err(refusal) => refusal,
    };
    asked.refuse(&refusal)
}

async fn open(asked: &mut Asked) -> Result<(Handover, Opening), Refusal> {
    if !accepts_events(&asked.parts.headers) {
        return Err(Refusal::NotAcceptable);
    }
    let request = SubscribeRequest::parse(&asked.query, &asked.parts.headers)?;
    let snapshot = asked.snapshot()?;
    let wanted = find_channels(&request.names, &asked.namespace, &snapshot)?;
    let verdict = asked.judge_origin(wanted.iter().map(|wanted| &wanted.policy))?;
    let grant = admit(asked, &wanted, verdict)?;
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
    let opening = opening.map_err(|error| {
        tracing::debug!(%error, "a stream cannot open now");
        asked.passing(CloseReason::Unavailable, retry)
    })?;
    let handover = asked.parts.extensions.get::<Handover>().cloned();
    let handover = handover.ok_or(Refusal::Internal("a request without a connection"))?;
    Ok((handover, opening))
}

fn admit(asked: &Asked, wanted: &[Wanted], verdict: Verdict) -> Result<Grant, Refusal> {
    let reads_tokens = wanted
        .iter()
        .any(|wanted| Action::Subscribe.reads_tokens(&wanted.policy));
    let evidence = if reads_tokens {
        asked.evidence()?.request(verdict != Verdict::Any)
    } else {
        super::Evidenced { token: None }
    };
    let asks = wanted.iter().map(|wanted| Ask {
        policy: wanted.policy.clone(),
        subject: wanted.subject.clone(),
    });
    asked.decide(Action::Subscribe, asks.collect(), &evidence)
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
) -> Result<Opening, crate::broker::Unavailable> {
    let state = &asked.state;
    let targets: Vec<Target> = wanted
        .iter()
        .map(|wanted| match &wanted.subject {
            Subject::Topic(topic) => state.topics.target(&wanted.policy, topic),
            Subject::Feed => state.topics.feed(&wanted.policy),
        })
        .collect();
    for target in &targets {
        state.topics.reach(target).await?;
    }
    let joined = state.door.join(&targets).await?;
    let lineages: Vec<_> = joined
        .iter()
        .map(crate::worker::opening::Joined::lineage)
        .collect();
    let starts = start::find(
        &request.begin,
        &targets,
        &lineages,
        &state.topics,
        clock::now(),
    )
    .await?;
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
    Ok(Opening {
        head: asked.lines.clone(),
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
    })
}

/// Sessions are for those who can get to know them: pages with `control`, and publishers over Juggernaut.
fn named_session(asked: &Asked, control: bool, wanted: &[Wanted]) -> Option<Session> {
    let heard = wanted.iter().any(|wanted| wanted.policy.ingest.juggernaut);
    (control || heard).then(|| asked.state.chance.session())
}

/// The Channels of `names`, in order of the names. What selectors ask for of a Channel with `wildcard`
/// becomes one place in its feed, together with topics of the same Channel, so nothing comes twice.
fn find_channels(
    names: &[Name],
    namespace: &str,
    snapshot: &Snapshot,
) -> Result<Vec<Wanted>, Refusal> {
    let mut wanted: Vec<Wanted> = Vec::with_capacity(names.len());
    for name in names {
        match name {
            Name::Topic(topic) => wanted.push(find_topic(topic, namespace, snapshot)?),
            Name::Starred { prefix, literal } => {
                let feeds: Vec<Wanted> = find_feeds(prefix, namespace, snapshot).collect();
                match literal {
                    _ if !feeds.is_empty() => wanted.extend(feeds),
                    Some(topic) => wanted.push(find_topic(topic, namespace, snapshot)?),
                    None => return Err(Refusal::UnknownTopic(name.text())),
                }
            }
        }
    }
    merge_feeds(&mut wanted);
    Ok(wanted)
}

fn find_topic(topic: &Topic, namespace: &str, snapshot: &Snapshot) -> Result<Wanted, Refusal> {
    let policy = snapshot
        .find(namespace, topic)
        .ok_or_else(|| Refusal::UnknownTopic(topic.to_string()))?;
    Ok(Wanted {
        policy: policy.clone(),
        subject: Subject::Topic(topic.clone()),
        selectors: Vec::new(),
    })
}

fn find_feeds<'a>(
    prefix: &'a str,
    namespace: &'a str,
    snapshot: &'a Snapshot,
) -> impl Iterator<Item = Wanted> + 'a {
    let reaches = move |pattern: &TopicPattern| {
        let own = pattern.prefix();
        own.starts_with(prefix) || (!pattern.is_literal() && prefix.starts_with(own))
    };
    let here = move |policy: &&Arc<Policy>| {
        policy.wildcard
            && **policy.channel.namespace() == *namespace
            && policy.topics.iter().any(reaches)
    };
    snapshot
        .policies()
        .iter()
        .filter(here)
        .map(move |policy| Wanted {
            policy: policy.clone(),
            subject: Subject::Feed,
            selectors: vec![Selector::Prefix(prefix.into())],
        })
}

/// Leaves one entry for each feed, with all that is wanted of its Channel.
fn merge_feeds(wanted: &mut Vec<Wanted>) {
    let feeds: Vec<_> = wanted
        .iter()
        .filter(|wanted| wanted.subject == Subject::Feed)
        .map(|wanted| wanted.policy.channel.clone())
        .collect();
    let mut kept: Vec<Wanted> = Vec::with_capacity(wanted.len());
    for next in std::mem::take(wanted) {
        if !feeds.contains(&next.policy.channel) {
            kept.push(next);
            continue;
        }
        let selectors = match next.subject {
            Subject::Topic(topic) => vec![Selector::Exact(topic)],
            Subject::Feed => next.selectors,
        };
        let feed = kept
            .iter_mut()
            .find(|kept| kept.policy.channel == next.policy.channel);
        match feed {
            Some(feed) => feed.selectors.extend(selectors),
            None => kept.push(Wanted {
                policy: next.policy,
                subject: Subject::Feed,
                selectors,
            }),
        }
    }
    *wanted = kept;
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
pub fn wants_events(headers: &HeaderMap) -> bool {
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
