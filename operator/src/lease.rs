//! Which replica writes: the holder of the Lease.
//!
//! Owns: getting, keeping and releasing it; whether this replica leads. What the leader writes is fenced by
//! `resourceVersion`, so two that believe to lead do no harm; what is not fenced, a scale step or an Event, asks
//! [`Leadership::holds`] first. Used by: `app`, `scale::act`, `events`, the tasks of gateways.

mod keeper;

pub use keeper::Keeper;

use crate::clock;
use crate::metrics::Metrics;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::{Api, Client, Config};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// For one answer about the Lease; it must arrive well within the time that a renewal is good.
const READ_LIMIT: Duration = Duration::from_secs(5);
/// How long [`Leadership::holds`] waits for its answer.
const HOLDS_LIMIT: Duration = Duration::from_secs(3);
/// So long the Lease must still be good for what is begun now.
const MARGIN: SignedDuration = SignedDuration::from_secs(5);

/// Which Lease, and who asks for it.
#[derive(Clone, Debug)]
pub struct Place {
    pub namespace: String,
    pub name: String,
    /// Another for each process that runs at the same time.
    pub identity: String,
}

/// Whether this replica leads; to be handed to whoever writes.
#[derive(Clone)]
pub struct Leadership {
    believes: watch::Receiver<bool>,
    leases: Api<Lease>,
    place: Arc<Place>,
}

/// A client whose calls fail within the time that a renewal has: no retries of its own, 5 s for an answer.
pub fn client(mut config: Config) -> kube::Result<Client> {
    config.default_retry = false;
    config.connect_timeout = Some(READ_LIMIT);
    config.read_timeout = Some(READ_LIMIT);
    // Else the time that a connection was idle would count.
    config.reset_reader_on_write = true;
    Client::try_from(config)
}

/// The two ends of one Lease; nobody leads before [`Keeper::run`] does its work. `client` is [`client`]'s, `seed`
/// decides the jitter of retries.
#[must_use]
pub fn new(client: Client, place: Place, metrics: Arc<Metrics>, seed: u64) -> (Leadership, Keeper) {
    let (sender, believes) = watch::channel(false);
    let leadership = Leadership {
        believes,
        leases: Api::namespaced(client.clone(), &place.namespace),
        place: Arc::new(place),
    };
    let keeper = Keeper::new(client, leadership.place.clone(), sender, metrics, seed);
    (leadership, keeper)
}

impl Leadership {
    /// Whether this replica believes to lead, and each change of that. It may be wrong for the time of a lease.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.believes.clone()
    }

    /// Whether this replica believes to lead now.
    #[must_use]
    pub fn believes(&self) -> bool {
        *self.believes.borrow()
    }

    /// True only if the API server says that this replica holds the Lease, and will for the next 5 seconds.
    pub async fn holds(&self) -> bool {
        if !self.believes() {
            return false;
        }
        match timeout(HOLDS_LIMIT, self.leases.get(&self.place.name)).await {
            // The clock is read now: the answer may have taken its time.
            Ok(Ok(Lease { spec, .. })) => spec
                .is_some_and(|spec| is_held(&spec, &self.place.identity, clock::now().timestamp())),
            Ok(Err(error)) => {
                tracing::debug!(error = error.to_string(), "the lease cannot be read");
                false
            }
            Err(_elapsed) => {
                tracing::debug!("the lease is not told in time");
                false
            }
        }
    }
}

#[cfg(test)]
impl Leadership {
    /// Believes to lead, whatever happens; for tests of those who ask.
    pub fn believing(client: Client, place: Place) -> Self {
        let (_, believes) = watch::channel(true);
        Self {
            believes,
            leases: Api::namespaced(client, &place.namespace),
            place: Arc::new(place),
        }
    }
}

/// Whether `me` holds the Lease, and for longer than the margin.
fn is_held(spec: &LeaseSpec, me: &str, now: Timestamp) -> bool {
    let (Some(renewed), Some(seconds)) = (&spec.renew_time, spec.lease_duration_seconds) else {
        return false;
    };
    let good = SignedDuration::from_secs(seconds.into()) - MARGIN;
    spec.holder_identity.as_deref() == Some(me) && now.duration_since(renewed.0) < good
}

#[cfg(test)]
mod tests;
