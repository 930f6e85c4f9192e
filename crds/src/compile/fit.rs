//! A Snapshot that must fit into a Secret.
//!
//! Owns: who stays outside when it is full. Pure. Used by: the operator.

use super::{Compiled, Declared, Inputs, Verdict, candidates};
use crate::fleet::Fleet;
use crate::name::ChannelName;
use crate::policy::Rejection;
use crate::reason::Reason;
use crate::secrets::Secrets;
use crate::snapshot::Snapshot;
use std::collections::BTreeSet;

/// The most bytes of a packed Snapshot: a Secret holds 1 MiB, its metadata included.
pub const PACKED_BYTES: usize = 1_000_000;

/// Compiles, and holds Channels back when the Snapshot takes more than `most` bytes packed: what is in force
/// stays as it is, and of what is new or changed the oldest enter while they fit. Answers the packed
/// Snapshot, too; none when what is in force does not fit by itself.
#[must_use]
pub fn compile_to_fit<'a>(
    fleet: &Fleet,
    channels: impl IntoIterator<Item = impl Into<Declared<'a>>>,
    secrets: &Secrets,
    previous: Option<&Snapshot>,
    most: usize,
) -> (Compiled, Option<Vec<u8>>) {
    let inputs = Inputs {
        fleet,
        candidates: candidates(fleet, channels),
        secrets,
        previous,
    };
    let fitting = |held: &[&ChannelName]| {
        let held: BTreeSet<&ChannelName> = held.iter().copied().collect();
        let compiled = inputs.compile(&held);
        let packed = compiled.snapshot.pack();
        let fits = packed.len() <= most;
        (compiled, fits.then_some(packed))
    };
    let whole = fitting(&[]);
    if whole.1.is_some() {
        return whole;
    }
    let wanting = inputs.wanting(&whole.0);
    // How many of them enter: more of them never take fewer bytes, but for a topic that changes hands.
    let (mut enter, mut stay) = (0, wanting.len());
    let mut best = fitting(&wanting);
    while enter + 1 < stay {
        let middle = usize::midpoint(enter, stay);
        let attempt = fitting(&wanting[middle..]);
        if attempt.1.is_some() {
            (enter, best) = (middle, attempt);
        } else {
            stay = middle;
        }
    }
    best
}

/// What is said of a Channel that must wait.
pub(super) fn no_room() -> Rejection {
    Rejection::new(
        Reason::SnapshotFull,
        "the gateway's Snapshot is full and this Channel came later; remove Channels or tokens, or move some to another gateway.".to_owned(),
    )
}

impl<'a> Inputs<'a> {
    /// The Channels that would be served as they are not served yet, the oldest first.
    fn wanting(&'a self, whole: &Compiled) -> Vec<&'a ChannelName> {
        let changes = |candidate: &&ChannelName| {
            let verdict = whole
                .verdicts
                .binary_search_by(|verdict| verdict.channel.cmp(candidate))
                .ok()
                .map(|at| &whole.verdicts[at]);
            verdict.is_some_and(|verdict| self.changes(verdict))
        };
        let names = self.candidates.iter().map(|candidate| &candidate.name);
        names.filter(changes).collect()
    }

    fn changes(&self, verdict: &Verdict) -> bool {
        let previous = self.previous.and_then(|all| all.form(&verdict.channel));
        let before = previous.filter(|form| form.uid == verdict.uid);
        match (&verdict.in_force, before) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(now), Some(before)) => now.generation != before.generation,
        }
    }
}

#[cfg(test)]
mod tests;
