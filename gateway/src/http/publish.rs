//! `POST /publish`: one message or a list of them, all admitted or none.
//!
//! Owns: the order of a publication's steps, and the answer for each message. Never: numbers or sends. Used by:
//! `http`.

mod admit;
mod body;
mod key;

use super::request::publish::{Form, Item, PublishRequest, idempotency_key};
use super::{Asked, InPath, Refusal, Routes};
use crate::access::Grant;
use crate::broker::{Idempotency, OWN_KEY_TTL, Publication, PublishError, Published};
use crate::clock;
use crate::message::Message;
use crate::metrics::Source;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use crds::name::{ChannelName, Topic};
use crds::policy::Policy;
use http::{HeaderValue, Method};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A publisher's own key is remembered this long.
const KEY_TTL: Duration = Duration::from_secs(5 * 60);

/// The answer about one message.
#[derive(Serialize)]
struct Answer<'a> {
    channel: &'a str,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Outcome {
    Published { id: String, position: String },
    Failed { error: &'static str },
}

/// A message with the Channel that owns its topic.
struct Post {
    policy: Arc<Policy>,
    topic: Topic,
    message: Message,
}

/// Publishes what is posted.
pub async fn route(Shared(state): Shared<Routes>, in_path: InPath, request: Request) -> Response {
    let (mut asked, body) = Asked::new(state, in_path, request);
    match asked.parts.method {
        Method::POST => {}
        Method::OPTIONS => return asked.preflight(),
        _ => return asked.refuse(&Refusal::Method("POST, OPTIONS")),
    }
    match publish(&mut asked, body).await {
        Ok((json, replayed)) => {
            let mut response = asked.json(json);
            if replayed {
                response
                    .headers_mut()
                    .insert("idempotency-replayed", HeaderValue::from_static("true"));
            }
            response
        }
        Err(refusal) => asked.refuse(&refusal),
    }
}

async fn publish(asked: &mut Asked, body: Body) -> Result<(Vec<u8>, bool), Refusal> {
    let key = idempotency_key(&asked.parts.headers)?.map(str::to_owned);
    let form = Form::parse(&asked.query, &asked.parts.headers)?;
    asked.snapshot()?;
    // A raw body belongs to topics that are known before it is read: who may not publish there sends nothing.
    let (grant, request) = match form {
        Form::Raw(raw) => {
            let grant = admit::all(asked, raw.topics.iter()).await?;
            let limits = grant.channels();
            let limit = limits.map(|(policy, _)| policy.limits.message_bytes).min();
            let body = body::read(body, limit.unwrap_or(0)).await?;
            (grant, raw.with(body)?)
        }
        Form::Json => {
            let body = body::list(asked, body).await?;
            let request = PublishRequest::from_json(&body)?;
            let topics = request.items.iter().map(|item| &item.topic);
            (admit::all(asked, topics).await?, request)
        }
    };
    let grant = asked.still(grant)?;
    let batch = request.batch;
    let posts = find_owners(&grant, asked, request.items)?;
    take_rate(asked, &posts)?;
    send(asked, &posts, batch, key.as_deref(), &grant).await
}

/// Each message with its Channel, of which it keeps the limits.
fn find_owners(grant: &Grant, asked: &Asked, items: Vec<Item>) -> Result<Vec<Post>, Refusal> {
    let namespace = asked.namespace.as_str();
    let owner = |topic: &Topic| {
        let mut channels = grant.channels().map(|(policy, _)| policy);
        channels
            .find(|policy| **policy.channel.namespace() == *namespace && policy.owns(topic))
            .cloned()
    };
    let mut posts = Vec::with_capacity(items.len());
    for Item { topic, message } in items {
        let policy = owner(&topic).ok_or_else(|| Refusal::UnknownTopic(topic.to_string()))?;
        let limit = policy.limits.message_bytes;
        if message.data().len() > limit {
            return Err(Refusal::TooLarge {
                what: "The data of a message",
                limit,
            });
        }
        posts.push(Post {
            policy,
            topic,
            message,
        });
    }
    Ok(posts)
}

/// Takes what the second allows in every Channel, or nothing.
fn take_rate(asked: &Asked, posts: &[Post]) -> Result<(), Refusal> {
    let mut counts: HashMap<_, (&Policy, u32)> = HashMap::new();
    for post in posts {
        counts
            .entry(&post.policy.channel)
            .or_insert((&post.policy, 0))
            .1 += 1;
    }
    let now = clock::now().steady;
    let mut taken = Vec::with_capacity(counts.len());
    for (policy, count) in counts.into_values() {
        if let Err(wait) = asked.state.limits.publish(policy, count, now) {
            taken
                .into_iter()
                .for_each(|(policy, count)| asked.state.limits.unpublish(policy, count));
            return Err(Refusal::Rate(wait));
        }
        taken.push((policy, count));
    }
    Ok(())
}

/// Publishes in the order of the list; what fails in a list fails alone.
async fn send(
    asked: &Asked,
    posts: &[Post],
    batch: bool,
    key: Option<&str>,
    grant: &Grant,
) -> Result<(Vec<u8>, bool), Refusal> {
    let identity = grant.identity().map_or("", |identity| identity);
    let mut answers = Vec::with_capacity(posts.len());
    let mut replayed = true;
    let mut out_of_reach: Vec<&ChannelName> = Vec::new();
    for (index, post) in posts.iter().enumerate() {
        let channel = &post.policy.channel;
        let published = if out_of_reach.contains(&channel) {
            // Each further try could take seconds, and would overtake what came before it.
            Err(PublishError::Refused("an earlier message failed".into()))
        } else {
            let key = key.map(|key| key::of(key, index, identity));
            send_one(asked, post, key).await
        };
        if matches!(
            published,
            Err(PublishError::Busy
                | PublishError::OutcomeUnknown(_)
                | PublishError::Declined(_)
                | PublishError::Refused(_))
        ) {
            out_of_reach.push(channel);
        }
        let outcome = match published {
            Ok(published) => {
                replayed &= published.replayed;
                let position = published.position.to_string();
                let id = post
                    .message
                    .id()
                    .map_or_else(|| position.clone(), str::to_owned);
                Outcome::Published { id, position }
            }
            Err(error) => {
                replayed = false;
                let refusal = Refusal::from(error);
                if !batch {
                    return Err(refusal);
                }
                let error = refusal.word();
                let refusals = &asked.state.metrics.refusals;
                refusals.with_label_values(&[error]).inc();
                Outcome::Failed { error }
            }
        };
        answers.push(Answer {
            channel: post.topic.as_str(),
            outcome,
        });
    }
    let json = match answers.first() {
        Some(answer) if !batch => serde_json::to_vec(answer),
        _ => serde_json::to_vec(&serde_json::json!({ "results": answers })),
    };
    Ok((json.unwrap_or_default(), replayed))
}

async fn send_one(
    asked: &Asked,
    post: &Post,
    own_key: Option<String>,
) -> Result<Published, PublishError> {
    let state = &asked.state;
    let target = state.topics.target(&post.policy, &post.topic);
    let metrics = target.metrics.clone();
    let key = match own_key {
        Some(key) => Idempotency {
            key,
            content: key::content(&post.message),
            ttl: KEY_TTL,
        },
        None => Idempotency {
            key: state.chance.key(),
            content: String::new(),
            ttl: OWN_KEY_TTL,
        },
    };
    let time = clock::now().unix;
    let published = state
        .topics
        .publish(Publication {
            target,
            message: post.message.clone(),
            time,
            key,
        })
        .await;
    match &published {
        Ok(Published {
            replayed: false, ..
        }) => metrics.published[Source::Post as usize].inc(),
        Ok(_) => {}
        Err(error) => tracing::debug!(%error, "a message was not published"),
    }
    published
}
