//! Writes to one stream what it may get, until it has everything or its socket is full.
//!
//! Owns: the only place where bytes of streams leave, and the short way for the usual stream. Never: waits,
//! decides when. Used by: `worker`.

use super::compose::{Ask, Begun, Out};
use super::ready::Wakeup;
use super::slab::Key;
use super::socket::{MOST_SLICES, Socket};
use super::stream::{Framing, Stream, Writer};
use super::table::{Local, Member, Table};
use crate::clock::Now;
use crate::close::CloseReason;
use crate::few::Few;
use crate::limits::ConnectionPermit;
use crate::metrics::Resume;
use bytes::Bytes;
use prometheus::local::LocalHistogram;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::task::{Context, Waker};

/// A stream with its socket.
pub struct Place {
    pub stream: Stream,
    pub socket: Socket,
    /// Calls the worker when the socket has something to say.
    pub wakeup: Arc<Wakeup>,
    /// The same as a waker.
    pub waker: Waker,
    /// Counts the connection while the stream lives; only its end matters.
    _connection: Option<ConnectionPermit>,
}

impl Place {
    #[must_use]
    pub fn new(
        stream: Stream,
        socket: Socket,
        wakeup: Arc<Wakeup>,
        connection: Option<ConnectionPermit>,
    ) -> Self {
        let waker = Waker::from(wakeup.clone());
        Self {
            stream,
            socket,
            wakeup,
            waker,
            _connection: connection,
        }
    }
}

/// What became of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It has all that there is, or its socket is full.
    Open,
    Closed(CloseReason),
}

/// Memory reused from write to write, and what is counted on the way.
pub struct Scratch {
    pub out: Out,
    asks: Vec<Ask>,
    begun: Begun,
    pub sent: u64,
    pub latency: LocalHistogram,
}

impl Scratch {
    #[must_use]
    pub fn new(latency: LocalHistogram) -> Self {
        Self {
            out: Out::default(),
            asks: Vec::new(),
            begun: Begun::default(),
            sent: 0,
            latency,
        }
    }

    fn observe(&self, now: Now, published: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a latency of 2^52 ms is none")]
        self.latency
            .observe(now.unix.saturating_sub(published) as f64 / 1000.0);
    }
}

/// Writes everything that is pending for the stream of `key`.
pub fn flush(
    key: Key,
    place: &mut Place,
    table: &mut Table,
    scratch: &mut Scratch,
    now: Now,
) -> Flow {
    loop {
        scratch.out.clear();
        if place.stream.is_parked() {
            match finish_rest(place, scratch, now) {
                Ok(true) => {}
                Ok(false) => return Flow::Open,
                Err(error) => return Flow::Closed(lost_peer(&error, true)),
            }
        }
        if let Some(ending) = place.stream.ending {
            if ending.told {
                place.socket.finish(&mut Context::from_waker(&place.waker));
                return Flow::Closed(ending.reason);
            }
            place.stream.ending = Some(super::stream::Ending {
                told: true,
                ..ending
            });
            scratch
                .out
                .last_words(place.stream.framing, &place.stream, ending.reason);
        } else {
            match short_way(place, table, scratch, now) {
                Ok(true) => return Flow::Open,
                Ok(false) => {}
                Err(error) => return Flow::Closed(lost_peer(&error, false)),
            }
            if place.stream.is_parked() {
                return Flow::Open;
            }
            fill(key, place, table, scratch);
            if scratch.out.is_empty() {
                return Flow::Open;
            }
        }
        match write(place, table, scratch, now) {
            Ok(true) => {}
            Ok(false) => return Flow::Open,
            Err(error) => return Flow::Closed(lost_peer(&error, false)),
        }
    }
}

/// Writes the pieces of `scratch` beyond what [`flush`] composes itself: the opening and the heartbeat.
pub fn write_out(place: &mut Place, table: &mut Table, scratch: &mut Scratch, now: Now) -> Flow {
    match write(place, table, scratch, now) {
        Ok(_) => Flow::Open,
        Err(error) => Flow::Closed(lost_peer(&error, false)),
    }
}

/// A peer that vanished, or a parked one that never acknowledged until the kernel gave up.
fn lost_peer(error: &io::Error, parked: bool) -> CloseReason {
    if parked && error.kind() == ErrorKind::TimedOut {
        CloseReason::Stalled
    } else {
        CloseReason::ClientGone
    }
}

/// Finishes what was begun. True when the socket is ready again.
fn finish_rest(place: &mut Place, scratch: &mut Scratch, now: Now) -> io::Result<bool> {
    let Writer::Parked { rest, .. } = &mut place.stream.writer else {
        return Ok(true);
    };
    let mut rest = std::mem::take(rest);
    let wrote = place.socket.write(
        rest.make_contiguous(),
        &mut Context::from_waker(&place.waker),
    )?;
    scratch.sent += wrote.bytes as u64;
    let mut passed = wrote.bytes;
    while let Some(first) = rest.front_mut() {
        if passed < first.len() {
            drop(first.split_to(passed));
            break;
        }
        passed -= first.len();
        rest.pop_front();
    }
    if wrote.full {
        place.stream.park(rest, wrote.bytes > 0, now.steady);
    } else {
        place.stream.drained(now.steady);
    }
    Ok(!wrote.full)
}

/// Composes what comes next, and has history read where it is needed.
fn fill(key: Key, place: &mut Place, table: &mut Table, scratch: &mut Scratch) {
    let locals = |topic| {
        table.show(topic).map(|local| {
            (
                &local.ring,
                local.target.policy.history.is_some(),
                local.target.name.as_str(),
            )
        })
    };
    scratch
        .out
        .fill(&mut place.stream, locals, &mut scratch.asks);
    for ask in scratch.asks.drain(..) {
        let subscription = u32::try_from(ask.subscription).unwrap_or(u32::MAX);
        table.ask(
            ask.topic,
            ask.after,
            Member {
                stream: key,
                subscription,
            },
        );
    }
}

/// Writes the composed pieces. True when all of them were taken.
fn write(
    place: &mut Place,
    table: &mut Table,
    scratch: &mut Scratch,
    now: Now,
) -> io::Result<bool> {
    let wrote = place
        .socket
        .write(&scratch.out.pieces, &mut Context::from_waker(&place.waker))?;
    scratch.sent += wrote.bytes as u64;
    let rest = scratch
        .out
        .settle(&mut place.stream, wrote.bytes, &mut scratch.begun);
    count(&mut place.stream, table, scratch, now);
    if wrote.full {
        place.stream.park(rest, wrote.bytes > 0, now.steady);
    } else {
        place.stream.drained(now.steady);
    }
    Ok(!wrote.full)
}

/// Counts what was begun.
fn count(stream: &mut Stream, table: &mut Table, scratch: &Scratch, now: Now) {
    for &(index, messages) in &scratch.begun.messages {
        if let Some(local) = table.get(stream.subs.all()[index].topic) {
            local.delivered += messages;
        }
    }
    for &(index, reason) in &scratch.begun.gaps {
        if let Some(local) = table.get(stream.subs.all()[index].topic) {
            local.target.metrics.gaps[reason.index()].inc();
            if std::mem::take(&mut stream.resuming) {
                local.target.metrics.resumes[Resume::Gap as usize].inc();
            }
        }
    }
    for &published in &scratch.begun.live {
        scratch.observe(now, published);
    }
    if stream.resuming
        && stream
            .subs
            .all()
            .iter()
            .all(|sub| sub.cursor.following().is_some())
    {
        stream.resuming = false;
        if let Some(local) = table.get(stream.subs.all()[0].topic) {
            local.target.metrics.resumes[Resume::Complete as usize].inc();
        }
    }
}

/// The usual stream (one topic, chunks over TCP, following) writes the shared frames themselves, without
/// composing. True when it has everything; false when the long way has to look.
fn short_way(
    place: &mut Place,
    table: &mut Table,
    scratch: &mut Scratch,
    now: Now,
) -> io::Result<bool> {
    let stream = &mut place.stream;
    let Few::One(sub) = &mut stream.subs else {
        return Ok(false);
    };
    let plain = stream.framing == Framing::Chunked
        && !stream.envelope
        && !stream.resuming
        && sub.filter.is_none();
    let (true, Some(at)) = (plain, sub.cursor.following()) else {
        return Ok(false);
    };
    let Some(local) = table.get(sub.topic) else {
        return Ok(false);
    };
    let mut slices = [IoSlice::new(&[]); MOST_SLICES];
    let Some(count) = slice_frames(local, at, sub.cursor.position(), &mut slices) else {
        return Ok(false);
    };
    if count == 0 {
        return Ok(true);
    }
    let written = match place.socket.write_slices(&slices[..count]) {
        None => return Ok(false),
        Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
        Some(written) => written?,
    };
    let (frames, rest) = frames_in(local, at, written);
    let newest = at + frames - 1;
    for published in local
        .ring
        .frames(at)
        .take(usize::try_from(frames).unwrap_or(0))
        .map(|frame| frame.time())
    {
        scratch.observe(now, published);
    }
    let position = local.ring.get(newest).map(|(_, after)| after);
    let more = newest + 1 < local.ring.end();
    local.delivered += frames;
    sub.cursor.advance(frames, position);
    scratch.sent += written as u64;
    stream.last_write = now.steady;
    if let Some(rest) = rest {
        stream.park(VecDeque::from([rest]), true, now.steady);
        // The kernel took a part: asked again, it calls when there is room, or has room already, and then the
        // frames behind this one must not wait for the next message.
        return Ok(finish_rest(place, scratch, now)? && !more);
    }
    Ok(!more)
}

/// The bytes of the frames from `at` on; none when one of them is not for the short way.
pub fn slice_frames<'a>(
    local: &'a Local,
    at: u64,
    seen: crate::position::Position,
    slices: &mut [IoSlice<'a>; MOST_SLICES],
) -> Option<usize> {
    if at < local.ring.first() {
        return None;
    }
    let pending = usize::try_from(local.ring.end() - at)
        .unwrap_or(usize::MAX)
        .min(MOST_SLICES);
    let mut count = 0;
    for frame in local.ring.frames(at).take(pending) {
        let twice = frame
            .position()
            .is_some_and(|position| position.epoch == seen.epoch && position.offset <= seen.offset);
        if twice || !frame.message().except().is_empty() {
            return None;
        }
        slices[count] = IoSlice::new(frame.plain().whole());
        count += 1;
    }
    (count == pending).then_some(count)
}

/// How many frames from `at` on `written` bytes begin, and the unsent end of the last of them.
pub fn frames_in(local: &Local, at: u64, written: usize) -> (u64, Option<Bytes>) {
    let mut passed = 0;
    let mut frames = 0;
    for frame in local.ring.frames(at) {
        let whole = frame.plain().whole();
        frames += 1;
        if passed + whole.len() > written {
            return (frames, Some(whole.slice(written - passed..)));
        }
        passed += whole.len();
        if passed == written {
            break;
        }
    }
    (frames, None)
}
