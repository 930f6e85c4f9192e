//! Every metric of the operator, over a registry that `app` passes in.
//!
//! Owns: names, labels and help texts; labels are enums, fleets and Channels. Children of enum labels are made
//! at start, so a panel sees 0 and not "no data". Gauges of fleets and Channels come from the leader only.
//! Used by: whoever counts.

mod fleets;
mod labels;
mod maker;

pub use labels::{Direction, Kind, Reconciled, StatusPatch};

use crds::name::ChannelName;
use fleets::Fleets;
use maker::Maker;
use prometheus::process_collector::ProcessCollector;
use prometheus::{GaugeVec, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};
use std::sync::Arc;
use std::time::Duration;

/// All metrics of one operator.
pub struct Metrics {
    watch_errors: IntCounterVec,
    watch_age: GaugeVec,
    store_objects: IntGaugeVec,
    reconcile_seconds: Histogram,
    status_patches: IntCounterVec,
    status_contested: IntCounter,
    objects_in_backoff: IntGauge,
    leader: IntGauge,
    lease_transitions: IntCounter,
    events: IntCounter,
    fleets: Fleets,
}

impl Metrics {
    /// Registers everything. Fails when the registry has one of the names already.
    pub fn new(registry: &Registry) -> Result<Arc<Self>, prometheus::Error> {
        let maker = Maker { registry };
        let metrics = Self {
            watch_errors: maker.counters(
                "siar_operator_watch_errors_total",
                "Watches and lists of the API server that failed.",
                &["kind"],
            )?,
            watch_age: maker.float_gauges(
                "siar_operator_watch_age_seconds",
                "Time since a watch was last seen to be right.",
                &["kind"],
            )?,
            store_objects: maker.gauges(
                "siar_operator_store_objects",
                "Objects that a watch has brought and that exist.",
                &["kind"],
            )?,
            reconcile_seconds: maker.histogram(
                "siar_operator_reconcile_seconds",
                "Duration of one turn of a gateway's task, the write of its Secret included.",
            )?,
            status_patches: maker.counters(
                "siar_operator_status_patches_total",
                "Looks at the status of a Channel, by what came of them.",
                &["result"],
            )?,
            status_contested: maker.counter(
                "siar_operator_status_contested_total",
                "Times that a Channel was left alone because somebody else writes its status.",
            )?,
            objects_in_backoff: maker.gauge(
                "siar_operator_objects_in_backoff",
                "Objects whose last write failed and waits for its next try.",
            )?,
            leader: maker.gauge("siar_operator_leader", "1 while this replica leads.")?,
            lease_transitions: maker.counter(
                "siar_operator_lease_transitions_total",
                "Times that this replica began or ceased to lead.",
            )?,
            events: maker.counter(
                "siar_operator_events_total",
                "Events that were written to the API server.",
            )?,
            fleets: Fleets::new(&maker)?,
        };
        maker
            .gauges(
                "siar_operator_build_info",
                "1 for the version of the operator.",
                &["version"],
            )?
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        registry.register(Box::new(ProcessCollector::for_self()))?;
        for kind in Kind::ALL {
            metrics.watch_errors.with_label_values(&[kind.word()]);
            metrics.watch_age.with_label_values(&[kind.word()]);
            metrics.store_objects.with_label_values(&[kind.word()]);
        }
        for result in StatusPatch::ALL {
            metrics.status_patches.with_label_values(&[result.word()]);
        }
        Ok(Arc::new(metrics))
    }

    /// A watch or a list of `kind` failed.
    pub fn watch_failed(&self, kind: Kind) {
        self.watch_errors.with_label_values(&[kind.word()]).inc();
    }

    /// So long ago the watch of `kind` was last seen to be right.
    pub fn watch_age(&self, kind: Kind, age: Duration) {
        let gauge = self.watch_age.with_label_values(&[kind.word()]);
        gauge.set(age.as_secs_f64());
    }

    /// The store of `kind` holds so many objects.
    pub fn store_objects(&self, kind: Kind, objects: usize) {
        let gauge = self.store_objects.with_label_values(&[kind.word()]);
        gauge.set(number(objects));
    }

    /// Drops the series of fleets for which `keep` is false.
    pub fn retain_fleets(&self, keep: impl Fn(&str) -> bool) {
        self.fleets.retain(keep);
    }

    /// A turn of the task of `gateway` ended.
    pub fn reconciled(&self, gateway: &str, result: Reconciled, took: Duration) {
        self.fleets.begin(gateway);
        let turns = &self.fleets.reconciles;
        turns.with_label_values(&[gateway, result.word()]).inc();
        self.reconcile_seconds.observe(took.as_secs_f64());
    }

    /// The Snapshot of `gateway` takes so many bytes in its Secret.
    pub fn snapshot_bytes(&self, gateway: &str, bytes: usize) {
        self.fleets.begin(gateway);
        let gauge = self.fleets.snapshot_bytes.with_label_values(&[gateway]);
        gauge.set(number(bytes));
    }

    /// What the streams of `gateway` ask for, and what its Deployment is told to have.
    pub fn replicas(&self, gateway: &str, wanted: u32, replicas: u32) {
        self.fleets.begin(gateway);
        let labels = [gateway];
        let fleets = &self.fleets;
        fleets.wanted.with_label_values(&labels).set(wanted.into());
        fleets
            .replicas
            .with_label_values(&labels)
            .set(replicas.into());
    }

    /// A step was carried out.
    pub fn scaled(&self, gateway: &str, direction: Direction) {
        self.fleets.begin(gateway);
        let steps = &self.fleets.steps;
        steps.with_label_values(&[gateway, direction.word()]).inc();
    }

    /// So many ready pods of `gateway` serve the form of `channel` in force, of so many that should.
    pub fn channel_gateways(
        &self,
        gateway: &str,
        channel: &ChannelName,
        programmed: usize,
        expected: usize,
    ) {
        self.fleets
            .channel(gateway, channel, number(programmed), number(expected));
    }

    /// Drops the series of Channels on `gateway` for which `keep` is false: deleted, or moved elsewhere.
    pub fn retain_channels(&self, gateway: &str, keep: impl Fn(&ChannelName) -> bool) {
        self.fleets.retain_channels(gateway, keep);
    }

    /// The status of a Channel was looked at.
    pub fn status_patch(&self, result: StatusPatch) {
        self.status_patches
            .with_label_values(&[result.word()])
            .inc();
    }

    /// A Channel is left alone for a while because somebody else writes its status.
    pub fn status_contested(&self) {
        self.status_contested.inc();
    }

    /// So many objects wait for their next try.
    #[must_use]
    pub fn objects_in_backoff(&self) -> IntGauge {
        self.objects_in_backoff.clone()
    }

    /// Whether this replica leads from now on. Who does not drops the gauges that only the leader knows.
    pub fn leader(&self, leads: bool) {
        if self.leader.get() == i64::from(leads) {
            return;
        }
        self.leader.set(leads.into());
        self.lease_transitions.inc();
        if !leads {
            self.fleets.resign();
        }
    }

    /// An Event was written.
    pub fn event(&self) {
        self.events.inc();
    }
}

/// More than that is never counted.
fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::TextEncoder;

    fn text(registry: &Registry) -> String {
        TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap()
    }

    #[track_caller]
    fn check(registry: &Registry, lines: &[&str]) {
        let text = text(registry);
        for line in lines {
            assert!(text.lines().any(|told| told == *line), "{line}\n{text}");
        }
    }

    #[test]
    fn what_can_be_counted_is_there_before_it_was() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        metrics.fleets.begin("edge");
        check(
            &registry,
            &[
                r#"siar_operator_watch_errors_total{kind="snapshots"} 0"#,
                r#"siar_operator_watch_age_seconds{kind="channels"} 0"#,
                r#"siar_operator_store_objects{kind="pods"} 0"#,
                r#"siar_operator_status_patches_total{result="skipped"} 0"#,
                r#"siar_operator_reconciles_total{gateway="edge",result="published"} 0"#,
                r#"siar_operator_scale_steps_total{direction="down",gateway="edge"} 0"#,
                "siar_operator_leader 0",
                r#"siar_operator_build_info{version="0.1.0"} 1"#,
            ],
        );
        assert!(text(&registry).contains("process_open_fds"));
    }

    #[test]
    fn the_series_of_a_channel_go_with_it_and_leave_others() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let orders = ChannelName::new("shop", "orders");
        for gateway in ["edge", "inner"] {
            metrics.channel_gateways(gateway, &orders, 1, 2);
        }
        metrics.retain_channels("edge", |_| false);
        let inner = r#"siar_operator_channel_expected_gateways{channel="orders",channel_namespace="shop",gateway="inner"} 2"#;
        check(&registry, &[inner]);
        assert!(
            !text(&registry)
                .contains(r#"channel="orders",channel_namespace="shop",gateway="edge""#)
        );
    }

    #[test]
    fn only_the_leader_tells_of_fleets() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        metrics.leader(true);
        metrics.leader(true);
        metrics.replicas("edge", 3, 2);
        metrics.snapshot_bytes("edge", 700);
        metrics.channel_gateways("edge", &ChannelName::new("shop", "orders"), 2, 2);
        metrics.scaled("edge", Direction::Up);
        check(
            &registry,
            &[r#"siar_operator_wanted_replicas{gateway="edge"} 3"#],
        );
        metrics.leader(false);
        let up = r#"siar_operator_scale_steps_total{direction="up",gateway="edge"} 1"#;
        check(&registry, &["siar_operator_lease_transitions_total 2", up]);
        let text = text(&registry);
        for gone in ["_replicas{", "snapshot_bytes{", "_gateways{"] {
            assert!(!text.contains(gone), "{gone}\n{text}");
        }
    }

    #[test]
    fn a_fleet_that_is_gone_leaves_nothing() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        metrics.reconciled("edge", Reconciled::Published, Duration::from_millis(30));
        metrics.replicas("edge", 3, 2);
        metrics.retain_fleets(|gateway| gateway != "edge");
        assert!(!text(&registry).contains("edge"));
        check(&registry, &["siar_operator_reconcile_seconds_count 1"]);
    }
}
