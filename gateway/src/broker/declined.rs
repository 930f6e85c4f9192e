//! Why a server declines a publication: its answer was a no, so it is certain that nothing was published.
//!
//! Owns: the causes and their words. Pure. Used by: `redis`, which reads them from answers; `http`, which
//! tells publishers.

/// What a publisher, and whoever runs the server, are told by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declined {
    /// Its memory is used up (`maxmemory`).
    Full,
    /// It cannot save what it has to its disk.
    Disk,
    /// Too few replicas follow it (`min-replicas-to-write`).
    Replicas,
    /// It is a replica.
    ReadOnly,
    /// It reads its data after a start, or is busy with a long script.
    Loading,
    /// The gateway's user may not do this there.
    Denied,
    /// The part of the cluster that has the topic is without a server, or moves.
    Cluster,
}

impl Declined {
    /// All causes, for metrics and documentation.
    pub const ALL: [Self; 7] = [
        Self::Full,
        Self::Disk,
        Self::Replicas,
        Self::ReadOnly,
        Self::Loading,
        Self::Denied,
        Self::Cluster,
    ];

    /// The word of the refusal.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Full => "redis-full",
            Self::Disk => "redis-disk",
            Self::Replicas => "redis-replicas",
            Self::ReadOnly => "redis-read-only",
            Self::Loading => "redis-loading",
            Self::Denied => "redis-denied",
            Self::Cluster => "redis-cluster",
        }
    }

    /// Whether it ends by itself, mostly within a second: a failover, a start, a slot that moves.
    #[must_use]
    pub fn passes(self) -> bool {
        match self {
            Self::ReadOnly | Self::Loading | Self::Cluster => true,
            Self::Full | Self::Disk | Self::Replicas | Self::Denied => false,
        }
    }
}
