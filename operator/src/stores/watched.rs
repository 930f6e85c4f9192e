//! One watch: whether it was ever complete, and how old its knowledge is.
//!
//! Owns: that a quiet kind is not taken for a dead watch: a list of names and versions now and then says whether
//! the store still has all of it. Used by: `stores`.

use super::current::has_all;
use crate::clock;
use crate::metrics::Kind;
use kube::api::ListParams;
use kube::runtime::reflector::Store;
use kube::runtime::watcher;
use kube::{Api, Resource};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often the store is compared with a list.
const CHECK_EVERY: Duration = Duration::from_secs(5 * 60);

/// What `/readyz` says before the first list.
#[must_use]
pub fn missing(kind: Kind) -> &'static str {
    match kind {
        Kind::Channels => {
            "no list of Channels yet (is the CustomResourceDefinition channels.siar.dev installed?)"
        }
        Kind::Secrets => "no list of Secrets yet",
        Kind::Deployments => "no list of Deployments yet",
        Kind::Pods => "no list of Pods yet",
        Kind::Snapshots => "no list of Snapshots yet",
    }
}

/// The state of a watch.
pub struct Watched {
    pub kind: Kind,
    state: Mutex<State>,
}

struct State {
    synced: bool,
    /// When something was last known to be up to date.
    good: Instant,
    /// What was told in the log, until it is over.
    problem: Option<String>,
}

impl Watched {
    pub fn new(kind: Kind, now: Instant) -> Self {
        let state = State {
            synced: false,
            good: now,
            problem: None,
        };
        Self {
            kind,
            state: Mutex::new(state),
        }
    }

    /// Something came.
    pub fn good(&self, now: Instant) {
        let mut state = self.state.lock();
        state.good = now;
        if state.problem.take().is_some() {
            tracing::info!(kind = self.kind.word(), "the watch works again");
        }
    }

    /// All was listed.
    pub fn synced(&self) {
        self.state.lock().synced = true;
    }

    pub fn is_synced(&self) -> bool {
        self.state.lock().synced
    }

    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.state.lock().good)
    }

    /// Told once for each cause.
    pub fn failed(&self, error: &watcher::Error) {
        let problem = cause(error);
        let mut state = self.state.lock();
        if state.problem.as_ref() != Some(&problem) {
            let hint = self.hint(error);
            tracing::warn!(kind = self.kind.word(), problem, hint, "a watch failed");
            state.problem = Some(problem);
        }
    }

    /// What to do.
    fn hint(&self, error: &watcher::Error) -> Option<&'static str> {
        let code = code(error)?;
        match (self.kind, code) {
            (Kind::Channels, 404) => {
                Some("install the CustomResourceDefinition: siar-operator crd")
            }
            (_, 403) => Some("the Role or ClusterRole of the operator is missing or not bound"),
            _ => None,
        }
    }
}

/// Whether the version that a watch was to begin with is forgotten.
pub fn is_gone(error: &watcher::Error) -> bool {
    code(error) == Some(410)
}

fn code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => Some(status.code),
        watcher::Error::WatchError(status) => Some(status.code),
        _ => None,
    }
}

fn cause(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => crate::api::word(error),
        watcher::Error::WatchError(status) => format!("{} {}", status.code, status.reason),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}

/// Compares a store with a list of names and versions, for ever.
pub async fn check<K>(
    api: Api<K>,
    config: watcher::Config,
    store: Store<K>,
    watched: Arc<Watched>,
    changes: watch::Receiver<u64>,
) where
    K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + 'static,
{
    let list = ListParams {
        label_selector: config.label_selector,
        field_selector: config.field_selector,
        ..ListParams::default()
    };
    loop {
        tokio::time::sleep(CHECK_EVERY).await;
        if matches!(
            has_all(&api, &list, &store, changes.clone()).await,
            Ok(true)
        ) {
            watched.good(clock::now().steady);
        }
    }
}
