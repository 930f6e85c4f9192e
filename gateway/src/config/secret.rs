//! The configuration that the operator compiled, from its Secret.
//!
//! Owns: following that one Secret by name, its mounted copy for a start without API server, and telling once what is
//! wrong. Never: gives up what is in force: not for a Secret that is deleted, not readable, or not allowed any more.
//! Used by: `app`, on the control runtime, where the client lives.

mod contact;
mod packed;
#[cfg(test)]
mod tests;

use super::Source;
use crate::api_server::{ApiServer, Limits, word};
use crate::args::SecretSettings;
use crate::metrics::Metrics;
use contact::{Contact, WatchBackoff, noting};
use crds::snapshot::Snapshot;
use futures_util::future::ready;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::Secret as Object;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use packed::{KEY, Packed, read};
use std::collections::BTreeSet;
use std::future::pending;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// The API server ends a watch after that, and what is silent for 5 s longer is begun anew: so long a stall that
/// nobody notices may delay a change.
const WATCH_SECONDS: u32 = 60;
/// What no watch would tell (an API server restored from an older save) is found by listing so often.
const LIST_EVERY: Duration = Duration::from_secs(600);
/// Before it is listed anew because a watch could not begin: whoever refuses every version is not asked without end.
const AGAIN: Duration = Duration::from_secs(1);
/// A watch may be silent for as long as it lasts; a list that is silent for so long is tried again.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    read: Duration::from_secs(70),
};
/// So long the API server has for its first answer before the mounted copy is read.
const FIRST_ANSWER: Duration = Duration::from_secs(3);
/// How often the copy is read while there is still no answer: the kubelet may have got a newer one.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The most causes that are remembered as told; there are fewer.
const MOST_TOLD: usize = 32;

/// What a watch tells.
type Heard = watcher::Result<Event<Object>>;

/// Follows the Secret.
pub struct Secret {
    api: Api<Object>,
    settings: SecretSettings,
    events: BoxStream<'static, Heard>,
    contact: Arc<Contact>,
    metrics: Arc<Metrics>,
    copy: Option<Copy>,
    packed: Packed,
    /// What is wrong since the Secret was last seen, each cause once.
    told: BTreeSet<String>,
    /// Whether the list that is being read held the Secret.
    listed: bool,
}

/// The mounted copy; gone for good once the API server has said what the Secret holds.
struct Copy {
    path: PathBuf,
    look: Pin<Box<Sleep>>,
}

impl Secret {
    /// Follows the Secret of `settings` on `server`.
    pub fn new(
        server: &ApiServer,
        settings: SecretSettings,
        metrics: Arc<Metrics>,
    ) -> Result<Self, kube::Error> {
        Ok(Self::with_client(server.client(LIMITS)?, settings, metrics))
    }

    fn with_client(client: Client, settings: SecretSettings, metrics: Arc<Metrics>) -> Self {
        let contact = Arc::new(Contact::new(metrics.config_source_up.clone()));
        let client = noting(client, contact.clone());
        let api = Api::namespaced(client, &settings.namespace);
        Self {
            events: follow(&api, &settings.name, &contact, Duration::ZERO),
            copy: settings.file.clone().map(|path| Copy {
                path,
                look: Box::pin(sleep(FIRST_ANSWER)),
            }),
            api,
            settings,
            contact,
            metrics,
            packed: Packed::default(),
            told: BTreeSet::new(),
            listed: false,
        }
    }

    /// Hears the watch; none means that it ended by itself.
    async fn on(&mut self, heard: Option<Heard>) -> Option<Arc<Snapshot>> {
        let event = match heard {
            Some(Ok(event)) => event,
            Some(Err(error)) => {
                self.failed(&error);
                return None;
            }
            None => {
                self.follow_after(Duration::ZERO);
                return None;
            }
        };
        match event {
            Event::Init => self.listed = false,
            Event::InitApply(object) | Event::Apply(object) => {
                self.copy = None;
                self.listed = true;
                self.told.clear();
                let packed = object.data.and_then(|mut data| data.remove(KEY));
                return self.take(packed.unwrap_or_default().0).await;
            }
            Event::InitDone => {
                self.copy = None;
                if !self.listed {
                    self.absent();
                }
            }
            Event::Delete(_) => self.absent(),
        }
        None
    }

    fn absent(&mut self) {
        self.tell(if self.packed.is_in_force() {
            "it is deleted"
        } else {
            "it is not there yet; the operator makes it"
        });
    }

    async fn take(&mut self, bytes: Vec<u8>) -> Option<Arc<Snapshot>> {
        match self.packed.take(bytes).await {
            Ok(snapshot) => snapshot,
            Err(problem) => {
                let rejected = self.metrics.config_applies.with_label_values(&["rejected"]);
                rejected.inc();
                self.tell(&problem);
                None
            }
        }
    }

    async fn look(&mut self, path: PathBuf) -> Option<Arc<Snapshot>> {
        match read(path).await {
            Ok(bytes) => self.take(bytes).await,
            Err(problem) => {
                self.tell(&format!("its mounted copy cannot be read: {problem}"));
                None
            }
        }
    }

    fn failed(&mut self, error: &watcher::Error) {
        // The version that the watch began at is too old: the Secret is listed anew, as happens now and then.
        match error {
            watcher::Error::WatchError(status) if status.code == 410 => return,
            // The watcher itself would ask for the same version for ever.
            watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 410 => {
                self.follow_after(AGAIN);
                return;
            }
            _ => {}
        }
        self.contact.failed();
        self.tell(&cause(error));
    }

    fn follow_after(&mut self, pause: Duration) {
        self.events = follow(&self.api, &self.settings.name, &self.contact, pause);
    }

    fn tell(&mut self, problem: &str) {
        if self.told.len() < MOST_TOLD && self.told.insert(problem.to_owned()) {
            let (namespace, name) = (&self.settings.namespace, &self.settings.name);
            tracing::warn!(
                secret = format!("{namespace}/{name}"),
                problem,
                "no new configuration; what is in force stays"
            );
        }
    }
}

impl Copy {
    /// Waits until it is to be read.
    async fn due(copy: &mut Option<Self>) -> PathBuf {
        match copy {
            None => pending().await,
            Some(copy) => {
                copy.look.as_mut().await;
                copy.look.set(sleep(LOOK_EVERY));
                copy.path.clone()
            }
        }
    }
}

impl Source for Secret {
    async fn next(&mut self) -> Arc<Snapshot> {
        loop {
            let snapshot = tokio::select! {
                biased;
                heard = self.events.next() => self.on(heard).await,
                path = Copy::due(&mut self.copy) => self.look(path).await,
            };
            if let Some(snapshot) = snapshot {
                return snapshot;
            }
        }
    }
}

/// After a pause lists the Secret and watches it, until it is to be listed anew.
fn follow(
    api: &Api<Object>,
    name: &str,
    contact: &Arc<Contact>,
    pause: Duration,
) -> BoxStream<'static, Heard> {
    // Whose rights name one Secret may list and watch under this selector only.
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let events = watcher(api.clone(), only.timeout(WATCH_SECONDS))
        .backoff(WatchBackoff::new(contact.clone()))
        .take_until(sleep(LIST_EVERY));
    stream::once(sleep(pause))
        .map(|()| None)
        .chain(events.map(Some))
        .filter_map(ready)
        .boxed()
}

fn cause(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error) => format!("list: {}", word(error)),
        watcher::Error::WatchStartFailed(error) | watcher::Error::WatchFailed(error) => {
            format!("watch: {}", word(error))
        }
        watcher::Error::WatchError(status) => format!("watch: {} {}", status.code, status.reason),
        watcher::Error::NoResourceVersion => "list: its answer names no version".to_owned(),
    }
}
