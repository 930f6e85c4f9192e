//! Who numbers raw messages: one gateway of the fleet for each server.
//!
//! Owns: taking, renewing and handing over the lease, and telling when raw messages may be lost. Never:
//! looks into a message. Used by: `redis`, which runs it; `pump`, which passes on the fleet's notes.

use super::commands::{Commands, Failure};
use super::ingest::Ingest;
use super::keys::{Keys, LEASE_TTL};
use super::notes::Note;
use super::standing::Plain;
use crate::clock;
use redis::Script;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

mod leave; // giving it away when the process ends

/// How often the lease is renewed, or asked for.
const RENEW: Duration = Duration::from_secs(1);
/// Time for one question.
const LIMIT: Duration = Duration::from_millis(900);
/// Time for the subscriptions of a new holder to stand.
const SETTLE: Duration = Duration::from_millis(900);
/// How long a successor is looked for, and stays prepared.
const OFFER: Duration = Duration::from_secs(1);
/// How often those who are gone are looked for, in renewals.
const SWEEP_EVERY: u64 = 5;
/// Notes that wait; one more is dropped, and the next renewal finds out.
const MOST_NOTES: usize = 64;

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lease.lua")));

/// How others reach the task.
pub struct Desk {
    /// Something changed: ask now and not in a second.
    pub due: Notify,
    /// Whether somebody numbers, as far as it is known; true, too, when nobody has to.
    pub ready: watch::Sender<bool>,
    notes: mpsc::Sender<Note>,
    leave: mpsc::Sender<oneshot::Sender<Infallible>>,
}

/// What comes to the task.
pub struct Tray {
    notes: mpsc::Receiver<Note>,
    leave: mpsc::Receiver<oneshot::Sender<Infallible>>,
}

impl Desk {
    /// Both sides.
    #[must_use]
    pub fn new() -> (Arc<Self>, Tray) {
        let (notes, notes_taken) = mpsc::channel(MOST_NOTES);
        let (leave, leave_taken) = mpsc::channel(1);
        let desk = Self {
            due: Notify::new(),
            ready: watch::Sender::new(true),
            notes,
            leave,
        };
        let tray = Tray {
            notes: notes_taken,
            leave: leave_taken,
        };
        (Arc::new(desk), tray)
    }

    /// A note of the fleet.
    pub fn note(&self, note: Note) {
        if self.notes.try_send(note).is_err() {
            tracing::debug!("a note found no room; the next renewal finds out");
        }
    }

    /// Hands over the lease, for good.
    pub async fn leave(&self) {
        let (sender, done) = oneshot::channel();
        if self.leave.send(sender).await.is_ok() {
            // The sender is dropped when it is done, or with the task.
            drop(done.await);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Another one holds it, or nobody has to.
    Aside,
    /// Hears all raw messages in case it is chosen.
    Prepared {
        until: Instant,
    },
    /// Holds the lease; its subscriptions do not stand yet.
    Taking {
        token: u64,
    },
    Holding {
        token: u64,
    },
    /// The process ends.
    Left,
}

/// The task.
pub struct Lease {
    pub keys: Keys,
    pub commands: Commands,
    pub ingest: Arc<Ingest>,
    pub desk: Arc<Desk>,
    /// Those who are gone are to be looked for.
    pub sweep: Arc<Notify>,
    /// Whether raw messages are heard at all.
    pub standing: watch::Receiver<Plain>,
}

/// What the task remembers between two turns.
struct Turn {
    state: State,
    /// Raw messages may have been lost, and nobody was told yet.
    owes: bool,
    /// Another holder was seen at the last renewal.
    other: bool,
    /// Somebody held the lease before.
    known: bool,
    /// The connection on which the present holder's subscriptions stand.
    stood: u64,
    renewals: u64,
}

impl Lease {
    /// Works for ever.
    pub async fn run(mut self, mut tray: Tray) {
        let mut turn = Turn {
            state: State::Aside,
            owes: false,
            other: false,
            known: false,
            stood: 0,
            renewals: 0,
        };
        let desk = self.desk.clone();
        let gate = self.ingest.gate.clone();
        loop {
            tokio::select! {
                () = sleep(RENEW) => self.renew(&mut turn).await,
                () = desk.due.notified() => self.renew(&mut turn).await,
                Ok(()) = self.standing.changed() => self.renew(&mut turn).await,
                // Told at the next renewal: a publisher that is too fast loses messages all the time, and the fleet is
                // to be told once a second.
                () = gate.lost(), if !turn.owes => turn.owes = true,
                Some(note) = tray.notes.recv() => self.note(&mut turn, note).await,
                Some(done) = tray.leave.recv() => {
                    self.leave(&mut turn, &mut tray.notes).await;
                    drop(done);
                }
            }
        }
    }

    async fn renew(&self, turn: &mut Turn) {
        if turn.state == State::Left {
            return;
        }
        if !self.ingest.needed() {
            self.step_aside(turn).await;
            return;
        }
        let asked = clock::now().steady;
        let patience = if turn.other { "1" } else { "0" };
        let answer = match self.ask("take", &[patience]).await {
            Ok(answer) => answer,
            Err(failure) => {
                tracing::debug!(%failure, "the ingest lease could not be asked for");
                return;
            }
        };
        let [word, value, clean, lost] = &answer[..] else {
            tracing::warn!("the lease script gave no answer that is one");
            return;
        };
        self.ingest.lost(lost.parse().unwrap_or_default());
        let other = std::mem::replace(&mut turn.other, word == "other");
        match word.as_str() {
            "other" => self.other(turn, value == "1"),
            "vacant" => self.other(turn, false),
            _ => {
                let token = value.parse().unwrap_or_default();
                // Held without knowing why, ended without being given back, forgotten with the server while another
                // held it, or given back by another although this one might have followed: something was missed.
                let unsure = matches!(turn.state, State::Aside | State::Prepared { .. });
                let marked = self.ingest.gate.is_open();
                let forgotten = clean.is_empty() && turn.known;
                let missed = unsure && !marked && (word == "held" || forgotten || other);
                turn.owes |= clean == "0" || missed;
                self.hold(turn, token, asked).await;
            }
        }
        turn.known |= word != "vacant";
    }

    /// The lease with `token` is ours.
    async fn hold(&self, turn: &mut Turn, token: u64, asked: Instant) {
        let Plain { times, now: stands } = *self.standing.borrow();
        if matches!(turn.state, State::Holding { .. }) {
            if times == turn.stood {
                self.ingest.gate.open(token, asked);
                turn.state = State::Holding { token };
            } else {
                turn.owes = true;
            }
        } else {
            turn.state = State::Taking { token };
        }
        let settled = turn.state == State::Holding { token } && times == turn.stood && !turn.owes;
        if stands && !settled {
            self.settle(turn, token, asked).await;
        }
        turn.renewals += 1;
        if turn.renewals.is_multiple_of(SWEEP_EVERY) {
            self.sweep.notify_one();
        }
    }

    /// Hears all raw messages and numbers them from the first one on; then tells what may be lost.
    async fn settle(&self, turn: &mut Turn, token: u64, asked: Instant) {
        self.ingest.gate.open(token, asked);
        let names = self.ingest.listen(true);
        let standing = self.ingest.wanted.standing(&names);
        if timeout(SETTLE, standing).await.is_err() {
            return;
        }
        let times = self.standing.borrow().times;
        let told = async {
            if turn.owes {
                self.tell_loss().await?;
            }
            self.ask("ready", &[]).await
        };
        if let Err(failure) = told.await {
            tracing::debug!(%failure, "a loss could not be told yet");
            return;
        }
        if turn.state != (State::Holding { token }) {
            tracing::info!("this gateway numbers raw messages now");
        }
        (turn.owes, turn.stood) = (false, times);
        turn.state = State::Holding { token };
        self.desk.ready.send_replace(true);
    }

    /// Another one holds the lease.
    fn other(&self, turn: &mut Turn, ready: bool) {
        match turn.state {
            State::Taking { .. } | State::Holding { .. } => {
                tracing::warn!("another gateway took the ingest lease");
                self.ingest.gate.close();
                self.ingest.listen(false);
                (turn.state, turn.owes) = (State::Aside, false);
            }
            State::Prepared { until } if until < clock::now().steady => {
                self.ingest.listen(false);
                turn.state = State::Aside;
            }
            State::Aside => turn.owes = false,
            State::Prepared { .. } | State::Left => {}
        }
        self.desk.ready.send_replace(ready);
    }

    async fn step_aside(&self, turn: &mut Turn) {
        if turn.state != State::Aside {
            self.ingest.gate.close();
            self.ingest.listen(false);
            if let Err(failure) = self.ask("release", &["1"]).await {
                tracing::debug!(%failure, "the ingest lease runs out by itself");
            }
            turn.state = State::Aside;
        }
        // Who holds it meanwhile is not looked at, and what was seen says nothing later.
        turn.other = false;
        self.desk.ready.send_replace(true);
    }

    async fn note(&self, turn: &mut Turn, note: Note) {
        let me = &**self.keys.id();
        match note {
            Note::Offer { from }
                if *from != *me && turn.state == State::Aside && self.ingest.needed() =>
            {
                self.prepare(turn, from).await;
            }
            // The gate was opened or closed when the marker came by.
            Note::Take { to, token } if *to == *me => {
                turn.stood = self.standing.borrow().times;
                turn.state = State::Holding { token };
                self.desk.ready.send_replace(true);
            }
            Note::Take { .. } if matches!(turn.state, State::Prepared { .. }) => {
                self.ingest.listen(false);
                turn.state = State::Aside;
            }
            _ => {}
        }
    }

    async fn prepare(&self, turn: &mut Turn, from: String) {
        let until = clock::now().steady + OFFER * 2;
        turn.state = State::Prepared { until };
        let names = self.ingest.listen(true);
        let standing = self.ingest.wanted.standing(&names);
        if timeout(SETTLE, standing).await.is_ok() {
            let id = self.keys.id().to_string();
            self.tell(&Note::Ready { from, id }).await;
        }
    }

    async fn tell_loss(&self) -> Result<Vec<String>, Failure> {
        self.ask("lost", &[&self.keys.control()]).await
    }

    /// How many heard it, this gateway among them, if that is known.
    async fn tell(&self, note: &Note) -> Option<usize> {
        let text = note.text();
        let home = self.keys.home();
        let told = self.commands.call(&home, LIMIT, async |mut connection| {
            redis::cmd("PUBLISH")
                .arg(self.keys.control())
                .arg(&text)
                .query_async(&mut connection)
                .await
        });
        told.await
            .inspect_err(|failure| tracing::debug!(%failure, "a note to the fleet was lost"))
            .ok()
    }

    async fn ask(&self, what: &str, more: &[&str]) -> Result<Vec<String>, Failure> {
        let mut call = SCRIPT.prepare_invoke();
        call.key(self.keys.lease())
            .key(self.keys.ledger())
            .arg(what)
            .arg(&**self.keys.id())
            .arg(LEASE_TTL.as_secs() * 1000);
        for word in more {
            call.arg(*word);
        }
        let ledger = self.keys.ledger();
        let asked = self.commands.call(&ledger, LIMIT, async |mut connection| {
            call.invoke_async(&mut connection).await
        });
        asked.await
    }
}
