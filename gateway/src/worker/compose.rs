//! What a stream gets next, as pieces for its socket, and how to take back what was not begun.
//!
//! Owns: framing for chunks and HTTP/2, ids of streams on several topics, messages withheld or filtered.
//! Never: writes. Pure. Used by: `worker::deliver`.

use super::cursor::{Mark, Next};
use super::ring::Ring;
use super::slab::Key;
use super::stream::{Framing, Stream, Sub};
use crate::close::{CloseReason, GapReason};
use crate::frame::{self, Frame, control};
use crate::position::Position;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// Pieces composed for one write.
const MOST_PIECES: usize = super::socket::MOST_SLICES;
/// Bytes composed for one write, unless one message alone is larger.
const MOST_BYTES: usize = 64 * 1024;

/// The pieces that belong together: written whole, or taken back whole if not begun.
struct Group {
    /// The subscription that it came from and where its cursor stood before; none for control events.
    from: Option<(usize, Mark)>,
    /// The number of pieces up to its end.
    end: usize,
    /// The publishing time of a live message.
    live: Option<u64>,
    gap: Option<GapReason>,
    message: bool,
}

/// Pieces for one write, reused from stream to stream.
#[derive(Default)]
pub struct Out {
    pub pieces: Vec<Bytes>,
    groups: Vec<Group>,
    bytes: usize,
}

/// Something that the pieces turned out to need from the worker.
#[derive(Debug, PartialEq, Eq)]
pub struct Ask {
    pub subscription: usize,
    pub topic: Key,
    pub after: Position,
}

/// What was begun of the pieces, after a write.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Begun {
    /// Messages by subscription.
    pub messages: Vec<(usize, u64)>,
    pub gaps: Vec<(usize, GapReason)>,
    /// The publishing times of live messages, milliseconds since 1970.
    pub live: Vec<u64>,
}

impl Begun {
    fn clear(&mut self) {
        self.messages.clear();
        self.gaps.clear();
        self.live.clear();
    }
}

impl Out {
    /// Forgets everything, keeping its memory.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.groups.clear();
        self.bytes = 0;
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Adds a control text of the stream itself.
    pub fn control(&mut self, framing: Framing, text: &str) {
        self.text(framing, text);
        self.groups.push(Group {
            from: None,
            end: self.pieces.len(),
            live: None,
            gap: None,
            message: false,
        });
    }

    /// Adds bytes that are framed already, such as a response head.
    pub fn raw(&mut self, bytes: Bytes) {
        self.add(bytes);
        self.groups.push(Group {
            from: None,
            end: self.pieces.len(),
            live: None,
            gap: None,
            message: false,
        });
    }

    /// Adds the last event and the end of the body.
    pub fn last_words(&mut self, framing: Framing, stream: &Stream, reason: CloseReason) {
        self.control(framing, &control::end(reason, stream.retry_after(reason)));
        if framing == Framing::Chunked {
            self.raw(Bytes::from_static(b"0\r\n\r\n"));
        }
    }

    fn text(&mut self, framing: Framing, text: &str) {
        match framing {
            Framing::Bare => self.add(Bytes::copy_from_slice(text.as_bytes())),
            Framing::Chunked => {
                let mut bytes = Vec::with_capacity(text.len() + 12);
                frame::chunk(&mut bytes, text.as_bytes());
                self.add(bytes.into());
            }
        }
    }

    fn add(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.pieces.push(bytes);
        }
    }

    fn is_full(&self) -> bool {
        self.pieces.len() + 2 > MOST_PIECES || self.bytes >= MOST_BYTES
    }

    /// Adds what `stream` gets next from all of its topics. `topic` shows ring and history of a topic.
    pub fn fill<'t>(
        &mut self,
        stream: &mut Stream,
        topic: impl Fn(Key) -> Option<(&'t Ring, bool, &'t str)>,
        asks: &mut Vec<Ask>,
    ) {
        for index in 0..stream.subs.all().len() {
            let Some((ring, history, name)) = topic(stream.subs.all()[index].topic) else {
                continue;
            };
            while !self.is_full() {
                let sub = &mut stream.subs.all_mut()[index];
                let mark = sub.cursor.mark();
                match sub.cursor.next(ring, history) {
                    Next::Idle => break,
                    Next::Ask(after) => {
                        asks.push(Ask {
                            subscription: index,
                            topic: sub.topic,
                            after,
                        });
                        break;
                    }
                    Next::PageDone if self.is_empty() => {
                        if let Some(after) = sub.cursor.turn_page(ring) {
                            asks.push(Ask {
                                subscription: index,
                                topic: sub.topic,
                                after,
                            });
                        }
                    }
                    Next::PageDone => return,
                    Next::Gap(reason) => {
                        self.gap(stream, reason, name);
                        self.group(index, mark, |group| group.gap = Some(reason));
                    }
                    Next::Frame { frame, live } => {
                        let frame = frame.clone();
                        if wants(sub, &frame) {
                            self.frame(stream, &frame);
                            self.group(index, mark, |group| {
                                group.live = live.then(|| frame.time());
                                group.message = true;
                            });
                        }
                    }
                }
            }
        }
    }

    fn group(&mut self, index: usize, mark: Mark, set: impl FnOnce(&mut Group)) {
        let mut group = Group {
            from: Some((index, mark)),
            end: self.pieces.len(),
            live: None,
            gap: None,
            message: false,
        };
        set(&mut group);
        self.groups.push(group);
    }

    fn gap(&mut self, stream: &Stream, reason: GapReason, name: &str) {
        let cursor = stream.cursor();
        self.text(stream.framing, &control::gap(name, reason, Some(&cursor)));
    }

    fn frame(&mut self, stream: &Stream, frame: &Arc<Frame>) {
        let many = stream.subs.all().len() > 1;
        let withheld = stream
            .session
            .is_some_and(|session| frame.message().except().contains(&session));
        if withheld {
            if frame.position().is_some() {
                self.text(stream.framing, &control::mark(stream.cursor()));
            }
            return;
        }
        let encoded = if stream.envelope {
            frame.envelope()
        } else {
            frame.plain()
        };
        let own_mark = many && (frame.position().is_some() || frame.message().id().is_some());
        match stream.framing {
            Framing::Chunked if many => self.add(encoded.event_chunk()),
            Framing::Chunked => self.add(encoded.whole().clone()),
            Framing::Bare => self.add(encoded.event()),
        }
        if own_mark {
            self.text(stream.framing, &control::mark(stream.cursor()));
        } else if stream.framing == Framing::Bare {
            self.add(encoded.mark());
        }
    }

    /// After `written` bytes: takes back the groups that were not begun, notes what was, and returns the
    /// unsent pieces of what was cut. Control events are never taken back, and always come first.
    pub fn settle(
        &self,
        stream: &mut Stream,
        written: usize,
        begun: &mut Begun,
    ) -> VecDeque<Bytes> {
        begun.clear();
        let mut rest = VecDeque::new();
        let (mut piece, mut passed) = (0, 0);
        for (number, group) in self.groups.iter().enumerate() {
            let empty = group.end == piece;
            let is_begun = group.from.is_none() || passed < written || (empty && passed == written);
            if !is_begun {
                self.take_back(stream, number);
                break;
            }
            note(begun, group);
            for bytes in &self.pieces[piece..group.end] {
                let sent = written.saturating_sub(passed).min(bytes.len());
                if sent < bytes.len() {
                    rest.push_back(bytes.slice(sent..));
                }
                passed += bytes.len();
            }
            piece = group.end;
        }
        rest
    }

    /// Puts the cursors back to where they stood before group `number` and all after it.
    fn take_back(&self, stream: &mut Stream, number: usize) {
        for group in self.groups[number..].iter().rev() {
            if let Some((index, mark)) = group.from {
                stream.subs.all_mut()[index].cursor.back_to(mark);
            }
        }
    }
}

fn note(begun: &mut Begun, group: &Group) {
    let Some((index, _)) = group.from else { return };
    if let Some(reason) = group.gap {
        begun.gaps.push((index, reason));
    }
    if group.message {
        begun.live.extend(group.live);
        match begun.messages.last_mut() {
            Some((last, count)) if *last == index => *count += 1,
            _ => begun.messages.push((index, 1)),
        }
    }
}

fn wants(sub: &Sub, frame: &Frame) -> bool {
    sub.filter
        .as_ref()
        .is_none_or(|filter| filter.wants(frame.topic()))
}

#[cfg(test)]
mod tests;
