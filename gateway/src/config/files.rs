//! Channel and Secret manifests from a file or a folder, looked at again and again.
//!
//! Owns: when a change counts, and telling once what is wrong with it. Never: judges a manifest (`crds`).
//! Used by: `app`.

pub mod folder;
pub mod manifests;
#[cfg(test)]
mod tests;

use super::Source;
use crate::metrics::Metrics;
use crds::compile::{Compiled, Verdict};
use crds::fleet::Fleet;
use crds::snapshot::Snapshot;
use folder::{NoReading, Reading};
use manifests::{Manifests, Problem};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A change counts when it looks the same this much later: an editor may be at work, or the links of a
/// mounted ConfigMap be swapped, and half of a change could delete a Channel.
const SETTLE: Duration = Duration::from_millis(50);
/// Readings until a change has settled; after that the next look tries again.
const MOST_READINGS: usize = 5;

/// Follows the files.
pub struct Files {
    path: PathBuf,
    metrics: Arc<Metrics>,
    kept: Kept,
    looked: bool,
    no_reading: Option<NoReading>,
}

/// What is in force, and what was said about it.
struct Kept {
    fleet: Fleet,
    seen: Option<Reading>,
    manifests: Manifests,
    snapshot: Option<Arc<Snapshot>>,
    told: BTreeSet<Told>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Problem(Problem),
    Channel {
        name: String,
        place: Option<String>,
        reason: &'static str,
        message: String,
    },
}

/// What a reading changed.
struct Change {
    /// None when the Channels in force are the same as before.
    snapshot: Option<Arc<Snapshot>>,
    /// What is wrong and was not told before.
    news: Vec<Told>,
}

impl Files {
    /// Follows `path` for `fleet`.
    #[must_use]
    pub fn new(path: PathBuf, fleet: Fleet, metrics: Arc<Metrics>) -> Self {
        Self {
            path,
            metrics,
            kept: Kept::new(fleet),
            looked: false,
            no_reading: None,
        }
    }

    async fn look(&mut self) -> Option<Arc<Snapshot>> {
        let settled = self.settled().await;
        let up = &self.metrics.config_source_up;
        up.set(settled.is_ok().into());
        let reading = match settled {
            Ok(reading) => reading?,
            Err(error) => {
                if self.no_reading.as_ref() != Some(&error) {
                    tracing::warn!(problem = error.to_string(), "manifests cannot be read");
                    self.no_reading = Some(error);
                }
                return None;
            }
        };
        self.no_reading = None;
        let change = self.kept.take(reading);
        change.news.iter().for_each(Told::log);
        if !change.news.is_empty() {
            let rejected = self.metrics.config_applies.with_label_values(&["rejected"]);
            rejected.inc();
        }
        change.snapshot
    }

    /// A reading that differs from the one before and holds still; none when there is no such.
    async fn settled(&self) -> Result<Option<Reading>, NoReading> {
        let mut reading = self.read().await?;
        for _ in 1..MOST_READINGS {
            if self.kept.seen.as_ref() == Some(&reading) {
                return Ok(None);
            }
            sleep(SETTLE).await;
            let again = self.read().await?;
            if again == reading {
                return Ok(Some(reading));
            }
            reading = again;
        }
        Ok(None)
    }

    async fn read(&self) -> Result<Reading, NoReading> {
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || folder::read(&path))
            .await
            .unwrap_or_else(|error| {
                Err(NoReading::List {
                    path: self.path.clone(),
                    cause: error.to_string(),
                })
            })
    }
}

impl Source for Files {
    async fn next(&mut self) -> Arc<Snapshot> {
        loop {
            if self.looked {
                sleep(LOOK_EVERY).await;
            }
            self.looked = true;
            if let Some(snapshot) = self.look().await {
                return snapshot;
            }
        }
    }
}

impl Kept {
    fn new(fleet: Fleet) -> Self {
        Self {
            fleet,
            seen: None,
            manifests: Manifests::default(),
            snapshot: None,
            told: BTreeSet::new(),
        }
    }

    fn take(&mut self, reading: Reading) -> Change {
        let mut problems = self
            .manifests
            .update(&reading, &self.fleet.default_namespace);
        self.seen = Some(reading);
        let (compiled, more) = self
            .manifests
            .compile(&self.fleet, self.snapshot.as_deref());
        problems.extend(more);
        let Compiled { snapshot, verdicts } = compiled;
        let mut told: BTreeSet<Told> = problems.into_iter().map(Told::Problem).collect();
        for verdict in &verdicts {
            told.extend(self.objections(verdict));
        }
        let news = told.difference(&self.told).cloned().collect();
        self.told = told;
        let before = self.snapshot.as_ref().map(|before| &before.revision);
        if before == Some(&snapshot.revision) {
            return Change {
                snapshot: None,
                news,
            };
        }
        let snapshot = Arc::new(snapshot);
        self.snapshot = Some(snapshot.clone());
        Change {
            snapshot: Some(snapshot),
            news,
        }
    }

    fn objections(&self, verdict: &Verdict) -> impl Iterator<Item = Told> {
        let place = self.manifests.place(&verdict.channel);
        [&verdict.accepted, &verdict.resolved_refs]
            .into_iter()
            .filter(|finding| !finding.holds)
            .map(move |finding| Told::Channel {
                name: verdict.channel.to_string(),
                place: place.clone(),
                reason: finding.reason.as_str(),
                message: finding.message.clone(),
            })
    }
}

impl Told {
    fn log(&self) {
        match self {
            Self::Problem(problem) => {
                let (file, line) = (problem.file.display(), problem.line);
                tracing::warn!(%file, line, problem = problem.message, "manifest not applied");
            }
            Self::Channel {
                name,
                place,
                reason,
                message,
            } => {
                tracing::warn!(
                    channel = name,
                    place,
                    reason,
                    problem = message,
                    "channel not in order"
                );
            }
        }
    }
}
