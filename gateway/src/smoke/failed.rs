//! What can fail, each in one sentence that says what to do.
//!
//! Owns: those sentences, and which of the failures may pass. Never: holds a token. Used by: `smoke`.

use serde::Deserialize;
use std::time::Duration;

/// Why the smoke test failed.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error("No runtime can be made: {0}.")]
    Runtime(#[from] std::io::Error),
    #[error("The token cannot be read from {path}: {source}.")]
    TokenFile {
        path: String,
        source: std::io::Error,
    },
    #[error("The token holds characters that no header can carry.")]
    Token,
    #[error("No client can be made: {0}.")]
    Client(String),
    #[error("Nothing answers at {url}: {cause}.")]
    Unreachable { url: String, cause: String },
    #[error(
        "What answers at {url} is no gateway of Siar, or something stands before it: it said {said}."
    )]
    Foreign {
        url: String,
        status: u16,
        said: String,
    },
    #[error("The gateway did not let us {action} {topic:?}: {detail} ({status}, {word}).")]
    Refused {
        action: &'static str,
        topic: String,
        status: u16,
        word: String,
        detail: String,
    },
    #[error("The stream of {topic:?} ended ({reason}) before it had delivered.")]
    Ended { topic: String, reason: String },
    #[error("What was to come on the stream of {topic:?} did not within {} s.", .limit.as_secs())]
    Silent { topic: String, limit: Duration },
    #[error(
        "The stream of {topic:?} told a loss ({reason}); resuming needs spec.history in its Channel."
    )]
    Lost { topic: String, reason: String },
    #[error("The stream of {topic:?} that resumed delivered again what had been delivered.")]
    Twice { topic: String },
}

/// What control events carry.
#[derive(Default, Deserialize)]
struct Told {
    #[serde(default)]
    reason: String,
}

impl Failed {
    /// What `siar.end` with this data means.
    pub(super) fn ended(topic: &str, data: &str) -> Self {
        Self::Ended {
            topic: topic.to_owned(),
            reason: reason(data),
        }
    }

    /// What `siar.gap` with this data means.
    pub(super) fn lost(topic: &str, data: &str) -> Self {
        Self::Lost {
            topic: topic.to_owned(),
            reason: reason(data),
        }
    }

    /// Whether a further try may go better: while a fleet starts, or a Channel is on its way to it.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Ended { .. } => true,
            Self::Foreign { status, .. } => *status >= 500,
            Self::Refused { status, .. } => [404, 429].contains(status) || *status >= 500,
            Self::Runtime(_)
            | Self::TokenFile { .. }
            | Self::Token
            | Self::Client(_)
            | Self::Silent { .. }
            | Self::Lost { .. }
            | Self::Twice { .. } => false,
        }
    }
}

fn reason(data: &str) -> String {
    serde_json::from_str(data)
        .unwrap_or_else(|_| Told::default())
        .reason
}
