//! One joined topic: which workers hear it, and what is on its way for them.
//!
//! Owns: that mail of a topic is posted in one order for all its workers. Never: waits; calls a
//! keeper, since keepers call it inside their own order. Used by: `hub`.

use super::presence::Listeners;
use super::sequence::{Sequence, Step, Steps};
use super::{Mail, Mailbox, TopicId};
use crate::broker::{Page, Target, Unavailable};
use crate::message::Session;
use crate::position::{Lineage, Position};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a subscription that nobody wants any more is waited for before it is looked at again.
const JOINING: Duration = Duration::from_secs(1);

/// The mailboxes of all workers.
pub type Mailboxes = Arc<[Arc<Mailbox>]>;

/// A joined topic.
pub struct Entry {
    pub id: TopicId,
    pub listeners: Mutex<Listeners>,
    mailboxes: Mailboxes,
    state: Mutex<State>,
}

struct State {
    /// Its policy is the one in force.
    target: Arc<Target>,
    sequence: Sequence,
    /// Those that have joined and not left, told or not yet.
    workers: Vec<usize>,
    /// Who waits for a page, by the cursor of the read.
    reads: HashMap<Position, Vec<usize>>,
    /// Sessions that keepers were told of, each with what the target was then.
    told: HashMap<Session, Arc<Target>>,
    life: Life,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Joined,
    /// Nobody is left; at this moment the subscription ends.
    Lingering(Instant),
    /// The subscription is being ended; whoever joins now waits until it begins anew.
    Leaving,
    /// Out of all maps.
    Gone,
}

/// What the keeper is to be asked after the entry was let go of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Read(Position),
    ReadLater(Position),
}

/// What follows from the end of a linger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Somebody joined meanwhile.
    Obsolete,
    /// The subscription has not been answered yet and cannot end: ask again then.
    Joining(Instant),
    /// It is to end now.
    Due,
}

/// How a join went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Told already, or as soon as the subscription stands.
    Seated,
    /// Nobody may join this entry any more: make another.
    Gone,
}

impl State {
    fn begin_anew(&mut self) {
        self.sequence = Sequence::new(self.target.policy.history.is_some());
    }
}

impl Entry {
    /// A topic to be subscribed to, with its first worker.
    #[must_use]
    pub fn new(id: TopicId, target: Target, mailboxes: Mailboxes, worker: usize) -> Self {
        let keeps = target.policy.history.is_some();
        Self {
            id,
            listeners: Mutex::default(),
            mailboxes,
            state: Mutex::new(State {
                target: Arc::new(target),
                sequence: Sequence::new(keeps),
                workers: vec![worker],
                reads: HashMap::new(),
                told: HashMap::new(),
                life: Life::Joined,
            }),
        }
    }

    /// What it is, as its Channel says now.
    #[must_use]
    pub fn target(&self) -> Arc<Target> {
        self.state.lock().target.clone()
    }

    /// Its Channel has changed, or is another one; `hub` calls it in the order of the Snapshots.
    pub fn follow(&self, target: Target) {
        let mut state = self.state.lock();
        state.sequence.set_keeps(target.policy.history.is_some());
        state.target = Arc::new(target);
    }

    /// A session began. What the keeper is to be told of, if the Channel wants that.
    pub fn opened(&self, session: Session) -> Option<Arc<Target>> {
        let mut state = self.state.lock();
        let target = state.target.clone();
        if !target.policy.ingest.juggernaut {
            return None;
        }
        state.told.insert(session, target.clone());
        Some(target)
    }

    /// It ended. Whoever was told that it began is told, whatever the Channel says now.
    pub fn closed(&self, session: Session) -> Option<Arc<Target>> {
        let mut state = self.state.lock();
        let told = state.told.remove(&session);
        // One that began on an earlier entry of the topic.
        told.or_else(|| Some(state.target.clone()).filter(|now| now.policy.ingest.juggernaut))
    }

    /// Seats `worker`; a second time it is told again.
    pub fn join(&self, worker: usize) -> Join {
        let mut state = self.state.lock();
        match state.life {
            Life::Gone => return Join::Gone,
            Life::Joined | Life::Leaving => {}
            Life::Lingering(_) => state.life = Life::Joined,
        }
        if !state.workers.contains(&worker) {
            state.workers.push(worker);
        }
        if let Some(lineage) = state.sequence.lineage().cloned() {
            self.post(worker, self.joined(lineage));
        }
        Join::Seated
    }

    /// Takes `worker` off. True if nobody is left and the entry lingers until `until`.
    pub fn leave(&self, worker: usize, until: Instant) -> bool {
        let mut state = self.state.lock();
        state.workers.retain(|&seated| seated != worker);
        let lingers = state.workers.is_empty() && state.life == Life::Joined;
        if lingers {
            state.life = Life::Lingering(until);
        }
        lingers
    }

    /// The linger that ends at `until` is over.
    pub fn expire(&self, until: Instant) -> Expiry {
        let mut state = self.state.lock();
        if state.life != Life::Lingering(until) {
            return Expiry::Obsolete;
        }
        if state.sequence.lineage().is_none() {
            let until = until + JOINING;
            state.life = Life::Lingering(until);
            return Expiry::Joining(until);
        }
        state.life = Life::Leaving;
        state.begin_anew();
        Expiry::Due
    }

    /// The subscription has ended. True if somebody joined meanwhile, so that it must begin anew.
    pub fn unsubscribed(&self) -> bool {
        let mut state = self.state.lock();
        if state.workers.is_empty() {
            state.life = Life::Gone;
            return false;
        }
        state.life = Life::Joined;
        // What came meanwhile came on the earlier subscription.
        state.begin_anew();
        true
    }

    /// The keeper has answered: everybody is told, then comes what arrived meanwhile.
    pub fn subscribed(&self, lineage: Lineage) -> Option<Ask> {
        self.act(|sequence, workers, out| {
            for &worker in workers {
                self.post(worker, self.joined(lineage.clone()));
            }
            sequence.joined(lineage, out);
        })
    }

    /// The keeper could not be asked: everybody is told and taken off.
    pub fn not_subscribed(&self, error: &Unavailable) {
        let mut state = self.state.lock();
        state.life = Life::Leaving;
        let topic = self.id;
        for worker in std::mem::take(&mut state.workers) {
            let error = error.clone();
            self.post(worker, Mail::NotJoined { topic, error });
        }
    }

    /// Lets the sequence think and posts what it says, in one turn.
    pub fn think(&self, think: impl FnOnce(&mut Sequence, Steps<'_>)) -> Option<Ask> {
        self.act(|sequence, _, out| think(sequence, out))
    }

    /// Notes that `worker` waits for the page after `cursor`. True if nobody did so far.
    pub fn wants(&self, worker: usize, cursor: Position) -> bool {
        let mut state = self.state.lock();
        let waiting = state.reads.entry(cursor).or_default();
        if !waiting.contains(&worker) {
            waiting.push(worker);
        }
        waiting.len() == 1
    }

    /// Brings the page to all who wait for it.
    pub fn answer(&self, cursor: Position, page: Result<Page, Unavailable>) {
        let page = page.map(Arc::new);
        let mut state = self.state.lock();
        for worker in state.reads.remove(&cursor).unwrap_or_default() {
            let (topic, page) = (self.id, page.clone());
            let mail = Mail::Page {
                topic,
                cursor,
                page,
            };
            self.post(worker, mail);
        }
    }

    fn act(&self, think: impl FnOnce(&mut Sequence, &[usize], Steps<'_>)) -> Option<Ask> {
        let mut state = self.state.lock();
        let State {
            sequence, workers, ..
        } = &mut *state;
        let mut ask = None;
        think(sequence, workers, &mut |step| match step {
            Step::Read(cursor) => ask = Some(Ask::Read(cursor)),
            Step::ReadLater(cursor) => ask = Some(Ask::ReadLater(cursor)),
            Step::Frame(_) | Step::Gap { .. } => {
                for &worker in &*workers {
                    self.tell(worker, &step);
                }
            }
        });
        ask
    }

    fn tell(&self, worker: usize, step: &Step) {
        let topic = self.id;
        let mail = match step {
            Step::Frame(frame) => Mail::Frame {
                topic,
                frame: frame.clone(),
            },
            &Step::Gap { reason, position } => Mail::Gap {
                topic,
                reason,
                position,
            },
            Step::Read(_) | Step::ReadLater(_) => return,
        };
        self.post(worker, mail);
    }

    fn joined(&self, lineage: Lineage) -> Mail {
        let topic = self.id;
        Mail::Joined { topic, lineage }
    }

    fn post(&self, worker: usize, mail: Mail) {
        if let Some(mailbox) = self.mailboxes.get(worker) {
            mailbox.post(mail);
        }
    }
}
