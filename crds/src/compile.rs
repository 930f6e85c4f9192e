//! The Channels of a gateway become one Snapshot, with a verdict on each.
//!
//! Owns: which form of a Channel is in force (the new one, else its last good one), and who goes
//! first where two want a topic. Pure and total; the order of the input changes nothing. Used by:
//! the operator, the standalone gateway, `siar-gateway check`.

use crate::channel::Channel;
use crate::conflict::Claims;
use crate::fleet::Fleet;
use crate::name::ChannelName;
use crate::policy::{Policy, Rejection, Resolution, Source};
use crate::reason::Reason;
use crate::secrets::Secrets;
use crate::snapshot::Snapshot;
use std::collections::BTreeMap;

/// With the value `true` on a Channel its form in force stays, whatever its spec says.
pub const PAUSED: &str = "siar.dev/paused";

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
    channels: impl IntoIterator<Item = &'a Channel>,
    secrets: &Secrets,
    previous: Option<&Snapshot>,
) -> Compiled {
    let mut claims = Claims::default();
    let mut entries = Vec::new();
    let mut verdicts = Vec::new();
    for candidate in candidates(fleet, channels) {
        let judged = candidate.judge(fleet, secrets, previous, &mut claims);
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

/// A Channel's name with the manifests that declare it.
struct Candidate<'a> {
    name: ChannelName,
    channel: &'a Channel,
    declared: usize,
}

/// What a candidate came to.
struct Judged {
    served: Option<Resolution>,
    /// Why it is not served as it is written now.
    rejection: Option<Rejection>,
    paused: bool,
}

/// The gateway's Channels, the oldest first, then by name; each name once.
fn candidates<'a>(
    fleet: &Fleet,
    channels: impl IntoIterator<Item = &'a Channel>,
) -> Vec<Candidate<'a>> {
    let mut by_name: BTreeMap<ChannelName, Vec<&Channel>> = BTreeMap::new();
    for channel in channels {
        if channel.spec.gateway == fleet.gateway {
            let name = name_of(channel, fleet);
            by_name.entry(name).or_default().push(channel);
        }
    }
    let candidate = |(name, mut same): (ChannelName, Vec<&'a Channel>)| {
        if same.len() > 1 {
            same.sort_by_cached_key(|channel| {
                serde_json::to_string(channel).expect("a Channel is JSON")
            });
        }
        Candidate {
            name,
            channel: same[0],
            declared: same.len(),
        }
    };
    let mut candidates: Vec<_> = by_name.into_iter().map(candidate).collect();
    candidates.sort_by(|a, b| a.age().cmp(&b.age()).then_with(|| a.name.cmp(&b.name)));
    candidates
}

fn name_of(channel: &Channel, fleet: &Fleet) -> ChannelName {
    let namespace = channel.metadata.namespace.as_deref().unwrap_or_default();
    let namespace = if namespace.is_empty() {
        &fleet.default_namespace
    } else {
        namespace
    };
    let name = channel.metadata.name.as_deref().unwrap_or_default();
    ChannelName::new(namespace, name)
}

impl Candidate<'_> {
    fn uid(&self) -> &str {
        self.channel.metadata.uid.as_deref().unwrap_or_default()
    }

    fn generation(&self) -> i64 {
        self.channel.metadata.generation.unwrap_or_default()
    }

    /// When it was created; manifests from files do not say and go by name alone.
    fn age(&self) -> impl Ord {
        let created = self.channel.metadata.creation_timestamp.as_ref();
        created.map(|time| time.0)
    }

    fn is_paused(&self) -> bool {
        let annotations = self.channel.metadata.annotations.as_ref();
        annotations.is_some_and(|all| all.get(PAUSED).is_some_and(|value| value == "true"))
    }

    /// Tries the spec as it is written, then the last good one.
    fn judge(
        &self,
        fleet: &Fleet,
        secrets: &Secrets,
        previous: Option<&Snapshot>,
        claims: &mut Claims,
    ) -> Judged {
        let last = previous.and_then(|snapshot| snapshot.form(&self.name));
        let last = last.filter(|form| form.uid == self.uid());
        let mut attempt = |generation, spec| {
            let source = Source {
                channel: &self.name,
                uid: self.uid(),
                generation,
                spec,
            };
            let before = last.map(AsRef::as_ref);
            let resolution = Policy::compile(source, fleet, secrets, before)?;
            claims.claim(&resolution.policy)?;
            Ok(resolution)
        };
        let paused = self.is_paused() && last.is_some();
        let written = if self.declared > 1 {
            Err(self.duplicate())
        } else if let Some(form) = last.filter(|_| paused) {
            attempt(form.generation, &form.spec)
        } else {
            attempt(self.generation(), &self.channel.spec)
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
            uid: self.uid().to_owned(),
            generation: self.generation(),
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
    let problems = served.map_or(&[][..], |resolution| &resolution.problems);
    if problems.is_empty() {
        return Finding {
            holds: true,
            reason: Reason::ResolvedRefs,
            message: "Every Secret that the Channel names is there.".to_owned(),
        };
    }
    Finding {
        holds: false,
        reason: Reason::SecretMissing,
        message: problems.join(" "),
    }
}

#[cfg(test)]
mod tests;
