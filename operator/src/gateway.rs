//! One fleet of gateways: from Channels to the Secret that they read, and back to statuses.
//!
//! Owns: the one task that computes for the fleet. It never asks why it was woken: it looks at the stores, compiles
//! when something differs, publishes when the outcome differs. Used by: `fleets`, one for each gateway.

mod claims;
pub mod collect;
mod conditions;
#[cfg(test)]
mod fixtures;
mod publish;
pub mod reports;
mod size;
mod status;
mod tell;

use crate::backoff::WatchBackoff;
use crate::calls::CallError;
use crate::clock;
use crate::context::Context;
use crate::metrics::Reconciled;
use crate::stores::Stores;
use crate::stores::payload::{Payloads, Versions};
use crate::stores::stored::Stored;
use collect::Facts;
use crds::compile::{Compiled, Declared, PACKED_BYTES, Verdict, compile_to_fit};
use crds::name::ChannelName;
use crds::secrets::Secrets;
use crds::snapshot::Snapshot;
use kube::runtime::utils::Backoff as _;
use publish::{Next, Published};
use reports::{Reports, Wanted};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The longest time between two looks; nothing is expected of it but after a mistake.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The shortest: what cannot be tried yet must not keep a core busy.
const SHORTEST: Duration = Duration::from_millis(50);

/// What compiling came to, and with which facts.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub facts: Facts,
    pub snapshot: Arc<Snapshot>,
    pub verdicts: Vec<Verdict>,
}

/// Everything that a compilation depends on, to see whether it would be the same.
#[derive(Clone, Debug, PartialEq)]
struct Inputs {
    facts: Facts,
    channels: BTreeMap<ChannelName, Version>,
    secrets: Versions,
}

/// A Channel's spec, and what else of it compiling reads.
#[derive(Clone, Debug, PartialEq)]
struct Version {
    uid: String,
    generation: Option<i64>,
    paused: bool,
}

/// The fleet and what is known of it.
struct Gateway {
    context: Arc<Context>,
    name: String,
    payloads: Payloads,
    published: Published,
    /// The last compilation.
    compiled: Option<(Inputs, Packed)>,
    /// When publishing that failed is tried again, and the pauses between tries. They are short: all Channels wait.
    retry_at: Option<Instant>,
    pauses: WatchBackoff,
    wanted: watch::Sender<Wanted>,
    outcome: watch::Sender<Option<Arc<Outcome>>>,
}

/// A compilation with what is to be published; none when that does not fit.
struct Packed {
    outcome: Arc<Outcome>,
    bytes: Vec<u8>,
}

/// What one look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    Done(Reconciled),
    /// What stands was written by somebody else, and is not known to be older.
    Unconfirmed,
}

impl Attempt {
    fn reconciled(self) -> Reconciled {
        match self {
            Self::Done(result) => result,
            Self::Unconfirmed => Reconciled::Error,
        }
    }
}

/// Serves one fleet for ever.
pub async fn run(context: Arc<Context>, name: String) {
    let (wanted, asked) = watch::channel(Wanted::default());
    let (told, reports) = watch::channel(Reports::default());
    let (outcome, outcomes) = watch::channel(None);
    let gateway = Gateway {
        payloads: Payloads::new(context.client.clone(), context.backoff()),
        retry_at: None,
        pauses: WatchBackoff::new(crate::chance::random()),
        published: Published::default(),
        compiled: None,
        context: context.clone(),
        name: name.clone(),
        wanted,
        outcome,
    };
    let tell = tell::run(
        context.clone(),
        name.clone(),
        outcomes.clone(),
        reports.clone(),
    );
    let claims = claims::tell(context.clone(), name.clone());
    let size = size::run(context.clone(), name, outcomes, reports);
    tokio::join!(
        gateway.work(),
        claims,
        reports::ask(context.http.clone(), asked, told),
        tell,
        size
    );
}

impl Gateway {
    async fn work(mut self) {
        let mut changes = self.context.stores.changes();
        loop {
            changes.borrow_and_update();
            let begin = clock::now().steady;
            let result = self.turn().await;
            let now = clock::now().steady;
            let took = now.saturating_duration_since(begin);
            self.context.metrics.reconciled(&self.name, result, took);
            let retries = [self.payloads.retry_at(), self.retry_at];
            let pause = retries.into_iter().flatten().min();
            let pause = pause.map_or(LOOK_EVERY, |at| at.saturating_duration_since(now));
            tokio::select! {
                biased;
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(pause.clamp(SHORTEST, LOOK_EVERY)) => {}
            }
        }
    }

    /// Looks, compiles, publishes. What somebody else has published is replaced only after a second look at all that
    /// there is: whoever wrote it may have known what is on its way here.
    async fn turn(&mut self) -> Reconciled {
        let result = self.attempt().await;
        if result != Attempt::Unconfirmed {
            return result.reconciled();
        }
        let context = &self.context;
        if !context.leadership.holds().await || !context.stores.are_current().await {
            tracing::debug!(gateway = self.name, "what stands is not replaced yet");
            self.later();
            return Reconciled::Error;
        }
        self.published.confirm();
        self.attempt().await.reconciled()
    }

    async fn attempt(&mut self) -> Attempt {
        let (context, begin) = (self.context.clone(), clock::now());
        let stores = &context.stores;
        let Some(deployment) = collect::deployment(stores, &self.name) else {
            return Attempt::Done(Reconciled::Unchanged);
        };
        let facts = Facts::of(&deployment, &self.name, &context.home, &context.targets);
        self.published.take(stores, &context.home, &self.name);
        let channels = collect::channels(stores, &self.name);
        let named = collect::secrets(&channels, self.published.snapshot.as_deref());
        let (secrets, versions) = self.payloads.update(&named, stores, begin).await;
        let versioned = channels.iter();
        let versioned = versioned.map(|(name, channel)| (name.clone(), Version::of(channel)));
        let inputs = Inputs {
            facts,
            channels: versioned.collect(),
            secrets: versions,
        };
        if self
            .compiled
            .as_ref()
            .is_none_or(|(last, _)| *last != inputs)
        {
            let Some(packed) = self.compile(&inputs, channels, secrets).await else {
                self.later();
                return Attempt::Done(Reconciled::Error);
            };
            self.compiled = Some((inputs, packed));
        }
        let result = self.publish().await;
        self.tell(stores);
        result
    }

    /// None when compiling panicked, which is told and tried again at the next look.
    async fn compile(
        &self,
        inputs: &Inputs,
        channels: BTreeMap<ChannelName, Arc<Stored>>,
        secrets: Secrets,
    ) -> Option<Packed> {
        let (facts, previous) = (inputs.facts.clone(), self.published.snapshot.clone());
        // It may take a second for a thousand Channels: probes are answered meanwhile.
        let compiled = tokio::task::spawn_blocking(move || {
            let declared: Vec<Declared<'_>> = channels
                .values()
                .map(|channel| channel.declared())
                .collect();
            let (compiled, bytes) = compile_to_fit(
                &facts.fleet,
                declared,
                &secrets,
                previous.as_deref(),
                PACKED_BYTES,
            );
            let Compiled { snapshot, verdicts } = compiled;
            let outcome = Outcome {
                facts,
                snapshot: Arc::new(snapshot),
                verdicts,
            };
            Packed {
                outcome: Arc::new(outcome),
                bytes,
            }
        });
        match compiled.await {
            Ok(packed) => Some(packed),
            Err(error) => {
                tracing::error!(
                    gateway = self.name,
                    error = error.to_string(),
                    "compiling failed"
                );
                None
            }
        }
    }

    /// Publishes what was compiled, unless that stands already.
    async fn publish(&mut self) -> Attempt {
        let Some((_, packed)) = &self.compiled else {
            return Attempt::Done(Reconciled::Unchanged);
        };
        let outcome = packed.outcome.clone();
        if self.published.is(&outcome.snapshot) {
            self.in_time();
            return Attempt::Done(Reconciled::Unchanged);
        }
        let now = clock::now().steady;
        if self.retry_at.is_some_and(|at| now < at) {
            return Attempt::Done(Reconciled::Unchanged);
        }
        let bytes = packed.bytes.clone();
        if !self.published.is_known() {
            return Attempt::Unconfirmed;
        }
        let size = bytes.len();
        let next = Next {
            home: &self.context.home,
            gateway: &self.name,
            owner: &outcome.facts.owner,
            snapshot: &outcome.snapshot,
            packed: bytes,
            replaces: self.published.version.as_deref(),
        };
        match next.apply(&self.context.client).await {
            Ok(version) => {
                let revision = &*outcome.snapshot.revision;
                let channels = outcome.snapshot.policies().len();
                let gateway = &*self.name;
                tracing::info!(gateway, revision, channels, bytes = size, "published");
                self.in_time();
                self.published = Published::written(version, outcome.snapshot.clone());
                self.context.metrics.snapshot_bytes(&self.name, size);
                Attempt::Done(Reconciled::Published)
            }
            Err(error) => {
                self.not_published(&error).await;
                Attempt::Done(Reconciled::Error)
            }
        }
    }

    fn in_time(&mut self) {
        self.retry_at = None;
        self.pauses.reset();
    }

    fn later(&mut self) {
        let pause = self.pauses.next().unwrap_or_default();
        self.retry_at = Some(clock::now().steady + pause);
    }

    async fn not_published(&mut self, error: &CallError) {
        self.later();
        let problem = error.to_string();
        tracing::warn!(gateway = self.name, problem, "not published");
        if !error.is_conflict() {
            return;
        }
        // Somebody else wrote. Whoever does not lead any more must not write what it knew before.
        let (context, known) = (&self.context, self.published.snapshot.clone());
        if context.leadership.holds().await
            && let Ok(published) =
                Published::read(&context.client, &context.home, &self.name, known).await
        {
            self.published = published;
            self.compiled = None;
        }
    }

    /// Has the Pods asked and the statuses written.
    fn tell(&self, stores: &Stores) {
        let Some((_, packed)) = &self.compiled else {
            return;
        };
        let wanted = Wanted {
            pods: collect::pods(stores, &self.name),
            revision: packed.outcome.snapshot.revision.clone(),
        };
        self.wanted.send_if_modified(|before| {
            let differs = *before != wanted;
            *before = wanted;
            differs
        });
        let outcome = &packed.outcome;
        self.outcome.send_if_modified(|before| {
            let same = before
                .as_ref()
                .is_some_and(|before| Arc::ptr_eq(before, outcome));
            *before = Some(outcome.clone());
            !same
        });
    }
}

impl Version {
    fn of(channel: &Stored) -> Self {
        Self {
            uid: channel.uid().to_owned(),
            generation: channel.metadata.generation,
            paused: channel.declared().is_paused(),
        }
    }
}
