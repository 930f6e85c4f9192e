//! The topics that a worker has joined, with their rings, their streams and who still has to be written to.
//!
//! Owns: joining and leaving, and the walks over the members of a topic. Never: writes, waits. The lock
//! around it is only ever taken on the worker's own thread, so it is free. Used by: `worker`, `opening`.

mod local;

use super::ring::Ring;
use super::slab::{Key, Slab};
use crate::address::Address;
use crate::broker::{Page, Target, Unavailable};
use crate::frame::Frame;
use crate::position::{Lineage, Position};
use crate::topics::{Mail, TopicId, Topics};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Bytes in all rings of a worker; beyond, the largest forgets its older half.
const MOST_RING_BYTES: usize = 64 * 1024 * 1024;

/// A stream in a topic: its key, and which of its subscriptions this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    pub stream: Key,
    pub subscription: u32,
}

/// A page of history, and those who asked for it.
pub struct Paged {
    pub members: Vec<Member>,
    pub cursor: Position,
    pub page: Result<Arc<Page>, Unavailable>,
}

/// A topic on this worker.
pub struct Local {
    pub id: TopicId,
    pub target: Target,
    pub ring: Ring,
    pub members: Vec<Member>,
    /// Frames written to its streams and not yet counted in the metrics.
    pub delivered: u64,
    lineage: Lineage,
    joined: bool,
    waiting: Vec<oneshot::Sender<Result<Lineage, Unavailable>>>,
    /// Openings on their way that keep it joined.
    pins: u32,
    walk: Walk,
    /// Who asked for which page of history.
    asking: HashMap<Position, Vec<Member>>,
}

/// One visit to each member after another. A visit writes all that is pending, so when a pass ends every
/// member whose socket takes bytes has what stood in the ring when it began.
#[derive(Default)]
struct Walk {
    /// The next member.
    at: usize,
    /// Members still to be visited in this pass; 0: no pass.
    left: usize,
    /// The end of the ring when this pass began.
    until: u64,
    /// The end of the ring when the last complete pass began: what is before it nobody waits for.
    offered: u64,
    queued: bool,
}

/// What a join found.
pub enum Joining {
    Done(Lineage),
    Waits(oneshot::Receiver<Result<Lineage, Unavailable>>),
}

/// All topics of a worker.
pub struct Table {
    worker: usize,
    topics: Arc<Topics>,
    locals: Slab<Local>,
    by_id: HashMap<TopicId, Key>,
    by_address: HashMap<Address, Key>,
    /// Topics with members to visit, in turn.
    walks: VecDeque<Key>,
    ring_bytes: usize,
}

impl Table {
    #[must_use]
    pub fn new(worker: usize, topics: Arc<Topics>) -> Self {
        Self {
            worker,
            topics,
            locals: Slab::default(),
            by_id: HashMap::new(),
            by_address: HashMap::new(),
            walks: VecDeque::new(),
            ring_bytes: 0,
        }
    }

    /// Joins `target` and pins it; every join is followed by one [`Self::release`].
    pub fn join(&mut self, target: &Target) -> (Key, Joining) {
        if let Some(&key) = self.by_address.get(&target.address)
            && let Some(local) = self.locals.get_mut(key)
            && local.target.policy.server() == target.policy.server()
        {
            local.pins += 1;
            local.target = target.clone();
            return (key, local.joining());
        }
        let id = self.topics.join(self.worker, target);
        let key = self.locals.insert_with(|_| Local::new(id, target.clone()));
        self.by_id.insert(id, key);
        self.by_address.insert(target.address.clone(), key);
        let Some(local) = self.locals.get_mut(key) else {
            return (key, Joining::Done(Lineage::default()));
        };
        local.pins = 1;
        (key, local.joining())
    }

    /// Takes back one pin; a topic without pins and members is left.
    pub fn release(&mut self, key: Key) {
        if let Some(local) = self.locals.get_mut(key) {
            local.pins = local.pins.saturating_sub(1);
        }
        self.leave_if_unused(key);
    }

    /// Adds a stream to a topic and returns its place among the members.
    pub fn enter(&mut self, key: Key, member: Member) -> u32 {
        let Some(local) = self.locals.get_mut(key) else {
            return 0;
        };
        local.members.push(member);
        if local.walk.left > 0 {
            // The pass comes by the new place on its way to those that it still owes a visit.
            local.walk.left += 1;
        }
        u32::try_from(local.members.len() - 1).unwrap_or(u32::MAX)
    }

    /// Takes a stream out of a topic. Returns the member that now has its place, if another one moved.
    pub fn exit(&mut self, key: Key, place: u32) -> Option<Member> {
        let local = self.locals.get_mut(key)?;
        let place = place as usize;
        if place < local.members.len() {
            local.members.swap_remove(place);
        }
        if local.walk.left > 0 {
            // The member that moved may have been ahead of the walk and now be behind it: once more round.
            local.walk.left = local.members.len();
        }
        if local.members.is_empty() {
            local.all_offered();
        }
        let moved = local.members.get(place).copied();
        self.leave_if_unused(key);
        moved
    }

    fn leave_if_unused(&mut self, key: Key) {
        let unused = self
            .locals
            .get_mut(key)
            .is_some_and(|local| local.pins == 0 && local.members.is_empty());
        if unused && let Some(mut local) = self.locals.remove(key) {
            local.count();
            self.ring_bytes = self.ring_bytes.saturating_sub(local.ring.bytes());
            let address = &local.target.address;
            if self.by_address.get(address) == Some(&key) {
                self.by_address.remove(address);
            }
            // A name that could not be joined may be joined again before the last one here lets go.
            if self.by_id.get(&local.id) == Some(&key) {
                self.by_id.remove(&local.id);
                self.topics.leave(self.worker, local.id);
            }
        }
    }

    /// The topic of this key.
    pub fn get(&mut self, key: Key) -> Option<&mut Local> {
        self.locals.get_mut(key)
    }

    /// The topic of this key, to look at.
    #[must_use]
    pub fn show(&self, key: Key) -> Option<&Local> {
        self.locals.get(key)
    }

    /// The topic of this name, unless it was left meanwhile.
    pub fn find(&mut self, id: TopicId) -> Option<(Key, &mut Local)> {
        let key = *self.by_id.get(&id)?;
        self.locals.get_mut(key).map(|local| (key, local))
    }

    /// The topic can be followed from here on; whoever waits is told.
    pub fn joined(&mut self, id: TopicId, lineage: Lineage) {
        if let Some((_, local)) = self.find(id) {
            // An earlier answer was for an earlier membership: whoever began with it missed what came between.
            local.ring.restart(lineage.position());
            local.lineage = lineage;
            local.joined = true;
            for waiting in std::mem::take(&mut local.waiting) {
                // Whoever left meanwhile needs no answer.
                drop(waiting.send(Ok(local.lineage.clone())));
            }
        }
    }

    /// The topic could not be joined; whoever waits is told, and the next one tries anew, at once where streams
    /// have begun.
    pub fn not_joined(&mut self, id: TopicId, error: &Unavailable) {
        let Some((key, local)) = self.find(id) else {
            return;
        };
        for waiting in std::mem::take(&mut local.waiting) {
            drop(waiting.send(Err(error.clone())));
        }
        if local.joined {
            // An answer to an earlier membership was taken for the one to this, and streams stand on it.
            let target = local.target.clone();
            let again = self.topics.join(self.worker, &target);
            if let Some(local) = self.locals.get_mut(key) {
                local.id = again;
            }
            self.by_id.remove(&id);
            self.by_id.insert(again, key);
            return;
        }
        let address = local.target.address.clone();
        if self.by_address.get(&address) == Some(&key) {
            self.by_address.remove(&address);
        }
    }

    /// Changes the ring of a topic, keeps the bound of all rings, and begins a walk.
    pub fn feed(&mut self, id: TopicId, change: impl FnOnce(&mut Local)) {
        let Some((key, local)) = self.find(id).filter(|(_, local)| local.joined) else {
            // Left, or not joined again yet: what is still on its way from an earlier membership.
            return;
        };
        let before = local.ring.bytes();
        change(local);
        let after = local.ring.bytes();
        self.ring_bytes = (self.ring_bytes + after).saturating_sub(before);
        if self.ring_bytes > MOST_RING_BYTES {
            self.trim();
        }
        self.walk(key);
    }

    fn trim(&mut self) {
        let all: Vec<Key> = self.by_id.values().copied().collect();
        let Some(largest) = all.into_iter().max_by_key(|&key| {
            self.locals
                .get_mut(key)
                .map_or(0, |local| local.ring.bytes())
        }) else {
            return;
        };
        if let Some(local) = self.locals.get_mut(largest) {
            let before = local.ring.bytes();
            local.ring.halve();
            self.ring_bytes = self.ring_bytes.saturating_sub(before - local.ring.bytes());
        }
    }

    /// Whether the next message of a topic may enter its ring: not while it would drop one that a member
    /// whose socket takes bytes was not offered yet. A topic that is not there takes everything.
    #[must_use]
    pub fn has_room(&self, id: TopicId, frame: &Frame) -> bool {
        let local = self.by_id.get(&id).and_then(|&key| self.locals.get(key));
        local.is_none_or(|local| {
            local.members.is_empty() || local.ring.has_room(frame.bytes(), local.walk.offered)
        })
    }

    /// All members of the topic are to be visited, after those of a pass that is under way.
    fn walk(&mut self, key: Key) {
        let Some(local) = self.locals.get_mut(key) else {
            return;
        };
        if local.members.is_empty() {
            local.all_offered();
        } else if !local.walk.queued {
            local.begin_pass();
            local.walk.queued = true;
            self.walks.push_back(key);
        }
    }

    /// Whether members wait for a visit.
    #[must_use]
    pub fn has_walks(&self) -> bool {
        !self.walks.is_empty()
    }

    /// The next members to visit, at most `most`, of the topic whose turn it is; it then goes to the end of
    /// the queue, so that no stream waits for a large neighbour.
    pub fn step(&mut self, most: usize, visit: &mut Vec<Member>) -> Option<Key> {
        while let Some(key) = self.walks.pop_front() {
            let Some(local) = self.locals.get_mut(key) else {
                continue;
            };
            let count = local.walk.left.min(most).min(local.members.len());
            for _ in 0..count {
                if local.walk.at >= local.members.len() {
                    local.walk.at = 0;
                }
                visit.push(local.members[local.walk.at]);
                local.walk.at += 1;
            }
            local.walk.left -= count;
            if local.walk.left == 0 {
                local.end_pass();
            }
            local.walk.queued = local.walk.left > 0;
            if local.walk.queued {
                self.walks.push_back(key);
            }
            if count > 0 {
                return Some(key);
            }
        }
        None
    }

    /// Asks for history after `cursor`; several streams at the same place share one answer.
    pub fn ask(&mut self, key: Key, cursor: Position, member: Member) {
        if let Some(local) = self.locals.get_mut(key) {
            let asking = local.asking.entry(cursor).or_default();
            asking.push(member);
            if asking.len() == 1 {
                self.topics.read(self.worker, local.id, cursor);
            }
        }
    }

    /// Takes in what came from another thread. Frames only enter their rings here; the walks write them. A page is
    /// answered, for those who asked.
    pub fn take(&mut self, mail: Mail) -> Option<Paged> {
        match mail {
            Mail::Frame { topic, frame } => self.feed(topic, |local| {
                if let Some(position) = frame.position() {
                    local.learn(position, frame.first());
                }
                local.ring.push(frame);
            }),
            Mail::Gap {
                topic,
                reason,
                position,
            } => self.feed(topic, |local| local.ring.push_gap(reason, position)),
            Mail::Overflow { topic, position } => self.feed(topic, |local| {
                let position = position.unwrap_or(local.ring.position());
                local.ring.restart(position);
            }),
            Mail::Joined { topic, lineage } => self.joined(topic, lineage),
            Mail::NotJoined { topic, error } => self.not_joined(topic, &error),
            Mail::Page {
                topic,
                cursor,
                page,
            } => {
                let (_, local) = self.find(topic)?;
                let members = local.asking.remove(&cursor)?;
                return Some(Paged {
                    members,
                    cursor,
                    page,
                });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
