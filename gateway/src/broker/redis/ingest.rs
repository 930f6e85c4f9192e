//! What becomes of a raw message.
//!
//! Owns: which Channels hear it, and its way: straight to the streams, or to be numbered by whoever holds
//! the lease. Never: waits. Used by: `pump`, which hears; `lease`, which decides who numbers.

use super::backoff::Complaint;
use super::gate::Gate;
use super::joined::Joined;
use super::keys::Keys;
use super::raw::{self, Index};
use super::wanted::{Name, Wanted};
use crate::address::Address;
use crate::broker::{Arrival, Idempotency, OWN_KEY_TTL, Owners, Publication, Sink, Target};
use crate::clock;
use crate::close::GapReason;
use crate::frame::Frame;
use crate::ingest::{Refused, flask_sse, juggernaut, raw as plain};
use crate::message::Message;
use crate::metrics::{Metrics, Source};
use crds::name::{ChannelName, Topic};
use crds::policy::Policy;
use parking_lot::{Mutex, RwLock};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::HashMap;
use std::sync::Arc;

/// The Channels that hear raw publishers on one server.
pub struct Ingest {
    pub keys: Keys,
    pub joined: Arc<Joined>,
    pub wanted: Arc<Wanted>,
    pub gate: Arc<Gate>,
    metrics: Arc<Metrics>,
    sink: Sink,
    index: RwLock<Arc<Index>>,
    complaints: Mutex<HashMap<ChannelName, Complaint>>,
    /// What this process hears in order to number it; none: it does not number.
    listening: Mutex<Option<Vec<Name>>>,
    /// The number of the newest loss that was told; none before the server was asked.
    losses: Mutex<Option<u64>>,
    random: Mutex<StdRng>,
}

impl Ingest {
    /// Hears nothing yet. `seed` makes keys: random in production.
    #[must_use]
    pub fn new(
        keys: Keys,
        subscriptions: (Arc<Joined>, Arc<Wanted>),
        gate: Arc<Gate>,
        (metrics, sink): (Arc<Metrics>, Sink),
        seed: u64,
    ) -> Self {
        let (joined, wanted) = subscriptions;
        Self {
            keys,
            joined,
            wanted,
            gate,
            metrics,
            sink,
            index: RwLock::default(),
            complaints: Mutex::default(),
            listening: Mutex::default(),
            losses: Mutex::default(),
            random: Mutex::new(StdRng::seed_from_u64(seed)),
        }
    }

    /// Takes over a new configuration, for those who number and for what is joined.
    pub fn apply(&self, policies: &[Arc<Policy>]) {
        let index = Arc::new(Index::new(policies));
        *self.index.write() = index.clone();
        self.complaints
            .lock()
            .retain(|channel, _| index.policies().iter().any(|p| p.channel == *channel));
        if self.listening.lock().is_some() {
            self.listen(true);
        }
        let owners = Owners::new(policies);
        let (more, less) = self.joined.revise(|target| {
            let target = target.under(owners.of(target)?, &self.metrics);
            let names = self.names_for(&target);
            Some((target, names))
        });
        self.wanted.want(&more);
        self.wanted.unwant(&less);
    }

    /// All subscriptions that a joined address needs.
    #[must_use]
    pub fn names_for(&self, target: &Target) -> Vec<Name> {
        let channel = self.keys.channel(&target.address);
        let mut names = vec![self.keys.subscription(&channel)];
        names.extend(raw::names_for(&self.keys, target));
        names
    }

    /// Whether somebody has to number raw messages, or to speak for gateways that are gone.
    #[must_use]
    pub fn needed(&self) -> bool {
        let index = self.index.read();
        let mut policies = index.policies().iter();
        policies.any(|policy| policy.history.is_some() || policy.ingest.juggernaut)
    }

    /// Begins or ends to hear all that is to be numbered, and tells what that takes.
    pub fn listen(&self, listen: bool) -> Vec<Name> {
        let names = listen.then(|| {
            let index = self.index.read();
            let policies = index.policies().iter();
            let numbered = policies.filter(|policy| policy.history.is_some());
            numbered
                .flat_map(|policy| raw::names_of(&self.keys, policy))
                .collect::<Vec<_>>()
        });
        self.wanted.want(names.as_deref().unwrap_or_default());
        let earlier = std::mem::replace(&mut *self.listening.lock(), names.clone());
        self.wanted.unwant(&earlier.unwrap_or_default());
        names.unwrap_or_default()
    }

    /// A raw message came; `literal`: not by a pattern.
    pub fn hear(&self, channel: &str, literal: bool, payload: &[u8]) {
        let index = self.index.read().clone();
        if literal {
            for policy in index.juggernauts(channel) {
                self.broadcast(&policy, payload);
            }
        }
        for (policy, topic) in index.takers(&self.keys, channel) {
            self.take(&policy, &topic, payload);
        }
    }

    fn broadcast(&self, policy: &Arc<Policy>, payload: &[u8]) {
        if !self.concerned(policy) {
            return;
        }
        match juggernaut::parse(payload, policy.limits.message_bytes) {
            Ok(broadcast) => {
                for topic in &broadcast.topics {
                    if policy.owns(topic) && !self.keys.reserved(topic.as_str()) {
                        let message = broadcast.message.clone();
                        self.pass(policy, topic, message, Source::Juggernaut);
                    }
                }
            }
            Err(refused) => self.refuse(policy, Source::Juggernaut, refused),
        }
    }

    /// Where both kinds are heard, a payload that is not Flask-SSE's is a plain one.
    fn take(&self, policy: &Arc<Policy>, topic: &Topic, payload: &[u8]) {
        if !self.concerned(policy) {
            return;
        }
        let most = policy.limits.message_bytes;
        let flask_sse = policy
            .ingest
            .flask_sse
            .then(|| flask_sse::parse(payload, most));
        let (source, parsed) = match flask_sse {
            Some(Err(_)) | None if policy.ingest.raw => {
                (Source::Raw, plain::parse(payload.to_vec(), most))
            }
            Some(parsed) => (Source::FlaskSse, parsed),
            None => return,
        };
        match parsed {
            Ok(message) => self.pass(policy, topic, message, source),
            Err(refused) => self.refuse(policy, source, refused),
        }
    }

    /// Messages of a Channel with history are the business of who holds the lease.
    fn concerned(&self, policy: &Policy) -> bool {
        policy.history.is_none() || self.gate.is_open()
    }

    fn pass(&self, policy: &Arc<Policy>, topic: &Topic, message: Message, source: Source) {
        let time = clock::now().unix;
        let address = raw::address(policy, topic);
        let metrics = self.metrics.channel(&policy.channel);
        if policy.history.is_none() {
            let feed = address.feed();
            let heard = [Some(address), feed].into_iter().flatten();
            let heard: Vec<Address> = heard.filter(|address| self.hears(address)).collect();
            if !heard.is_empty() {
                metrics.published[source as usize].inc();
            }
            let frame = Arc::new(Frame::new(topic.clone(), message, None, 0, time));
            for address in heard {
                let frame = frame.clone();
                (self.sink)(Arrival::Frame { address, frame });
            }
            return;
        }
        let publication = Publication {
            target: Target {
                address,
                name: topic.clone(),
                policy: policy.clone(),
                metrics,
            },
            message,
            time,
            key: Idempotency {
                key: format!("{:032x}", self.random.lock().random::<u128>()),
                content: "raw".into(),
                ttl: OWN_KEY_TTL,
            },
        };
        self.gate.offer(publication, source);
    }

    fn hears(&self, address: &Address) -> bool {
        let channel = self.keys.channel(address);
        self.joined.address(&channel).is_some()
    }

    fn refuse(&self, policy: &Policy, source: Source, refused: Refused) {
        let metrics = self.metrics.channel(&policy.channel);
        metrics.malformed[source as usize].inc();
        let mut complaints = self.complaints.lock();
        let complaint = complaints.entry(policy.channel.clone()).or_default();
        if let Some(times) = complaint.due(clock::now().steady) {
            let source = source.word();
            tracing::warn!(channel = %policy.channel, source, times, cause = %refused, "malformed payload");
        }
    }

    /// The subscription was interrupted: what nobody numbers may be lost.
    pub fn interrupted(&self) {
        self.lose(|policy| policy.history.is_none());
    }

    /// Raw messages that should have been numbered were lost; `newest` is the number of the last time, 0
    /// for a server that remembers none. Each time is told once.
    pub fn lost(&self, newest: u64) {
        let mut losses = self.losses.lock();
        let known = *losses;
        *losses = Some(newest.max(known.unwrap_or_default()));
        drop(losses);
        if known.is_some_and(|known| known < newest) {
            self.lose(|policy| policy.history.is_some());
        }
    }

    fn lose(&self, which: impl Fn(&Policy) -> bool) {
        let reason = GapReason::Ingest;
        let concerned = |target: &Target| target.policy.ingest.any() && which(&target.policy);
        for address in self.joined.active(concerned) {
            (self.sink)(Arrival::Lost { address, reason });
        }
    }
}
