//! The catalogue of endings and losses: the words that clients, metrics and logs have for them.
//!
//! Owns: `CloseReason` and `GapReason`, each with its word. Pure. Used by: everything that ends a
//! stream or tells a loss; the README lists the same words.
#![deny(clippy::wildcard_enum_match_arm)]

/// Why a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The evidence of its Grant ran out.
    Expired,
    /// A new configuration no longer admits it.
    Revoked,
    /// It reached `maxAge`, or its Channel changed in a way that needs a new decision.
    Rotated,
    /// The gateway shuts down.
    Draining,
    /// It did not read for too long.
    Stalled,
    /// The Channel or the process is full.
    Capacity,
    /// The client has too many streams.
    ClientLimit,
    /// History or Redis cannot be reached.
    Unavailable,
    /// The Channel was deleted.
    Deleted,
    /// No configuration yet.
    Starting,
    /// The client went away; the only reason that is never told, only counted.
    ClientGone,
}

impl CloseReason {
    /// Every reason, for metrics that must exist before they move.
    pub const ALL: [Self; 11] = [
        Self::Expired,
        Self::Revoked,
        Self::Rotated,
        Self::Draining,
        Self::Stalled,
        Self::Capacity,
        Self::ClientLimit,
        Self::Unavailable,
        Self::Deleted,
        Self::Starting,
        Self::ClientGone,
    ];

    /// The word in `siar.end`, in the label `reason` and in logs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Rotated => "rotated",
            Self::Draining => "draining",
            Self::Stalled => "stalled",
            Self::Capacity => "capacity",
            Self::ClientLimit => "client-limit",
            Self::Unavailable => "unavailable",
            Self::Deleted => "deleted",
            Self::Starting => "starting",
            Self::ClientGone => "client_gone",
        }
    }

    /// Its place in [`Self::ALL`], for arrays of counters.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// Why messages may be missing at a place in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// History no longer holds what came after the cursor.
    TooOld,
    /// The server that numbers lost or rolled back something.
    Epoch,
    /// A queue or ring was full and there is no history to read again.
    Overflow,
    /// Raw messages may have been missed between publisher and gateway.
    Ingest,
    /// The cursor names nothing that is known.
    UnknownCursor,
}

impl GapReason {
    /// Every reason, for metrics that must exist before they move.
    pub const ALL: [Self; 5] = [
        Self::TooOld,
        Self::Epoch,
        Self::Overflow,
        Self::Ingest,
        Self::UnknownCursor,
    ];

    /// The word in `siar.gap` and in the label `reason`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::TooOld => "too-old",
            Self::Epoch => "epoch",
            Self::Overflow => "overflow",
            Self::Ingest => "ingest",
            Self::UnknownCursor => "unknown-cursor",
        }
    }

    /// Its place in [`Self::ALL`], for arrays of counters.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_at_its_index() {
        for (index, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), index);
        }
        for (index, reason) in GapReason::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), index);
        }
    }
}
