//! Events: what `kubectl describe` tells a person.
//!
//! Owns: that only the holder of the lease tells, and that a failed one is dropped: the status says it as well.
//! Used by: `gateway`, `scale`.

use crate::lease::Leadership;
use crate::metrics::Metrics;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};
use std::sync::Arc;
use std::time::Duration;

/// How long one may take.
const TELL_TIME: Duration = Duration::from_secs(5);
/// The most bytes of a note.
const NOTE_BYTES: usize = 1000;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Normal,
    Warning,
}

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub severity: Severity,
    /// One word.
    pub reason: String,
    pub message: String,
}

/// Tells.
pub struct Events {
    recorder: Recorder,
    leadership: Arc<Leadership>,
    metrics: Arc<Metrics>,
}

impl Events {
    #[must_use]
    pub fn new(
        client: Client,
        instance: &str,
        leadership: Arc<Leadership>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let reporter = Reporter {
            controller: "siar-operator".to_owned(),
            instance: Some(instance.to_owned()),
        };
        Self {
            recorder: Recorder::new(client, reporter),
            leadership,
            metrics,
        }
    }

    /// Tells all of it about an object.
    pub async fn tell<K: Resource<DynamicType = ()>>(&self, about: &K, notices: Vec<Notice>) {
        if notices.is_empty() || !self.leadership.holds().await {
            return;
        }
        let reference = about.object_ref(&());
        for notice in notices {
            self.publish(&reference, notice).await;
        }
    }

    async fn publish(&self, about: &ObjectReference, notice: Notice) {
        let event = Event {
            type_: match notice.severity {
                Severity::Normal => EventType::Normal,
                Severity::Warning => EventType::Warning,
            },
            reason: notice.reason,
            note: Some(cut(notice.message)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let published = self.recorder.publish(&event, about);
        match tokio::time::timeout(TELL_TIME, published).await {
            Ok(Ok(())) => self.metrics.event(),
            Ok(Err(error)) => {
                tracing::debug!(error = error.to_string(), "an Event was not taken");
            }
            Err(_late) => tracing::debug!("an Event was not taken in time"),
        }
    }
}

/// At most so many bytes, whole characters.
fn cut(mut text: String) -> String {
    if text.len() > NOTE_BYTES {
        let mut ends = (0..=NOTE_BYTES).rev();
        let end = ends.find(|&at| text.is_char_boundary(at));
        text.truncate(end.unwrap_or(0));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_notes_are_cut_between_characters() {
        assert_eq!(cut("short".to_owned()), "short");
        let long = cut("é".repeat(600));
        assert_eq!(long.len(), NOTE_BYTES);
        assert_eq!(cut("aé".repeat(400)).len(), NOTE_BYTES);
    }
}
