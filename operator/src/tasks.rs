//! Where tasks start.
//!
//! Owns: naming them, and ending the process when an essential one ends: nothing dies unseen. Used by:
//! `app`, `admin`.

use std::future::Future;
use tokio::sync::mpsc;

/// Names of ended tasks that wait to be heard; the first is enough to end the process.
const MOST_ENDED: usize = 16;

/// Tells `app` which essential task ended; the process then ends, too.
#[derive(Clone)]
pub struct Essential(mpsc::Sender<&'static str>);

impl Essential {
    /// The sender for those who start tasks, the receiver for `app`.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<&'static str>) {
        let (sender, ended) = mpsc::channel(MOST_ENDED);
        (Self(sender), ended)
    }

    /// Runs `task` on the current runtime; its end, also by a panic, is told.
    pub fn start(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let told = Told(Some(self.0.clone()), name);
        background(async move {
            let _told = told;
            task.await;
        });
    }

    /// The same for a task that may be ended by `stop`; only another end is told.
    pub fn until(
        &self,
        name: &'static str,
        stop: impl Future<Output = ()> + Send + 'static,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let told = Told(Some(self.0.clone()), name);
        background(async move {
            let mut told = told;
            tokio::select! {
                biased;
                () = stop => drop(told.0.take()),
                () = task => {}
            }
        });
    }
}

/// Tells of its end, unless the sender was taken away.
struct Told(Option<mpsc::Sender<&'static str>>, &'static str);

impl Drop for Told {
    fn drop(&mut self) {
        if self
            .0
            .as_ref()
            .is_some_and(|ended| ended.try_send(self.1).is_err())
        {
            tracing::debug!(task = self.1, "ended while nobody listened");
        }
    }
}

/// Runs `task` on the current runtime; its end needs no notice, as for a connection.
#[expect(clippy::disallowed_methods, reason = "tasks start here")]
pub fn background(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    #[tokio::test]
    async fn the_end_of_an_essential_task_is_told_by_its_name() {
        let (essential, mut ended) = Essential::new();
        essential.start("stays", pending());
        essential.start("ends", ready(()));
        assert_eq!(ended.recv().await, Some("ends"));
        assert!(ended.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_panic_is_an_end_like_any_other() {
        let (essential, mut ended) = Essential::new();
        essential.start("falls", async { panic!("as this test wants") });
        assert_eq!(ended.recv().await, Some("falls"));
    }

    #[tokio::test]
    async fn what_was_told_to_stop_is_no_failure() {
        let (essential, mut ended) = Essential::new();
        essential.until("stopped", ready(()), pending());
        essential.until("ends", pending(), ready(()));
        assert_eq!(ended.recv().await, Some("ends"));
        assert!(ended.try_recv().is_err());
    }
}
