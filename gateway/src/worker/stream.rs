//! One stream: what it may still get, when something is due, and how it ends.
//!
//! Owns: the transitions between open, parked and ending, and the deadlines. Never: holds a socket, waits,
//! encodes messages. Pure. Used by: `worker` and `worker::deliver`, which carry out what it answers.
#![deny(clippy::wildcard_enum_match_arm)]

use super::cursor::Cursor;
use super::opening::{Filter, Opening};
use super::slab::Key;
use crate::access::Grant;
use crate::clock::Now;
use crate::close::CloseReason;
use crate::few::Few;
use crate::limits::Permit;
use crate::message::Session;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A listener parked this long without one byte accepted is stalled.
pub const STALLED_AFTER: Duration = Duration::from_secs(15);
/// So many further times reviewers may be out of reach before a stream that they admitted ends.
const UNREVIEWED: u8 = 2;
/// When to look again for a place to ask a reviewer.
const PLACE_TAKEN: Duration = Duration::from_secs(2);
/// What a parked stream gets for its rest and `siar.end` when it must end.
pub const LAST_WORDS: Duration = Duration::from_secs(1);

/// One topic of a stream.
pub struct Sub {
    pub topic: Key,
    /// Its place among the members of the topic.
    pub place: u32,
    pub cursor: Cursor,
    pub filter: Option<Box<Filter>>,
}

/// How the body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Chunks of HTTP/1.1.
    Chunked,
    /// Plain: HTTP/2 frames it, and HTTP/1.0 ends it with the connection.
    Bare,
}

/// Whether the socket takes bytes.
pub enum Writer {
    Ready,
    /// It was full: `rest` is the unsent end of what was begun, since when not one byte was accepted.
    Parked {
        rest: VecDeque<Bytes>,
        since: Instant,
    },
}

/// On the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    pub reason: CloseReason,
    /// Closed then, whether the last words were taken or not.
    pub by: Instant,
    /// `siar.end` is written, or begun.
    pub told: bool,
}

/// What a look at the clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    /// Silence has lasted long enough.
    Heartbeat,
    /// Reviewers are to be asked again.
    Recheck,
    /// It must end for this reason.
    End(CloseReason),
    /// Its last words took too long.
    Close(CloseReason),
}

/// A stream without its socket.
pub struct Stream {
    pub subs: Few<Sub>,
    pub grant: Grant,
    pub permit: Permit,
    pub session: Option<Session>,
    pub framing: Framing,
    pub envelope: bool,
    pub control: bool,
    /// The client named a place to start, and whether all of it was there is not yet known.
    pub resuming: bool,
    pub writer: Writer,
    pub ending: Option<Ending>,
    /// The tick of the wheel under which it is entered.
    pub armed: u64,
    pub last_write: Instant,
    pub expires: Option<Instant>,
    pub rotates: Option<Instant>,
    /// When reviewers are asked again; none while they are, and where there are none.
    rechecks: Option<Instant>,
    recheck_every: Option<Duration>,
    /// Times in a row that they could not be asked.
    unreviewed: u8,
    heartbeat: Duration,
    retry: Duration,
}

impl Stream {
    /// A stream that opens now as `opening` says, on `subs`.
    #[must_use]
    pub fn new(opening: Opening, subs: Few<Sub>, framing: Framing, now: Now) -> Self {
        Self {
            subs,
            session: opening.session,
            framing,
            envelope: opening.envelope,
            control: opening.control,
            resuming: opening.resumed,
            writer: Writer::Ready,
            ending: None,
            armed: 0,
            last_write: now.steady,
            expires: deadline(opening.grant.expires(), now),
            rotates: opening.max_age.map(|age| now.steady + age),
            rechecks: opening.recheck.map(|time| now.steady + time),
            recheck_every: opening.recheck,
            unreviewed: 0,
            heartbeat: opening.heartbeat,
            retry: opening.retry,
            grant: opening.grant,
            permit: opening.permit,
        }
    }

    /// The next moment at which something may be due.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        if let Some(ending) = self.ending {
            return ending.by;
        }
        let mut next = match self.writer {
            Writer::Ready => self.last_write + self.heartbeat,
            Writer::Parked { since, .. } => since + STALLED_AFTER,
        };
        for other in [self.expires, self.rotates, self.rechecks]
            .into_iter()
            .flatten()
        {
            next = next.min(other);
        }
        next
    }

    /// What is due now. Reasons are asked in a fixed order, so which one is told is never luck.
    #[must_use]
    pub fn due(&self, now: Instant) -> Due {
        if let Some(ending) = self.ending {
            return if now >= ending.by {
                Due::Close(ending.reason)
            } else {
                Due::Nothing
            };
        }
        if self.expires.is_some_and(|expires| now >= expires) {
            return Due::End(CloseReason::Expired);
        }
        if let Writer::Parked { since, .. } = self.writer
            && now >= since + STALLED_AFTER
        {
            return Due::End(CloseReason::Stalled);
        }
        if self.rotates.is_some_and(|rotates| now >= rotates) {
            return Due::End(CloseReason::Rotated);
        }
        if self.rechecks.is_some_and(|rechecks| now >= rechecks) {
            return Due::Recheck;
        }
        if matches!(self.writer, Writer::Ready) && now >= self.last_write + self.heartbeat {
            return Due::Heartbeat;
        }
        Due::Nothing
    }

    /// Begins the end; the first reason stays.
    pub fn end(&mut self, reason: CloseReason, now: Instant) {
        if self.ending.is_none() {
            self.ending = Some(Ending {
                reason,
                by: now + LAST_WORDS,
                told: false,
            });
        }
    }

    /// A new decision admitted it. One for another identity ends it: it counts and is named by the old one.
    pub fn renew(&mut self, grant: Grant, now: Now) {
        if !grant.is_of_the_same(&self.grant) {
            return self.end(CloseReason::Rotated, now.steady);
        }
        self.expires = deadline(grant.expires(), now);
        if grant.recheck().is_none() {
            // Admitted without a reviewer now: there is nobody to ask, and no token is kept to ask with.
            (self.rechecks, self.recheck_every) = (None, None);
        }
        self.grant = grant;
    }

    /// Reviewers are being asked.
    pub fn rechecking(&mut self) {
        self.rechecks = None;
    }

    /// All places for asking are taken: that is not the reviewer's fault, and tried again soon.
    pub fn recheck_later(&mut self, now: Instant) {
        self.rechecks = Some(now + PLACE_TAKEN);
    }

    /// What they said is of no use any more; they are asked again, if there are any.
    pub fn recheck_now(&mut self, now: Instant) {
        self.rechecks = self.grant.recheck().map(|_| now);
    }

    /// They still admit it.
    pub fn reviewed(&mut self, grant: Grant, now: Now) {
        self.unreviewed = 0;
        self.rechecks = self.recheck_every.map(|time| now.steady + time);
        self.renew(grant, now);
    }

    /// They could not be asked: the grant stays for a while.
    pub fn not_reviewed(&mut self, now: Instant) {
        self.unreviewed += 1;
        if self.unreviewed > UNREVIEWED {
            self.end(CloseReason::Unavailable, now);
        } else {
            self.rechecks = self.recheck_every.map(|time| now + time);
        }
    }

    /// The socket took everything.
    pub fn drained(&mut self, now: Instant) {
        self.writer = Writer::Ready;
        self.last_write = now;
    }

    /// The socket is full: `rest` waits for it. Progress starts the time of stalling anew.
    pub fn park(&mut self, rest: VecDeque<Bytes>, progress: bool, now: Instant) {
        let since = match self.writer {
            Writer::Parked { since, .. } if !progress => since,
            Writer::Parked { .. } | Writer::Ready => now,
        };
        self.writer = Writer::Parked { rest, since };
    }

    /// Whether the socket was full.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        matches!(self.writer, Writer::Parked { .. })
    }

    /// When to come back, for an end that will pass.
    #[must_use]
    pub fn retry_after(&self, reason: CloseReason) -> Option<Duration> {
        match reason {
            CloseReason::Draining
            | CloseReason::Capacity
            | CloseReason::ClientLimit
            | CloseReason::Unavailable
            | CloseReason::Stalled
            | CloseReason::Rotated
            | CloseReason::Starting => Some(self.retry),
            CloseReason::Expired
            | CloseReason::Revoked
            | CloseReason::Deleted
            | CloseReason::ClientGone => None,
        }
    }

    /// The reconnection time told at the start.
    #[must_use]
    pub fn retry(&self) -> Duration {
        self.retry
    }

    /// The cursor of the whole stream: the positions of its topics in the order of their names.
    #[must_use]
    pub fn cursor(&self) -> String {
        let mut text = String::new();
        for sub in self.subs.all() {
            if !text.is_empty() {
                text.push('~');
            }
            text.push_str(&sub.cursor.position().to_string());
        }
        text
    }
}

/// A moment of the calendar on the steady clock; one that has passed is now.
fn deadline(unix: Option<u64>, now: Now) -> Option<Instant> {
    unix.map(|unix| now.steady + Duration::from_millis(unix.saturating_sub(now.unix)))
}

#[cfg(test)]
pub mod tests;
