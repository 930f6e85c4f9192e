//! Where a frame stands with regard to what was handed on.
//!
//! Owns: the comparisons of offsets and epochs, each a function of its arguments. Pure. Used by: `sequence`.

use crate::broker::Page;
use crate::frame::Frame;
use crate::position::{Epoch, Lineage, Position};

/// Where a frame stands.
pub enum Place {
    /// It follows what was handed on.
    Next,
    /// It was handed on, or is behind what was.
    Past,
    /// Numbered by a server that has lost it since; its number means something else now.
    Stale,
    /// Not next: what is missing can be read after this position.
    Hole(Position),
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
                None => Place::Hole(lineage.position()),
            };
        }
        newer = Some(first);
    }
    let first = frame.first();
    if first > last + 1 {
        Place::Hole(lineage.position())
    } else if position.offset == first {
        Place::Next
    } else {
        Place::Hole(before_epoch(frame))
    }
}

/// Whether a held frame stands before what `page` begins with: live, more was heard than is kept.
pub fn reaches_back(page: &Page, held: &Frame) -> bool {
    let Some(position) = held.position() else {
        return false;
    };
    let on_the_line = page.lineage.at(position.offset).epoch == position.epoch;
    on_the_line && position.offset <= page.from.offset
}

/// Where the epoch of a frame began: what it numbered follows.
pub fn before_epoch(frame: &Frame) -> Position {
    frame.position().map_or(Position::NEVER, |position| {
        let offset = frame.first().saturating_sub(1);
        Position { offset, ..position }
    })
}

/// Whether by `lineage` nothing was numbered between the end of `older` and the beginning of `newer`, or all of
/// it is forgotten.
pub fn continues(lineage: &Lineage, older: Epoch, newer: Epoch) -> bool {
    let epochs = &lineage.epochs;
    let before = match epochs.iter().position(|&(epoch, _)| epoch == newer) {
        None => lineage.position().epoch,
        Some(0) => older,
        Some(index) => epochs[index - 1].0,
    };
    older == newer || before == older
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
