//! What `/status` tells.
//!
//! Owns: gathering it. Never: keeps any of it. Used by: `app`, which hands it to the admin port.

use crate::config::Config;
use crate::limits::Limits;
use crate::readiness::Phase;
use crds::report::{BrokerKind, ChannelReport, Report};
use crds::snapshot::FORMAT;
use tokio::sync::watch;

/// The state of the gateway at this moment.
#[must_use]
pub fn report(
    config: &Config,
    limits: &Limits,
    phase: &watch::Sender<Phase>,
    broker: BrokerKind,
) -> Report {
    let snapshot = config.current().unwrap_or_default();
    let channels = snapshot.policies().iter().map(|policy| {
        let channel = ChannelReport {
            uid: policy.uid.clone(),
            generation: policy.generation,
            digest: policy.digest.to_string(),
            streams: limits.streams(&policy.channel),
        };
        (policy.channel.to_string(), channel)
    });
    Report {
        formats: vec![FORMAT],
        revision: snapshot.revision.to_string(),
        broker,
        draining: *phase.borrow() != Phase::Serving,
        streams: limits.all_streams(),
        channels: channels.collect(),
    }
}
