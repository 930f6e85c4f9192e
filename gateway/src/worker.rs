//! The streams of one core: a thread with its own listener, its own slab of streams and one loop.
//!
//! Owns: waiting, and the order of what a turn looks at. Never: decides access, encodes, knows of Redis.
//! Started by `app`. From the hand-over on a stream has no task, future, timer or queue: it is a place in the
//! slab, a cursor into the ring of its topic, and one waker.

pub mod accept;
mod compose;
pub mod cursor;
mod deliver;
mod early;
mod h2;
mod handover;
mod head;
mod life;
pub mod opening;
mod ready;
mod recheck;
mod ring;
#[cfg(test)]
mod simulation;
mod slab;
mod socket;
mod stream;
mod table;
pub mod tls;
mod wheel;

use crate::clock::{self, Now};
use crate::evidence::Evidence;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::readiness::Phase;
use crate::tasks::Essential;
use crate::topics::{Mail, Mailbox, Topics};
use accept::{Router, Serving, TlsMaterial};
use crds::snapshot::Snapshot;
use deliver::{Flow, Place, Scratch, flush};
use opening::Door;
use parking_lot::Mutex;
use ready::Ready;
use slab::{Key, Slab};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use table::{Member, Table};
use tokio::sync::watch;
use wheel::Wheel;

/// Streams looked at in one turn for each kind of work; then connections get their turn. At 5 µs for a
/// write, nobody waits longer than a third of a millisecond for it.
const TURN: usize = 64;
/// How often the part of time spent working is told.
const BUSY_EVERY: Duration = Duration::from_secs(1);

/// What a worker is given besides its topics.
pub struct Equipment {
    pub listener: TcpListener,
    pub tls: Option<(TcpListener, TlsMaterial)>,
    pub router: Router,
    pub mailbox: Arc<Mailbox>,
    pub snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    pub phase: watch::Receiver<Phase>,
    pub limits: Arc<Limits>,
    pub evidence: Arc<Evidence>,
    pub metrics: Arc<Metrics>,
    pub essential: Essential,
}

/// A worker before it starts: its routes need its door first.
pub struct Worker {
    index: usize,
    topics: Arc<Topics>,
    table: Arc<Mutex<Table>>,
}

impl Worker {
    /// The worker with this index; its mail goes to the mailbox of the same index.
    #[must_use]
    pub fn new(index: usize, topics: Arc<Topics>) -> Self {
        let table = Arc::new(Mutex::new(Table::new(index, topics.clone())));
        Self {
            index,
            topics,
            table,
        }
    }

    /// The door for its routes.
    #[must_use]
    pub fn door(&self) -> Door {
        Door::new(self.table.clone())
    }

    /// Starts its thread. Fails when the thread or its runtime cannot be made.
    pub fn start(self, equipment: Equipment) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let essential = equipment.essential.clone();
        essential.thread("worker", move || {
            if let Err(error) = runtime.block_on(self.run(equipment)) {
                tracing::error!(?error, "a worker cannot use its listener");
            }
        })
    }

    async fn run(self, equipment: Equipment) -> io::Result<()> {
        let ready = Arc::new(Ready::default());
        let serving = Serving {
            router: equipment.router,
            ready: ready.clone(),
            limits: equipment.limits,
            phase: equipment.phase.clone(),
        };
        equipment.essential.start(
            "accept",
            accept::accept(
                tokio::net::TcpListener::from_std(equipment.listener)?,
                None,
                serving.clone(),
            ),
        );
        if let Some((listener, material)) = equipment.tls {
            equipment.essential.start(
                "accept-tls",
                accept::accept(
                    tokio::net::TcpListener::from_std(listener)?,
                    Some(material),
                    serving,
                ),
            );
        }
        let now = clock::now();
        let streams = Streams {
            slab: Slab::default(),
            table: self.table,
            topics: self.topics,
            wheel: Wheel::new(now.steady),
            ready,
            scratch: Scratch::new(equipment.metrics.delivery_seconds.local()),
            evidence: equipment.evidence,
            metrics: equipment.metrics,
            mailbox: equipment.mailbox,
            mail: VecDeque::new(),
            called: Vec::new(),
            due: Vec::new(),
            due_tick: 0,
            visit: Vec::new(),
            snapshot: None,
            redeciding: None,
            draining: None,
        };
        streams
            .live(self.index, equipment.snapshots, equipment.phase)
            .await;
        Ok(())
    }
}

/// The streams of a worker while it runs.
struct Streams {
    slab: Slab<Place>,
    evidence: Arc<Evidence>,
    table: Arc<Mutex<Table>>,
    topics: Arc<Topics>,
    wheel: Wheel,
    ready: Arc<Ready>,
    scratch: Scratch,
    metrics: Arc<Metrics>,
    mailbox: Arc<Mailbox>,
    /// Taken from the mailbox and not read yet; at most what the mailbox held at once.
    mail: VecDeque<Mail>,
    /// Streams whose sockets have something to say.
    called: Vec<Key>,
    /// Streams to look at for the clock, and the tick under which they were entered.
    due: Vec<Key>,
    due_tick: u64,
    visit: Vec<Member>,
    /// The newest configuration.
    snapshot: Option<Arc<Snapshot>>,
    /// The next place to decide about again; none when all are by the newest configuration.
    redeciding: Option<usize>,
    draining: Option<life::Draining>,
}

impl Streams {
    /// Turns and waits for ever.
    async fn live(
        mut self,
        index: usize,
        mut snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
        mut phase: watch::Receiver<Phase>,
    ) {
        let busy_ratio = self
            .metrics
            .worker_busy
            .with_label_values(&[&index.to_string()]);
        self.snapshot.clone_from(&snapshots.borrow_and_update());
        let mut busy = Duration::ZERO;
        let mut told = clock::now().steady;
        loop {
            let now = clock::now();
            if snapshots.has_changed().unwrap_or(false) {
                self.snapshot.clone_from(&snapshots.borrow_and_update());
                self.redeciding = Some(0);
            }
            if let Phase::Closing { until } = *phase.borrow_and_update()
                && self.draining.is_none()
            {
                self.draining = Some(life::Draining::new(now.steady, until, self.slab.len()));
            }
            let more = self.turn(now);
            let after = clock::now().steady;
            busy += after - now.steady;
            if after - told >= BUSY_EVERY {
                busy_ratio.set(busy.as_secs_f64() / (after - told).as_secs_f64());
                (busy, told) = (Duration::ZERO, after);
            }
            if more {
                tokio::task::yield_now().await;
            } else {
                self.wait(&mut snapshots, &mut phase).await;
            }
        }
    }

    /// Waits until there is something to do, at the latest until the next tick of the wheel.
    async fn wait(
        &self,
        snapshots: &mut watch::Receiver<Option<Arc<Snapshot>>>,
        phase: &mut watch::Receiver<Phase>,
    ) {
        let called = poll_fn(|context| {
            let mail = self.mailbox.poll_mail(context);
            if self.ready.poll_ready(context) || mail {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let pause = async {
            if self.slab.len() > 0 {
                tokio::time::sleep_until(self.wheel.next_turn().into()).await;
            } else {
                // Without streams nothing is due, but the busy ratio must fall.
                tokio::time::sleep(BUSY_EVERY).await;
            }
        };
        tokio::select! {
            () = called => {}
            () = pause => {}
            Ok(()) = snapshots.changed() => snapshots.mark_changed(),
            Ok(()) = phase.changed() => {}
        }
    }

    /// Looks once at everything, in this order: peers gone and sockets ready, decided again, drain, clock, new
    /// streams, frames. True when something is left for the next turn.
    fn turn(&mut self, now: Now) -> bool {
        let table = self.table.clone();
        let mut table = table.lock();
        let mut more = self.answer_sockets(&mut table, now);
        more |= self.decide_again(&mut table, now);
        self.drain(&mut table, now);
        more |= self.look_at_clock(&mut table, now);
        self.take_reviews(&mut table, now);
        for handed in self.ready.take_handed() {
            self.open(handed, &mut table, now);
        }
        self.read_mail(&mut table, now);
        more |= self.walk(&mut table) || !self.mail.is_empty();
        if self.scratch.sent > 0 {
            self.metrics
                .sent_bytes
                .inc_by(std::mem::take(&mut self.scratch.sent));
            self.scratch.latency.flush();
        }
        more
    }

    fn answer_sockets(&mut self, table: &mut Table, now: Now) -> bool {
        self.ready.take_keys(&mut self.called);
        for _ in 0..TURN.min(self.called.len()) {
            let Some(key) = self.called.pop() else { break };
            let Some(place) = self.slab.get_mut(key) else {
                continue;
            };
            place.wakeup.unlist();
            if place.peer_gone() {
                self.close(key, crate::close::CloseReason::ClientGone, table);
            } else if place.stream.is_parked() {
                self.flush(key, table, now);
            }
        }
        !self.called.is_empty()
    }

    /// Reads what came from other threads. Where a ring has no room before a walk has passed, the rest waits, and
    /// the mailbox behind it fills up.
    fn read_mail(&mut self, table: &mut Table, now: Now) {
        if self.mail.is_empty() {
            self.mailbox.take(&mut self.mail);
        }
        while let Some(mail) = self.mail.pop_front() {
            if let Mail::Frame { topic, frame } = &mail
                && !table.has_room(*topic, frame)
            {
                self.mail.push_front(mail);
                return;
            }
            let Some(paged) = table.take(mail) else {
                continue;
            };
            for member in paged.members {
                self.paged(member, paged.cursor, paged.page.as_ref(), table, now);
            }
        }
    }

    /// Writes to the next members of the topics whose turn it is.
    fn walk(&mut self, table: &mut Table) -> bool {
        let mut left = TURN;
        while left > 0 && table.has_walks() {
            // Latencies are told as of the write, so the clock is read for each stretch of the walk.
            let now = clock::now();
            let mut visit = std::mem::take(&mut self.visit);
            let key = table.step(left.min(16), &mut visit);
            left -= visit.len().min(left);
            for member in visit.drain(..) {
                if self
                    .slab
                    .get_mut(member.stream)
                    .is_some_and(|place| !place.stream.is_parked())
                {
                    self.flush(member.stream, table, now);
                }
            }
            self.visit = visit;
            if let Some(local) = key.and_then(|key| table.get(key)) {
                local.count();
            }
        }
        table.has_walks()
    }

    /// Writes what is pending for a stream, and sees to its deadline or its end.
    fn flush(&mut self, key: Key, table: &mut Table, now: Now) {
        let Some(place) = self.slab.get_mut(key) else {
            return;
        };
        match flush(key, place, table, &mut self.scratch, now) {
            Flow::Open => self.look_sooner(key),
            Flow::Closed(reason) => self.close(key, reason, table),
        }
    }

    /// Enters the stream into the wheel again if something may be due before its present entry.
    fn look_sooner(&mut self, key: Key) {
        if let Some(place) = self.slab.get_mut(key)
            && (place.stream.is_parked() || place.stream.ending.is_some())
        {
            let deadline = place.stream.deadline();
            if self.wheel.tick_after(deadline) < place.stream.armed {
                place.stream.armed = self.wheel.enter(key, deadline);
            }
        }
    }
}
