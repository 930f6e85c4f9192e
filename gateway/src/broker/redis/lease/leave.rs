//! Giving the lease away when the process ends.
//!
//! Owns: that a successor numbers on, or that whoever takes the lease next knows whether messages are missing.
//! Used by: `lease`.

use super::{Lease, Note, OFFER, Plain, State, Turn};
use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

impl Lease {
    /// Looks for a successor, and gives it the lease; without one the lease is given back.
    pub(super) async fn leave(&self, turn: &mut Turn, notes: &mut mpsc::Receiver<Note>) {
        let held = match std::mem::replace(&mut turn.state, State::Left) {
            State::Holding { token } => token,
            state
            @ (State::Aside | State::Prepared { .. } | State::Taking { .. } | State::Left) => {
                self.ingest.listen(false);
                let took = matches!(state, State::Taking { .. });
                self.give_back(took && turn.owes, false).await;
                return;
            }
        };
        let Plain { times, now: stands } = *self.standing.borrow();
        turn.owes |= !stands || times != turn.stood;
        let me = self.keys.id().to_string();
        let heard = self.tell(&Note::Offer { from: me.clone() }).await;
        let successor = async {
            loop {
                match notes.recv().await? {
                    Note::Ready { from, id } if from == me => return Some(id),
                    _ => {}
                }
            }
        };
        let successor = timeout(OFFER, successor).await.ok().flatten();
        let control = self.keys.control();
        let given = match &successor {
            Some(id) => self.ask("give", &[&control, id]).await,
            None => Ok(Vec::new()),
        };
        if successor.is_some() && given.is_ok_and(|words| words.first().is_some_and(|w| w == "ok"))
        {
            tracing::info!("another gateway numbers raw messages from here on");
            if self.owes_after(turn, self.ingest.gate.drained(held + 1).await) {
                drop(self.tell_loss().await);
            }
        } else {
            let owes = self.owes_after(turn, self.ingest.gate.drain(held + 1).await);
            // Whoever is there and did not answer hears nothing until it finds out that nobody numbers.
            let alone = heard.is_some_and(|heard| heard <= 1);
            self.give_back(owes, alone).await;
        }
        self.ingest.listen(false);
    }

    /// Whether raw messages may have been lost and nobody was told, now that nothing is numbered any more.
    fn owes_after(&self, turn: &Turn, all_numbered: bool) -> bool {
        let lost = self.ingest.gate.lost().now_or_never().is_some();
        turn.owes || lost || !all_numbered
    }

    /// Gives the lease back, and tells first what may be lost. If it cannot be told the lease runs out instead, and its
    /// next holder tells it; so it does of what may be lost from here on, unless this gateway is `alone`.
    async fn give_back(&self, owes: bool, alone: bool) {
        if !owes || self.tell_loss().await.is_ok() {
            let clean = if alone { "1" } else { "0" };
            drop(self.ask("release", &[clean]).await);
        }
    }
}
