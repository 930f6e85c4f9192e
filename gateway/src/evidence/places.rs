//! Places for asking reviewers again.
//!
//! Owns: that a reviewer that hangs takes neither all places nor those of other Channels for long. Used by:
//! `evidence`.

use crds::name::ChannelName;
use parking_lot::Mutex;
use std::sync::Arc;

/// Open streams that reviewers are asked about at once.
const MOST: usize = 16;
/// So many of them for one Channel.
const MOST_OF_ONE: usize = 8;

/// Who is being asked about.
#[derive(Clone, Default)]
pub struct Places(Arc<Mutex<Vec<ChannelName>>>);

/// One place; dropping it gives it back.
pub struct Place {
    places: Places,
    channel: ChannelName,
}

impl Places {
    /// A place, if one is free.
    pub fn enter(&self, channel: &ChannelName) -> Option<Place> {
        let mut taken = self.0.lock();
        let ours = taken.iter().filter(|other| *other == channel).count();
        if taken.len() >= MOST || ours >= MOST_OF_ONE {
            return None;
        }
        taken.push(channel.clone());
        Some(Place {
            places: self.clone(),
            channel: channel.clone(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock();
        if let Some(at) = taken.iter().position(|other| *other == self.channel) {
            taken.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_channel_leaves_places_for_others() {
        let places = Places::default();
        let channel = |name: &str| ChannelName::new("shop", name);
        let mut held: Vec<Place> = (0..MOST_OF_ONE)
            .map(|_| places.enter(&channel("a")).unwrap())
            .collect();
        assert!(places.enter(&channel("a")).is_none());
        held.extend((0..MOST_OF_ONE).map(|_| places.enter(&channel("b")).unwrap()));
        assert!(places.enter(&channel("c")).is_none(), "all are taken");
        held.swap_remove(0);
        assert!(places.enter(&channel("c")).is_some());
    }
}
