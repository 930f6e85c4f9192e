//! Where tasks and threads start.
//!
//! Owns: naming them, and ending the process when an essential one ends: nothing dies unseen.
//! Also the bounded door from workers to the control runtime, where all clients of others live.

use std::future::Future;
use std::io;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Requests from workers that the control runtime has in hand at once; one more is refused as busy.
pub const MOST_REQUESTS: usize = 4096;

/// Tells `app` which essential task ended; the process then ends, too.
#[derive(Clone)]
pub struct Essential(mpsc::Sender<&'static str>);

impl Essential {
    /// The sender for those who start tasks, the receiver for `app`.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<&'static str>) {
        let (sender, ended) = mpsc::channel(16);
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

    /// Runs `body` on a thread of its own; its end, also by a panic, is told.
    #[expect(clippy::disallowed_methods, reason = "threads start here")]
    pub fn thread(
        &self,
        name: &'static str,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let told = Told(Some(self.0.clone()), name);
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let _told = told;
                body();
            })?;
        Ok(())
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

/// The bounded door to the control runtime.
#[derive(Clone)]
pub struct Control {
    runtime: Handle,
    room: Arc<Semaphore>,
}

/// Why the control runtime gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the control runtime has too many requests in hand")]
pub struct Busy;

impl Control {
    /// A door to `runtime`.
    #[must_use]
    pub fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            room: Arc::new(Semaphore::new(MOST_REQUESTS)),
        }
    }

    /// Has `task` done there and waits for its answer. If the caller stops waiting, it is done all the same.
    pub async fn ask<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Busy> {
        let (sender, answer) = oneshot::channel();
        self.tell(async move {
            drop(sender.send(task.await));
        })?;
        answer.await.or(Err(Busy))
    }

    /// Has `task` done there without waiting.
    pub fn tell(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<(), Busy> {
        let permit = self.room.clone().try_acquire_owned().or(Err(Busy))?;
        self.runtime.spawn(async move {
            let _permit = permit;
            task.await;
        });
        Ok(())
    }
}
