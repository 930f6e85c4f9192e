//! Where a frame stands with regard to what was handed on.
//!
//! Owns: the comparisons of offsets and epochs, each a function of its arguments. Pure. Used by: `sequence`.

use super::held::Held;
use crate::broker::Page;
use crate::frame::Frame;
use crate::position::{Lineage, Position};

/// Where a frame stands.
pub enum Place {
    /// It follows what was handed on.
    Next,
    /// It was handed on, or is behind what was.
    Past,
    /// Numbered by a server that has lost it since; its number means something else now.
    Stale,
    /// Not next: something is missing before it.
    Hole,
}

/// Places `frame` behind `lineage`, whose last was handed on.
pub fn of(lineage: &Lineage, frame: &Frame) -> Place {
    let Some(position) = frame.position() else {
        return Place::Next;
    };
    let last = lineage.last;
    let mut newer = None;
    for &(epoch, first) in lineage.epochs.iter().rev() {
        if epoch == position.epoch {
            return match newer {
                Some(next) if position.offset >= next => Place::Stale,
                Some(_) => Place::Past,
                None if position.offset <= last => Place::Past,
                None if position.offset == last + 1 => Place::Next,
                None => Place::Hole,
            };
        }
        newer = Some(first);
    }
    let first = frame.first();
    if first <= last + 1 && position.offset == first {
        Place::Next
    } else {
        Place::Hole
    }
}

/// Whether a held frame stands before what `page` begins with: live, more was heard than is kept.
pub fn reaches_back(page: &Page, held: &Held) -> bool {
    let Some(position) = held.frame.position() else {
        return false;
    };
    let on_the_line = page.lineage.at(position.offset).epoch == position.epoch;
    on_the_line && position.offset <= page.from.offset
}

/// Whether a page that begins an epoch begins with its first message, and none is kept between it and `at`.
pub fn leaves_out_nothing(page: &Page, at: Position) -> bool {
    let next = page.from.offset + 1;
    page.from.offset <= at.offset && page.lineage.epochs.contains(&(page.from.epoch, next))
}

/// What was known of the topic when it stood at `from`.
pub fn up_to(lineage: &Lineage, from: Position) -> Lineage {
    let known = lineage
        .epochs
        .iter()
        .position(|&(epoch, _)| epoch == from.epoch);
    Lineage {
        epochs: lineage.epochs[..known.map_or(0, |index| index + 1)].to_vec(),
        last: from.offset,
    }
}
