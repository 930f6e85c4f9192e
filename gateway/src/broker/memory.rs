//! Keeps messages in this process.
//!
//! Owns: the order of each topic: number, keep and pass on happen under its lock, so the sink is called
//! there and must neither wait nor call back. Never: waits; every future is ready at once, on any thread.
//! Used by: `app`, which makes it for a gateway without Redis; `topics`, through the contract.

mod kept;
mod keys;
mod store;
#[cfg(test)]
mod tests;

use super::{
    Arrival, Broker, Idempotency, LocalPresence, Newest, OWN_KEY_TTL, Page, Pick, PresencePart,
    Publication, PublishError, Published, Since, Sink, Target, Unavailable,
};
use crate::address::Address;
use crate::clock::Now;
use crate::message::Session;
use crate::position::{Lineage, Position};
use crds::policy::Policy;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use kept::Kept;
use keys::Key;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{MOST_BYTES, Slot, Store};

/// How often all topics are looked at for what is overdue; one that is read is looked at then.
const SWEEP: Duration = Duration::from_secs(30);

/// Reads the time.
pub type Clock = Box<dyn Fn() -> Now + Send + Sync>;

/// The keeper of a gateway without Redis.
pub struct Memory {
    sink: Sink,
    clock: Clock,
    store: Store,
    random: Mutex<StdRng>,
    swept: Mutex<Option<Instant>>,
}

impl Memory {
    /// An empty memory. `seed` must be random in production: it makes the epochs.
    #[must_use]
    pub fn new(sink: Sink, seed: u64, clock: Clock) -> Self {
        Self::with_room(sink, seed, clock, MOST_BYTES)
    }

    fn with_room(sink: Sink, seed: u64, clock: Clock, most_bytes: usize) -> Self {
        Self {
            sink,
            clock,
            store: Store::new(most_bytes),
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            swept: Mutex::default(),
        }
    }

    fn number(&self, publication: &Publication) -> Result<Published, PublishError> {
        let channel = publication.target.policy.channel.clone();
        match self.try_number(publication) {
            Err(Failed::NoPlace) if self.store.forget_one_of(&channel, (self.clock)()) => {
                self.try_number(publication)
            }
            answer => answer,
        }
        .map_err(Failed::told)
    }

    fn try_number(&self, publication: &Publication) -> Result<Published, Failed> {
        let target = &publication.target;
        let now = (self.clock)();
        let feed = target.address.feed();
        let published = loop {
            let slot = self.store.make(&target.address, now);
            let feed_slot = feed.as_ref().map(|feed| self.store.make(feed, now));
            let mut kept = slot.lock();
            let mut feed_kept = feed_slot.as_ref().map(|slot| slot.lock());
            if kept.gone || feed_kept.as_ref().is_some_and(|kept| kept.gone) {
                continue;
            }
            let keyed = remembers(&publication.key);
            match keyed.then(|| kept.keys.find(&publication.key, now.steady)) {
                None | Some(Key::New) => {}
                Some(Key::Full) => return Err(Failed::TooManyKeys),
                Some(Key::Conflict) => return Err(Failed::Conflict),
                Some(Key::Known(position)) => {
                    return Ok(Published {
                        position,
                        replayed: true,
                    });
                }
            }
            if !self.store.count(&mut kept, &target.policy) {
                return Err(Failed::NoPlace);
            }
            let position = self.take_in(&mut kept, publication, &target.address, now);
            if keyed {
                let before = kept.keys.bytes();
                let key = publication.key.clone();
                kept.keys.remember(key, position, now.steady);
                self.store.counted(before, kept.keys.bytes());
            }
            if let (Some(kept), Some(feed)) = (&mut feed_kept, &feed) {
                kept.channel = Some(target.policy.channel.clone());
                self.take_in(kept, publication, feed, now);
            }
            break Published {
                position,
                replayed: false,
            };
        };
        if self.store.is_full() {
            self.store.make_room();
        }
        Ok(published)
    }

    /// Numbers, keeps and passes on.
    fn take_in(
        &self,
        kept: &mut Kept,
        publication: &Publication,
        address: &Address,
        now: Now,
    ) -> Position {
        let before = kept.bytes();
        if kept.expire(now) {
            kept.lineage = Lineage::default();
        }
        let random = if kept.lineage.epochs.is_empty() {
            self.random.lock().next_u64()
        } else {
            0
        };
        let topic = address.topic().or(publication.target.address.topic());
        let topic = topic.unwrap_or(&publication.target.name);
        let (position, frame) = kept.number(publication, topic, now, random);
        self.store.counted(before, kept.bytes());
        if kept.subscribed {
            let address = address.clone();
            (self.sink)(Arrival::Frame { address, frame });
        }
        position
    }

    fn look<T>(&self, address: &Address, look: impl FnOnce(&Kept) -> T) -> T {
        let now = (self.clock)();
        let Some(slot) = self.store.find(address) else {
            return look(&Kept::new(now));
        };
        let mut kept = slot.lock();
        let before = kept.bytes();
        kept.expire(now);
        self.store.counted(before, kept.bytes());
        look(&kept)
    }

    fn hear(&self, address: &Address) -> Lineage {
        loop {
            let slot: Slot = self.store.make(address, (self.clock)());
            let mut kept = slot.lock();
            if !kept.gone {
                kept.subscribed = true;
                return kept.lineage.clone();
            }
        }
    }
}

/// The gateway's own keys are for retries over a network; to memory nothing is retried.
fn remembers(key: &Idempotency) -> bool {
    key.ttl > OWN_KEY_TTL
}

#[derive(Debug)]
enum Failed {
    Conflict,
    NoPlace,
    TooManyKeys,
}

impl Failed {
    fn told(self) -> PublishError {
        match self {
            Self::Conflict => PublishError::Conflict,
            Self::NoPlace => PublishError::Full(
                "The Channel has as many topics as spec.limits.topics allows; raise it or use fewer.",
            ),
            Self::TooManyKeys => PublishError::Full(
                "The topic has as many idempotency keys as can be remembered; publish more slowly with them.",
            ),
        }
    }
}

impl Broker for Memory {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn apply(&self, policies: Vec<Arc<Policy>>) {
        self.store.apply(&policies);
    }

    fn tend(&self, now: Now) {
        let mut swept = self.swept.lock();
        let due = swept.is_none_or(|swept| now.steady.saturating_duration_since(swept) >= SWEEP);
        if due {
            *swept = Some(now.steady);
            self.store.expire(now);
        }
    }

    fn publish(&self, publication: Publication) -> BoxFuture<'_, Result<Published, PublishError>> {
        ready(self.number(&publication)).boxed()
    }

    fn subscribe(&self, target: Target) -> BoxFuture<'_, Result<Lineage, Unavailable>> {
        ready(Ok(self.hear(&target.address))).boxed()
    }

    fn unsubscribe(&self, address: Address) -> BoxFuture<'_, ()> {
        self.store.unsubscribe(&address);
        ready(()).boxed()
    }

    fn lineage(&self, address: Address) -> BoxFuture<'_, Result<Lineage, Unavailable>> {
        ready(Ok(self.look(&address, |kept| kept.lineage.clone()))).boxed()
    }

    fn read(&self, target: Target, cursor: Position) -> BoxFuture<'_, Result<Page, Unavailable>> {
        ready(Ok(self.look(&target.address, |kept| kept.page(cursor)))).boxed()
    }

    fn newest(&self, target: Target, pick: Pick) -> BoxFuture<'_, Result<Newest, Unavailable>> {
        ready(Ok(self.look(&target.address, |kept| kept.newest(pick)))).boxed()
    }

    fn since(
        &self,
        address: Address,
        since: Since,
    ) -> BoxFuture<'_, Result<Position, Unavailable>> {
        ready(Ok(self.look(&address, |kept| kept.since(since)))).boxed()
    }

    fn ask_presence(&self, _address: Address) -> BoxFuture<'_, Vec<Option<PresencePart>>> {
        ready(Vec::new()).boxed()
    }

    fn answer_presence(&self, _local: LocalPresence) {}

    fn session_opened(&self, _: &Target, _: Option<&Arc<str>>, _: Session) {}

    fn session_closed(&self, _: &Target, _: Option<&Arc<str>>, _: Session) {}
}
