//! Learns which server serves what, for as long as the keeper lives.
//!
//! Owns: when it is looked at anew: again and again, and at once when somebody met a server that no longer serves
//! what it did. Never: connects for anybody else. Used by: `start`, which runs it; `door`, `commands` and
//! `link`, which give hints.

mod cluster;
mod sentinel;

use super::backoff::{Backoff, Complaint};
use super::server::Source;
use super::topology::{Node, Topology};
use crate::clock;
use crds::redis_url::Kind;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

/// How often a cluster is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// The least time between two looks, however many hints come.
const PAUSE: Duration = Duration::from_millis(100);
/// Time for one answer.
const ANSWER: Duration = Duration::from_secs(1);
/// Hints that wait; one more is dropped, and the next error gives it again.
const MOST_HINTS: usize = 256;

/// What somebody met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Something is not as it was.
    Look,
    /// The server says so itself.
    Moved { slot: u16, node: Node },
}

/// The way to whoever follows.
#[derive(Clone)]
pub struct Hints(mpsc::Sender<Hint>);

impl Hints {
    /// The way in, and the way out.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Hint>) {
        let (sender, receiver) = mpsc::channel(MOST_HINTS);
        (Self(sender), receiver)
    }

    /// A server is out of reach, or says that it does not serve.
    pub fn look(&self) {
        self.give(Hint::Look);
    }

    /// Sees whether `error` tells that another server serves.
    pub fn heed(&self, error: &RedisError) {
        let ErrorKind::Server(kind) = error.kind() else {
            return;
        };
        let moved = error.redirect_node().and_then(|(address, slot)| {
            let node = Node::read(address)?;
            Some(Hint::Moved { slot, node })
        });
        match (kind, moved) {
            (ServerErrorKind::Moved, Some(moved)) => self.give(moved),
            (
                ServerErrorKind::Moved
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown,
                _,
            ) => self.give(Hint::Look),
            _ => {}
        }
    }

    fn give(&self, hint: Hint) {
        if self.0.try_send(hint).is_err() {
            tracing::trace!("enough hints wait");
        }
    }
}

/// What follows, in whatever shape the servers are.
pub struct Follower {
    pub source: Source,
    pub topology: watch::Sender<Arc<Topology>>,
    pub hints: mpsc::Receiver<Hint>,
    pub backoff: Backoff,
    pub complaint: Complaint,
}

/// How a look at one server ended.
enum Ended {
    /// It cannot be asked, or what it says cannot be used.
    Useless(String),
    /// Somebody met something: another one is to be asked, this one if it is named.
    Hinted(Option<Node>),
}

impl Follower {
    /// Works for as long as the keeper lives.
    pub async fn run(mut self) {
        match self.source.server().id.url.kind() {
            Kind::Server { .. } => {
                if let Some(node) = self.source.hosts().first() {
                    self.set(Topology::one(node.clone()));
                }
                std::future::pending().await
            }
            Kind::Sentinel { master, .. } => sentinel::follow(&mut self, master).await,
            Kind::Cluster => cluster::follow(&mut self).await,
        }
    }

    fn set(&self, topology: Topology) {
        self.topology.send_if_modified(|known| {
            let changed = **known != topology;
            if changed {
                *known = Arc::new(topology);
            }
            changed
        });
    }

    /// Waits for the next hint, at most until the next look, as this one went well.
    async fn hint(&mut self, look: Duration) -> Option<Hint> {
        self.backoff.reset();
        timeout(look, self.hints.recv()).await.ok().flatten()
    }

    /// Waits before another server is asked, and tells of what was wrong once a minute.
    async fn pause(&mut self, asked: &Node, ended: RedisResult<Ended>) -> Option<Node> {
        match ended.unwrap_or_else(|error| Ended::Useless(error.to_string())) {
            Ended::Useless(error) => {
                if let Some(times) = self.complaint.due(clock::now().steady) {
                    tracing::warn!(server = %asked, times, error, "cannot tell who serves");
                }
                sleep(self.backoff.next()).await;
                None
            }
            Ended::Hinted(next) => {
                self.backoff.reset();
                sleep(PAUSE).await;
                next
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &Option<Hint>) {
        let (hints, mut given) = Hints::new();
        let value = redis::parse_redis_value(text.as_bytes()).unwrap();
        let error = value.extract_error().unwrap_err();
        hints.heed(&error);
        assert_eq!(given.try_recv().ok(), *expected, "{text:?}");
    }

    #[test]
    fn errors_tell_where_to_look() {
        let node = Node::new("10.0.0.7", 6379);
        check(
            "-MOVED 17 10.0.0.7:6379\r\n",
            &Some(Hint::Moved { slot: 17, node }),
        );
        check("-MOVED 17 :6379\r\n", &Some(Hint::Look));
        check("-READONLY You can't write\r\n", &Some(Hint::Look));
        check("-CLUSTERDOWN The cluster is down\r\n", &Some(Hint::Look));
        check("-ASK 17 10.0.0.7:6379\r\n", &None);
        check("-OOM command not allowed\r\n", &None);
    }

    #[test]
    fn hints_are_bounded() {
        let (hints, mut given) = Hints::new();
        for _ in 0..MOST_HINTS * 2 {
            hints.look();
        }
        let mut count = 0;
        while given.try_recv().is_ok() {
            count += 1;
        }
        assert_eq!(count, MOST_HINTS);
    }
}
