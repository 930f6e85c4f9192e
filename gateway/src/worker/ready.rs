//! What calls a worker besides its mail: sockets with something to say, and connections handed over.
//!
//! Owns: the one waker of each stream, its only allocation beside the slab. Used by: `worker`, `accept`.

use super::opening::Opening;
use super::slab::Key;
use super::socket::Socket;
use super::stream::Framing;
use crate::access::Grant;
use crate::evidence::Outcome;
use crate::limits::ConnectionPermit;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake};

/// A stream with its socket, on the way from its connection to the worker.
pub struct Handed {
    pub socket: Socket,
    pub framing: Framing,
    /// The version of HTTP/1 for the head; over HTTP/2 the head is sent already.
    pub http10: bool,
    pub opening: Opening,
    /// Counts the connection until the stream ends; over HTTP/2 the connection counts itself.
    pub connection: Option<ConnectionPermit>,
}

/// What reviewers said about a stream that is open.
pub struct Reviewed {
    pub key: Key,
    /// The grant that they were asked about.
    pub asked: Grant,
    pub outcome: Outcome,
}

/// The lists of one worker. Each holds at most one entry for a stream or connection.
#[derive(Default)]
pub struct Ready {
    keys: Mutex<Vec<Key>>,
    handed: Mutex<Vec<Handed>>,
    reviewed: Mutex<Vec<Reviewed>>,
    waker: AtomicWaker,
}

impl Ready {
    /// Gives the worker a stream.
    pub fn hand(&self, handed: Handed) {
        self.handed.lock().push(handed);
        self.waker.wake();
    }

    /// Moves out all streams handed over.
    pub fn take_handed(&self) -> Vec<Handed> {
        std::mem::take(&mut self.handed.lock())
    }

    /// Tells the worker what reviewers said about a stream that is open.
    pub fn review(&self, reviewed: Reviewed) {
        self.reviewed.lock().push(reviewed);
        self.waker.wake();
    }

    /// Moves out all that reviewers said.
    pub fn take_reviewed(&self) -> Vec<Reviewed> {
        std::mem::take(&mut self.reviewed.lock())
    }

    /// Moves the keys of all streams that were called to the end of `keys`.
    pub fn take_keys(&self, keys: &mut Vec<Key>) {
        keys.append(&mut self.keys.lock());
    }

    /// Whether something waits; if not, the task of `context` is woken when something comes.
    pub fn poll_ready(&self, context: &Context<'_>) -> bool {
        self.waker.register(context.waker());
        !self.keys.lock().is_empty()
            || !self.handed.lock().is_empty()
            || !self.reviewed.lock().is_empty()
    }
}

/// The waker of one stream.
pub struct Wakeup {
    key: Key,
    listed: AtomicBool,
    ready: Arc<Ready>,
}

impl Wakeup {
    #[must_use]
    pub fn new(key: Key, ready: Arc<Ready>) -> Arc<Self> {
        Arc::new(Self {
            key,
            listed: AtomicBool::new(false),
            ready,
        })
    }

    /// The stream is being looked at; from now on it may be called again.
    pub fn unlist(&self) {
        self.listed.store(false, Ordering::Release);
    }
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.listed.swap(true, Ordering::AcqRel) {
            self.ready.keys.lock().push(self.key);
            self.ready.waker.wake();
        }
    }
}
