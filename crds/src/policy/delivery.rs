//! Checks numbers and durations: history, stream, limits, scaling.
//!
//! Owns: the ranges, the same as in the schema. Never: fills in a default (`channel` does). Used by:
//! `policy`.

use super::{History, Limits, Rejection, Timing};
use crate::channel::{HistorySpec, LimitsSpec, ScalingSpec, StreamSpec};
use crate::duration::DurationText;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What is kept.
pub fn history(spec: &HistorySpec) -> Result<History, Rejection> {
    Ok(History {
        size: number("spec.history.size", spec.size, 1..=100_000)?,
        ttl: time("spec.history.ttl", &spec.ttl, "1s", "168h")?,
    })
}

/// How streams behave.
pub fn timing(spec: &StreamSpec) -> Result<Timing, Rejection> {
    let max_age = match spec.max_age.read() {
        Ok(Duration::ZERO) => None,
        Ok(_) | Err(_) => Some(time("spec.stream.maxAge", &spec.max_age, "1m", "24h")?),
    };
    Ok(Timing {
        heartbeat: time("spec.stream.heartbeat", &spec.heartbeat, "1s", "5m")?,
        retry: time("spec.stream.retry", &spec.retry, "100ms", "1m")?,
        max_age,
    })
}

/// The bounds on one gateway pod.
pub fn limits(spec: &LimitsSpec) -> Result<Limits, Rejection> {
    let message_bytes = number(
        "spec.limits.messageBytes",
        spec.message_bytes,
        1..=1_048_576,
    )?;
    let per_client = spec
        .streams_per_client
        .map(|value| number("spec.limits.streamsPerClient", value, 1..=1_000_000));
    Ok(Limits {
        streams: number("spec.limits.streams", spec.streams, 1..=10_000_000)?,
        message_bytes: message_bytes as usize,
        topics: number("spec.limits.topics", spec.topics, 1..=1_000_000)?,
        publish_per_second: number(
            "spec.limits.publishPerSecond",
            spec.publish_per_second,
            1..=1_000_000,
        )?,
        streams_per_client: per_client.transpose()?,
    })
}

/// Nothing of it concerns a gateway, but a Channel is right as a whole or not at all.
pub fn check_scaling(spec: &ScalingSpec) -> Result<(), Rejection> {
    let fields = [
        ("spec.scaling.minReplicas", spec.min_replicas, 1..=1_000),
        ("spec.scaling.maxReplicas", spec.max_replicas, 1..=1_000),
        (
            "spec.scaling.streamsPerReplica",
            spec.streams_per_replica,
            1..=10_000_000,
        ),
    ];
    for (field, value, range) in fields {
        if let Some(value) = value {
            number(field, value, range)?;
        }
    }
    match (spec.min_replicas, spec.max_replicas) {
        (Some(min), Some(max)) if min > max => Err(Rejection::invalid(format!(
            "spec.scaling.minReplicas is {min} and maxReplicas {max}; the first must not be greater."
        ))),
        _ => Ok(()),
    }
}

fn number(field: &str, value: i32, range: RangeInclusive<u32>) -> Result<u32, Rejection> {
    match u32::try_from(value) {
        Ok(number) if range.contains(&number) => Ok(number),
        Ok(_) | Err(_) => Err(Rejection::invalid(format!(
            "{field} is {value}; use {} to {}.",
            range.start(),
            range.end()
        ))),
    }
}

/// `min` and `max` are written as in a manifest, so that the message can repeat them.
pub(super) fn time(
    field: &str,
    text: &DurationText,
    min: &str,
    max: &str,
) -> Result<Duration, Rejection> {
    let bound = |text| {
        DurationText::new(text)
            .read()
            .expect("bounds are durations")
    };
    let shown: String = text.as_str().chars().take(32).collect();
    match text.read() {
        Ok(time) if (bound(min)..=bound(max)).contains(&time) => Ok(time),
        Ok(_) => Err(Rejection::invalid(format!(
            "{field} is {shown}; use {min} to {max}."
        ))),
        Err(error) => Err(Rejection::invalid(format!("{field}: {shown:?} {error}."))),
    }
}
