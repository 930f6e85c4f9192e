//! All readings of a text by one pattern at once.
//!
//! Owns: whether two patterns share a topic, and whether a pattern goes on from a beginning. Never: weighs
//! that a topic is at most 255 bytes long. Used by: `conflict`, `pattern`.
//!
//! Texts are read byte by byte, which tells the same as character by character: in UTF-8 a byte that begins a
//! character never goes on with one, so captures begin and end where characters do.

use super::{Part, TopicPattern};
use std::array;

/// A pattern made ready to be compared with many others.
pub struct Reader<'a> {
    pattern: &'a TopicPattern,
    /// For each byte, the places that a reading may have when it has just read it.
    after: Box<[Places; 256]>,
    /// The places inside of captures.
    captures: Places,
    /// The places that something other than `.` leads to.
    run: Places,
    /// The place at which all was read.
    end: Places,
}

impl<'a> Reader<'a> {
    #[must_use]
    pub fn new(pattern: &'a TopicPattern) -> Self {
        let mut after = Box::new([Places::NONE; 256]);
        let (mut captures, mut run, mut end) = (Places::NONE, Places::NONE, Places::START);
        for part in pattern.parts.iter() {
            match part {
                Part::Literal(text) => {
                    for byte in text.bytes() {
                        end = end.next();
                        let places = &mut after[usize::from(byte)];
                        *places = places.or(end);
                        run = if byte == b'.' { run } else { run.or(end) };
                    }
                }
                Part::Capture(_) => {
                    end = end.next();
                    captures = captures.or(end);
                    run = run.or(end);
                }
            }
        }
        for (byte, places) in after.iter_mut().enumerate() {
            if byte != usize::from(b'.') {
                *places = places.or(captures);
            }
        }
        Self {
            pattern,
            after,
            captures,
            run,
            end,
        }
    }

    /// Whether some topic matches both; told a little too often rather than too rarely, since it
    /// does not weigh that a topic is at most 255 bytes long.
    #[must_use]
    pub fn overlaps(&self, other: &TopicPattern) -> bool {
        let (a, b) = (self.pattern.prefix(), other.prefix());
        if a.bytes().zip(b.bytes()).any(|(a, b)| a != b) {
            return false;
        }
        let (a, b) = (self.pattern.suffix(), other.suffix());
        if a.bytes().rev().zip(b.bytes().rev()).any(|(a, b)| a != b) {
            return false;
        }
        let mut places = Places::START;
        for part in other.parts.iter() {
            places = match part {
                Part::Literal(text) => self.read(places, text),
                // One character, then any number of them.
                Part::Capture(_) => self.step(places, self.run).flood(self.run),
            };
            if places.is_empty() {
                return false;
            }
        }
        !places.and(self.end).is_empty()
    }

    /// Whether some topic that begins with `prefix` matches; what follows a place can always be completed,
    /// so any that is left will do.
    pub(super) fn reaches(&self, prefix: &str) -> bool {
        !self.read(Places::START, prefix).is_empty()
    }

    fn read(&self, mut places: Places, text: &str) -> Places {
        for byte in text.bytes() {
            places = self.step(places, self.after[usize::from(byte)]);
            if places.is_empty() {
                break;
            }
        }
        places
    }

    /// Reads one byte; a capture may end before it or take it, too.
    fn step(&self, places: Places, after: Places) -> Places {
        places.next().or(places.and(self.captures)).and(after)
    }
}

/// A set of places in a pattern: bit 0 is its beginning, each further one the place after a byte of a
/// literal or within a capture. A pattern has at most 255 bytes, and a capture takes three or more.
#[derive(Clone, Copy)]
struct Places([u64; 4]);

impl Places {
    const NONE: Self = Self([0; 4]);
    const START: Self = Self([1, 0, 0, 0]);

    fn is_empty(self) -> bool {
        let [a, b, c, d] = self.0;
        a | b | c | d == 0
    }

    fn and(self, other: Self) -> Self {
        Self(array::from_fn(|at| self.0[at] & other.0[at]))
    }

    fn or(self, other: Self) -> Self {
        Self(array::from_fn(|at| self.0[at] | other.0[at]))
    }

    /// Every place one further.
    fn next(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([a << 1, b << 1 | a >> 63, c << 1 | b >> 63, d << 1 | c >> 63])
    }

    /// With these, which are `within`, all places `within` that follow one of them without a hole: added
    /// to a row of ones, the lowest of them carries through to the row's end and leaves zeros behind it.
    fn flood(self, within: Self) -> Self {
        let mut carry = false;
        Self(array::from_fn(|at| {
            let (sum, over) = within.0[at].overflowing_add(self.0[at]);
            let (sum, again) = sum.overflowing_add(u64::from(carry));
            carry = over || again;
            within.0[at] & !sum | self.0[at]
        }))
    }
}

#[cfg(test)]
mod tests;
