//! Which pub/sub channels are to be subscribed to, and which are.
//!
//! Owns: counting who wants what, what is left to do on the connection, and which connection has
//! confirmed it. Never: talks to a server. Used by: `link`, which does it; `redis`, `ingest`, which want.

use parking_lot::Mutex;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// Names in one command to the server.
pub const BATCH: usize = 500;

/// What is subscribed to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    Channel(Arc<str>),
    /// With the glob characters of Redis.
    Pattern(Arc<str>),
}

impl Name {
    /// One channel.
    #[must_use]
    pub fn channel(name: impl Into<Arc<str>>) -> Self {
        Self::Channel(name.into())
    }
}

/// Names of one kind each, for one command each.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Work {
    pub subscribe: Vec<Arc<str>>,
    pub psubscribe: Vec<Arc<str>>,
    pub unsubscribe: Vec<Arc<str>>,
    pub punsubscribe: Vec<Arc<str>>,
}

impl Work {
    fn add(&mut self, name: Name, wanted: bool) {
        match (name, wanted) {
            (Name::Channel(name), true) => self.subscribe.push(name),
            (Name::Pattern(name), true) => self.psubscribe.push(name),
            (Name::Channel(name), false) => self.unsubscribe.push(name),
            (Name::Pattern(name), false) => self.punsubscribe.push(name),
        }
    }
}

#[derive(Default)]
struct State {
    counts: HashMap<Name, u32>,
    confirmed: HashSet<Name>,
    /// Names whose state on the connection may not be what is wanted.
    dirty: VecDeque<Name>,
    /// Rises when a connection begins and when it ends.
    session: u64,
}

/// The state of all subscriptions of one server.
pub struct Wanted {
    state: Mutex<State>,
    changed: Notify,
    progress: watch::Sender<u64>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            progress: watch::Sender::new(0),
        }
    }
}

impl Wanted {
    /// Somebody wants `names`; each such call needs its [`Self::unwant`].
    pub fn want(&self, names: &[Name]) {
        let mut state = self.state.lock();
        for name in names {
            let count = state.counts.entry(name.clone()).or_default();
            *count += 1;
            if *count == 1 {
                state.dirty.push_back(name.clone());
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Somebody wants them no longer.
    pub fn unwant(&self, names: &[Name]) {
        let mut state = self.state.lock();
        for name in names {
            let Some(count) = state.counts.get_mut(name) else {
                continue;
            };
            *count -= 1;
            if *count == 0 {
                state.counts.remove(name);
                state.dirty.push_back(name.clone());
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Waits until there may be work.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What is to be done next, at most [`BATCH`] names.
    #[must_use]
    pub fn work(&self) -> Option<Work> {
        let mut state = self.state.lock();
        let mut work = Work::default();
        let mut taken = HashSet::new();
        while taken.len() < BATCH {
            let Some(name) = state.dirty.pop_front() else {
                break;
            };
            let wanted = state.counts.contains_key(&name);
            if wanted != state.confirmed.contains(&name) && taken.insert(name.clone()) {
                work.add(name, wanted);
            }
        }
        (!taken.is_empty()).then_some(work)
    }

    /// The server confirmed `work`.
    pub fn done(&self, work: &Work) {
        let mut state = self.state.lock();
        for name in &work.subscribe {
            state.confirmed.insert(Name::Channel(name.clone()));
        }
        for name in &work.psubscribe {
            state.confirmed.insert(Name::Pattern(name.clone()));
        }
        for name in &work.unsubscribe {
            state.confirmed.remove(&Name::Channel(name.clone()));
        }
        for name in &work.punsubscribe {
            state.confirmed.remove(&Name::Pattern(name.clone()));
        }
        drop(state);
        self.progress.send_modify(|count| *count += 1);
    }

    /// A connection begins or ends: nothing is confirmed, all that is wanted is to be done.
    pub fn restart(&self) {
        let mut state = self.state.lock();
        state.session += 1;
        state.confirmed.clear();
        state.dirty = state.counts.keys().cloned().collect();
    }

    /// The number of the present connection.
    #[must_use]
    pub fn session(&self) -> u64 {
        self.state.lock().session
    }

    /// Waits until all of `names` are confirmed on one connection, and tells which.
    pub async fn standing(&self, names: &[Name]) -> u64 {
        let mut progress = self.progress.subscribe();
        loop {
            {
                let state = self.state.lock();
                if names.iter().all(|name| state.confirmed.contains(name)) {
                    return state.session;
                }
            }
            // The sender lives in `self`.
            if progress.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Waker};

    fn names(names: &[&str]) -> Vec<Name> {
        names.iter().map(|name| Name::channel(*name)).collect()
    }

    #[test]
    fn what_two_want_is_subscribed_once_and_ends_with_the_second() {
        let wanted = Wanted::default();
        wanted.want(&names(&["a"]));
        wanted.want(&names(&["a"]));
        let work = wanted.work().unwrap();
        assert_eq!(work.subscribe, [Arc::from("a")]);
        wanted.done(&work);
        wanted.unwant(&names(&["a"]));
        assert_eq!(wanted.work(), None);
        wanted.unwant(&names(&["a"]));
        assert_eq!(wanted.work().unwrap().unsubscribe, [Arc::from("a")]);
    }

    #[test]
    fn what_was_wanted_and_given_up_in_between_is_no_work() {
        let wanted = Wanted::default();
        wanted.want(&names(&["a"]));
        wanted.unwant(&names(&["a"]));
        assert_eq!(wanted.work(), None);
    }

    #[test]
    fn a_new_connection_has_everything_to_do() {
        let wanted = Wanted::default();
        wanted.want(&names(&["a", "b"]));
        wanted.want(&[Name::Pattern("c*".into())]);
        wanted.done(&wanted.work().unwrap());
        let session = wanted.session();
        wanted.restart();
        let work = wanted.work().unwrap();
        assert_eq!((work.subscribe.len(), work.psubscribe.len()), (2, 1));
        assert!(wanted.session() > session);
    }

    #[test]
    fn work_comes_in_batches() {
        let wanted = Wanted::default();
        let many: Vec<String> = (0..=BATCH).map(|index| index.to_string()).collect();
        let many: Vec<Name> = many.iter().map(|name| Name::channel(&**name)).collect();
        wanted.want(&many);
        assert_eq!(wanted.work().unwrap().subscribe.len(), BATCH);
        assert_eq!(wanted.work().unwrap().subscribe.len(), 1);
    }

    #[tokio::test]
    async fn standing_waits_for_all_names() {
        let wanted = Wanted::default();
        let both = names(&["a", "b"]);
        wanted.want(&both[..1]);
        wanted.done(&wanted.work().unwrap());
        let mut standing = Box::pin(wanted.standing(&both));
        let mut context = Context::from_waker(Waker::noop());
        assert!(standing.as_mut().poll(&mut context).is_pending());
        wanted.want(&both[1..]);
        wanted.done(&wanted.work().unwrap());
        assert_eq!(standing.await, wanted.session());
    }
}
