//! What one node of a cluster says of all, in the text of `CLUSTER NODES`.
//!
//! Owns: reading it. Never: asks. Used by: `cluster`.

use super::SLOTS;
use std::collections::{BTreeMap, BTreeSet};

/// The cluster as one node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map {
    /// Ids of all nodes that it has spoken with.
    known: BTreeSet<String>,
    masters: BTreeSet<String>,
    /// Replicas, and whom they follow.
    follow: BTreeMap<String, String>,
    /// First and last slot, and the owner.
    slots: Vec<(u16, u16, String)>,
    /// Slots of the asked node that are on their way.
    moving: Vec<String>,
}

impl Map {
    pub fn read(text: &str) -> Self {
        let mut map = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [id, _, flags, master, _, _, _, _, slots @ ..] = words.as_slice() else {
                continue;
            };
            let flags: Vec<&str> = flags.split(',').collect();
            if !flags.contains(&"handshake") && !flags.contains(&"noaddr") {
                map.known.insert((*id).into());
            }
            if flags.contains(&"master") {
                map.masters.insert((*id).into());
            } else {
                map.follow.insert((*id).into(), (*master).into());
            }
            for part in slots {
                if part.starts_with('[') {
                    map.moving.push((*part).into());
                    continue;
                }
                let (first, last) = part.split_once('-').unwrap_or((part, part));
                if let (Ok(first), Ok(last)) = (first.parse(), last.parse()) {
                    map.slots.push((first, last, (*id).into()));
                }
            }
        }
        map.slots.sort();
        map
    }

    pub fn owner(&self, slot: u16) -> Option<&str> {
        let of = |(first, last, _): &&(u16, u16, String)| (*first..=*last).contains(&slot);
        self.slots.iter().find(of).map(|(_, _, id)| id.as_str())
    }

    pub fn is_master(&self, id: &str) -> bool {
        self.masters.contains(id)
    }

    pub fn follows(&self, replica: &str, master: &str) -> bool {
        self.follow.get(replica).is_some_and(|of| of == master)
    }

    pub fn knows(&self, ids: &[String]) -> bool {
        ids.iter().all(|id| self.known.contains(id)) && self.known.len() == ids.len()
    }

    /// Whether each slot has an owner.
    pub fn covers_all(&self) -> bool {
        let count = |(first, last, _): &(u16, u16, String)| u32::from(last - first) + 1;
        self.slots.iter().map(count).sum::<u32>() == u32::from(SLOTS)
    }

    /// Whether both see the same owners and roles, and no slot on its way.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let same = self.slots == other.slots && self.follow == other.follow;
        same && self.moving.is_empty() && other.moving.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
a 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-8191 9000 [9001->-b]
b 127.0.0.1:3@4 master - 0 1 2 connected 8192-8999 9001-16383
c 127.0.0.1:5@6 slave a 0 1 1 connected
d 127.0.0.1:7@8 handshake - 0 0 0 connected
";

    #[test]
    fn owners_replicas_and_slots_on_their_way_are_read() {
        let map = Map::read(TEXT);
        assert!(map.covers_all());
        assert_eq!((map.owner(8191), map.owner(9000)), (Some("a"), Some("a")));
        assert_eq!(map.owner(9001), Some("b"));
        assert!(map.is_master("b") && !map.is_master("c"));
        assert!(map.follows("c", "a") && !map.follows("c", "b"));
        let ids = ["a", "b", "c"].map(String::from);
        assert!(map.knows(&ids) && !map.knows(&ids[..2]));
        assert!(!map.agrees_with(&map), "a slot is on its way");
        let still = Map::read(&TEXT.replace(" [9001->-b]", ""));
        assert!(still.agrees_with(&still) && !still.agrees_with(&map));
    }
}
