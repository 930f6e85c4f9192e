//! How many and how often: connections, streams, streams of one client, publications in a second.
//!
//! Owns: every count that refuses, each a guard undone by `Drop`. Never: knows requests, reads a clock.
//! Used by: `http`, which asks for places; `worker`, whose streams and connections hold them; `admin`.

mod rate;
#[cfg(test)]
mod tests;

use crate::close::CloseReason;
use crate::few::Few;
use crate::metrics::{ChannelMetrics, Metrics};
use crds::name::ChannelName;
use crds::policy::Policy;
use parking_lot::{Mutex, RwLock};
use rate::Rate;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Descriptors that are left for all that is no connection of a client.
pub const RESERVED_FILES: usize = 256;
/// Connections beyond the limit that still get an answer: `capacity` for streams. They come out of the
/// reserve; yet further ones are closed at once.
const SPARE_CONNECTIONS: usize = 128;
/// The limit of open files where the system does not tell it.
const USUAL_FILES: usize = 1024;
/// Channels known before those that nobody uses are forgotten; afterwards twice as many as were in use.
const FIRST_PRUNE: usize = 256;

/// All counts of one process.
pub struct Limits {
    metrics: Arc<Metrics>,
    most_connections: usize,
    connections: AtomicUsize,
    streams: AtomicU64,
    channels: RwLock<Channels>,
    told_uncounted: AtomicBool,
}

struct Channels {
    known: HashMap<ChannelName, Arc<Mutex<Counts>>>,
    prune_at: usize,
}

/// The counts of one Channel.
#[derive(Default)]
struct Counts {
    streams: u32,
    /// Only clients with a stream; none where the Channel does not count them.
    clients: HashMap<Client, u32>,
    published: Rate,
}

/// Who counts as one client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    Identity(Arc<str>),
    /// An IPv4 address, or the first 64 bits of an IPv6 address: what one customer gets.
    Address(IpAddr),
}

impl Client {
    /// The client at `address`.
    #[must_use]
    pub fn at(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        })
    }
}

/// A place for one connection; dropping it gives it back.
pub struct ConnectionPermit(Arc<Limits>);

/// A place for one stream in each of its Channels; dropping it gives them back and counts the end.
pub struct Permit {
    limits: Arc<Limits>,
    seats: Few<Seat>,
    opened: bool,
    reason: CloseReason,
}

struct Seat {
    counts: Arc<Mutex<Counts>>,
    metrics: Arc<ChannelMetrics>,
    client: Option<Client>,
}

impl Limits {
    /// Nothing is taken yet. `most_connections` is what [`most_connections`] answers.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, most_connections: usize) -> Arc<Self> {
        let told = i64::try_from(most_connections).unwrap_or(i64::MAX);
        metrics.connections_limit.set(told);
        Arc::new(Self {
            metrics,
            most_connections,
            connections: AtomicUsize::new(0),
            streams: AtomicU64::new(0),
            channels: RwLock::new(Channels {
                known: HashMap::new(),
                prune_at: FIRST_PRUNE,
            }),
            told_uncounted: AtomicBool::new(false),
        })
    }

    /// A place for a connection, and whether it is beyond the limit: then streams get `capacity` and the
    /// connection closes after one answer. None when not even that is possible.
    #[must_use]
    pub fn connection(self: &Arc<Self>) -> Option<(ConnectionPermit, bool)> {
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        if before >= self.most_connections + SPARE_CONNECTIONS {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        self.metrics.connections.inc();
        let full = before >= self.most_connections;
        Some((ConnectionPermit(self.clone()), full))
    }

    /// A place in each of `channels`, which are different. A client is counted only where its Channel has a
    /// limit for one. The error says what is full; nothing is taken then.
    pub fn stream<'a>(
        self: &Arc<Self>,
        channels: impl IntoIterator<Item = (&'a Policy, Option<Client>)>,
    ) -> Result<Permit, CloseReason> {
        let mut permit = Permit {
            limits: self.clone(),
            seats: Few::Many(Box::default()),
            opened: false,
            reason: CloseReason::ClientGone,
        };
        self.streams.fetch_add(1, Ordering::Relaxed);
        let mut seats = Vec::new();
        let taken = channels.into_iter().try_for_each(|(policy, client)| {
            seats.push(self.seat(policy, client)?);
            Ok(())
        });
        permit.seats = seats.into();
        taken.map(|()| permit)
    }

    fn seat(&self, policy: &Policy, client: Option<Client>) -> Result<Seat, CloseReason> {
        let limits = &policy.limits;
        let client = client.and_then(|client| Some((client, limits.streams_per_client?)));
        let counts = self.channel(&policy.channel);
        {
            let mut counts = counts.lock();
            if counts.streams >= limits.streams {
                return Err(CloseReason::Capacity);
            }
            if let Some((client, most)) = &client {
                let open = counts.clients.get(client).copied().unwrap_or(0);
                if open >= *most {
                    return Err(CloseReason::ClientLimit);
                }
                counts.clients.insert(client.clone(), open + 1);
            }
            counts.streams += 1;
        }
        Ok(Seat {
            counts,
            metrics: self.metrics.channel(&policy.channel),
            client: client.map(|(client, _)| client),
        })
    }

    /// Takes `messages` of what may be published to the Channel in this second; the error is when to ask
    /// again.
    pub fn publish(&self, policy: &Policy, messages: u32, now: Instant) -> Result<(), Duration> {
        let per_second = policy.limits.publish_per_second;
        let counts = self.channel(&policy.channel);
        let mut counts = counts.lock();
        counts.published.take(messages, per_second, now)
    }

    /// Gives back what [`Limits::publish`] took.
    pub fn unpublish(&self, policy: &Policy, messages: u32) {
        let per_second = policy.limits.publish_per_second;
        let counts = self.channel(&policy.channel);
        counts.lock().published.give_back(messages, per_second);
    }

    /// The streams of a Channel.
    #[must_use]
    pub fn streams(&self, channel: &ChannelName) -> u64 {
        let channels = self.channels.read();
        let counts = channels.known.get(channel);
        counts.map_or(0, |counts| counts.lock().streams.into())
    }

    /// All streams, each once.
    #[must_use]
    pub fn all_streams(&self) -> u64 {
        self.streams.load(Ordering::Relaxed)
    }

    /// Warns once that `streamsPerClient` does not hold for visitors behind a proxy that nobody trusts.
    pub fn tell_uncounted(&self, peer: IpAddr) {
        if !self.told_uncounted.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                ?peer,
                "anonymous clients behind a private address are not counted for streamsPerClient; name the proxy in --trusted-proxies"
            );
        }
    }

    fn channel(&self, name: &ChannelName) -> Arc<Mutex<Counts>> {
        if let Some(counts) = self.channels.read().known.get(name) {
            return counts.clone();
        }
        let mut channels = self.channels.write();
        if channels.known.len() >= channels.prune_at {
            // Whoever takes a place holds the counts, so nobody can while they are looked at.
            channels
                .known
                .retain(|_, counts| Arc::strong_count(counts) > 1);
            channels.prune_at = FIRST_PRUNE.max(2 * channels.known.len());
        }
        channels.known.entry(name.clone()).or_default().clone()
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.connections.dec();
    }
}

impl Permit {
    /// The stream is open from here on.
    pub fn opened(&mut self) {
        self.opened = true;
        for seat in self.seats.all() {
            seat.metrics.streams.inc();
            seat.metrics.opened.inc();
        }
    }

    /// Why it ends; without this the client is counted as gone.
    pub fn close(&mut self, reason: CloseReason) {
        self.reason = reason;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limits.streams.fetch_sub(1, Ordering::Relaxed);
        for seat in self.seats.all() {
            seat.counts.lock().leave(seat.client.as_ref());
            if self.opened {
                seat.metrics.streams.dec();
                seat.metrics.closed[self.reason.index()].inc();
            }
        }
    }
}

impl Counts {
    fn leave(&mut self, client: Option<&Client>) {
        self.streams = self.streams.saturating_sub(1);
        let Some(client) = client else { return };
        if let Some(open) = self.clients.get_mut(client) {
            *open -= 1;
            if *open == 0 {
                self.clients.remove(client);
            }
        }
    }
}

/// How many connections the process may hold, by its limit of open files.
#[must_use]
pub fn most_connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    open_files(&limits)
        .unwrap_or(USUAL_FILES)
        .saturating_sub(RESERVED_FILES)
}

/// The soft limit of open files in what Linux tells of a process; none when it is unlimited or not told.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
