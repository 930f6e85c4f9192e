//! All topics in memory, within their bounds.
//!
//! Owns: which topics have state, how many for a Channel, how many bytes in all. Locks in this order:
//! the map, a topic, its feed. Never: calls the sink. Used by: `memory`.

use super::kept::{Kept, TOPIC_BYTES};
use crate::address::Address;
use crate::clock::Now;
use crds::name::ChannelName;
use crds::policy::Policy;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// What all topics may count together; beyond that the longest idle ones are forgotten.
pub const MOST_BYTES: usize = 256 * 1024 * 1024;

/// A topic behind its lock.
pub type Slot = Arc<Mutex<Kept>>;

/// Everything kept in memory.
pub struct Store {
    most_bytes: usize,
    bytes: AtomicUsize,
    topics: RwLock<HashMap<Address, Slot>>,
    /// Topics with numbers, by Channel; feeds are not counted.
    counts: Mutex<HashMap<ChannelName, u32>>,
    /// Held by the one that makes room.
    making_room: Mutex<()>,
}

impl Store {
    /// An empty store that keeps at most `most_bytes`.
    #[must_use]
    pub fn new(most_bytes: usize) -> Self {
        Self {
            most_bytes,
            bytes: AtomicUsize::new(0),
            topics: RwLock::default(),
            counts: Mutex::default(),
            making_room: Mutex::default(),
        }
    }

    /// The topic, if it has state.
    pub fn find(&self, address: &Address) -> Option<Slot> {
        self.topics.read().get(address).cloned()
    }

    /// The topic, made at first use.
    pub fn make(&self, address: &Address, now: Now) -> Slot {
        if let Some(slot) = self.find(address) {
            return slot;
        }
        let mut topics = self.topics.write();
        let slot = topics.entry(address.clone()).or_insert_with(|| {
            self.bytes.fetch_add(TOPIC_BYTES, Ordering::Relaxed);
            Arc::new(Mutex::new(Kept::new(now)))
        });
        slot.clone()
    }

    /// Has the topic count for the Channel of `policy`. False if that has `limits.topics` already.
    pub fn count(&self, kept: &mut Kept, policy: &Policy) -> bool {
        if kept.channel.as_ref() == Some(&policy.channel) {
            return true;
        }
        let mut counts = self.counts.lock();
        let count = counts.entry(policy.channel.clone()).or_default();
        if *count >= policy.limits.topics {
            return false;
        }
        *count += 1;
        if let Some(before) = kept.channel.replace(policy.channel.clone()) {
            uncount(&mut counts, &before);
        }
        true
    }

    /// Takes over how many bytes a topic counts now.
    pub fn counted(&self, before: usize, after: usize) {
        if after >= before {
            self.bytes.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.bytes.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    /// Whether something must be forgotten.
    pub fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.most_bytes
    }

    /// Forgets the longest idle topics until a sixteenth is free. The newest topic keeps its numbers and
    /// the newer half of its messages: it is being published to.
    pub fn make_room(&self) {
        let Some(_alone) = self.making_room.try_lock() else {
            return;
        };
        let goal = self.most_bytes - self.most_bytes / 16;
        let mut idle = self.by_age(|_| true);
        let newest = idle.pop();
        for (touched, address, slot) in idle {
            if self.bytes.load(Ordering::Relaxed) <= goal {
                return;
            }
            self.forget(&address, &slot, |kept| kept.touched.steady == touched);
        }
        if let Some((.., slot)) = newest.filter(|_| self.is_full()) {
            let mut kept = slot.lock();
            let before = kept.bytes();
            let half = kept.messages() / 2;
            kept.trim(half);
            self.counted(before, kept.bytes());
        }
    }

    /// Forgets the longest idle topic of `channel` that keeps no message and that nobody hears.
    pub fn forget_one_of(&self, channel: &ChannelName, now: Now) -> bool {
        let unused = |kept: &Kept| {
            let of_channel = kept.channel.as_ref() == Some(channel);
            of_channel && kept.keeps_nothing(now) && kept.keys.is_empty() && !kept.subscribed
        };
        let idle = self.by_age(unused).into_iter().next();
        idle.is_some_and(|(_, address, slot)| self.forget(&address, &slot, unused))
    }

    /// Drops what is overdue.
    pub fn expire(&self, now: Now) {
        for (address, slot) in self.all() {
            let mut kept = slot.lock();
            let before = kept.bytes();
            let overdue = kept.expire(now) && !kept.subscribed;
            let touched = kept.touched.steady;
            self.counted(before, kept.bytes());
            drop(kept);
            if overdue {
                self.forget(&address, &slot, |kept| {
                    kept.touched.steady == touched && !kept.subscribed
                });
            }
        }
    }

    /// Takes over the Channels: forgets the topics of those that are gone, trims what keeps less now.
    pub fn apply(&self, policies: &[Arc<Policy>]) {
        let policies: HashMap<&ChannelName, &Arc<Policy>> = policies
            .iter()
            .map(|policy| (&policy.channel, policy))
            .collect();
        for (address, slot) in self.all() {
            let mut kept = slot.lock();
            let Some(channel) = kept.channel.clone() else {
                continue;
            };
            if let Some(policy) = policies.get(&channel) {
                let before = kept.bytes();
                kept.history = policy.history;
                let most = policy.history.map_or(0, |history| history.size);
                kept.trim(usize::try_from(most).unwrap_or(usize::MAX));
                self.counted(before, kept.bytes());
            } else {
                drop(kept);
                self.forget(&address, &slot, |kept| {
                    kept.channel.as_ref() == Some(&channel)
                });
            }
        }
    }

    /// Ends what a subscription to `address` needed.
    pub fn unsubscribe(&self, address: &Address) {
        let Some(slot) = self.find(address) else {
            return;
        };
        let mut kept = slot.lock();
        kept.subscribed = false;
        drop(kept);
        self.forget(address, &slot, |kept| {
            kept.lineage.epochs.is_empty() && !kept.subscribed
        });
    }

    fn all(&self) -> Vec<(Address, Slot)> {
        let topics = self.topics.read();
        topics
            .iter()
            .map(|(address, slot)| (address.clone(), slot.clone()))
            .collect()
    }

    /// The topics that `which` picks, the longest idle first.
    fn by_age(&self, which: impl Fn(&Kept) -> bool) -> Vec<(Instant, Address, Slot)> {
        let mut found: Vec<_> = self
            .all()
            .into_iter()
            .filter_map(|(address, slot)| {
                let kept = slot.lock();
                let touched = which(&kept).then_some(kept.touched.steady)?;
                drop(kept);
                Some((touched, address, slot))
            })
            .collect();
        found.sort_by_key(|&(touched, ..)| touched);
        found
    }

    /// Forgets the topic if `still` holds under its lock. One that is heard stays in the map, without
    /// numbers.
    fn forget(&self, address: &Address, slot: &Slot, still: impl Fn(&Kept) -> bool) -> bool {
        let mut topics = self.topics.write();
        let mut kept = slot.lock();
        if kept.gone || !still(&kept) {
            return false;
        }
        let before = kept.bytes();
        if let Some(channel) = kept.channel.take().filter(|_| address.topic().is_some()) {
            uncount(&mut self.counts.lock(), &channel);
        }
        kept.reset();
        if kept.subscribed {
            self.counted(before, kept.bytes());
        } else {
            kept.gone = true;
            topics.remove(address);
            self.counted(before, 0);
        }
        true
    }
}

fn uncount(counts: &mut HashMap<ChannelName, u32>, channel: &ChannelName) {
    if let Some(count) = counts.get_mut(channel) {
        *count -= 1;
        if *count == 0 {
            counts.remove(channel);
        }
    }
}
