//! How streams of a worker open, are looked at over time, and close.
//!
//! Owns: everything that changes which streams there are. Never: writes frames. Used by: `worker`.

use super::compose::Ask;
use super::cursor::{Cursor, Start};
use super::deliver::{Flow, Place, write_out};
use super::opening::Subscription;
use super::ready::{Handed, Wakeup};
use super::slab::Key;
use super::stream::{Due, Stream, Sub};
use super::table::{Member, Table};
use super::{Streams, TURN, head};
use crate::access::Again;
use crate::broker::{Page, Unavailable};
use crate::clock::Now;
use crate::close::CloseReason;
use crate::few::Few;
use crate::frame::control;
use crate::position::Position;
use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant};

/// Places looked at in one turn when a new configuration came; a look costs about 100 ns.
const REDECIDED: usize = 512;
/// The part of the drain window over which ends are spread; the rest is for last words.
const SPREAD: f64 = 0.9;

/// The end of all streams, spread evenly.
pub struct Draining {
    from: Instant,
    window: Duration,
    total: usize,
    ended: usize,
    next: usize,
}

impl Draining {
    #[must_use]
    pub fn new(from: Instant, until: Instant, total: usize) -> Self {
        Self {
            from,
            window: until.saturating_duration_since(from).mul_f64(SPREAD),
            total,
            ended: 0,
            next: 0,
        }
    }

    /// How many streams must have been told to end by `now`.
    fn owed(&self, now: Instant) -> usize {
        let passed = now.saturating_duration_since(self.from).as_millis();
        let window = self.window.as_millis().max(1);
        usize::try_from(self.total as u128 * passed.min(window) / window).unwrap_or(self.total)
    }
}

impl Place {
    /// Whether the peer left; if not, the stream is called when it does.
    pub fn peer_gone(&mut self) -> bool {
        self.socket.peer_gone(&mut Context::from_waker(&self.waker))
    }
}

impl Streams {
    /// A connection becomes a stream: its cursors are set, it enters its topics, and its opening is written.
    pub fn open(&mut self, handed: Handed, table: &mut Table, now: Now) {
        let Handed {
            socket,
            framing,
            http10,
            mut opening,
            connection,
        } = handed;
        let (head, subscriptions) = (
            std::mem::take(&mut opening.head),
            std::mem::take(&mut opening.subscriptions),
        );
        let lost = subscriptions
            .iter()
            .any(|subscription| matches!(subscription.start, Start::Lost(_)));
        let (subs, asks) = subscribe(subscriptions, table);
        opening.permit.opened();
        let stream = Stream::new(opening, subs, framing, now);
        let ready = self.ready.clone();
        let key = self
            .slab
            .insert_with(|key| Place::new(stream, socket, Wakeup::new(key, ready), connection));
        self.enter(key, table);
        for ask in asks {
            table.ask(
                ask.topic,
                ask.after,
                Member {
                    stream: key,
                    subscription: index(ask.subscription),
                },
            );
        }
        self.catch_up(key, now);
        self.greet(key, &head, lost, http10, table, now);
    }

    /// Between its decision and now the stream waited, for a webhook or a join perhaps: what changed meanwhile
    /// concerns it, too, and the walk over all streams has passed already.
    fn catch_up(&mut self, key: Key, now: Now) {
        self.decide_anew(key, now);
        if self.draining.is_some()
            && let Some(place) = self.slab.get_mut(key)
        {
            place.stream.end(CloseReason::Draining, now.steady);
        }
    }

    fn enter(&mut self, key: Key, table: &mut Table) {
        let Some(place) = self.slab.get_mut(key) else {
            return;
        };
        let stream = &mut place.stream;
        for (number, sub) in stream.subs.all_mut().iter_mut().enumerate() {
            sub.place = table.enter(
                sub.topic,
                Member {
                    stream: key,
                    subscription: index(number),
                },
            );
            table.release(sub.topic);
            if let Some(local) = table.get(sub.topic) {
                self.topics
                    .entered(local.id, stream.grant.identity(), stream.session);
            }
        }
    }

    /// Writes the head and the opening events, then what is pending already.
    fn greet(
        &mut self,
        key: Key,
        further: &[(http::HeaderName, http::HeaderValue)],
        lost: bool,
        http10: bool,
        table: &mut Table,
        now: Now,
    ) {
        let Some(place) = self.slab.get_mut(key) else {
            return;
        };
        let out = &mut self.scratch.out;
        out.clear();
        if !place.socket.is_h2() {
            out.raw(head::http1(further, !http10));
        }
        let stream = &place.stream;
        let mut text = control::hello(stream.retry());
        if !lost {
            text.push_str(&control::mark(stream.cursor()));
        }
        if stream.control
            && let Some(session) = stream.session
        {
            text.push_str(&control::open(session, stream.resuming));
        }
        out.control(stream.framing, &text);
        if let Flow::Closed(reason) = write_out(place, table, &mut self.scratch, now) {
            return self.close(key, reason, table);
        }
        if place.peer_gone() {
            return self.close(key, CloseReason::ClientGone, table);
        }
        let deadline = place.stream.deadline();
        place.stream.armed = self.wheel.enter(key, deadline);
        self.flush(key, table, now);
    }

    /// History answered a stream.
    pub fn paged(
        &mut self,
        member: Member,
        cursor: Position,
        page: Result<&Arc<Page>, &Unavailable>,
        table: &mut Table,
        now: Now,
    ) {
        let Some(place) = self.slab.get_mut(member.stream) else {
            return;
        };
        match page {
            Ok(page) => {
                if let Some(sub) = place
                    .stream
                    .subs
                    .all_mut()
                    .get_mut(member.subscription as usize)
                {
                    sub.cursor.paged(cursor, page);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "history cannot be read");
                place.stream.end(CloseReason::Unavailable, now.steady);
            }
        }
        if !place.stream.is_parked() {
            self.flush(member.stream, table, now);
        }
    }

    /// Decides again about the next streams, if a new configuration came. True when some are left.
    pub fn decide_again(&mut self, table: &mut Table, now: Now) -> bool {
        let Some(next) = self.redeciding.take() else {
            return false;
        };
        let end = (next + REDECIDED).min(self.slab.places());
        for place in next..end {
            if let Some(key) = self.slab.key_at(place)
                && self.decide_anew(key, now)
            {
                self.settle(key, table, now);
            }
        }
        self.redeciding = (end < self.slab.places()).then_some(end);
        self.redeciding.is_some()
    }

    /// Decides about one stream with the newest configuration. True when something changed for it.
    pub fn decide_anew(&mut self, key: Key, now: Now) -> bool {
        let (Some(snapshot), Some(place)) = (&self.snapshot, self.slab.get_mut(key)) else {
            return false;
        };
        match place
            .stream
            .grant
            .again(snapshot, &self.evidence.known(now))
        {
            Again::Unchanged => return false,
            Again::Renewed(grant) => place.stream.renew(grant, now),
            Again::Ended(reason) => place.stream.end(reason, now.steady),
        }
        true
    }

    /// Ends as many streams as the drain owes by now.
    pub fn drain(&mut self, table: &mut Table, now: Now) {
        let Some(mut draining) = self.draining.take() else {
            return;
        };
        while draining.ended < draining.owed(now.steady) && draining.next < self.slab.places() {
            if let Some(key) = self.slab.key_at(draining.next) {
                self.end(key, CloseReason::Draining, table, now);
                draining.ended += 1;
            }
            draining.next += 1;
        }
        self.draining = Some(draining);
    }

    /// Looks at the streams whose moment has come. True when some are left.
    pub fn look_at_clock(&mut self, table: &mut Table, now: Now) -> bool {
        for _ in 0..TURN {
            if self.due.is_empty() {
                match self.wheel.turn(now.steady, &mut self.due) {
                    Some(tick) => self.due_tick = tick,
                    None => return false,
                }
            }
            let Some(key) = self.due.pop() else { continue };
            if self
                .slab
                .get_mut(key)
                .is_some_and(|place| place.stream.armed == self.due_tick)
            {
                self.look(key, table, now);
            }
        }
        true
    }

    fn look(&mut self, key: Key, table: &mut Table, now: Now) {
        let Some(place) = self.slab.get_mut(key) else {
            return;
        };
        match place.stream.due(now.steady) {
            Due::Nothing => {}
            Due::Heartbeat => {
                let text = if place.stream.control {
                    control::HEARTBEAT_EVENT
                } else {
                    control::HEARTBEAT
                };
                self.scratch.out.clear();
                self.scratch.out.control(place.stream.framing, text);
                if let Flow::Closed(reason) = write_out(place, table, &mut self.scratch, now) {
                    return self.close(key, reason, table);
                }
            }
            Due::Recheck => self.ask_again(key, now),
            Due::End(reason) => self.end(key, reason, table, now),
            Due::Close(reason) => return self.close(key, reason, table),
        }
        if let Some(place) = self.slab.get_mut(key) {
            let deadline = place.stream.deadline();
            place.stream.armed = self.wheel.enter(key, deadline);
        }
    }

    /// Begins the end of a stream, and says so if its socket takes it.
    pub fn end(&mut self, key: Key, reason: CloseReason, table: &mut Table, now: Now) {
        if let Some(place) = self.slab.get_mut(key) {
            place.stream.end(reason, now.steady);
            self.flush(key, table, now);
        }
    }

    /// The stream is over. Permit, connection and socket go with it.
    pub fn close(&mut self, key: Key, reason: CloseReason, table: &mut Table) {
        let Some(mut place) = self.slab.remove(key) else {
            return;
        };
        if place.stream.is_parked() || place.stream.ending.is_none() {
            place.socket.abandon();
        }
        for sub in place.stream.subs.all() {
            if let Some(local) = table.get(sub.topic) {
                self.topics.left(
                    local.id,
                    place.stream.grant.identity(),
                    place.stream.session,
                );
            }
            if let Some(moved) = table.exit(sub.topic, sub.place)
                && let Some(other) = self.slab.get_mut(moved.stream)
                && let Some(moved) = other
                    .stream
                    .subs
                    .all_mut()
                    .get_mut(moved.subscription as usize)
            {
                moved.place = sub.place;
            }
        }
        tracing::debug!(reason = reason.word(), "stream closed");
        place.stream.permit.close(reason);
    }
}

/// Sets the cursors of a stream. The pins of its topics stay until it has entered them.
fn subscribe(subscriptions: Vec<Subscription>, table: &mut Table) -> (Few<Sub>, Vec<Ask>) {
    let mut asks = Vec::new();
    let mut subs = Vec::with_capacity(subscriptions.len());
    for subscription in subscriptions {
        let Some(topic) = subscription.joined.into_key() else {
            continue;
        };
        let Some(local) = table.get(topic) else {
            continue;
        };
        let (cursor, ask) = Cursor::new(subscription.start, &local.ring);
        asks.extend(ask.map(|after| Ask {
            subscription: subs.len(),
            topic,
            after,
        }));
        subs.push(Sub {
            topic,
            place: 0,
            cursor,
            filter: subscription.filter.map(Box::new),
        });
    }
    (subs.into(), asks)
}

fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
