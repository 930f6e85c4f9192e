//! Which addresses this process hears, and the subscriptions that each needs.
//!
//! Owns: when a joined address counts: from then on a loss of the connection is told. Never: talks to a
//! server. Used by: `redis`, which joins; `pump` and `link`, which look up.

use super::wanted::Name;
use crate::address::Address;
use crate::broker::Target;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

struct Entry {
    target: Target,
    names: Vec<Name>,
    /// `subscribe` has answered, or is about to.
    active: bool,
}

/// The joined addresses by their pub/sub channels. Bounded by the topics that the workers join.
#[derive(Default)]
pub struct Joined(Mutex<HashMap<Arc<str>, Entry>>);

impl Joined {
    /// Begins to join `target`; gives back the subscriptions of an earlier join.
    pub fn insert(&self, channel: Arc<str>, target: Target, names: Vec<Name>) -> Vec<Name> {
        let entry = Entry {
            target,
            names,
            active: false,
        };
        self.0
            .lock()
            .insert(channel, entry)
            .map_or_else(Vec::new, |earlier| earlier.names)
    }

    /// The subscriptions that an address needs now.
    #[must_use]
    pub fn names(&self, channel: &str) -> Vec<Name> {
        let entries = self.0.lock();
        let names = entries.get(channel).map(|entry| entry.names.clone());
        names.unwrap_or_default()
    }

    /// Counts the address from now on, if `stands`, asked inside the lock about its subscriptions, is still
    /// true. None when the address was given up meanwhile.
    pub fn activate(&self, channel: &str, stands: impl FnOnce(&[Name]) -> bool) -> Option<bool> {
        let mut entries = self.0.lock();
        let entry = entries.get_mut(channel)?;
        entry.active = stands(&entry.names);
        Some(entry.active)
    }

    /// Whether `stand` is true of the subscriptions of an address that counts; on others a join waits itself.
    #[must_use]
    pub fn stands(&self, channel: &str, stand: impl FnOnce(&[Name]) -> bool) -> bool {
        let entries = self.0.lock();
        let entry = entries.get(channel).filter(|entry| entry.active);
        entry.is_none_or(|entry| stand(&entry.names))
    }

    /// Gives up an address, and tells which subscriptions it had.
    pub fn remove(&self, channel: &str) -> Vec<Name> {
        self.0
            .lock()
            .remove(channel)
            .map_or_else(Vec::new, |entry| entry.names)
    }

    /// Whose messages come on `channel`.
    #[must_use]
    pub fn address(&self, channel: &str) -> Option<Address> {
        let entries = self.0.lock();
        entries
            .get(channel)
            .map(|entry| entry.target.address.clone())
    }

    /// The address that is joined or being joined at each of these pub/sub channels.
    #[must_use]
    pub fn at(&self, channels: &[Arc<str>]) -> Vec<Address> {
        let entries = self.0.lock();
        let joined = channels.iter().filter_map(|channel| entries.get(channel));
        joined.map(|entry| entry.target.address.clone()).collect()
    }

    /// The address of each joined one that counts and for which `pick` is true.
    #[must_use]
    pub fn active(&self, pick: impl Fn(&Target) -> bool) -> Vec<Address> {
        let entries = self.0.lock();
        entries
            .values()
            .filter(|entry| entry.active && pick(&entry.target))
            .map(|entry| entry.target.address.clone())
            .collect()
    }

    /// The address of each of these pub/sub channels whose joined address counts.
    #[must_use]
    pub fn active_at(&self, channels: &[Arc<str>]) -> Vec<Address> {
        let entries = self.0.lock();
        let joined = channels.iter().filter_map(|channel| entries.get(channel));
        joined
            .filter(|entry| entry.active)
            .map(|entry| entry.target.address.clone())
            .collect()
    }

    /// Takes over a new configuration: `change` gives for each target what it is now and the subscriptions
    /// it needs, or nothing to leave it. Answers the names to want and to give up.
    pub fn revise(
        &self,
        change: impl Fn(&Target) -> Option<(Target, Vec<Name>)>,
    ) -> (Vec<Name>, Vec<Name>) {
        let (mut more, mut less) = (Vec::new(), Vec::new());
        for entry in self.0.lock().values_mut() {
            if let Some((target, names)) = change(&entry.target) {
                entry.target = target;
                more.extend(names.iter().cloned());
                less.append(&mut std::mem::replace(&mut entry.names, names));
            }
        }
        (more, less)
    }
}
