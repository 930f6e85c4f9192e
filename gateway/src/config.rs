//! The Channels in force.
//!
//! Owns: the last good [`Snapshot`], which everybody else watches. Never: judges a manifest (`crds`) or
//! decides what a change means for a stream (`worker`). Used by: `app`, which feeds it; `http`, `worker`.

pub mod files;
pub mod secret;

use crate::metrics::Metrics;
use crds::snapshot::Snapshot;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::watch;

/// How everybody gets to know the Channels: none before the first configuration.
pub type Watch = watch::Receiver<Option<Arc<Snapshot>>>;

/// From where configurations come.
pub trait Source: Send + 'static {
    /// Waits for the next configuration that differs from the one before; the first comes at once.
    fn next(&mut self) -> impl Future<Output = Arc<Snapshot>> + Send;
}

/// Holds the last good Snapshot.
#[derive(Clone)]
pub struct Config {
    snapshots: Arc<watch::Sender<Option<Arc<Snapshot>>>>,
    metrics: Arc<Metrics>,
}

impl Config {
    /// Nothing is configured yet.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            snapshots: Arc::new(watch::Sender::new(None)),
            metrics,
        }
    }

    /// The Snapshot in force; none before the first.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Snapshot>> {
        self.snapshots.borrow().clone()
    }

    /// For those who act on every change.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.snapshots.subscribe()
    }

    /// Has everybody act on the Snapshot in force again.
    pub fn again(&self) {
        self.snapshots.send_modify(|_| {});
    }

    /// Puts every configuration of `source` into force, for ever. `before` sees each one first, to have
    /// ready what the Channels need, and `after` when it is in force.
    pub async fn follow(
        self,
        mut source: impl Source,
        mut before: impl FnMut(&Snapshot) + Send,
        mut after: impl FnMut(&Snapshot) + Send,
    ) {
        loop {
            let snapshot = source.next().await;
            before(&snapshot);
            self.apply(snapshot.clone());
            after(&snapshot);
        }
    }

    fn apply(&self, snapshot: Arc<Snapshot>) {
        let revision = &*snapshot.revision;
        tracing::info!(
            revision,
            channels = snapshot.policies().len(),
            "configuration applied"
        );
        self.metrics.config_revision.reset();
        self.metrics
            .config_revision
            .with_label_values(&[revision])
            .set(1);
        self.metrics
            .config_applies
            .with_label_values(&["applied"])
            .inc();
        self.snapshots.send_replace(Some(snapshot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::Registry;
    use std::collections::VecDeque;

    struct Listed(VecDeque<Arc<Snapshot>>);

    impl Source for Listed {
        async fn next(&mut self) -> Arc<Snapshot> {
            match self.0.pop_front() {
                Some(snapshot) => snapshot,
                None => std::future::pending().await,
            }
        }
    }

    fn revision(revision: &str) -> Arc<Snapshot> {
        let mut snapshot = Snapshot::default();
        snapshot.revision = revision.into();
        Arc::new(snapshot)
    }

    #[tokio::test]
    async fn the_newest_is_in_force_and_only_its_revision_is_told() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry, "default").unwrap();
        let config = Config::new(metrics.clone());
        assert!(config.current().is_none());
        let mut seen = Vec::new();
        let source = Listed([revision("a"), revision("b")].into());
        let follow = config.clone().follow(
            source,
            |snapshot| seen.push(snapshot.revision.to_string()),
            |_| {},
        );
        let mut watch = config.watch();
        let applied = watch.wait_for(|now| now.as_ref().is_some_and(|now| *now.revision == *"b"));
        tokio::select! {
            biased;
            () = follow => panic!("it ended"),
            now = applied => assert!(now.is_ok()),
        }
        assert_eq!(seen, ["a", "b"]);
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap();
        assert!(text.contains(r#"siar_config_revision_info{gateway="default",revision="b"} 1"#));
        assert!(!text.contains(r#"revision="a""#));
        assert_eq!(
            metrics.config_applies.with_label_values(&["applied"]).get(),
            2
        );
    }
}
