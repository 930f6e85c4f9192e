//! Events: what the operator did, beside the object that it did it to.
//!
//! Owns: their reasons, and that only the leader writes them. Never: says the same again; callers publish on
//! changes only. Used by: `scale::act`, the tasks of gateways.

use crate::calls::call;
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crds::reason::Reason as Condition;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use std::sync::Arc;

/// Who writes them, as `kubectl describe` shows.
const CONTROLLER: &str = "siar-operator";
/// The API server takes 1 KiB of a note.
const NOTE_BYTES: usize = 1024;

/// What an Event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A fleet got more pods.
    ScaledUp,
    /// A fleet got one pod less.
    ScaledDown,
    /// A Channel says how its fleet is to scale, and somebody else sizes that fleet.
    ScalingIgnored,
    /// An older Deployment has the gateway name that this one claims, too.
    GatewayNameTaken,
    /// A condition of a Channel does not hold any more, or for another reason.
    Fails(Condition),
    /// A condition of a Channel holds again.
    Holds(Condition),
}

impl Reason {
    /// The word in the Event.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ScaledUp => "ScaledUp",
            Self::ScaledDown => "ScaledDown",
            Self::ScalingIgnored => "ScalingIgnored",
            Self::GatewayNameTaken => "GatewayNameTaken",
            Self::Fails(condition) | Self::Holds(condition) => condition.as_str(),
        }
    }

    fn kind(self) -> EventType {
        match self {
            Self::ScaledUp | Self::ScaledDown | Self::Holds(_) => EventType::Normal,
            Self::ScalingIgnored | Self::GatewayNameTaken | Self::Fails(_) => EventType::Warning,
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::ScaledUp | Self::ScaledDown => "Scale",
            Self::ScalingIgnored | Self::GatewayNameTaken | Self::Fails(_) | Self::Holds(_) => {
                "Judge"
            }
        }
    }
}

/// Writes Events.
#[derive(Clone)]
pub struct Events {
    client: Client,
    leadership: Leadership,
    /// Which replica it was.
    instance: String,
    metrics: Arc<Metrics>,
}

impl Events {
    /// `identity` tells which replica wrote them.
    #[must_use]
    pub fn new(
        client: Client,
        leadership: Leadership,
        identity: &str,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            client,
            leadership,
            instance: identity.to_owned(),
            metrics,
        }
    }

    /// Writes an Event if this replica holds the Lease. One that is lost changes nothing, so nobody waits for it.
    pub async fn publish(&self, about: &ObjectReference, reason: Reason, note: &str) {
        if !self.leadership.holds().await {
            return;
        }
        let event = Event {
            type_: reason.kind(),
            reason: reason.word().to_owned(),
            note: Some(cut(note, NOTE_BYTES).to_owned()),
            action: reason.action().to_owned(),
            secondary: None,
        };
        // A recorder that is kept would count an equal reason up and leave the first note, with its numbers.
        let recorder = Recorder::new(
            self.client.clone(),
            Reporter {
                controller: CONTROLLER.to_owned(),
                instance: Some(self.instance.clone()),
            },
        );
        match call(recorder.publish(&event, about)).await {
            Ok(()) => self.metrics.event(),
            Err(error) => {
                let (error, reason) = (error.to_string(), reason.word());
                tracing::warn!(error, reason, object = ?about.name, "an event cannot be written");
            }
        }
    }
}

/// The beginning of a text that the API server takes: of at most `most` bytes.
#[must_use]
pub fn cut(text: &str, most: usize) -> &str {
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| *end <= most).last();
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_cut_between_characters() {
        assert_eq!(cut("so", NOTE_BYTES), "so");
        assert_eq!(cut("", NOTE_BYTES), "");
        assert_eq!(cut(&"x".repeat(2_000), NOTE_BYTES).len(), 1_024);
        assert_eq!(cut(&"ø…".repeat(500), NOTE_BYTES).len(), 1_022);
    }
}
