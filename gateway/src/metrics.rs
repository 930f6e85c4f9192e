//! Every metric of the gateway, over a registry that `app` passes in.
//!
//! Owns: names, labels and help texts; labels are enums and Channels, never topics or clients. Children of
//! enum labels are made at start, so a panel sees 0 and not "no data". Used by: whoever counts.

mod maker;

use crate::close::{CloseReason, GapReason};
use crds::name::ChannelName;
use maker::Maker;
use parking_lot::RwLock;
use prometheus::{
    GaugeVec, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
    process_collector,
};
use std::collections::HashMap;
use std::sync::Arc;

/// Where a published message came from; label `source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Post,
    FlaskSse,
    Juggernaut,
    Raw,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 4] = [Self::Post, Self::FlaskSse, Self::Juggernaut, Self::Raw];

    /// The value of the label.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::FlaskSse => "flask_sse",
            Self::Juggernaut => "juggernaut",
            Self::Raw => "raw",
        }
    }
}

/// How a stream that named a place to start began; label `result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Everything after the place was there.
    Complete,
    /// A gap was told.
    Gap,
}

/// Who was refused what; labels `action` and `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No evidence was presented and some is needed.
    NoToken,
    /// A token was presented that no rule can verify.
    BadToken,
    /// The evidence is good, and no rule admits it here.
    NotAdmitted,
    /// The page's origin is not listed.
    Origin,
}

impl Denied {
    /// Every reason.
    pub const ALL: [Self; 4] = [
        Self::NoToken,
        Self::BadToken,
        Self::NotAdmitted,
        Self::Origin,
    ];

    /// The value of the label.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NoToken => "no-token",
            Self::BadToken => "bad-token",
            Self::NotAdmitted => "not-admitted",
            Self::Origin => "origin",
        }
    }
}

/// The counters of one Channel; they live as long as somebody holds them and the Channel exists.
#[derive(Debug)]
pub struct ChannelMetrics {
    pub streams: IntGauge,
    /// `limits.streams` of the form in force.
    pub streams_limit: IntGauge,
    pub opened: IntCounter,
    pub closed: [IntCounter; CloseReason::ALL.len()],
    pub published: [IntCounter; Source::ALL.len()],
    pub malformed: [IntCounter; Source::ALL.len()],
    pub delivered: IntCounter,
    pub gaps: [IntCounter; GapReason::ALL.len()],
    pub resumes: [IntCounter; 2],
    /// By action (subscribe, publish), then reason.
    pub denied: [[IntCounter; Denied::ALL.len()]; 2],
    pub condition_errors: IntCounter,
}

/// All metrics of one gateway.
pub struct Metrics {
    pub connections: IntGauge,
    pub connections_limit: IntGauge,
    pub sent_bytes: IntCounter,
    pub delivery_seconds: Histogram,
    /// 1 while the server answers and its subscription stands; label `server` is host and port.
    pub redis_up: IntGaugeVec,
    pub redis_reconnects: IntCounterVec,
    /// Label `result`: `applied`, `rejected`.
    pub config_applies: IntCounterVec,
    /// 1 for the revision in force.
    pub config_revision: IntGaugeVec,
    /// 1 while the last contact with the source of the configuration was good: the API server answered, or the
    /// manifests could be read.
    pub config_source_up: IntGauge,
    pub draining: IntGauge,
    /// Part of the last second that a worker was busy; label `worker`.
    pub worker_busy: GaugeVec,
    /// Answers that are not a stream or a success; label `refusal`.
    pub refusals: IntCounterVec,
    /// Label `result`: `ok`, `error`.
    pub jwks_fetches: IntCounterVec,
    /// Sets of keys that are older than the last fetch, which failed.
    pub jwks_stale: IntGauge,
    families: Families,
    channels: RwLock<HashMap<ChannelName, Arc<ChannelMetrics>>>,
}

struct Families {
    streams: IntGaugeVec,
    streams_limit: IntGaugeVec,
    opened: IntCounterVec,
    closed: IntCounterVec,
    published: IntCounterVec,
    malformed: IntCounterVec,
    delivered: IntCounterVec,
    gaps: IntCounterVec,
    resumes: IntCounterVec,
    denied: IntCounterVec,
    condition_errors: IntCounterVec,
}

const CHANNEL: [&str; 2] = ["channel_namespace", "channel"];

impl Metrics {
    /// Registers everything; `gateway` becomes a label of every metric. Fails when the registry has
    /// one of the names already.
    pub fn new(registry: &Registry, gateway: &str) -> Result<Arc<Self>, prometheus::Error> {
        let maker = Maker { registry, gateway };
        let metrics = Self {
            connections: maker
                .gauge("siar_connections", "Open connections, streams and others.")?,
            connections_limit: maker.gauge(
                "siar_connections_limit",
                "Connections that the limit of open files leaves room for.",
            )?,
            sent_bytes: maker.counter(
                "siar_sent_bytes_total",
                "Bytes written to streams, framing included.",
            )?,
            delivery_seconds: maker.histogram(
                "siar_delivery_seconds",
                "Time from publishing to the write to a stream.",
            )?,
            redis_up: maker.gauges(
                "siar_redis_up",
                "Whether a Redis server answers and its subscription stands.",
                &["server"],
            )?,
            redis_reconnects: maker.counters(
                "siar_redis_reconnects_total",
                "Times a Redis subscription was made anew.",
                &["server"],
            )?,
            config_applies: maker.counters(
                "siar_config_applies_total",
                "Configurations applied and rejected.",
                &["result"],
            )?,
            config_revision: maker.gauges(
                "siar_config_revision_info",
                "1 for the revision in force.",
                &["revision"],
            )?,
            config_source_up: maker.gauge(
                "siar_config_source_up",
                "Whether the source of the configuration could be read the last time.",
            )?,
            draining: maker.gauge("siar_draining", "1 from SIGTERM on.")?,
            worker_busy: maker.float_gauges(
                "siar_worker_busy_ratio",
                "Part of the last second that a worker was busy.",
                &["worker"],
            )?,
            refusals: maker.counters(
                "siar_refusals_total",
                "Requests turned away, by their named reason.",
                &["refusal"],
            )?,
            jwks_fetches: maker.counters(
                "siar_jwks_fetches_total",
                "Fetches of the published keys of issuers.",
                &["result"],
            )?,
            jwks_stale: maker.gauge(
                "siar_jwks_stale",
                "Issuers whose last fetch failed; their last good keys are in use.",
            )?,
            families: Families::new(&maker)?,
            channels: RwLock::default(),
        };
        registry.register(Box::new(process_collector::ProcessCollector::for_self()))?;
        metrics.begin();
        Ok(Arc::new(metrics))
    }

    /// What has no Channel and can be counted begins at 0, and not with the first thing counted.
    fn begin(&self) {
        for result in ["applied", "rejected"] {
            self.config_applies.with_label_values(&[result]);
        }
        for result in ["ok", "error"] {
            self.jwks_fetches.with_label_values(&[result]);
        }
    }

    /// The counters of `channel`, made at first use.
    pub fn channel(&self, channel: &ChannelName) -> Arc<ChannelMetrics> {
        if let Some(known) = self.channels.read().get(channel) {
            return known.clone();
        }
        let mut channels = self.channels.write();
        channels
            .entry(channel.clone())
            .or_insert_with(|| Arc::new(self.families.channel(channel)))
            .clone()
    }

    /// Drops the series of Channels for which `keep` is false. Streams that still close then count into
    /// nothing, so call it when they are gone.
    pub fn retain_channels(&self, keep: impl Fn(&ChannelName) -> bool) {
        self.channels.write().retain(|channel, _| {
            let kept = keep(channel);
            if !kept {
                self.families.remove(channel);
            }
            kept
        });
    }
}

impl Families {
    fn new(maker: &Maker) -> Result<Self, prometheus::Error> {
        Ok(Self {
            streams: maker.gauges("siar_streams", "Open streams of a Channel.", &CHANNEL)?,
            streams_limit: maker.gauges(
                "siar_streams_limit",
                "Streams that a Channel may have in this process.",
                &CHANNEL,
            )?,
            opened: maker.counters("siar_streams_opened_total", "Streams opened.", &CHANNEL)?,
            closed: maker.counters(
                "siar_streams_closed_total",
                "Streams closed, by reason.",
                &[CHANNEL[0], CHANNEL[1], "reason"],
            )?,
            published: maker.counters(
                "siar_messages_published_total",
                "Messages accepted from publishers.",
                &[CHANNEL[0], CHANNEL[1], "source"],
            )?,
            malformed: maker.counters(
                "siar_messages_malformed_total",
                "Raw payloads that are no message.",
                &[CHANNEL[0], CHANNEL[1], "source"],
            )?,
            delivered: maker.counters(
                "siar_messages_delivered_total",
                "Messages written to streams.",
                &CHANNEL,
            )?,
            gaps: maker.counters(
                "siar_gaps_total",
                "Gaps told to streams, by reason.",
                &[CHANNEL[0], CHANNEL[1], "reason"],
            )?,
            resumes: maker.counters(
                "siar_resumes_total",
                "Streams that named a place to start.",
                &[CHANNEL[0], CHANNEL[1], "result"],
            )?,
            denied: maker.counters(
                "siar_access_denied_total",
                "Requests denied by access rules.",
                &[CHANNEL[0], CHANNEL[1], "action", "reason"],
            )?,
            condition_errors: maker.counters(
                "siar_access_condition_errors_total",
                "Conditions of access rules that could not be evaluated, and so denied.",
                &CHANNEL,
            )?,
        })
    }

    fn channel(&self, channel: &ChannelName) -> ChannelMetrics {
        let (namespace, name) = (&**channel.namespace(), &**channel.name());
        let one = |family: &IntCounterVec, value: &str| {
            family.with_label_values(&[namespace, name, value])
        };
        ChannelMetrics {
            streams: self.streams.with_label_values(&[namespace, name]),
            streams_limit: self.streams_limit.with_label_values(&[namespace, name]),
            opened: self.opened.with_label_values(&[namespace, name]),
            closed: CloseReason::ALL.map(|reason| one(&self.closed, reason.word())),
            published: Source::ALL.map(|source| one(&self.published, source.word())),
            malformed: Source::ALL.map(|source| one(&self.malformed, source.word())),
            delivered: self.delivered.with_label_values(&[namespace, name]),
            gaps: GapReason::ALL.map(|reason| one(&self.gaps, reason.word())),
            resumes: ["complete", "gap"].map(|result| one(&self.resumes, result)),
            denied: ["subscribe", "publish"].map(|action| {
                Denied::ALL.map(|reason| {
                    self.denied
                        .with_label_values(&[namespace, name, action, reason.word()])
                })
            }),
            condition_errors: self.condition_errors.with_label_values(&[namespace, name]),
        }
    }

    fn remove(&self, channel: &ChannelName) {
        let labels = [&**channel.namespace(), &**channel.name()];
        let with = |value: &'static str| [labels[0], labels[1], value];
        // A child that was never made is no error: it is gone either way.
        drop(self.streams.remove_label_values(&labels));
        drop(self.streams_limit.remove_label_values(&labels));
        drop(self.opened.remove_label_values(&labels));
        drop(self.delivered.remove_label_values(&labels));
        drop(self.condition_errors.remove_label_values(&labels));
        for reason in CloseReason::ALL {
            drop(self.closed.remove_label_values(&with(reason.word())));
        }
        for source in Source::ALL {
            drop(self.published.remove_label_values(&with(source.word())));
            drop(self.malformed.remove_label_values(&with(source.word())));
        }
        for reason in GapReason::ALL {
            drop(self.gaps.remove_label_values(&with(reason.word())));
        }
        for result in ["complete", "gap"] {
            drop(self.resumes.remove_label_values(&with(result)));
        }
        for action in ["subscribe", "publish"] {
            for reason in Denied::ALL {
                drop(self.denied.remove_label_values(&[
                    labels[0],
                    labels[1],
                    action,
                    reason.word(),
                ]));
            }
        }
    }
}
