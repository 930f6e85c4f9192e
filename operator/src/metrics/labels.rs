//! The values that labels may have.
//!
//! Owns: one enum for each label; what is no enum is the name of a fleet or of a Channel. Used by: whoever
//! counts.

/// What is watched; label `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Channels,
    /// The metadata of Secrets that Channels refer to.
    Secrets,
    /// Gateway Deployments in home.
    Deployments,
    /// Gateway Pods in home.
    Pods,
    /// The Secrets that carry a Snapshot, in home.
    Snapshots,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Channels,
        Self::Secrets,
        Self::Deployments,
        Self::Pods,
        Self::Snapshots,
    ];

    /// The value of the label.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Channels => "channels",
            Self::Secrets => "secrets",
            Self::Deployments => "deployments",
            Self::Pods => "pods",
            Self::Snapshots => "snapshots",
        }
    }
}

/// What came of one turn of a gateway's task; label `result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconciled {
    /// The Secret was written.
    Published,
    /// The Secret is as it should be.
    Unchanged,
    /// It is tried again.
    Error,
}

impl Reconciled {
    /// Every result.
    pub const ALL: [Self; 3] = [Self::Published, Self::Unchanged, Self::Error];

    /// The value of the label.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Unchanged => "unchanged",
            Self::Error => "error",
        }
    }
}

/// What came of a look at the status of a Channel; label `result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusPatch {
    /// It was written.
    Ok,
    /// It is tried again.
    Error,
    /// It says already what it should, nothing worth a write, or somebody else wrote meanwhile.
    Skipped,
}

impl StatusPatch {
    /// Every result.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Error, Self::Skipped];

    /// The value of the label.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Skipped => "skipped",
        }
    }
}

/// Where a scale step leads; label `direction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Up,
    Down,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Up, Self::Down];

    /// The value of the label.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}
