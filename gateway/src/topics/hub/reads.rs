//! Reads of history on their way to one server, few at a time.
//!
//! Owns: the bound of reads in flight and of those that wait, and that each is answered in time.
//! Used by: `hub`, for the pages that workers ask for and for the holes of topics.

use super::{Hub, PATIENCE, unavailable};
use crate::broker::{Page, Target, Unavailable};
use crate::clock;
use crate::position::Position;
use crate::tasks::Busy;
use crate::topics::entry::Entry;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Reads in flight for one server: clients that all come back must not be as many reads at once.
pub const MOST_RUNNING: usize = 32;
/// Reads that wait; one more is answered as unavailable. At a millisecond each the last one waits two
/// seconds, well within its ten.
pub const MOST_WAITING: usize = 65_536;

/// A page that somebody waits for.
pub struct Read {
    pub entry: Arc<Entry>,
    pub cursor: Position,
    pub reader: Reader,
    /// From then on it is answered as unavailable.
    pub until: Instant,
}

/// Who waits for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Streams; one read for all workers.
    Workers,
    /// The topic itself, which fills a hole. Never shared: it must begin after the hole was seen.
    Sequence,
}

/// The queue of one server.
#[derive(Default)]
pub struct Reads {
    running: usize,
    waiting: VecDeque<Read>,
}

impl Reads {
    /// Queues `read`, or gives it back when the queue is full. True if another runner is to be started.
    pub fn push(&mut self, read: Read) -> Result<bool, Read> {
        if self.waiting.len() >= MOST_WAITING {
            return Err(read);
        }
        self.waiting.push_back(read);
        let start = self.running < MOST_RUNNING;
        self.running += usize::from(start);
        Ok(start)
    }

    /// The next read for a runner; none: the runner ends.
    pub fn next(&mut self) -> Option<Read> {
        let next = self.waiting.pop_front();
        if next.is_none() {
            self.running -= 1;
        }
        next
    }

    /// A runner could not be started. What nobody would read then is given back.
    pub fn not_started(&mut self) -> VecDeque<Read> {
        self.running -= 1;
        if self.running > 0 {
            return VecDeque::new();
        }
        std::mem::take(&mut self.waiting)
    }
}

impl Hub {
    /// Reads after `cursor` for a worker; one read for all that ask the same.
    pub fn read(self: &Arc<Self>, worker: usize, entry: Arc<Entry>, cursor: Position) {
        if !entry.wants(worker, cursor) {
            return;
        }
        let read = Read {
            entry,
            cursor,
            reader: Reader::Workers,
            until: clock::now().steady + PATIENCE,
        };
        if !self.local {
            self.enqueue(read);
            return;
        }
        let hub = self.clone();
        let task = async move {
            let target = Target::clone(&read.entry.target());
            let page = hub.broker.read(target, cursor).await;
            hub.answer(&read, page);
        };
        if self.run(task).is_err() {
            tracing::error!("the memory keeper did not answer at once");
        }
    }

    /// Reads what a hole lacks. Never at once: the keeper may be waiting for the end of this call.
    pub fn fill(self: &Arc<Self>, entry: Arc<Entry>, cursor: Position) {
        self.enqueue(Read {
            entry,
            cursor,
            reader: Reader::Sequence,
            until: clock::now().steady + PATIENCE,
        });
    }

    fn enqueue(self: &Arc<Self>, read: Read) {
        let pushed = self.reads.lock().push(read);
        let refused = match pushed {
            Ok(false) => return,
            Err(read) => VecDeque::from([read]),
            Ok(true) => {
                let hub = self.clone();
                let runner = async move {
                    while let Some(read) = hub.next_read() {
                        let page = hub.page(&read).await;
                        hub.answer(&read, page);
                    }
                };
                match self.control.tell(runner) {
                    Ok(()) => return,
                    Err(Busy) => self.reads.lock().not_started(),
                }
            }
        };
        for read in refused {
            match read.reader {
                Reader::Workers => self.answer(&read, Err(unavailable("read history", &Busy))),
                Reader::Sequence => self.later.lock().push((read.entry, read.cursor)),
            }
        }
    }

    fn next_read(&self) -> Option<Read> {
        self.reads.lock().next()
    }

    async fn page(&self, read: &Read) -> Result<Page, Unavailable> {
        let left = read.until.saturating_duration_since(clock::now().steady);
        let target = Target::clone(&read.entry.target());
        tokio::time::timeout(left, self.broker.read(target, read.cursor))
            .await
            .unwrap_or_else(|elapsed| Err(unavailable("read history", &elapsed)))
    }

    fn answer(self: &Arc<Self>, read: &Read, page: Result<Page, Unavailable>) {
        match read.reader {
            Reader::Workers => read.entry.answer(read.cursor, page),
            Reader::Sequence => {
                let ask = read
                    .entry
                    .think(|sequence, out| sequence.page(read.cursor, page.as_ref(), out));
                self.ask(&read.entry, ask);
            }
        }
    }
}
