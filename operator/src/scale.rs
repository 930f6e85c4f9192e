//! How many pods a fleet should have, and the next step there.
//!
//! Owns: bounds, pace and what holds a step back. Pure: streams, facts and the time come in, a [`Step`] goes out.
//! Never: carries it out (`act`). Used by: the task of a gateway, by the leader only.

pub mod act;
mod counts;
mod past;
mod rules;

pub use counts::{Counts, Pod};
pub use past::Past;
pub use rules::{InvalidAnnotation, Mode, Rules, SCALING};

use crate::metrics::Direction;
use crds::report::BrokerKind;
use k8s_openapi::api::apps::v1::Deployment;
use std::time::Instant;

/// What the Deployment of a fleet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub rules: Rules,
    pub broker: BrokerKind,
    /// The pods that it is told to have.
    pub replicas: u32,
    /// No rollout is under way: every pod there is, and is to be, has the newest template.
    pub settled: bool,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: somebody else sizes this fleet.
    HandsOff,
    /// Nothing: it is as large as it should be.
    Stay,
    /// Nothing yet: another size would fit, but something stands against it.
    Held(Hold),
    /// Another size.
    Scale(Change),
}

/// One step from a size to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub from: u32,
    pub to: u32,
}

impl Change {
    /// Where it leads.
    #[must_use]
    pub fn direction(self) -> Direction {
        if self.to > self.from {
            Direction::Up
        } else {
            Direction::Down
        }
    }
}

/// What stands against a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Somebody has set the fleet to 0 by hand: that is no size, but a switch.
    Stopped,
    /// The very step was just made, and the Deployment at hand may be older.
    Unseen,
    /// Up: the fleet has doubled within 15 s.
    Doubled,
    /// Down: a rollout is under way.
    Rollout,
    /// Down: no pod is ready, so nobody knows who would be served.
    NoReadyPod,
    /// Down: a ready pod does not say what it serves.
    SilentPod,
    /// Down: what was wanted is not known for long enough, as after a change of leader.
    Young,
    /// Down: more was wanted a short time ago.
    WantedBefore,
    /// Down: the last step is too short a time ago.
    Pace,
}

/// The bounds in force; `lower` is never above `upper`.
struct Bounds {
    lower: u32,
    upper: u32,
}

impl Facts {
    /// Reads a Deployment; `broker` is what its annotation says.
    pub fn read(deployment: &Deployment, broker: BrokerKind) -> Result<Self, InvalidAnnotation> {
        let metadata = &deployment.metadata;
        let spec = deployment.spec.as_ref();
        // The API server writes 1 where nothing is said.
        let replicas = count(spec.and_then(|spec| spec.replicas).or(Some(1)));
        let status = deployment.status.as_ref();
        let updated = count(status.and_then(|status| status.updated_replicas));
        let all = count(status.and_then(|status| status.replicas));
        let observed = status.and_then(|status| status.observed_generation);
        Ok(Self {
            rules: Rules::read(metadata.annotations.as_ref())?,
            broker,
            replicas,
            settled: observed >= metadata.generation && updated >= replicas.max(all),
        })
    }

    fn bounds(&self, counts: &Counts) -> Bounds {
        if self.broker == BrokerKind::Memory {
            // Two pods would each serve half of the messages.
            return Bounds { lower: 1, upper: 1 };
        }
        let upper = self.rules.max.max(1);
        let lower = self.rules.min.max(counts.fewest.unwrap_or(0)).max(1);
        Bounds {
            lower: lower.min(upper),
            upper,
        }
    }
}

/// None and nonsense count as none.
fn count(pods: Option<i32>) -> u32 {
    pods.map_or(0, |pods| u32::try_from(pods).unwrap_or(0))
}

/// The pods that the streams ask for, within the bounds.
#[must_use]
pub fn wanted(facts: &Facts, counts: &Counts) -> u32 {
    let Bounds { lower, upper } = facts.bounds(counts);
    counts.needed.clamp(lower, upper)
}

/// What to do now. A step is remembered in `past` as made; one that failed comes again by itself.
pub fn plan(facts: &Facts, counts: &Counts, past: &mut Past, now: Instant) -> Step {
    if facts.rules.mode != Mode::Operator {
        past.forget(now);
        return Step::HandsOff;
    }
    past.note(counts.needed, now);
    if facts.replicas == 0 {
        return Step::Held(Hold::Stopped);
    }
    let bounds = facts.bounds(counts);
    let wanted = counts.needed.clamp(bounds.lower, bounds.upper);
    let next = if wanted > facts.replicas {
        up(facts.replicas, wanted, &bounds, past, now)
    } else if wanted < facts.replicas {
        down(facts, counts, &bounds, past, now)
    } else {
        return Step::Stay;
    };
    match next {
        Ok(change) => {
            past.step(change, now);
            Step::Scale(change)
        }
        Err(hold) => Step::Held(hold),
    }
}

/// At once, on partial counts, too: more streams than are known of need no fewer pods.
fn up(
    replicas: u32,
    wanted: u32,
    bounds: &Bounds,
    past: &Past,
    now: Instant,
) -> Result<Change, Hold> {
    let mut most = past.doubled(replicas, now);
    if replicas == 1 {
        // A new Deployment has 1, as its manifest says nothing; the minimum is what it was made for.
        most = most.max(bounds.lower);
    }
    let change = Change {
        from: replicas,
        to: wanted.min(most),
    };
    if change.to <= replicas {
        return Err(Hold::Doubled);
    }
    if past.just_made(change, now) {
        return Err(Hold::Unseen);
    }
    Ok(change)
}

/// One pod, and only if nothing at all speaks against it.
fn down(
    facts: &Facts,
    counts: &Counts,
    bounds: &Bounds,
    past: &Past,
    now: Instant,
) -> Result<Change, Hold> {
    let floor = past.highest().clamp(bounds.lower, bounds.upper);
    if !facts.settled {
        Err(Hold::Rollout)
    } else if counts.ready == 0 {
        Err(Hold::NoReadyPod)
    } else if counts.silent > 0 {
        Err(Hold::SilentPod)
    } else if past.is_young(now) {
        Err(Hold::Young)
    } else if floor >= facts.replicas {
        Err(Hold::WantedBefore)
    } else if past.went_down(now) {
        Err(Hold::Pace)
    } else {
        Ok(Change {
            from: facts.replicas,
            to: facts.replicas - 1,
        })
    }
}

#[cfg(test)]
mod tests;
