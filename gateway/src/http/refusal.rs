//! How requests are turned away: every error becomes an answer here and nowhere else.
//!
//! Owns: status, word and advice of each refusal. What will pass is for an EventSource a stream that ends at
//! once and says when to come back, since any other status would stop it for good. Used by: the routes.
#![deny(clippy::wildcard_enum_match_arm)]

mod detail;

use super::request::Bad;
use crate::broker::{Declined, PublishError};
use crate::close::CloseReason;
use crate::frame::control;
use crate::metrics::{Denied, Metrics};
use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use std::time::Duration;

/// Where the words are explained; `type` of a problem is this and the word.
const TYPES: &str = "https://siar.dev/refusals/";
/// When to come back after what is not the Channel's own time: the queues of the workers, an outage.
const SOON: Duration = Duration::from_secs(2);
/// When to come back after a bound of the Channel that others must make room under.
const LATER: Duration = Duration::from_secs(15);

/// Why a request is turned away.
#[derive(Debug)]
pub enum Refusal {
    /// The input is wrong; the same request will always be.
    Malformed(Bad),
    /// No rule admits, for the named topic.
    Denied {
        reason: Denied,
        topic: String,
        action: &'static str,
    },
    /// The page's origin may not.
    Origin(String),
    /// A request without `Origin` that only a cookie speaks for.
    CookieWithoutOrigin,
    UnknownTopic(String),
    UnknownPath,
    Method(&'static str),
    /// The client does not take `text/event-stream`.
    NotAcceptable,
    BodyTimeout,
    TooLarge {
        what: &'static str,
        limit: usize,
    },
    /// The idempotency key was used for another message.
    KeyConflict,
    /// Too many publications in this second.
    Rate(Duration),
    Busy,
    OutcomeUnknown,
    /// What will pass.
    Passing(Passing),
    /// A bound of the Channel is reached; the text says which.
    Full(&'static str),
    /// The server said no: nothing was published.
    Declined(Declined),
    /// A mistake of ours.
    Internal(&'static str),
}

/// What will pass, and when a stream should come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passing {
    pub reason: CloseReason,
    pub retry: Duration,
}

/// The body of a refusal, RFC 9457.
#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: String,
}

impl Refusal {
    /// Every word, for metrics that must exist before they move.
    pub const WORDS: [&'static str; 29] = [
        "malformed",
        "two-tokens",
        "no-token",
        "bad-token",
        "not-admitted",
        "origin",
        "unknown-topic",
        "unknown-path",
        "method",
        "not-acceptable",
        "body-timeout",
        "too-large",
        "key-conflict",
        "rate",
        "busy",
        "outcome-unknown",
        "redis-full",
        "redis-disk",
        "redis-replicas",
        "redis-read-only",
        "redis-loading",
        "redis-denied",
        "redis-cluster",
        "draining",
        "capacity",
        "client-limit",
        "unavailable",
        "starting",
        "internal",
    ];

    /// The word in `type`, in the label `refusal` and in results of a batch.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Malformed(Bad::TwoTokens) => "two-tokens",
            Self::Malformed(_) => "malformed",
            Self::Denied { reason, .. } => reason.word(),
            Self::Origin(_) | Self::CookieWithoutOrigin => "origin",
            Self::UnknownTopic(_) => "unknown-topic",
            Self::UnknownPath => "unknown-path",
            Self::Method(_) => "method",
            Self::NotAcceptable => "not-acceptable",
            Self::BodyTimeout => "body-timeout",
            Self::TooLarge { .. } => "too-large",
            Self::KeyConflict => "key-conflict",
            Self::Rate(_) => "rate",
            Self::Busy => "busy",
            Self::OutcomeUnknown => "outcome-unknown",
            Self::Passing(passing) => passing.reason.word(),
            Self::Full(_) => CloseReason::Capacity.word(),
            Self::Declined(cause) => cause.word(),
            Self::Internal(_) => "internal",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Denied { reason, .. } => match reason {
                Denied::NoToken | Denied::BadToken => StatusCode::UNAUTHORIZED,
                Denied::NotAdmitted | Denied::Origin => StatusCode::FORBIDDEN,
            },
            Self::Origin(_) | Self::CookieWithoutOrigin => StatusCode::FORBIDDEN,
            Self::UnknownTopic(_) | Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::KeyConflict => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Rate(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy
            | Self::OutcomeUnknown
            | Self::Passing(_)
            | Self::Full(_)
            | Self::Declined(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What happened and what to do, for people.
    fn detail(&self) -> String {
        match self {
            Self::Malformed(bad) => format!("{bad}."),
            Self::Denied {
                reason,
                topic,
                action,
            } => detail::denied(*reason, topic, action),
            Self::Origin(origin) => format!(
                "Origin {origin:?} may not use this; add it to spec.access.origins of the Channel."
            ),
            Self::CookieWithoutOrigin => {
                "A cookie counts for publishing only together with Origin; send the token as Authorization: Bearer.".to_owned()
            }
            Self::UnknownTopic(topic) => format!(
                "No Channel of this namespace owns {topic:?}; check the name, the namespace in the path, and spec.topics."
            ),
            Self::UnknownPath => {
                "Nothing is here; the paths are /stream, /publish, /history and /presence, each also as /NAMESPACE/….".to_owned()
            }
            Self::Method(allowed) => format!("The method does not fit this path; use {allowed}."),
            Self::NotAcceptable => {
                "A stream is text/event-stream; allow it in Accept.".to_owned()
            }
            Self::BodyTimeout => "The body did not arrive in time; send it again.".to_owned(),
            Self::TooLarge { what, limit } => {
                format!("{what} is larger than {limit} bytes; make it smaller.")
            }
            Self::KeyConflict => {
                "The Idempotency-Key was used for another message; choose a new key for each message.".to_owned()
            }
            Self::Rate(_) => {
                "More messages than spec.limits.publishPerSecond of the Channel; wait as Retry-After says.".to_owned()
            }
            Self::Busy => "The streams cannot take more messages now; send it again.".to_owned(),
            Self::OutcomeUnknown => {
                "It is not known whether the message was published; repeat with the same Idempotency-Key.".to_owned()
            }
            Self::Passing(passing) => detail::passing(passing.reason).to_owned(),
            Self::Full(why) => (*why).to_owned(),
            Self::Declined(cause) => detail::declined(*cause).to_owned(),
            Self::Internal(_) => "A mistake of the gateway; its log says more.".to_owned(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rate(wait) => Some(*wait),
            Self::Busy | Self::OutcomeUnknown => Some(SOON),
            Self::Passing(passing) => Some(passing.retry),
            Self::Declined(cause) => Some(if cause.passes() { SOON } else { LATER }),
            Self::Full(_) => Some(LATER),
            Self::Malformed(_)
            | Self::Denied { .. }
            | Self::Origin(_)
            | Self::CookieWithoutOrigin
            | Self::UnknownTopic(_)
            | Self::UnknownPath
            | Self::Method(_)
            | Self::NotAcceptable
            | Self::BodyTimeout
            | Self::TooLarge { .. }
            | Self::KeyConflict
            | Self::Internal(_) => None,
        }
    }

    fn header(&self) -> Option<(HeaderName, &'static str)> {
        match self {
            Self::Method(allowed) => Some((ALLOW, *allowed)),
            Self::Denied { reason, .. } => {
                let challenge = match reason {
                    Denied::NoToken => "Bearer realm=\"siar\"",
                    Denied::BadToken => "Bearer realm=\"siar\", error=\"invalid_token\"",
                    Denied::NotAdmitted => "Bearer realm=\"siar\", error=\"insufficient_scope\"",
                    Denied::Origin => return None,
                };
                Some((WWW_AUTHENTICATE, challenge))
            }
            Self::Malformed(_)
            | Self::Origin(_)
            | Self::CookieWithoutOrigin
            | Self::UnknownTopic(_)
            | Self::UnknownPath
            | Self::NotAcceptable
            | Self::BodyTimeout
            | Self::TooLarge { .. }
            | Self::KeyConflict
            | Self::Rate(_)
            | Self::Busy
            | Self::OutcomeUnknown
            | Self::Passing(_)
            | Self::Full(_)
            | Self::Declined(_)
            | Self::Internal(_) => None,
        }
    }

    /// The answer, counted. `event_stream`: whether an EventSource asked for a stream.
    #[must_use]
    pub fn answer(&self, event_stream: bool, metrics: &Metrics) -> Response {
        let word = self.word();
        metrics.refusals.with_label_values(&[word]).inc();
        tracing::debug!(refusal = word, "request turned away");
        match self {
            Self::Passing(passing) if event_stream => come_back(*passing),
            Self::Internal(what) => {
                tracing::error!(what, "a request could not be served");
                self.problem()
            }
            Self::Passing(_)
            | Self::Full(_)
            | Self::Declined(_)
            | Self::Malformed(_)
            | Self::Denied { .. }
            | Self::Origin(_)
            | Self::CookieWithoutOrigin
            | Self::UnknownTopic(_)
            | Self::UnknownPath
            | Self::Method(_)
            | Self::NotAcceptable
            | Self::BodyTimeout
            | Self::TooLarge { .. }
            | Self::KeyConflict
            | Self::Rate(_)
            | Self::Busy
            | Self::OutcomeUnknown => self.problem(),
        }
    }

    fn problem(&self) -> Response {
        let status = self.status();
        let problem = Problem {
            kind: format!("{TYPES}{}", self.word()),
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: self.detail(),
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some((name, value)) = self.header() {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Some(wait) = self.retry_after() {
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            headers.insert(
                RETRY_AFTER,
                HeaderValue::from(u64::try_from(seconds).unwrap_or(1)),
            );
        }
        response
    }
}

/// A stream that only says when to come back.
fn come_back(passing: Passing) -> Response {
    let text = control::end(passing.reason, Some(passing.retry));
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-type", "text/event-stream; charset=utf-8"),
        ("cache-control", "no-cache, no-transform"),
        ("x-accel-buffering", "no"),
        ("x-content-type-options", "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

impl From<Bad> for Refusal {
    fn from(bad: Bad) -> Self {
        Self::Malformed(bad)
    }
}

impl From<PublishError> for Refusal {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Conflict => Self::KeyConflict,
            PublishError::Busy => Self::Busy,
            PublishError::OutcomeUnknown(_) => Self::OutcomeUnknown,
            PublishError::Full(why) => Self::Full(why),
            PublishError::Declined(cause) => Self::Declined(cause),
            PublishError::Refused(_) => Self::Passing(Passing {
                reason: CloseReason::Unavailable,
                retry: SOON,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
