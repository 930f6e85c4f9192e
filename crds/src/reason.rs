//! The words that conditions carry as their reason.
//!
//! Owns: their spelling. Never: the messages beside them. Used by: `policy`, `compile`, the operator.

use std::fmt;

/// Why a condition holds or not, in one CamelCase word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The spec is right and in force.
    Accepted,
    /// A field is out of its bounds or cannot be read.
    InvalidSpec,
    /// A pattern of topics cannot be read.
    InvalidTopic,
    /// A URL leads where the fleet lets no tenant lead it.
    TargetRefused,
    /// `ingest` without any Redis server.
    NoRedis,
    /// `ingest` on the gateway's own Redis from outside its default namespace.
    SharedIngest,
    /// An older Channel of the namespace owns a topic.
    TopicConflict,
    /// Two manifests declare the same Channel.
    DuplicateChannel,
    /// The Channel with its Secrets is larger than a Snapshot can carry, or the namespace with it has too
    /// many patterns with captures.
    TooLarge,
    /// The Snapshot of the fleet has no room for it.
    SnapshotFull,
    /// Every Secret that the spec names is there.
    ResolvedRefs,
    /// A Secret, or what it should hold, is missing.
    SecretMissing,
    /// A Secret cannot be read now.
    SecretUnreadable,
    /// The fleet does not ask the API server about service accounts.
    ReviewsUnavailable,
    /// All ready gateway pods serve the form in force.
    Programmed,
    /// Nothing of the Channel is in force.
    NotAccepted,
    /// The fleet has no ready pod.
    NoGateways,
    /// Some ready gateway pods do not serve the form in force yet.
    Pending,
    /// It works as it is written.
    Ready,
    /// It works but for what its Secrets lack.
    Degraded,
    /// Several gateway pods without a Redis: what one hears the others do not.
    NoSharedBroker,
}

impl Reason {
    /// All reasons, for tests and documentation.
    pub const ALL: [Self; 21] = [
        Self::Accepted,
        Self::InvalidSpec,
        Self::InvalidTopic,
        Self::TargetRefused,
        Self::NoRedis,
        Self::SharedIngest,
        Self::TopicConflict,
        Self::DuplicateChannel,
        Self::TooLarge,
        Self::SnapshotFull,
        Self::ResolvedRefs,
        Self::SecretMissing,
        Self::SecretUnreadable,
        Self::ReviewsUnavailable,
        Self::Programmed,
        Self::NotAccepted,
        Self::NoGateways,
        Self::Pending,
        Self::Ready,
        Self::Degraded,
        Self::NoSharedBroker,
    ];

    /// The word as it stands in a condition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::InvalidSpec => "InvalidSpec",
            Self::InvalidTopic => "InvalidTopic",
            Self::TargetRefused => "TargetRefused",
            Self::NoRedis => "NoRedis",
            Self::SharedIngest => "SharedIngest",
            Self::TopicConflict => "TopicConflict",
            Self::DuplicateChannel => "DuplicateChannel",
            Self::TooLarge => "TooLarge",
            Self::SnapshotFull => "SnapshotFull",
            Self::ResolvedRefs => "ResolvedRefs",
            Self::SecretMissing => "SecretMissing",
            Self::SecretUnreadable => "SecretUnreadable",
            Self::ReviewsUnavailable => "ReviewsUnavailable",
            Self::Programmed => "Programmed",
            Self::NotAccepted => "NotAccepted",
            Self::NoGateways => "NoGateways",
            Self::Pending => "Pending",
            Self::Ready => "Ready",
            Self::Degraded => "Degraded",
            Self::NoSharedBroker => "NoSharedBroker",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_is_one_camel_case_word_of_its_own() {
        let words = BTreeSet::from_iter(Reason::ALL.map(Reason::as_str));
        assert_eq!(words.len(), Reason::ALL.len());
        for word in words {
            assert!(word.starts_with(|c: char| c.is_ascii_uppercase()), "{word}");
            assert!(word.chars().all(|c| c.is_ascii_alphanumeric()), "{word}");
        }
    }
}
