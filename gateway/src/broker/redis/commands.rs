//! Commands to whichever server serves their key.
//!
//! Owns: the way from a key to its server, and the time limit of every call. Never: repeats a command, since
//! only its caller knows whether that is safe. Used by: everything under `redis` that asks.

use super::declined::declined;
use super::door::{Door, Live, loses};
use super::follow::Hints;
use super::topology::{Node, Topology, slot};
use crate::broker::{Declined, Unavailable};
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// The doors of all servers; changed as a whole.
#[derive(Default)]
pub struct Doors {
    pub topology: Arc<Topology>,
    /// One for each node of the topology.
    pub by_node: HashMap<Node, Door>,
}

impl Doors {
    fn owner(&self, slot: u16) -> Option<&Door> {
        self.by_node.get(self.topology.owner(slot)?)
    }
}

/// The way to all doors.
#[derive(Clone)]
pub struct Commands {
    doors: watch::Receiver<Arc<Doors>>,
    hints: Hints,
}

/// Why a call brought no answer.
#[derive(Debug)]
pub enum Failure {
    /// There was no connection within the time limit: nothing was sent.
    Disconnected,
    /// The answer did not come in time; the command may have run.
    Late,
    Redis(RedisError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("no connection"),
            Self::Late => f.write_str("no answer in time"),
            Self::Redis(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl Failure {
    /// Names the step that failed.
    #[must_use]
    pub fn at(self, step: &'static str) -> Unavailable {
        Unavailable {
            step,
            cause: self.to_string(),
        }
    }

    /// Whether the server does not know the script yet.
    #[must_use]
    pub fn unknown_script(&self) -> bool {
        matches!(self, Self::Redis(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
    }

    /// Whether the same command may succeed a little later.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Disconnected | Self::Late => true,
            Self::Redis(error) => loses(error) || declined(error).is_some_and(Declined::passes),
        }
    }
}

impl Commands {
    /// Goes through `doors`, and gives hints when a server does not serve what it was thought to.
    #[must_use]
    pub fn new(doors: watch::Receiver<Arc<Doors>>, hints: Hints) -> Self {
        Self { doors, hints }
    }

    /// Who serves `key`, if there is a connection to it.
    #[must_use]
    pub fn reached(&self, key: &str) -> Option<Node> {
        let doors = self.doors.borrow();
        let node = doors.topology.owner(slot(key))?;
        let door = doors.by_node.get(node)?;
        door.up().then(|| node.clone())
    }

    /// Whether there is a connection to every server, and one at least.
    #[must_use]
    pub fn up(&self) -> bool {
        let doors = self.doors.borrow();
        !doors.by_node.is_empty() && doors.by_node.values().all(Door::up)
    }

    /// Who serves what now, so that commands can be put together for one server.
    #[must_use]
    pub fn topology(&self) -> Arc<Topology> {
        self.doors.borrow().topology.clone()
    }

    /// Waits for a connection to whoever serves `key` and for the answer of `ask`, both together at most
    /// `limit`.
    pub async fn call<T, F>(
        &self,
        key: &str,
        limit: Duration,
        ask: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let mut sent = false;
        let answer = timeout(limit, async {
            let (door, live) = self.connected(slot(key)).await?;
            sent = true;
            let answer = ask(live.connection.clone()).await;
            if let Err(error) = &answer {
                door.judge(&live, error);
                self.heed(error);
            }
            Some(answer)
        });
        match answer.await {
            Err(_) if sent => Err(Failure::Late),
            Err(_) | Ok(None) => Err(Failure::Disconnected),
            Ok(Some(answer)) => answer.map_err(Failure::Redis),
        }
    }

    /// Looks at an error of one command in a pipeline, of which [`Self::call`] does not know.
    pub fn heed(&self, error: &RedisError) {
        self.hints.heed(error);
    }

    /// None: the keeper ends.
    async fn connected(&self, slot: u16) -> Option<(Door, Live)> {
        let mut doors = self.doors.clone();
        loop {
            let door = doors.borrow_and_update().owner(slot).cloned();
            if let Some(door) = door {
                tokio::select! {
                    biased;
                    live = door.live() => {
                        if let Some(live) = live {
                            return Some((door, live));
                        }
                    }
                    changed = doors.changed() => {
                        changed.ok()?;
                        continue;
                    }
                }
            }
            doors.changed().await.ok()?;
        }
    }
}
