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

/// The most bytes of a packed Snapshot: a Secret holds 1 MiB, its metadata included.
pub const PACKED_BYTES: usize = 1_000_000;

/// Where a Channel stands while a Snapshot is made to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is served as it wants to be.
    Free,
    /// It stays in the form that it has, if it has one.
    Held,
    /// It is not served.
    Out,
}

/// Compiles, and holds Channels back when the Snapshot takes more than `most` bytes packed: what is in force
/// stays as it is, and of what is new or changed the oldest enter while they fit, those first that do not grow. Where
/// what is in force does not fit by itself, since its Secrets grew, Channels go: those that grew before others, the
/// youngest first. Whoever lets a Secret grow must not keep others from being published. Answers the packed
/// Snapshot, too.
#[must_use]
pub fn compile_to_fit<'a>(
    fleet: &Fleet,
    channels: impl IntoIterator<Item = impl Into<Declared<'a>>>,
    secrets: &Secrets,
    previous: Option<&Snapshot>,
    most: usize,
) -> (Compiled, Vec<u8>) {
    let inputs = Inputs {
        fleet,
        candidates: candidates(fleet, channels),
        secrets,
        previous,
    };
    let whole = inputs.attempt(&[], &[]);
    if whole.1.len() <= most {
        return whole;
    }
    let wanting = inputs.wanting(&whole.0);
    let held = inputs.attempt(&wanting, &[]);
    if held.1.len() <= most {
        return inputs.admit(&wanting, &[], held, most);
    }
    let leaving = inputs.leaving(&held.0);
    // How many of them go; all is always enough.
    let (mut few, mut enough) = (0, leaving.len());
    let mut best = inputs.attempt(&wanting, &leaving);
    while few + 1 < enough {
        let middle = usize::midpoint(few, enough);
        let attempt = inputs.attempt(&wanting, &leaving[..middle]);
        if attempt.1.len() <= most {
            (enough, best) = (middle, attempt);
        } else {
            few = middle;
        }
    }
    inputs.admit(&wanting, &leaving[..enough], best, most)
}

/// What is said of a Channel that must wait.
pub(super) fn no_room() -> Rejection {
    Rejection::new(
        Reason::SnapshotFull,
        "the gateway's Snapshot is full and this Channel came later; remove Channels or tokens, or move some to another gateway.".to_owned(),
    )
}

/// What is said of a Channel that must go.
pub(super) fn no_room_any_more() -> Rejection {
    Rejection::new(
        Reason::SnapshotFull,
        "the gateway's Snapshot is full, since Secrets hold more than they did, and this Channel grew or came last; remove tokens or Channels, or move some to another gateway.".to_owned(),
    )
}

impl<'a> Inputs<'a> {
    fn attempt(&self, held: &[&ChannelName], out: &[&ChannelName]) -> (Compiled, Vec<u8>) {
        let held = held.iter().map(|name| (*name, Place::Held));
        let out = out.iter().map(|name| (*name, Place::Out));
        let compiled = self.compile(&held.chain(out).collect());
        let packed = compiled.snapshot.pack();
        (compiled, packed)
    }

    /// Lets as many of `wanting` in as fit, in their order; `best` is the attempt with none.
    fn admit(
        &self,
        wanting: &[&ChannelName],
        out: &[&ChannelName],
        mut best: (Compiled, Vec<u8>),
        most: usize,
    ) -> (Compiled, Vec<u8>) {
        // More of them never take fewer bytes, but for a topic that changes hands. That all of them do not fit is known
        // only while nobody is out.
        let (mut enter, mut stay) = (0, wanting.len() + usize::from(!out.is_empty()));
        while enter + 1 < stay {
            let middle = usize::midpoint(enter, stay);
            let attempt = self.attempt(&wanting[middle..], out);
            if attempt.1.len() <= most {
                (enter, best) = (middle, attempt);
            } else {
                stay = middle;
            }
        }
        best
    }

    /// The Channels that would be served as they are not served yet: those that do not grow, then the oldest first.
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
        let mut names: Vec<_> = names.filter(changes).collect();
        names.sort_by_cached_key(|name| self.grows(whole, name));
        names
    }

    /// The Channels that are served: those that grew, then the youngest first.
    fn leaving(&'a self, held: &Compiled) -> Vec<&'a ChannelName> {
        let names = self
            .candidates
            .iter()
            .rev()
            .map(|candidate| &candidate.name);
        let mut names: Vec<_> = names
            .filter(|name| held.snapshot.form(name).is_some())
            .collect();
        names.sort_by_cached_key(|name| !self.grows(held, name));
        names
    }

    /// Whether a Channel takes more in `compiled` than it does in force.
    fn grows(&self, compiled: &Compiled, name: &ChannelName) -> bool {
        let bytes = |snapshot: &Snapshot| snapshot.form(name).map_or(0, |form| form.bytes());
        let before = self.previous.map_or(0, bytes);
        bytes(&compiled.snapshot) > before
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
