//! Places for things that come and go, found by a key that never means two things.
//!
//! Owns: reuse of freed places under a new generation. Pure. Used by: `worker` for streams.

/// A place and its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub slot: u32,
    pub generation: u32,
}

/// Places in one growing list; bounded by the connections that the process accepts.
pub struct Slab<T> {
    places: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// Makes a thing that knows its key, and keeps it.
    pub fn insert_with(&mut self, make: impl FnOnce(Key) -> T) -> Key {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        let place = &mut self.places[slot as usize];
        let key = Key {
            slot,
            generation: place.0,
        };
        place.1 = Some(make(key));
        key
    }

    /// The thing of `key`, if it is still there.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let place = self.places.get_mut(key.slot as usize)?;
        if place.0 == key.generation {
            place.1.as_mut()
        } else {
            None
        }
    }

    /// The thing of `key` to look at, if it is still there.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&T> {
        let place = self.places.get(key.slot as usize)?;
        if place.0 == key.generation {
            place.1.as_ref()
        } else {
            None
        }
    }

    /// Takes the thing of `key` out; its key means nothing from then on.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(key.slot as usize)?;
        if place.0 != key.generation {
            return None;
        }
        let thing = place.1.take()?;
        place.0 = place.0.wrapping_add(1);
        self.free.push(key.slot);
        Some(thing)
    }

    /// How many things there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// How many places there are, taken or free: the end of a walk over all.
    #[must_use]
    pub fn places(&self) -> usize {
        self.places.len()
    }

    /// The key of the thing at a place, if one is there.
    #[must_use]
    pub fn key_at(&self, place: usize) -> Option<Key> {
        let (generation, thing) = self.places.get(place)?;
        thing.as_ref()?;
        Some(Key {
            slot: u32::try_from(place).ok()?,
            generation: *generation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_dies_with_its_thing() {
        let mut slab = Slab::default();
        let first = slab.insert_with(|_| 'a');
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert_with(|_| 'b');
        assert_eq!(second.slot, first.slot);
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get_mut(second), Some(&mut 'b'));
        assert_eq!(
            (slab.len(), slab.places(), slab.key_at(0)),
            (1, 1, Some(second))
        );
    }
}
