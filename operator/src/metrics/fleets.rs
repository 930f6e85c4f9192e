//! The series of fleets and of the Channels on them.
//!
//! Owns: which exist, so that they go when their fleet or Channel goes. Used by: `metrics`.

use super::labels::{Direction, Reconciled};
use super::maker::Maker;
use crds::name::ChannelName;
use parking_lot::Mutex;
use prometheus::{IntCounterVec, IntGaugeVec};
use std::collections::{BTreeMap, BTreeSet};

const CHANNEL: [&str; 3] = ["gateway", "channel_namespace", "channel"];

/// All series with the label `gateway`.
pub struct Fleets {
    pub reconciles: IntCounterVec,
    pub steps: IntCounterVec,
    pub snapshot_bytes: IntGaugeVec,
    pub wanted: IntGaugeVec,
    pub replicas: IntGaugeVec,
    programmed: IntGaugeVec,
    expected: IntGaugeVec,
    /// The fleets that have series, and the Channels that have some on them.
    known: Mutex<BTreeMap<String, BTreeSet<ChannelName>>>,
}

impl Fleets {
    pub fn new(maker: &Maker) -> Result<Self, prometheus::Error> {
        Ok(Self {
            reconciles: maker.counters(
                "siar_operator_reconciles_total",
                "Turns of a gateway's task, by what came of them.",
                &["gateway", "result"],
            )?,
            steps: maker.counters(
                "siar_operator_scale_steps_total",
                "Times that a fleet was made larger or smaller.",
                &["gateway", "direction"],
            )?,
            snapshot_bytes: maker.gauges(
                "siar_operator_snapshot_bytes",
                "Size of a gateway's configuration as its Secret carries it; 1000000 at most.",
                &["gateway"],
            )?,
            wanted: maker.gauges(
                "siar_operator_wanted_replicas",
                "Gateway pods that the streams ask for, within the bounds.",
                &["gateway"],
            )?,
            replicas: maker.gauges(
                "siar_operator_replicas",
                "Gateway pods that the Deployment is told to have.",
                &["gateway"],
            )?,
            programmed: maker.gauges(
                "siar_operator_channel_programmed_gateways",
                "Ready gateway pods that serve the form of the Channel that is in force.",
                &CHANNEL,
            )?,
            expected: maker.gauges(
                "siar_operator_channel_expected_gateways",
                "Ready gateway pods that should serve the Channel.",
                &CHANNEL,
            )?,
            known: Mutex::default(),
        })
    }

    /// Its counters begin at 0, and not with the first thing counted: an increase would miss that one.
    pub fn begin(&self, gateway: &str) {
        let mut known = self.known.lock();
        if known.contains_key(gateway) {
            return;
        }
        known.insert(gateway.to_owned(), BTreeSet::new());
        for result in Reconciled::ALL {
            self.reconciles.with_label_values(&[gateway, result.word()]);
        }
        for direction in Direction::ALL {
            self.steps.with_label_values(&[gateway, direction.word()]);
        }
    }

    pub fn channel(&self, gateway: &str, channel: &ChannelName, programmed: i64, expected: i64) {
        self.begin(gateway);
        // Under the lock, or a Channel that goes at this moment would leave its series behind.
        let mut known = self.known.lock();
        if let Some(channels) = known.get_mut(gateway) {
            channels.insert(channel.clone());
            let labels = labels(gateway, channel);
            self.programmed.with_label_values(&labels).set(programmed);
            self.expected.with_label_values(&labels).set(expected);
        }
    }

    pub fn retain_channels(&self, gateway: &str, keep: impl Fn(&ChannelName) -> bool) {
        if let Some(channels) = self.known.lock().get_mut(gateway) {
            channels.retain(|channel| {
                let kept = keep(channel);
                if !kept {
                    self.remove_channel(gateway, channel);
                }
                kept
            });
        }
    }

    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.known.lock().retain(|gateway, channels| {
            let kept = keep(gateway);
            if !kept {
                self.remove_gauges(gateway, channels);
                // A child that was never made is no error, here and below: it is gone either way.
                for result in Reconciled::ALL {
                    drop(
                        self.reconciles
                            .remove_label_values(&[gateway, result.word()]),
                    );
                }
                for direction in Direction::ALL {
                    drop(self.steps.remove_label_values(&[gateway, direction.word()]));
                }
            }
            kept
        });
    }

    /// Drops every gauge; the counters stay.
    pub fn resign(&self) {
        for (gateway, channels) in self.known.lock().iter_mut() {
            self.remove_gauges(gateway, channels);
            channels.clear();
        }
    }

    fn remove_gauges(&self, gateway: &str, channels: &BTreeSet<ChannelName>) {
        for channel in channels {
            self.remove_channel(gateway, channel);
        }
        for gauge in [&self.snapshot_bytes, &self.wanted, &self.replicas] {
            drop(gauge.remove_label_values(&[gateway]));
        }
    }

    fn remove_channel(&self, gateway: &str, channel: &ChannelName) {
        let labels = labels(gateway, channel);
        drop(self.programmed.remove_label_values(&labels));
        drop(self.expected.remove_label_values(&labels));
    }
}

fn labels<'a>(gateway: &'a str, channel: &'a ChannelName) -> [&'a str; 3] {
    [gateway, channel.namespace(), channel.name()]
}
