//! A client and its stream: it joins, begins, takes what its socket takes, leaves and comes back.
//!
//! Owns: what `http::stream` and `worker` do with a stream, over the real table, cursor and ring; a socket that
//! takes whole pieces, parts of one, or nothing.

use super::chance::Chance;
use super::keeper::Keeper;
use super::witness::Witness;
use crate::broker::{Page, Target, Unavailable};
use crate::close::GapReason;
use crate::position::{Lineage, Position};
use crate::worker::cursor::{Cursor, Mark, Next, Start};
use crate::worker::deliver::{frames_in, slice_frames};
use crate::worker::slab::Key;
use crate::worker::socket::MOST_SLICES;
use crate::worker::table::{Joining, Member, Table};
use std::io::IoSlice;
use std::sync::Arc;
use tokio::sync::oneshot::Receiver;
use tokio::sync::oneshot::error::TryRecvError;

/// Pieces of one write.
const PIECES: usize = 6;

/// A client that comes back again and again.
pub struct Client {
    pub witness: Witness,
    pub stage: Stage,
    /// Where its stream is, or was: gateway and worker.
    pub place: (usize, usize),
    member: Member,
}

/// How far its stream is.
pub enum Stage {
    Away,
    Joining(Key, Receiver<Result<Lineage, Unavailable>>),
    Joined(Key, Lineage),
    Starting(Key, Start),
    Open(Open),
}

/// An open stream.
pub struct Open {
    pub topic: Key,
    /// Among the members of the topic.
    pub seat: u32,
    cursor: Cursor,
    /// Its socket is full; what was begun is not seen before the rest is.
    parked: bool,
    rest: Option<Piece>,
}

#[derive(Clone, Copy)]
enum Piece {
    Frame(usize),
    /// And whether it came from the ring.
    Gap(GapReason, Position, bool),
}

impl Client {
    pub fn new(slot: u32) -> Self {
        let stream = Key {
            slot,
            generation: 0,
        };
        Self {
            witness: Witness::default(),
            stage: Stage::Away,
            place: (0, 0),
            member: Member {
                stream,
                subscription: 0,
            },
        }
    }

    /// Asks for a stream there.
    pub fn come(&mut self, place: (usize, usize), table: &mut Table, target: &Target) {
        self.place = place;
        self.witness.gateway = place.0;
        self.member.stream.generation += 1;
        let (key, joining) = table.join(target);
        self.stage = match joining {
            Joining::Done(lineage) => Stage::Joined(key, lineage),
            Joining::Waits(answer) => Stage::Joining(key, answer),
        };
    }

    /// What comes next for it. `full`: its socket may fill up.
    pub fn act(&mut self, table: &mut Table, keeper: &Keeper, chance: &mut Chance, full: bool) {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Away) {
            Stage::Away => Stage::Away,
            Stage::Joining(key, mut answer) => match answer.try_recv() {
                Ok(Ok(lineage)) => Stage::Joined(key, lineage),
                Err(TryRecvError::Empty) => Stage::Joining(key, answer),
                Ok(Err(_)) | Err(TryRecvError::Closed) => {
                    table.release(key);
                    Stage::Away
                }
            },
            Stage::Joined(key, _) => Stage::Starting(key, start(self.witness.id, keeper, chance)),
            Stage::Starting(key, start) => self.open(key, start, table, keeper),
            Stage::Open(mut open) => {
                open.write(self.member, &mut self.witness, table, keeper, chance, full);
                Stage::Open(open)
            }
        };
    }

    fn open(&mut self, key: Key, start: Start, table: &mut Table, keeper: &Keeper) -> Stage {
        let local = table.get(key).expect("joined");
        let (cursor, ask) = Cursor::new(start, &local.ring);
        let seat = table.enter(key, self.member);
        table.release(key);
        if let Some(after) = ask {
            table.ask(key, after, self.member);
        }
        if !matches!(start, Start::Lost(_)) {
            self.witness.opened(keeper, cursor.position());
        }
        Stage::Open(Open {
            topic: key,
            seat,
            cursor,
            parked: false,
            rest: None,
        })
    }

    /// Something that differs whenever something happened to it.
    pub fn state(&self) -> (u32, u32, usize) {
        let stage = match &self.stage {
            Stage::Away => 0,
            Stage::Joining(..) => 1,
            Stage::Joined(..) => 2,
            Stage::Starting(..) => 3,
            Stage::Open(open) => 4 + usize::from(open.parked),
        };
        (self.witness.frames, self.witness.gaps, stage)
    }

    pub fn words(&self) -> String {
        let id = self.witness.id;
        match &self.stage {
            Stage::Away => "away".to_owned(),
            Stage::Joining(..) => "joining".to_owned(),
            Stage::Joined(_, lineage) => format!("joined {lineage:?}"),
            Stage::Starting(_, start) => format!("starts {start:?}"),
            Stage::Open(open) => format!(
                "has {id:?} of {:?}, {} frames, {} gaps, {:?}",
                self.place,
                self.witness.frames,
                self.witness.gaps,
                open.cursor.position()
            ),
        }
    }

    /// It goes, or gives up. The member that now has its seat, if another one moved.
    pub fn leave(&mut self, table: &mut Table) -> Option<(Member, u32)> {
        match std::mem::replace(&mut self.stage, Stage::Away) {
            Stage::Away => None,
            Stage::Joining(key, _) | Stage::Joined(key, _) | Stage::Starting(key, _) => {
                table.release(key);
                None
            }
            Stage::Open(open) => table
                .exit(open.topic, open.seat)
                .map(|moved| (moved, open.seat)),
        }
    }

    /// History answered. False: it cannot be read, and the stream ends.
    pub fn paged(
        &mut self,
        member: Member,
        cursor: Position,
        page: Result<&Arc<Page>, &Unavailable>,
    ) -> bool {
        let Stage::Open(open) = &mut self.stage else {
            return true;
        };
        if member != self.member {
            return true;
        }
        match page {
            Ok(page) => open.cursor.paged(cursor, page),
            Err(_) => return false,
        }
        true
    }
}

/// As `http::start` decides.
fn start(id: Option<Position>, keeper: &Keeper, chance: &mut Chance) -> Start {
    match id {
        None if chance.one_in(2) => Start::Live,
        None => Start::After(keeper.since(chance.below(4))),
        Some(id) => Start::After(id),
    }
}

impl Open {
    fn write(
        &mut self,
        member: Member,
        witness: &mut Witness,
        table: &mut Table,
        keeper: &Keeper,
        chance: &mut Chance,
        full: bool,
    ) {
        let full = full && chance.one_in(3);
        if self.parked {
            if full {
                return;
            }
            self.parked = false;
            if let Some(rest) = self.rest.take() {
                rest.seen(witness, keeper);
            }
        }
        if chance.one_in(2) && self.short_way(witness, table, keeper, chance, full) {
            return;
        }
        let most = if full {
            chance.count(PIECES)
        } else {
            usize::MAX
        };
        self.long_way(member, witness, table, keeper, most, chance.one_in(2));
    }

    /// The frames of the ring themselves. False: the long way has to look.
    fn short_way(
        &mut self,
        witness: &mut Witness,
        table: &mut Table,
        keeper: &Keeper,
        chance: &mut Chance,
        full: bool,
    ) -> bool {
        let Some(at) = self.cursor.following() else {
            return false;
        };
        let local = table.show(self.topic).expect("a member");
        let mut slices = [IoSlice::new(&[]); MOST_SLICES];
        let Some(count) = slice_frames(local, at, self.cursor.position(), &mut slices) else {
            return false;
        };
        let mut written: usize = slices[..count].iter().map(|slice| slice.len()).sum();
        if full {
            written = chance.count(written + 1);
        }
        if written == 0 {
            return count == 0;
        }
        let (frames, rest) = frames_in(local, at, written);
        let begun = usize::try_from(frames).expect("few");
        let pieces = local.ring.frames(at).take(begun);
        let mut pieces = Vec::from_iter(pieces.map(|frame| Piece::of(frame)));
        self.rest = rest.and_then(|_| pieces.pop());
        for piece in pieces {
            piece.seen(witness, keeper);
        }
        let position = local.ring.get(at + frames - 1).map(|(_, after)| after);
        self.parked = self.rest.is_some();
        self.cursor.advance(frames, position);
        true
    }

    /// Piece by piece, of which the socket takes `most` and perhaps a part of the next.
    fn long_way(
        &mut self,
        member: Member,
        witness: &mut Witness,
        table: &mut Table,
        keeper: &Keeper,
        mut most: usize,
        part: bool,
    ) {
        loop {
            let mut pieces: Vec<(Mark, Piece)> = Vec::new();
            let asked = self.fill(&mut pieces, table);
            if let Some(after) = asked {
                table.ask(self.topic, after, member);
            }
            if pieces.is_empty() {
                return;
            }
            let written = most.min(pieces.len());
            most -= written;
            let mut taken = pieces.drain(..).enumerate();
            for (_, (_, piece)) in taken.by_ref().take(written) {
                piece.seen(witness, keeper);
            }
            let mut left: Vec<_> = taken.map(|(_, left)| left).collect();
            if left.is_empty() {
                continue;
            }
            self.parked = true;
            if part {
                self.rest = Some(left.remove(0).1);
            }
            for (mark, _) in left.into_iter().rev() {
                self.cursor.back_to(mark);
            }
            return;
        }
    }

    fn fill(&mut self, pieces: &mut Vec<(Mark, Piece)>, table: &Table) -> Option<Position> {
        let local = table.show(self.topic).expect("a member");
        let history = local.target.policy.history.is_some();
        let mut asked = None;
        while pieces.len() < PIECES {
            let mark = self.cursor.mark();
            match self.cursor.next(&local.ring, history) {
                Next::Idle => break,
                Next::Ask(after) => {
                    asked = Some(after);
                    break;
                }
                Next::PageDone if pieces.is_empty() => {
                    asked = self.cursor.turn_page(&local.ring).or(asked);
                }
                Next::PageDone => break,
                Next::Gap(reason) => {
                    let live = self.cursor.following().is_some();
                    let piece = Piece::Gap(reason, self.cursor.position(), live);
                    pieces.push((mark, piece));
                }
                Next::Frame { frame, .. } => pieces.push((mark, Piece::of(frame))),
            }
        }
        asked
    }
}

impl Piece {
    fn of(frame: &crate::frame::Frame) -> Self {
        Self::Frame(usize::try_from(frame.time()).expect("a serial"))
    }

    fn seen(self, witness: &mut Witness, keeper: &Keeper) {
        match self {
            Self::Frame(serial) => witness.frame(keeper, serial),
            Self::Gap(reason, position, live) => witness.gap(keeper, reason, position, live),
        }
    }
}
