//! The published keys of issuers.
//!
//! Owns: fetching them, one fetch at a time for each address; a set that was good stays until a better one
//! comes. Never: judges a token. Used by: `evidence`.

use super::Urls;
use super::schedule::Schedule;
use crate::access::keyring::Keyring;
use crate::clock;
use crate::metrics::Metrics;
use crate::outbound::Outbound;
use crate::tasks::Control;
use crds::keys::KeySet;
use futures_util::{StreamExt, stream};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// How long an issuer may take.
const FETCH_TIME: Duration = Duration::from_secs(5);
/// Issuers that are asked at once.
const AT_ONCE: usize = 16;
/// How often it is looked at which sets are old.
const TEND_EVERY: Duration = Duration::from_secs(5);

/// One address; the lock is held while it is fetched.
type Issuer = Arc<Mutex<Schedule>>;

/// All issuers that rules name.
pub struct Issuers {
    control: Control,
    outbound: Outbound,
    metrics: Arc<Metrics>,
    changed: Box<dyn Fn() + Send + Sync>,
    keyring: Keyring,
    known: RwLock<HashMap<Arc<str>, Issuer>>,
}

impl Issuers {
    /// None is known yet.
    pub fn new(
        control: Control,
        outbound: Outbound,
        metrics: Arc<Metrics>,
        changed: Box<dyn Fn() + Send + Sync>,
    ) -> Self {
        Self {
            control,
            outbound,
            metrics,
            changed,
            keyring: Keyring::default(),
            known: RwLock::default(),
        }
    }

    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Forgets who is named no longer, and asks who is new.
    pub fn apply(issuers: &Arc<Self>, named: Urls) {
        issuers.keyring.retain(|url| named.contains(url));
        let new: Vec<Arc<str>> = {
            let mut known = issuers.known.write();
            known.retain(|url, _| named.contains(url));
            let new = named
                .into_iter()
                .filter(|url| !known.contains_key(url))
                .collect();
            for url in &new {
                known.insert(Arc::clone(url), Issuer::default());
            }
            new
        };
        let asked = issuers.clone();
        let fetches = async move {
            let each = |url| {
                let issuers = &asked;
                async move {
                    Self::fetch_for(issuers, &url).await;
                }
            };
            stream::iter(new).for_each_concurrent(AT_ONCE, each).await;
        };
        if issuers.control.tell(fetches).is_err() {
            tracing::debug!("the control runtime is full; the first token asks for keys");
        }
    }

    /// Gets the set for somebody whose key is unknown. False when there is none newer than this call: the
    /// issuer was asked a moment ago, or does not answer. Who stops waiting does not stop the fetch.
    pub async fn fetch_for(issuers: &Arc<Self>, url: &Arc<str>) -> bool {
        let Some(issuer) = issuers.known.read().get(url).cloned() else {
            return false;
        };
        let begun = clock::now().steady;
        let schedule = issuer.clone().lock_owned().await;
        if schedule.is_newer(begun) {
            return true;
        }
        if !schedule.may(clock::now().steady) {
            return false;
        }
        let fetch = Self::fetch(issuers.clone(), url.clone(), schedule);
        issuers.control.ask(fetch).await.unwrap_or(false)
    }

    async fn fetch(
        issuers: Arc<Self>,
        url: Arc<str>,
        mut schedule: OwnedMutexGuard<Schedule>,
    ) -> bool {
        schedule.try_at(clock::now().steady);
        let fetched = issuers.get(&url).await;
        let result = match &fetched {
            Ok(_) => "ok",
            Err(_) => "error",
        };
        issuers
            .metrics
            .jwks_fetches
            .with_label_values(&[result])
            .inc();
        let got = match fetched {
            Ok(keys) => {
                schedule.got_at(clock::now().steady);
                tracing::debug!(
                    url = shown(&url),
                    keys = keys.thumbprints().count(),
                    "keys of an issuer"
                );
                if issuers.keyring.put(&url, keys) {
                    tracing::info!(url = shown(&url), "the keys of an issuer changed");
                    (issuers.changed)();
                }
                true
            }
            Err(error) => {
                let stale = schedule.has_keys();
                tracing::warn!(
                    url = shown(&url),
                    error,
                    stale,
                    "keys of an issuer cannot be fetched"
                );
                false
            }
        };
        drop(schedule);
        issuers.count_stale();
        got
    }

    async fn get(&self, url: &str) -> Result<KeySet, String> {
        let answer = self
            .outbound
            .get(url, FETCH_TIME)
            .await
            .map_err(|error| error.to_string())?;
        if answer.status != 200 {
            return Err(format!("status {}", answer.status));
        }
        KeySet::from_jwks(&answer.body).map_err(|problem| format!("the answer {problem}"))
    }

    fn count_stale(&self) {
        let known = self.known.read();
        let stale = known
            .values()
            .filter(|issuer| issuer.try_lock().is_ok_and(|schedule| schedule.is_stale()));
        self.metrics
            .jwks_stale
            .set(i64::try_from(stale.count()).unwrap_or(i64::MAX));
    }
}

/// An address without its query, where people put keys.
fn shown(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

/// Fetches what is old, for ever.
pub async fn tend(issuers: Arc<Issuers>) {
    loop {
        tokio::time::sleep(TEND_EVERY).await;
        let now = clock::now().steady;
        let known: Vec<(Arc<str>, Issuer)> = issuers
            .known
            .read()
            .iter()
            .map(|(url, issuer)| (url.clone(), issuer.clone()))
            .collect();
        // One that is being fetched needs no second fetch.
        let due = known.into_iter().filter_map(|(url, issuer)| {
            let schedule = issuer.try_lock_owned().ok()?;
            schedule.is_due(now).then_some((url, schedule))
        });
        let fetch = |(url, schedule)| {
            let fetch = Issuers::fetch(issuers.clone(), url, schedule);
            async move {
                fetch.await;
            }
        };
        // Not all at once, and not one after the other: one that hangs must not hold up the others.
        stream::iter(due).for_each_concurrent(AT_ONCE, fetch).await;
    }
}
