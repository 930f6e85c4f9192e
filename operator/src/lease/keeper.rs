//! Gets the Lease, keeps it and gives it back.
//!
//! Owns: the one loop that does. Never: believes to lead when the last answer of the API server was an error, or
//! none; a lease that was deleted is made again. Used by: `app`.

use super::Place;
use crate::backoff::WatchBackoff;
use crate::metrics::Metrics;
use kube::Client;
use kube::runtime::utils::Backoff as _;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError, LeaseParams};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// So long after its last renewal others may take the Lease, in seconds.
const DURATION: u64 = 15;
/// So long before that it is renewed, in seconds.
const GRACE: u64 = 5;
/// For making or finding the Lease; two calls of 5 s.
const BEGIN_LIMIT: Duration = Duration::from_secs(10);
/// For giving it back at the end. Without that the other replica waits until it runs out.
const RELEASE_LIMIT: Duration = Duration::from_secs(5);
/// Of failures in a row one in so many is a warning, as pauses are up to 5 s long: about one a minute.
const WARN_EVERY: u32 = 15;

/// The task that keeps the Lease.
pub struct Keeper {
    client: Client,
    place: Arc<Place>,
    believes: watch::Sender<bool>,
    metrics: Arc<Metrics>,
    pauses: WatchBackoff,
    failures: u32,
}

/// Why the Lease is not known to be held.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("begin with the lease: {0}")]
    Begin(#[source] LeaseManagerError),
    #[error("begin with the lease: no answer in time")]
    BeginLate,
    #[error("get or renew the lease: {0}")]
    Renew(#[source] LeaseManagerError),
}

impl Keeper {
    pub(super) fn new(
        client: Client,
        place: Arc<Place>,
        believes: watch::Sender<bool>,
        metrics: Arc<Metrics>,
        seed: u64,
    ) -> Self {
        Self {
            client,
            place,
            believes,
            metrics,
            pauses: WatchBackoff::new(seed),
            failures: 0,
        }
    }

    /// Keeps the Lease until `stop`, then gives it back and returns. It returns for no other reason.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            let manager = tokio::select! {
                biased;
                () = &mut stop => return,
                begun = self.begin() => begun,
            };
            let error = match manager {
                Err(error) => error,
                Ok(manager) => {
                    let error = tokio::select! {
                        biased;
                        () = &mut stop => None,
                        error = self.keep(&manager) => Some(error),
                    };
                    let Some(error) = error else {
                        self.release(&manager).await;
                        return;
                    };
                    error
                }
            };
            self.failed(&error);
            let pause = self.pauses.next().unwrap_or_default();
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = sleep(pause) => {}
            }
        }
    }

    async fn begin(&self) -> Result<LeaseManager, KeepError> {
        let place = &self.place;
        let building = LeaseManagerBuilder::new(self.client.clone(), &place.name)
            .with_namespace(&place.namespace)
            .with_parameters(LeaseParams::new(&place.identity, DURATION, GRACE))
            .build();
        match timeout(BEGIN_LIMIT, building).await {
            Ok(manager) => manager.map_err(KeepError::Begin),
            Err(_elapsed) => Err(KeepError::BeginLate),
        }
    }

    /// Follows the Lease until a call fails.
    async fn keep(&mut self, manager: &LeaseManager) -> KeepError {
        loop {
            match manager.changed().await {
                Ok(leads) => {
                    self.pauses.reset();
                    self.failures = 0;
                    self.believe(leads);
                }
                Err(error) => return KeepError::Renew(error),
            }
        }
    }

    /// Nobody knows now whether the Lease is still ours, so it is not. A new manager asks the API server.
    fn failed(&mut self, error: &KeepError) {
        self.believe(false);
        let failures = self.failures;
        self.failures = failures.saturating_add(1);
        let error = error.to_string();
        if failures.is_multiple_of(WARN_EVERY) {
            tracing::warn!(error, failures, "the lease is not known to be held");
        } else {
            tracing::debug!(error, failures, "the lease is not known to be held");
        }
    }

    /// Whoever writes stops first; then the Lease is free. Who does not lead has nothing to give back.
    async fn release(&self, manager: &LeaseManager) {
        if !*self.believes.borrow() {
            return;
        }
        self.believe(false);
        match timeout(RELEASE_LIMIT, manager.release()).await {
            Ok(Ok(())) => tracing::info!("the lease is released"),
            Ok(Err(error)) => {
                tracing::warn!(error = error.to_string(), "the lease cannot be released");
            }
            Err(_elapsed) => tracing::warn!("the lease cannot be released in time"),
        }
    }

    fn believe(&self, leads: bool) {
        let changed = self.believes.send_if_modified(|before| {
            let changed = *before != leads;
            *before = leads;
            changed
        });
        if changed {
            self.metrics.leader(leads);
            tracing::info!(leads, "leadership changed");
        }
    }
}
