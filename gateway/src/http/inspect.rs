//! `GET /history` and `GET /presence`: what is kept, and who listens.
//!
//! Owns: the form of both answers. Never: reads history itself. Used by: `http`.

use super::request::{HistoryRequest, PresenceRequest};
use super::{Asked, InPath, Refusal, Routes};
use crate::access::{Action, Ask, Subject};
use crate::broker::{Newest, Pick, Target};
use crate::close::CloseReason;
use crate::frame::Frame;
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use crds::name::Topic;
use http::Method;
use serde::Serialize;

/// Bytes of data in one answer; of more only the newest come, but one always does.
const HISTORY_BYTES: usize = 4 * 1024 * 1024;

#[derive(Serialize)]
struct History<'a> {
    channel: &'a str,
    position: String,
    messages: Vec<Kept<'a>>,
}

#[derive(Serialize)]
struct Kept<'a> {
    id: String,
    position: String,
    #[serde(rename = "type")]
    kind: &'a str,
    time: u64,
    data: &'a str,
}

#[derive(Serialize)]
struct Listeners<'a> {
    channel: &'a str,
    streams: u64,
    identities: Vec<&'a str>,
    complete: bool,
}

/// The newest messages kept, oldest first; whoever may listen may read them.
pub async fn history(Shared(state): Shared<Routes>, in_path: InPath, request: Request) -> Response {
    answer(Asked::new(state, in_path, request).0, async |asked| {
        let HistoryRequest { topic, limit } = HistoryRequest::parse(&asked.query)?;
        let target = admit(asked, &topic, Action::Subscribe).await?;
        let pick = Pick::Last {
            messages: limit,
            bytes: HISTORY_BYTES,
        };
        let newest = asked
            .state
            .topics
            .newest(&target, pick)
            .await
            .map_err(|error| {
                tracing::debug!(%error, "history cannot be read");
                asked.passing(CloseReason::Unavailable, target.policy.stream.retry)
            })?;
        Ok(serde_json::to_vec(&shown(&topic, &newest)).unwrap_or_default())
    })
    .await
}

/// The position is where a stream goes on after the last message told.
fn shown<'a>(topic: &'a Topic, newest: &'a Newest) -> History<'a> {
    let position = newest.frames.last().and_then(|frame| frame.position());
    let position = position.unwrap_or_else(|| newest.lineage.position());
    History {
        channel: topic.as_str(),
        position: position.to_string(),
        messages: newest.frames.iter().map(|frame| kept(frame)).collect(),
    }
}

fn kept(frame: &Frame) -> Kept<'_> {
    let position = frame
        .position()
        .map(|position| position.to_string())
        .unwrap_or_default();
    let message = frame.message();
    Kept {
        id: message.id().map_or_else(|| position.clone(), str::to_owned),
        position,
        kind: message.kind().unwrap_or("message"),
        time: frame.time(),
        data: message.data(),
    }
}

/// Who listens over all gateways; it names people, so it takes the right to publish.
pub async fn presence(
    Shared(state): Shared<Routes>,
    in_path: InPath,
    request: Request,
) -> Response {
    answer(Asked::new(state, in_path, request).0, async |asked| {
        let PresenceRequest { topic } = PresenceRequest::parse(&asked.query)?;
        let target = admit(asked, &topic, Action::Publish).await?;
        let presence = asked.state.topics.presence(&target).await;
        let listeners = Listeners {
            channel: topic.as_str(),
            streams: presence.streams,
            identities: presence.identities.iter().map(|name| &**name).collect(),
            complete: presence.complete,
        };
        Ok(serde_json::to_vec(&listeners).unwrap_or_default())
    })
    .await
}

async fn answer(
    mut asked: Asked,
    ask: impl AsyncFnOnce(&mut Asked) -> Result<Vec<u8>, Refusal>,
) -> Response {
    match asked.parts.method {
        Method::GET => {}
        Method::OPTIONS => return asked.preflight(),
        _ => return asked.refuse(&Refusal::Method("GET, OPTIONS")),
    }
    match ask(&mut asked).await {
        Ok(json) => asked.json(json),
        Err(refusal) => asked.refuse(&refusal),
    }
}

async fn admit(asked: &mut Asked, topic: &Topic, action: Action) -> Result<Target, Refusal> {
    let snapshot = asked.snapshot()?;
    let policy = snapshot
        .find(&asked.namespace, topic)
        .ok_or_else(|| Refusal::UnknownTopic(topic.to_string()))?;
    let verdict = asked.judge_origin([policy])?;
    let asks = [Ask {
        policy: policy.clone(),
        subject: Subject::Topic(topic.clone()),
    }];
    let presented = asked.presented(action, &asks, verdict)?;
    let grant = asked.decide(action, &asks, &presented).await?;
    asked.still(grant)?;
    Ok(asked.state.topics.target(policy, topic))
}
