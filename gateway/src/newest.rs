//! A map that remembers the newest of something, and no more than so many.
//!
//! Owns: the bound; the one put in first goes first. Pure. Used by: `access`, `evidence`, for what would only be
//! found out again.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// At most so many values.
#[derive(Debug)]
pub struct Newest<K, V> {
    most: usize,
    values: HashMap<K, V>,
    oldest_first: VecDeque<K>,
}

impl<K: Clone + Eq + Hash, V> Newest<K, V> {
    /// Remembers at most `most`.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            values: HashMap::new(),
            oldest_first: VecDeque::new(),
        }
    }

    /// What is remembered of `key`.
    #[must_use]
    pub fn find(&self, key: &K) -> Option<&V> {
        self.values.get(key)
    }

    /// Remembers `value`, in place of what was known of the same key.
    pub fn put(&mut self, key: K, value: V) {
        if self.values.insert(key.clone(), value).is_some() {
            return;
        }
        self.oldest_first.push_back(key);
        if self.oldest_first.len() > self.most
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.values.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let mut newest = Newest::new(2);
        newest.put("a", 1);
        newest.put("b", 2);
        newest.put("a", 3);
        assert_eq!((newest.find(&"a"), newest.find(&"b")), (Some(&3), Some(&2)));
        newest.put("c", 4);
        assert_eq!((newest.find(&"a"), newest.find(&"b")), (None, Some(&2)));
        assert_eq!((newest.values.len(), newest.oldest_first.len()), (2, 2));
    }
}
