//! What the API server holds, as this process knows it.
//!
//! Owns: the watches with a backoff for each, and how old their knowledge is. A watch event wakes whoever
//! computes and says nothing else. Never: decides. Used by: `gateway`, through the stores; `app`.

mod current;
pub mod payload;
pub mod stored;
mod watched;

use crate::backoff::WatchBackoff;
use crate::clock;
use crate::metrics::{Kind, Metrics};
use crate::readiness::{Guard, Readiness};
use crate::tasks::Essential;
use futures_util::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, Store};
use kube::runtime::utils::Backoff as _;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use stored::Stored;
use tokio::sync::watch;
use tokio::time::sleep;
use watched::Watched;

/// The type of the Secrets that hold Snapshots.
pub const SNAPSHOT_TYPE: &str = "siar.dev/snapshot";
/// The label of Deployments and Pods of a fleet; its value is the fleet's name.
pub const GATEWAY_LABEL: &str = "siar.dev/gateway";
/// Of two pods that are as ready, the one that costs less goes first.
pub const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
/// Every watch ends after so many seconds, a silent one 5 s later: a stall delays a change by no more.
const WATCH_SECONDS: u32 = 60;
/// What no watch would tell, as after an API server was restored from an older save, is found by listing so often.
const LIST_EVERY: Duration = Duration::from_secs(600);
/// How often ages and sizes are told.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// A process that has known nothing new for so long may be blind, and is started anew.
const TOO_OLD: Duration = Duration::from_secs(15 * 60);

/// All stores. Deployments, Pods and Snapshots are those of the home namespace alone.
pub struct Stores {
    pub channels: Store<Stored>,
    /// Metadata only; the content is read on demand: `payload`.
    pub secrets: Store<PartialObjectMeta<Secret>>,
    pub deployments: Store<Deployment>,
    pub pods: Store<Pod>,
    pub snapshots: Store<Secret>,
    scopes: Scopes,
    watches: Vec<Arc<Watched>>,
    changes: watch::Sender<u64>,
}

/// Where Channels and Secrets are asked for.
struct Scopes {
    channels: Api<Stored>,
    secrets: Api<PartialObjectMeta<Secret>>,
}

/// What all watches need.
struct Starter<'a> {
    metrics: &'a Arc<Metrics>,
    essential: &'a Essential,
    readiness: &'a Readiness,
    changes: watch::Sender<u64>,
    watches: Vec<Arc<Watched>>,
}

impl Stores {
    /// Starts all watches: of Channels and Secrets in `scope` or everywhere, of all else in `home`.
    #[must_use]
    pub fn start(
        client: &Client,
        home: &str,
        scope: Option<&str>,
        metrics: &Arc<Metrics>,
        essential: &Essential,
        readiness: &Readiness,
    ) -> Arc<Self> {
        let mut starter = Starter {
            metrics,
            essential,
            readiness,
            changes: watch::Sender::new(0),
            watches: Vec::new(),
        };
        let all = watcher::Config::default().timeout(WATCH_SECONDS);
        let fleets = all.clone().labels(GATEWAY_LABEL);
        let packed = all.clone().fields(&format!("type={SNAPSHOT_TYPE}"));
        let stores = Self {
            channels: starter.follow(Kind::Channels, scoped(client, scope), all.clone()),
            secrets: starter.follow(Kind::Secrets, scoped(client, scope), all),
            deployments: starter.follow(Kind::Deployments, homed(client, home), fleets.clone()),
            pods: starter.follow(Kind::Pods, homed(client, home), fleets),
            snapshots: starter.follow(Kind::Snapshots, homed(client, home), packed),
            scopes: Scopes {
                channels: scoped(client, scope),
                secrets: scoped(client, scope),
            },
            watches: starter.watches,
            changes: starter.changes,
        };
        let stores = Arc::new(stores);
        essential.start("stores", tell(stores.clone(), metrics.clone()));
        stores
    }

    /// Changes with every event of every watch.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether all have been listed once. Before that nothing may be published: half of the Channels are none.
    #[must_use]
    pub fn are_synced(&self) -> bool {
        self.watches.iter().all(|watched| watched.is_synced())
    }

    /// The watch that has known nothing new for too long, if there is one.
    #[must_use]
    pub fn too_old(&self) -> Option<Kind> {
        let now = clock::now().steady;
        let old = |watched: &&Arc<Watched>| watched.age(now) > TOO_OLD;
        self.watches.iter().find(old).map(|watched| watched.kind)
    }

    fn sizes(&self) -> [(Kind, usize); 5] {
        [
            (Kind::Channels, self.channels.len()),
            (Kind::Secrets, self.secrets.len()),
            (Kind::Deployments, self.deployments.len()),
            (Kind::Pods, self.pods.len()),
            (Kind::Snapshots, self.snapshots.len()),
        ]
    }
}

/// One namespace, or all.
fn scoped<K>(client: &Client, scope: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    match scope {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn homed<K>(client: &Client, home: &str) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    scoped(client, Some(home))
}

/// A `resourceVersion` as the number that it is, and that grows; none is older than any.
#[must_use]
pub fn version(text: Option<&str>) -> Option<u64> {
    text?.parse().ok()
}

impl Starter<'_> {
    fn follow<K>(&mut self, kind: Kind, api: Api<K>, config: watcher::Config) -> Store<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Send + Sync + 'static,
    {
        let (store, writer) = reflector::store();
        let watched = Arc::new(Watched::new(kind, clock::now().steady));
        self.watches.push(watched.clone());
        let feed = Feed {
            api: api.clone(),
            config: config.clone(),
            writer,
            watched: watched.clone(),
            metrics: self.metrics.clone(),
            changes: self.changes.clone(),
            guard: Some(self.readiness.wait_for(watched::missing(kind))),
        };
        self.essential.start(kind.word(), feed.follow());
        let changes = self.changes.subscribe();
        let checked = watched::check(api, config, store.clone(), watched, changes);
        self.essential.start(kind.word(), checked);
        store
    }
}

/// One watch and its store.
struct Feed<K: Resource<DynamicType = ()> + Clone + 'static> {
    api: Api<K>,
    config: watcher::Config,
    writer: Writer<K>,
    watched: Arc<Watched>,
    metrics: Arc<Metrics>,
    changes: watch::Sender<u64>,
    /// Dropped with the first complete list.
    guard: Option<Guard>,
}

impl<K> Feed<K>
where
    K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Send + Sync + 'static,
{
    /// Fills the store for ever.
    async fn follow(mut self) {
        let mut pauses = WatchBackoff::new(crate::chance::random());
        loop {
            let events = watcher::watcher(self.api.clone(), self.config.clone());
            let events = events.modify(trim).take_until(sleep(LIST_EVERY));
            let mut events = pin!(events);
            while let Some(event) = events.next().await {
                match event {
                    // It says that a list begins, not that there is one.
                    Ok(Event::Init) => self.writer.apply_watcher_event(&Event::Init),
                    Ok(event) => {
                        pauses.reset();
                        self.take(&event);
                    }
                    Err(error) => {
                        self.metrics.watch_failed(self.watched.kind);
                        self.watched.failed(&error);
                        sleep(pauses.next().unwrap_or_default()).await;
                        // Else the same version would be asked for until the next list.
                        if watched::is_gone(&error) {
                            break;
                        }
                    }
                }
            }
        }
    }

    fn take(&mut self, event: &Event<K>) {
        self.watched.good(clock::now().steady);
        self.writer.apply_watcher_event(event);
        match event {
            Event::Init | Event::InitApply(_) => return,
            Event::InitDone => {
                self.watched.synced();
                self.guard = None;
            }
            Event::Apply(_) | Event::Delete(_) => {}
        }
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Drops what nobody reads, such as the content of Secrets that kubectl repeats in an annotation.
fn trim<K: Resource>(object: &mut K) {
    let metadata = object.meta_mut();
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.retain(|name, _| name.starts_with("siar.dev/") || name == DELETION_COST);
    }
}

/// Tells ages and sizes, for ever.
async fn tell(stores: Arc<Stores>, metrics: Arc<Metrics>) {
    loop {
        let now = clock::now().steady;
        for watched in &stores.watches {
            metrics.watch_age(watched.kind, watched.age(now));
        }
        for (kind, count) in stores.sizes() {
            metrics.store_objects(kind, count);
        }
        sleep(TELL_EVERY).await;
    }
}
