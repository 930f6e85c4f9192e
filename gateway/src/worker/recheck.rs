//! Asks reviewers again about streams that stay open.
//!
//! Owns: when, and what follows from the answer. Never: waits for it. Used by: `worker`.

use super::Streams;
use super::ready::Reviewed;
use super::slab::Key;
use super::table::Table;
use crate::clock::Now;
use crate::close::CloseReason;
use crate::evidence::{Evidence, Outcome};

impl Streams {
    /// Has reviewers asked about the stream; the answer comes through `ready`.
    pub fn ask_again(&mut self, key: Key, now: Now) {
        let Some(place) = self.slab.get_mut(key) else {
            return;
        };
        let ready = self.ready.clone();
        let asked = place.stream.grant.clone();
        let answer = move |outcome| {
            ready.review(Reviewed {
                key,
                asked,
                outcome,
            });
        };
        if Evidence::recheck(&self.evidence, &place.stream.grant, answer) {
            place.stream.rechecking();
        } else {
            place.stream.recheck_later(now.steady);
        }
    }

    /// Takes in what reviewers said.
    pub fn take_reviews(&mut self, table: &mut Table, now: Now) {
        for reviewed in self.ready.take_reviewed() {
            let (key, asked) = (reviewed.key, reviewed.asked);
            let Some(place) = self.slab.get_mut(key) else {
                continue;
            };
            match reviewed.outcome {
                // Its Channel changed meanwhile: the answer is about rules that are no more.
                _ if !asked.is_by_the_same(&place.stream.grant) => {
                    place.stream.recheck_now(now.steady)
                }
                Outcome::Granted(grant) => place.stream.reviewed(grant, now),
                Outcome::Denied(_) => place.stream.end(CloseReason::Revoked, now.steady),
                Outcome::Unreachable => place.stream.not_reviewed(now.steady),
            }
            // Keys may have been withdrawn while it was on its way.
            self.decide_anew(key, now);
            self.settle(key, table, now);
        }
    }

    /// Writes the end of a stream that has to end, and enters the others for what is due next.
    pub fn settle(&mut self, key: Key, table: &mut Table, now: Now) {
        let Some(place) = self.slab.get_mut(key) else {
            return;
        };
        if place.stream.ending.is_some() {
            return self.flush(key, table, now);
        }
        let deadline = place.stream.deadline();
        if self.wheel.tick_after(deadline) < place.stream.armed {
            place.stream.armed = self.wheel.enter(key, deadline);
        }
    }
}
