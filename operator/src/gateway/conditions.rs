//! What a Channel's conditions say.
//!
//! Owns: `Programmed` and `Ready`; `Accepted` and `ResolvedRefs` come from compiling. Never: looks at what was
//! said before. Pure. Used by: `status`.

use super::collect::{Facts, Pod};
use super::reports::Reports;
use crds::compile::{Finding, Verdict};
use crds::name::ChannelName;
use crds::policy::Policy;
use crds::reason::Reason;
use crds::report::{BrokerKind, ChannelReport, Report};
use std::time::Instant;

/// Pods that are named in a message; of more only the number.
const MOST_NAMED: usize = 3;

/// Which Pods serve the form in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programmed {
    pub finding: Finding,
    /// Ready Pods that report the form in force.
    pub serving: usize,
    /// Ready Pods that should; new ones only if there are no others.
    pub expected: usize,
}

/// Judges what the ready Pods report of a Channel.
#[must_use]
pub fn programmed(verdict: &Verdict, pods: &[Pod], reports: &Reports, now: Instant) -> Programmed {
    let digest = verdict.in_force.as_ref().map(|form| &*form.digest);
    let serves = |pod: &&Pod| {
        let reported = of_channel(reports.of(pod), &verdict.channel);
        digest.is_some() && reported.map(|report| &*report.digest) == digest
    };
    let ready = pods.iter().filter(|pod| pod.ready);
    let (serving, others): (Vec<&Pod>, Vec<&Pod>) = ready.partition(serves);
    // A new Pod is not behind: nobody has heard of it yet. Else a rollout would flip every Channel twice for each Pod.
    let known = others.iter().filter(|pod| !reports.is_new(pod, now));
    let mut behind: Vec<&str> = known.map(|pod| &*pod.name).collect();
    if serving.is_empty() && behind.is_empty() {
        behind = others.iter().map(|pod| &*pod.name).collect();
    }
    let expected = serving.len() + behind.len();
    let finding = if digest.is_none() {
        no(
            Reason::NotAccepted,
            "Nothing of the Channel is in force; Accepted says why.",
        )
    } else if expected == 0 {
        no(
            Reason::NoGateways,
            "The gateway has no ready Pod; look at its Deployment.",
        )
    } else if behind.is_empty() {
        yes(
            Reason::Programmed,
            "All ready gateway Pods serve the form in force.",
        )
    } else {
        no(Reason::Pending, &lagging(&behind))
    };
    Programmed {
        finding,
        serving: serving.len(),
        expected,
    }
}

fn lagging(behind: &[&str]) -> String {
    let named = behind[..behind.len().min(MOST_NAMED)].join(", ");
    let more = behind.len().saturating_sub(MOST_NAMED);
    let and = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("Not every ready gateway Pod serves the form in force yet: {named}{and}.")
}

/// Whether it works as it is written.
#[must_use]
pub fn ready(
    verdict: &Verdict,
    programmed: &Finding,
    policy: Option<&Policy>,
    facts: &Facts,
) -> Finding {
    let Verdict {
        accepted,
        resolved_refs,
        ..
    } = verdict;
    if !accepted.holds {
        return accepted.clone();
    }
    if policy.is_some_and(|policy| shares_nothing(policy, facts)) {
        return no(
            Reason::NoSharedBroker,
            "The gateway has several Pods and no Redis, so what is published to one of them reaches its own streams only; give the gateway or the Channel a Redis, or let the gateway have one replica.",
        );
    }
    if !programmed.holds {
        return programmed.clone();
    }
    if !resolved_refs.holds {
        let message = &resolved_refs.message;
        return yes(Reason::Degraded, message);
    }
    yes(Reason::Ready, "The Channel is served as it is written.")
}

/// Whether the Channel lives in the memory of several Pods.
fn shares_nothing(policy: &Policy, facts: &Facts) -> bool {
    policy.redis.is_none() && facts.fleet.broker == BrokerKind::Memory && facts.replicas > 1
}

/// Streams that listen to the Channel, over all Pods that report, those on their way out, too.
#[must_use]
pub fn streams(channel: &ChannelName, reports: &Reports) -> u64 {
    let all = reports.all();
    all.filter_map(|report| of_channel(Some(report), channel))
        .map(|report| report.streams)
        .sum()
}

fn of_channel<'a>(report: Option<&'a Report>, channel: &ChannelName) -> Option<&'a ChannelReport> {
    report?.channels.get(&channel.to_string())
}

fn yes(reason: Reason, message: &str) -> Finding {
    Finding {
        holds: true,
        reason,
        message: message.to_owned(),
    }
}

fn no(reason: Reason, message: &str) -> Finding {
    Finding {
        holds: false,
        ..yes(reason, message)
    }
}

#[cfg(test)]
mod tests;
