//! One server and the topics that this process hears from it.
//!
//! Owns: which topics are subscribed to, how long after the last listener, and the way of a read.
//! Never: holds a lock while it calls the keeper. Used by: `topics` alone.

mod reads;

use super::TopicId;
use super::entry::{Ask, Entry, Expiry, Join, Mailboxes};
use crate::address::Address;
use crate::broker::{Arrival, Broker, Owners, PresencePart, Sink, Target, Unavailable};
use crate::clock::Now;
use crate::metrics::Metrics;
use crate::position::Position;
use crate::tasks::{Busy, Control};
use crds::name::ChannelName;
use crds::policy::Policy;
use parking_lot::{Mutex, RwLock};
use reads::Reads;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

/// How long a topic stays subscribed after its last stream, so that a reload costs nothing.
pub const LINGER: Duration = Duration::from_secs(10);
/// Lingering topics; with one more the oldest is unsubscribed at once.
pub const MOST_LINGERING: usize = 10_000;
/// A server that answers nothing for so long counts as unavailable.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A joined topic with its server.
type Named = (Arc<Hub>, Arc<Entry>);

/// The joined topics of all servers by their names.
#[derive(Default)]
pub struct Directory {
    entries: RwLock<HashMap<TopicId, Named>>,
    last: AtomicU64,
}

impl Directory {
    /// A name never given before.
    pub fn name(&self) -> TopicId {
        TopicId(self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The topic of this name, unless it is gone.
    pub fn find(&self, id: TopicId) -> Option<Named> {
        self.entries.read().get(&id).cloned()
    }
}

/// The joined topics of one server.
#[derive(Default)]
struct Entries {
    by_address: HashMap<Address, Arc<Entry>>,
    /// Topics by Channel, feeds not counted.
    counts: HashMap<ChannelName, u32>,
    /// The Channels in force. A join may come with an older one.
    owners: Arc<Owners>,
}

/// One server.
pub struct Hub {
    pub broker: Arc<dyn Broker>,
    /// The keeper is in this process: it answers at once, on any thread.
    pub local: bool,
    pub control: Control,
    directory: Arc<Directory>,
    mailboxes: Mailboxes,
    metrics: Arc<Metrics>,
    entries: RwLock<Entries>,
    lingering: Mutex<VecDeque<(Instant, Arc<Entry>)>>,
    reads: Mutex<Reads>,
    /// Reads of holes to be tried again; at most one for each entry.
    later: Mutex<Vec<(Arc<Entry>, Position)>>,
    /// Subscriptions whose end found no room at the control runtime; at most one for each entry.
    owed: Mutex<Vec<Arc<Entry>>>,
}

impl Hub {
    /// Makes the keeper and hears it.
    pub fn new(
        control: Control,
        directory: Arc<Directory>,
        mailboxes: Mailboxes,
        metrics: Arc<Metrics>,
        make: impl FnOnce(Sink) -> Arc<dyn Broker>,
    ) -> Arc<Self> {
        let hub = Arc::new_cyclic(|hub| {
            let heard = hub.clone();
            let broker = make(Arc::new(move |arrival| {
                if let Some(hub) = heard.upgrade() {
                    Self::arrive(&hub, arrival);
                }
            }));
            Self {
                local: broker.kind() == "memory",
                broker,
                control,
                directory,
                mailboxes,
                metrics,
                entries: RwLock::default(),
                lingering: Mutex::default(),
                reads: Mutex::default(),
                later: Mutex::default(),
                owed: Mutex::default(),
            }
        });
        let asked = Arc::downgrade(&hub);
        hub.broker.answer_presence(Arc::new(move |address| {
            asked
                .upgrade()
                .map_or_else(PresencePart::default, |hub| hub.listeners(address).0)
        }));
        hub
    }

    /// Seats `worker` on the topic, which is subscribed to if it is not yet.
    pub fn join(self: &Arc<Self>, worker: usize, target: &Target) -> TopicId {
        loop {
            let known = self.entries.read().by_address.get(&target.address).cloned();
            if let Some(entry) = known {
                if entry.join(worker) == Join::Seated {
                    return entry.id;
                }
                self.forget(&entry);
                continue;
            }
            let mut entries = self.entries.write();
            if entries.by_address.contains_key(&target.address) {
                continue;
            }
            let id = self.directory.name();
            let target = match entries.owners.of(target) {
                Some(owner) => target.under(owner, &self.metrics),
                None => target.clone(),
            };
            let entry = Arc::new(Entry::new(id, target, self.mailboxes.clone(), worker));
            entries.insert(entry.clone());
            drop(entries);
            let named = (self.clone(), entry.clone());
            self.directory.entries.write().insert(id, named);
            self.subscribe(entry);
            return id;
        }
    }

    /// Takes `worker` off the topic.
    pub fn leave(self: &Arc<Self>, worker: usize, entry: &Arc<Entry>, now: Now) {
        let until = now.steady + LINGER;
        if !entry.leave(worker, until) {
            return;
        }
        let mut lingering = self.lingering.lock();
        lingering.push_back((until, entry.clone()));
        let oldest = (lingering.len() > MOST_LINGERING).then(|| lingering.pop_front());
        drop(lingering);
        if let Some((until, entry)) = oldest.flatten() {
            self.expire(entry, until);
        }
    }

    /// Whether no topic is joined or lingers.
    pub fn is_empty(&self) -> bool {
        self.entries.read().by_address.is_empty()
    }

    /// Who listens here to `address`, and whether everybody is named.
    pub fn listeners(&self, address: &Address) -> (PresencePart, bool) {
        let Some(entry) = self.entries.read().by_address.get(address).cloned() else {
            return (PresencePart::default(), true);
        };
        let listeners = entry.listeners.lock();
        (listeners.part(), listeners.complete())
    }

    /// Has all topics go with their Channels, and tells the keeper. Nothing subscribes in between with what was
    /// before, since that, too, is done on the control runtime.
    pub fn apply(&self, policies: Vec<Arc<Policy>>) {
        let owners = Arc::new(Owners::new(&policies));
        self.entries.write().owners = owners.clone();
        let known: Vec<_> = self.entries.read().by_address.values().cloned().collect();
        for entry in known {
            let target = entry.target();
            if let Some(owner) = owners.of(&target) {
                let target = target.under(owner, &self.metrics);
                // One at a time: arrivals need the lock, too.
                self.entries.write().follow(&entry, target);
            }
        }
        self.broker.apply(policies);
    }

    /// What is due: once a second.
    pub fn tick(self: &Arc<Self>, now: Now) {
        loop {
            let mut lingering = self.lingering.lock();
            if lingering
                .front()
                .is_none_or(|&(until, _)| until > now.steady)
            {
                break;
            }
            let due = lingering.pop_front();
            drop(lingering);
            if let Some((until, entry)) = due {
                self.expire(entry, until);
            }
        }
        for (entry, cursor) in std::mem::take(&mut *self.later.lock()) {
            self.fill(entry, cursor);
        }
        for entry in std::mem::take(&mut *self.owed.lock()) {
            self.unsubscribe(entry);
        }
        self.broker.tend(now);
    }

    /// Runs `task` where the keeper may be called.
    pub fn run(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<(), Busy> {
        if !self.local {
            return self.control.tell(task);
        }
        let mut task = Box::pin(task);
        let mut context = Context::from_waker(Waker::noop());
        if task.as_mut().poll(&mut context).is_ready() {
            return Ok(());
        }
        self.control.tell(task)
    }

    /// Called by the keeper, inside its order of the topic.
    fn arrive(self: &Arc<Self>, arrival: Arrival) {
        let (Arrival::Frame { address, .. }
        | Arrival::Interrupted { address }
        | Arrival::Resumed { address, .. }
        | Arrival::Lost { address, .. }) = &arrival;
        let Some(entry) = self.entries.read().by_address.get(address).cloned() else {
            return;
        };
        let ask = entry.think(|sequence, out| match arrival {
            Arrival::Frame { frame, .. } => sequence.frame(frame, out),
            Arrival::Interrupted { .. } => sequence.interrupted(),
            Arrival::Resumed { lineage, .. } => sequence.resumed(lineage, out),
            Arrival::Lost { reason, .. } => sequence.lost(reason, out),
        });
        self.ask(&entry, ask);
    }

    fn ask(self: &Arc<Self>, entry: &Arc<Entry>, ask: Option<Ask>) {
        match ask {
            None => {}
            Some(Ask::Read(cursor)) => self.fill(entry.clone(), cursor),
            Some(Ask::ReadLater(cursor)) => self.later.lock().push((entry.clone(), cursor)),
        }
    }

    fn subscribe(self: &Arc<Self>, entry: Arc<Entry>) {
        let (hub, joined) = (self.clone(), entry.clone());
        let task = async move {
            let asked = hub.broker.subscribe(Target::clone(&entry.target()));
            let answer = if hub.local {
                asked.await
            } else {
                tokio::time::timeout(PATIENCE, asked)
                    .await
                    .unwrap_or_else(|elapsed| Err(unavailable("subscribe", &elapsed)))
            };
            match answer {
                Ok(lineage) => {
                    let ask = entry.subscribed(lineage);
                    hub.ask(&entry, ask);
                }
                Err(error) => {
                    entry.not_subscribed(&error);
                    hub.unsubscribe(entry);
                }
            }
        };
        if self.run(task).is_err() {
            joined.not_subscribed(&unavailable("subscribe", &Busy));
            self.unsubscribe(joined);
        }
    }

    fn expire(self: &Arc<Self>, entry: Arc<Entry>, until: Instant) {
        match entry.expire(until) {
            Expiry::Obsolete => {}
            Expiry::Joining(until) => self.lingering.lock().push_back((until, entry)),
            Expiry::Due => self.unsubscribe(entry),
        }
    }

    /// Ends the subscription; whoever joined meanwhile has it begin anew.
    fn unsubscribe(self: &Arc<Self>, entry: Arc<Entry>) {
        let (hub, left) = (self.clone(), entry.clone());
        let task = async move {
            hub.broker.unsubscribe(left.target().address.clone()).await;
            hub.unsubscribed(left);
        };
        if self.run(task).is_err() {
            self.owed.lock().push(entry);
        }
    }

    fn unsubscribed(self: &Arc<Self>, entry: Arc<Entry>) {
        if entry.unsubscribed() {
            self.subscribe(entry);
        } else {
            self.forget(&entry);
        }
    }

    fn forget(&self, entry: &Arc<Entry>) {
        self.entries.write().remove(entry);
        self.directory.entries.write().remove(&entry.id);
    }

    /// Whether the topic is heard here already, and how many of its Channel are.
    pub fn in_use(&self, target: &Target) -> (bool, u32) {
        let entries = self.entries.read();
        let known = entries.by_address.contains_key(&target.address);
        let count = entries.counts.get(&target.policy.channel);
        (known, count.copied().unwrap_or(0))
    }
}

impl Entries {
    fn insert(&mut self, entry: Arc<Entry>) {
        let target = entry.target();
        self.count(&target);
        self.by_address.insert(target.address.clone(), entry);
    }

    fn remove(&mut self, entry: &Arc<Entry>) {
        if self.holds(entry) {
            let target = entry.target();
            self.by_address.remove(&target.address);
            self.discount(&target);
        }
    }

    /// The only change of an entry's Channel, so that it counts where it is counted off.
    fn follow(&mut self, entry: &Arc<Entry>, target: Target) {
        if self.holds(entry) {
            self.discount(&entry.target());
            self.count(&target);
            entry.follow(target);
        }
    }

    fn holds(&self, entry: &Arc<Entry>) -> bool {
        let known = self.by_address.get(&entry.target().address);
        known.is_some_and(|known| Arc::ptr_eq(known, entry))
    }

    fn count(&mut self, target: &Target) {
        if target.address.topic().is_some() {
            let count = self.counts.entry(target.policy.channel.clone());
            *count.or_default() += 1;
        }
    }

    fn discount(&mut self, target: &Target) {
        let channel = &target.policy.channel;
        if target.address.topic().is_some()
            && let Some(count) = self.counts.get_mut(channel)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(channel);
            }
        }
    }
}

/// A server that could not be asked.
pub fn unavailable(step: &'static str, cause: &dyn std::fmt::Display) -> Unavailable {
    Unavailable {
        step,
        cause: cause.to_string(),
    }
}
