//! The Channels of a gateway become one Snapshot, with a verdict on each.
//!
//! Owns: which form of a Channel is in force (the new one, else its last good one), and who goes
//! first where two want a topic. Pure and total; the order of the input changes nothing. Used by:
//! the operator, the standalone gateway, `siar-gateway check`.

mod declared;
mod fit;

pub use declared::{Declared, PAUSED};
pub use fit::{PACKED_BYTES, compile_to_fit};

use crate::conflict::Claims;
use crate::fleet::Fleet;
use crate::name::ChannelName;
use crate::policy::{Policy, Problem, Rejection, Resolution, Source};
use crate::reason::Reason;
use crate::secrets::Secrets;
use crate::snapshot::Snapshot;
use fit::Place;
use std::collections::BTreeMap;

/// Problems with Secrets that are told one by one: a Secret with 500 empty keys is told as well as by all of them.
const TOLD_PROBLEMS: usize = 10;

/// What comes of compiling.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// Every Channel that is in force.
    pub snapshot: Snapshot,
    /// One for each Channel of the gateway, in order of their names.
    pub verdicts: Vec<Verdict>,
}

/// What is said about one Channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub channel: ChannelName,
    pub uid: String,
    /// The generation of the spec that was judged.
    pub generation: i64,
    /// Whether the spec is right and in force.
    pub accepted: Finding,
    /// Whether the Secrets of the form in force are there.
    pub resolved_refs: Finding,
    /// What is served; none when the Channel is not served at all.
    pub in_force: Option<InForce>,
}

/// Whether something holds, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub holds: bool,
    pub reason: Reason,
    /// Sentences for people; never holds a secret.
    pub message: String,
}

/// The form of a Channel that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    pub generation: i64,
    pub digest: String,
}

/// Compiles the Channels whose `spec.gateway` is this fleet's. `previous` is the Snapshot in force:
/// a Channel of the same uid whose new spec is rejected stays in its last good form, compiled anew
/// with the `secrets` of today.
#[must_use]
pub fn compile<'a>(
    fleet: &Fleet,
    channels: impl IntoIterator<Item = impl Into<Declared<'a>>>,
    secrets: &Secrets,
    previous: Option<&Snapshot>,
) -> Compiled {
    let inputs = Inputs {
        fleet,
        candidates: candidates(fleet, channels),
        secrets,
        previous,
    };
    inputs.compile(&BTreeMap::new())
}

/// All that the outcome depends on.
struct Inputs<'a> {
    fleet: &'a Fleet,
    candidates: Vec<Candidate<'a>>,
    secrets: &'a Secrets,
    previous: Option<&'a Snapshot>,
}

/// A Channel's name with the manifests that declare it.
struct Candidate<'a> {
    name: ChannelName,
    channel: Declared<'a>,
    declared: usize,
}

/// What a candidate came to.
struct Judged {
    served: Option<Resolution>,
    /// Why it is not served as it is written now.
    rejection: Option<Rejection>,
    paused: bool,
}

impl Inputs<'_> {
    /// Channels that are not in `places` are free.
    fn compile(&self, places: &BTreeMap<&ChannelName, Place>) -> Compiled {
        let mut claims = Claims::default();
        let mut entries = Vec::new();
        let mut verdicts = Vec::new();
        for candidate in &self.candidates {
            let place = places.get(&candidate.name).copied().unwrap_or(Place::Free);
            let judged = candidate.judge(self, place, &mut claims);
            verdicts.push(candidate.verdict(&judged));
            if let Some(resolution) = judged.served {
                entries.push((resolution.policy, resolution.form));
            }
        }
        verdicts.sort_by(|a, b| a.channel.cmp(&b.channel));
        Compiled {
            snapshot: Snapshot::new(entries),
            verdicts,
        }
    }
}

/// The gateway's Channels, the oldest first, then by name; each name once.
fn candidates<'a>(
    fleet: &Fleet,
    channels: impl IntoIterator<Item = impl Into<Declared<'a>>>,
) -> Vec<Candidate<'a>> {
    let mut by_name: BTreeMap<ChannelName, Vec<Declared<'a>>> = BTreeMap::new();
    for channel in channels {
        let channel: Declared<'a> = channel.into();
        if channel.gateway == fleet.gateway {
            let name = channel.name(fleet);
            by_name.entry(name).or_default().push(channel);
        }
    }
    let candidate = |(name, mut same): (ChannelName, Vec<Declared<'a>>)| {
        if same.len() > 1 {
            same.sort_by_cached_key(Declared::text);
        }
        Candidate {
            name,
            channel: same[0],
            declared: same.len(),
        }
    };
    let mut candidates: Vec<_> = by_name.into_iter().map(candidate).collect();
    candidates.sort_by(|a, b| {
        let ages = a.channel.age().cmp(&b.channel.age());
        ages.then_with(|| a.name.cmp(&b.name))
    });
    candidates
}

impl Candidate<'_> {
    /// Tries the spec as it is written, then the last good one.
    fn judge(&self, inputs: &Inputs<'_>, place: Place, claims: &mut Claims) -> Judged {
        let uid = self.channel.uid();
        let last = inputs
            .previous
            .and_then(|snapshot| snapshot.form(&self.name));
        let last = last.filter(|form| form.uid == uid);
        let mut attempt = |generation, spec| {
            let source = Source {
                channel: &self.name,
                uid,
                generation,
                spec,
            };
            let before = last.map(AsRef::as_ref);
            let resolution = Policy::compile(source, inputs.fleet, inputs.secrets, before)?;
            claims.claim(&resolution.policy)?;
            Ok(resolution)
        };
        let paused = self.channel.is_paused() && last.is_some();
        if place == Place::Out {
            return Judged {
                served: None,
                rejection: Some(fit::no_room_any_more()),
                paused,
            };
        }
        let written = if self.declared > 1 {
            Err(self.duplicate())
        } else if let Some(form) = last.filter(|_| paused) {
            attempt(form.generation, &form.spec)
        } else if place == Place::Held {
            Err(fit::no_room())
        } else {
            self.channel
                .spec()
                .and_then(|spec| attempt(self.channel.generation(), spec))
        };
        let (served, rejection) = match written {
            Ok(resolution) => (Some(resolution), None),
            Err(rejection) => {
                let good = last.and_then(|form| attempt(form.generation, &form.spec).ok());
                (good, Some(rejection))
            }
        };
        Judged {
            served,
            rejection,
            paused,
        }
    }

    fn duplicate(&self) -> Rejection {
        Rejection::new(
            Reason::DuplicateChannel,
            format!(
                "Channel {} is declared {} times; keep one of the manifests.",
                self.name, self.declared
            ),
        )
    }

    fn verdict(&self, judged: &Judged) -> Verdict {
        let served = judged.served.as_ref();
        Verdict {
            channel: self.name.clone(),
            uid: self.channel.uid().to_owned(),
            generation: self.channel.generation(),
            accepted: self.accepted(judged),
            resolved_refs: resolved_refs(served),
            in_force: served.map(|resolution| InForce {
                generation: resolution.form.generation,
                digest: resolution.form.digest.clone(),
            }),
        }
    }

    fn accepted(&self, judged: &Judged) -> Finding {
        let Some(rejection) = &judged.rejection else {
            let message = if judged.paused {
                format!(
                    "The Channel is paused: its form in force stays until the annotation {PAUSED} is removed."
                )
            } else {
                "The Channel is right and in force.".to_owned()
            };
            return Finding {
                holds: true,
                reason: Reason::Accepted,
                message,
            };
        };
        let outcome = match &judged.served {
            None => "The Channel is not served.".to_owned(),
            Some(served) if served.form.generation == 0 => {
                "Until then its last good form is served.".to_owned()
            }
            Some(served) => format!(
                "Until then generation {} is served.",
                served.form.generation
            ),
        };
        Finding {
            holds: false,
            reason: rejection.reason,
            message: format!("{} {outcome}", rejection.message),
        }
    }
}

fn resolved_refs(served: Option<&Resolution>) -> Finding {
    let problems: &[Problem] = served.map_or(&[], |resolution| &resolution.problems);
    if problems.is_empty() {
        return Finding {
            holds: true,
            reason: Reason::ResolvedRefs,
            message: "Every Secret that the Channel names is there.".to_owned(),
        };
    }
    let told = problems.iter().take(TOLD_PROBLEMS);
    let mut messages: Vec<&str> = told.map(|problem| &*problem.message).collect();
    let more = format!("There are {} more.", problems.len() - messages.len());
    if messages.len() < problems.len() {
        messages.push(&more);
    }
    Finding {
        holds: false,
        reason: problems[0].reason,
        message: messages.join(" "),
    }
}

#[cfg(test)]
mod tests;
