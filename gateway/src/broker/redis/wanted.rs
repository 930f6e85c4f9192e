//! Which pub/sub channels are to be subscribed to, on which server, and which are.
//!
//! Owns: counting who wants what, what is left to do on each connection, and which connection has confirmed
//! it. Never: talks to a server. Used by: `link`, which does it; `nodes`, which tells who serves what; `redis`,
//! `ingest`, which want.

#[cfg(test)]
mod tests;

use super::topology::{Place, Topology, slot};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use tokio::sync::watch;

/// Names in one command to the server.
pub const BATCH: usize = 500;

/// What is subscribed to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    Channel(Arc<str>),
    /// With the glob characters of Redis.
    Pattern(Arc<str>),
    /// A channel of the one server of a cluster that serves its slot.
    Sharded(Arc<str>),
}

impl Name {
    /// One channel.
    #[must_use]
    pub fn channel(name: impl Into<Arc<str>>) -> Self {
        Self::Channel(name.into())
    }
}

/// Names of one kind each, for one command each; those that are sharded for one command a name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Work {
    pub subscribe: Vec<Arc<str>>,
    pub psubscribe: Vec<Arc<str>>,
    pub ssubscribe: Vec<Arc<str>>,
    pub unsubscribe: Vec<Arc<str>>,
    pub punsubscribe: Vec<Arc<str>>,
    pub sunsubscribe: Vec<Arc<str>>,
    /// Channels among them that were subscribed to before, here or elsewhere: meanwhile something may have
    /// passed unheard.
    pub returning: Vec<Arc<str>>,
}

impl Work {
    fn add(&mut self, name: Name, wanted: bool) {
        match (name, wanted) {
            (Name::Channel(name), true) => self.subscribe.push(name),
            (Name::Pattern(name), true) => self.psubscribe.push(name),
            (Name::Sharded(name), true) => self.ssubscribe.push(name),
            (Name::Channel(name), false) => self.unsubscribe.push(name),
            (Name::Pattern(name), false) => self.punsubscribe.push(name),
            (Name::Sharded(name), false) => self.sunsubscribe.push(name),
        }
    }
}

#[derive(Default)]
struct Want {
    count: u32,
    /// It was confirmed by some connection since it is wanted.
    stood: bool,
}

/// What one connection has confirmed.
#[derive(Default)]
struct Lane {
    confirmed: HashSet<Name>,
    /// Names whose state on the connection may not be what is wanted.
    dirty: VecDeque<Name>,
}

#[derive(Default)]
struct State {
    topology: Arc<Topology>,
    names: HashMap<Name, Want>,
    lanes: HashMap<Place, Lane>,
    /// Rises when a connection begins or ends, and when another server serves something.
    session: u64,
}

/// The state of all subscriptions of one Redis.
pub struct Wanted {
    state: Mutex<State>,
    /// The slot whose server hears what has no slot.
    home: u16,
    changed: watch::Sender<u64>,
    progress: watch::Sender<u64>,
}

impl State {
    fn place(&self, home: u16, name: &Name) -> Option<Place> {
        place(&self.topology, home, name)
    }

    fn lane_of(&mut self, home: u16, name: &Name) -> Option<&mut Lane> {
        let place = self.place(home, name)?;
        self.lanes.get_mut(&place)
    }
}

/// Where `name` is heard.
fn place(topology: &Topology, home: u16, name: &Name) -> Option<Place> {
    let (slot, sharded) = match name {
        Name::Sharded(name) => (slot(name), true),
        Name::Channel(_) | Name::Pattern(_) => (home, false),
    };
    let node = topology.owner(slot)?.clone();
    Some(Place { node, sharded })
}

impl Wanted {
    /// `home` is the slot whose server hears what has no slot.
    #[must_use]
    pub fn new(home: u16) -> Self {
        Self {
            state: Mutex::default(),
            home,
            changed: watch::Sender::new(0),
            progress: watch::Sender::new(0),
        }
    }

    /// Somebody wants `names`; each such call needs its [`Self::unwant`].
    pub fn want(&self, names: &[Name]) {
        let mut state = self.state.lock();
        for name in names {
            let want = state.names.entry(name.clone()).or_default();
            want.count += 1;
            if want.count > 1 {
                continue;
            }
            if let Some(lane) = state.lane_of(self.home, name) {
                lane.dirty.push_back(name.clone());
                // Given up a moment ago, and not yet on the connection: it stands as it stood.
                let stood = lane.confirmed.contains(name);
                if let Some(want) = state.names.get_mut(name) {
                    want.stood = stood;
                }
            }
        }
        drop(state);
        self.wake();
    }

    /// Somebody wants them no longer.
    pub fn unwant(&self, names: &[Name]) {
        let mut state = self.state.lock();
        for name in names {
            let Some(want) = state.names.get_mut(name) else {
                continue;
            };
            want.count -= 1;
            if want.count == 0 {
                state.names.remove(name);
                if let Some(lane) = state.lane_of(self.home, name) {
                    lane.dirty.push_back(name.clone());
                }
            }
        }
        drop(state);
        self.wake();
    }

    fn wake(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// Tells whenever there may be work.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Other servers serve now: what they serve is to be subscribed to there, and no longer where it was.
    pub fn serve(&self, topology: &Arc<Topology>) {
        let mut state = self.state.lock();
        let before = std::mem::replace(&mut state.topology, topology.clone());
        let places = topology.places(self.home);
        state.lanes.retain(|place, _| places.contains(place));
        for place in places {
            state.lanes.entry(place).or_default();
        }
        let State { names, lanes, .. } = &mut *state;
        for name in names.keys() {
            let from = place(&before, self.home, name);
            let to = place(topology, self.home, name);
            if from == to {
                continue;
            }
            for place in [from, to].into_iter().flatten() {
                if let Some(lane) = lanes.get_mut(&place) {
                    lane.dirty.push_back(name.clone());
                }
            }
        }
        state.session += 1;
        drop(state);
        self.wake();
    }

    /// What is to be done next on the connection at `place`, at most [`BATCH`] names.
    #[must_use]
    pub fn work(&self, place: &Place) -> Option<Work> {
        let mut state = self.state.lock();
        let mut lane = std::mem::take(state.lanes.get_mut(place)?);
        let mut work = Work::default();
        let mut taken = HashSet::new();
        while taken.len() < BATCH {
            let Some(name) = lane.dirty.pop_front() else {
                break;
            };
            let want = state.names.get(&name);
            let here = state.place(self.home, &name).as_ref() == Some(place);
            let wanted = want.is_some() && here;
            if wanted != lane.confirmed.contains(&name) && taken.insert(name.clone()) {
                if !wanted {
                    // From here on nobody may take it for one that stands.
                    lane.confirmed.remove(&name);
                }
                let returns = wanted && want.is_some_and(|want| want.stood);
                if let (true, Name::Channel(text) | Name::Sharded(text)) = (returns, &name) {
                    work.returning.push(text.clone());
                }
                work.add(name, wanted);
            }
        }
        state.lanes.insert(place.clone(), lane);
        (!taken.is_empty()).then_some(work)
    }

    /// The server confirmed the subscriptions of `work`.
    pub fn done(&self, place: &Place, work: &Work) {
        let mut state = self.state.lock();
        let State { names, lanes, .. } = &mut *state;
        let Some(lane) = lanes.get_mut(place) else {
            return;
        };
        let channels = work.subscribe.iter().cloned().map(Name::Channel);
        let patterns = work.psubscribe.iter().cloned().map(Name::Pattern);
        let sharded = work.ssubscribe.iter().cloned().map(Name::Sharded);
        for name in channels.chain(patterns).chain(sharded) {
            if let Some(want) = names.get_mut(&name) {
                want.stood = true;
            }
            lane.confirmed.insert(name);
        }
        drop(state);
        self.progress.send_modify(|count| *count += 1);
    }

    /// The server does not serve these sharded channels, or not all of them; they are subscribed to anew, there or
    /// wherever they are served.
    pub fn refused(&self, place: &Place, names: Vec<Arc<str>>) {
        let mut state = self.state.lock();
        if let Some(lane) = state.lanes.get_mut(place) {
            for name in names.into_iter().map(Name::Sharded) {
                lane.confirmed.remove(&name);
                lane.dirty.push_back(name);
            }
        }
    }

    /// The connection at `place` begins or ends: nothing is confirmed, all that is wanted there is to be done.
    pub fn restart(&self, place: &Place) {
        let mut state = self.state.lock();
        state.session += 1;
        let names = state.names.keys();
        let here = names.filter(|name| state.place(self.home, name).as_ref() == Some(place));
        let dirty = here.cloned().collect();
        if let Some(lane) = state.lanes.get_mut(place) {
            lane.confirmed.clear();
            lane.dirty = dirty;
        }
    }

    /// On which connections all of `names` are confirmed where they are served; none while they are not.
    #[must_use]
    pub fn stand(&self, names: &[Name]) -> Option<u64> {
        let state = self.state.lock();
        let stands = |name| {
            let lane = state.lanes.get(&state.place(self.home, name)?)?;
            lane.confirmed.contains(name).then_some(())
        };
        let all = names.iter().all(|name| stands(name).is_some());
        all.then_some(state.session)
    }

    /// Waits until they are.
    pub async fn standing(&self, names: &[Name]) -> u64 {
        self.standing_of(|| names).await
    }

    /// The same for names that may change meanwhile.
    pub async fn standing_of<N: AsRef<[Name]>>(&self, names: impl Fn() -> N) -> u64 {
        let mut progress = self.progress.subscribe();
        loop {
            if let Some(session) = self.stand(names().as_ref()) {
                return session;
            }
            // The sender lives in `self`.
            if progress.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
