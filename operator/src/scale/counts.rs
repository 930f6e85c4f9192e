//! What the gateways report, added up.
//!
//! Owns: how many pods the streams ask for, before any bound; whether all was heard. Pure, in whole numbers.
//! Used by: `scale`.

use crds::channel::ScalingSpec;
use crds::name::ChannelName;
use crds::report::Report;

/// Streams of a Channel that make one pod, when it says nothing.
const STREAMS_PER_REPLICA: u32 = 20_000;
/// More streams than any pod has; what is above is no count.
const MOST_STREAMS: u64 = 100_000_000;
/// More pods than any bound allows.
const MOST_NEEDED: u32 = 1_000;
/// Parts of a pod are counted in billionths. What is lost by that in 10,000 Channels is less than a stream.
const ONE: u128 = 1_000_000_000;

/// One pod of the fleet that exists.
#[derive(Clone, Copy, Debug)]
pub struct Pod<'a> {
    /// Ready, and not on its way out.
    pub ready: bool,
    /// What it last answered, if it answers.
    pub report: Option<&'a Report>,
}

/// What all pods together serve, and what the Channels ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pods that the streams of Channels in force need, rounded up. Of a Channel with `maxReplicas` they need no more
    /// than that, whatever others need: one Channel must not make the fleet of all smaller.
    pub needed: u32,
    /// The largest `minReplicas` that a Channel sets.
    pub fewest: Option<u32>,
    /// Streams open, each once.
    pub streams: u64,
    /// Pods that are ready and not on their way out.
    pub ready: usize,
    /// Those of them that do not answer; with any, the counts are partial.
    pub silent: usize,
}

impl Counts {
    /// Adds up what `pods` report of `channels`, which are those in force with their `scaling` in force.
    ///
    /// A pod on its way out counts with the streams that it still has, since they will need a place; whether it
    /// answers does not matter.
    #[must_use]
    pub fn of<'a>(
        channels: impl IntoIterator<Item = (&'a ChannelName, Option<&'a ScalingSpec>)>,
        pods: &[Pod<'_>],
    ) -> Self {
        let ready = pods.iter().filter(|pod| pod.ready);
        let mut counts = Self {
            ready: ready.clone().count(),
            silent: ready.filter(|pod| pod.report.is_none()).count(),
            ..Self::default()
        };
        let reports: Vec<Shares> = pods
            .iter()
            .filter_map(|pod| pod.report)
            .map(Shares::of)
            .collect();
        for shares in &reports {
            counts.streams += shares.streams;
        }
        let mut needed = 0;
        for (channel, scaling) in channels {
            let channel = channel.to_string();
            let per = scaling.and_then(|scaling| scaling.streams_per_replica);
            let per = per.and_then(positive).unwrap_or(STREAMS_PER_REPLICA);
            let part = reports
                .iter()
                .map(|shares| shares.of_channel(&channel, per))
                .sum::<u128>();
            let most = scaling.and_then(|scaling| scaling.max_replicas);
            let most = most.and_then(positive).unwrap_or(MOST_NEEDED);
            needed += part.min(u128::from(most) * ONE);
            let fewest = scaling.and_then(|scaling| scaling.min_replicas);
            counts.fewest = counts.fewest.max(fewest.and_then(positive));
        }
        let needed = u32::try_from(needed.div_ceil(ONE)).unwrap_or(u32::MAX);
        counts.needed = needed.min(MOST_NEEDED);
        counts
    }
}

fn positive(number: i32) -> Option<u32> {
    u32::try_from(number).ok().filter(|number| *number > 0)
}

/// What one pod reports, each stream once.
///
/// A stream on n Channels counts 1/n for each. A report tells only how many streams each Channel has, and how
/// many there are in all: which stream is on which Channels is not in it. So when the Channels have more streams
/// together than there are, each Channel counts by its part of the whole. With streams on equally many Channels
/// that is 1/n exactly; else their sum is exact, and only how it is shared between Channels is a guess.
struct Shares<'a> {
    report: &'a Report,
    streams: u64,
    /// What all Channels have together; streams on several are in it several times.
    listed: u64,
}

impl<'a> Shares<'a> {
    fn of(report: &'a Report) -> Self {
        let listed = report.channels.values();
        let listed = listed.fold(0_u64, |sum, channel| {
            sum.saturating_add(channel.streams.min(MOST_STREAMS))
        });
        Self {
            report,
            streams: report.streams.min(MOST_STREAMS),
            listed,
        }
    }

    /// Billionths of a pod that a Channel with `per` streams for one needs.
    fn of_channel(&self, channel: &str, per: u32) -> u128 {
        let listed = self.report.channels.get(channel);
        let streams = listed.map_or(0, |channel| channel.streams.min(MOST_STREAMS));
        let whole = u128::from(streams) * ONE;
        if self.listed > self.streams {
            // The sum of these is below a sum of exact parts, never above: rounding adds no pod.
            return whole * u128::from(self.streams) / u128::from(self.listed) / u128::from(per);
        }
        whole / u128::from(per)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::report::{BrokerKind, ChannelReport};

    fn report(streams: u64, channels: &[(&str, u64)]) -> Report {
        let channel = |streams| ChannelReport {
            uid: String::new(),
            generation: 1,
            digest: String::new(),
            streams,
        };
        Report {
            formats: vec![1],
            revision: String::new(),
            broker: BrokerKind::Redis,
            draining: false,
            streams,
            channels: channels
                .iter()
                .map(|(name, streams)| (format!("shop/{name}"), channel(*streams)))
                .collect(),
        }
    }

    fn scaling(per: Option<i32>, min: Option<i32>, max: Option<i32>) -> ScalingSpec {
        ScalingSpec {
            min_replicas: min,
            max_replicas: max,
            streams_per_replica: per,
        }
    }

    fn count(channels: &[(&str, Option<ScalingSpec>)], reports: &[Report]) -> Counts {
        let names: Vec<_> = channels
            .iter()
            .map(|(name, scaling)| (ChannelName::new("shop", name), scaling.as_ref()))
            .collect();
        let pods: Vec<Pod<'_>> = reports
            .iter()
            .map(|report| Pod {
                ready: true,
                report: Some(report),
            })
            .collect();
        let channels = names.iter().map(|(name, scaling)| (name, *scaling));
        Counts::of(channels, &pods)
    }

    #[track_caller]
    fn check(per: &[(&str, Option<i32>)], reports: &[Report], expected: u32) {
        let channels: Vec<_> = per
            .iter()
            .map(|(name, per)| (*name, Some(scaling(*per, None, None))))
            .collect();
        assert_eq!(count(&channels, reports).needed, expected, "{reports:?}");
    }

    #[test]
    fn twenty_thousand_streams_make_a_pod_unless_the_channel_says_otherwise() {
        let one = [("orders", None)];
        check(&one, &[report(0, &[])], 0);
        check(&one, &[report(1, &[("orders", 1)])], 1);
        check(&one, &[report(20_000, &[("orders", 20_000)])], 1);
        check(&one, &[report(20_001, &[("orders", 20_001)])], 2);
        let told = [("orders", Some(100))];
        check(&told, &[report(1_000, &[("orders", 1_000)])], 10);
        check(&told, &[report(1_001, &[("orders", 1_001)])], 11);
    }

    #[test]
    fn all_pods_and_channels_add_up_before_rounding() {
        let channels = [("a", Some(30)), ("b", Some(30)), ("c", Some(30))];
        let third = report(30, &[("a", 10), ("b", 10), ("c", 10)]);
        check(&channels, std::slice::from_ref(&third), 1);
        check(&channels, &[third.clone(), third.clone(), third], 3);
    }

    #[test]
    fn a_stream_on_several_channels_counts_once() {
        // Each of 60 streams is on both, so each counts a half for each.
        let both = report(60, &[("a", 60), ("b", 60)]);
        let reports = [both];
        check(&[("a", Some(30)), ("b", Some(30))], &reports, 2);
        check(&[("a", Some(30)), ("b", Some(10))], &reports, 4);
    }

    #[test]
    fn only_channels_in_force_count() {
        let two = report(60, &[("a", 30), ("gone", 30)]);
        check(&[("a", Some(10))], &[two], 3);
    }

    #[test]
    fn counts_beyond_reason_are_bounded() {
        check(
            &[("a", Some(1))],
            &[report(u64::MAX, &[("a", u64::MAX), ("b", u64::MAX)])],
            1_000,
        );
        check(&[("a", Some(0))], &[report(40_000, &[("a", 40_000)])], 2);
    }

    #[test]
    fn of_the_fewest_that_channels_set_the_largest_counts() {
        let channels = [
            ("a", Some(scaling(None, Some(3), Some(5)))),
            ("b", Some(scaling(None, Some(4), None))),
            ("c", None),
        ];
        assert_eq!(count(&channels, &[]).fewest, Some(4));
        assert_eq!(count(&[("c", None)], &[]).fewest, None);
    }

    #[test]
    fn the_most_of_a_channel_bounds_what_it_needs_and_nothing_else() {
        let small = scaling(Some(10), None, Some(3));
        let streams = |small, large| [report(small + large, &[("small", small), ("large", large)])];
        let needed = |channels: &[(&str, Option<ScalingSpec>)], small, large| {
            count(channels, &streams(small, large)).needed
        };
        let alone = [("small", Some(small.clone()))];
        assert_eq!(needed(&alone, 25, 0), 3);
        assert_eq!(needed(&alone, 1_000, 0), 3);
        let both = [
            ("small", Some(small)),
            ("large", Some(scaling(Some(10), None, None))),
        ];
        assert_eq!(needed(&both, 1_000, 100), 13);
        assert_eq!(needed(&both, 5, 100), 11);
    }

    #[test]
    fn only_ready_pods_must_answer_but_all_streams_count() {
        let leaving = report(40_000, &[("a", 40_000)]);
        let pods = [
            Pod {
                ready: true,
                report: None,
            },
            Pod {
                ready: false,
                report: None,
            },
            Pod {
                ready: false,
                report: Some(&leaving),
            },
        ];
        let name = ChannelName::new("shop", "a");
        let counts = Counts::of([(&name, None)], &pods);
        assert_eq!((counts.ready, counts.silent), (1, 1));
        assert_eq!((counts.needed, counts.streams), (2, 40_000));
    }
}
