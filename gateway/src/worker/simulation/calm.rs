//! How a schedule ends: nothing goes wrong any more, and everything must arrive.

use super::client::{Client, Stage};
use super::rig::GATEWAYS;
use super::world::World;
use crate::position::Epoch;

/// Rounds in which something may still happen.
const ROUNDS: u32 = 100;

impl World<'_> {
    /// Every subscription is interrupted once more, so that a lost tail is found, and everybody comes back.
    pub fn settle(&mut self) {
        for gateway in 0..GATEWAYS.len() {
            self.cut(gateway);
        }
        self.calm();
        for client in &self.clients {
            client.witness.settled(&self.keeper);
        }
    }

    /// The next message reaches everybody. If it begins an epoch, everybody is told before it, once; if not, nobody
    /// is who had what the server has. To those whose epoch the server forgot what is kept comes again before.
    pub fn go_on_as_always(&mut self) {
        let begins = self.keeper.begins_epoch();
        let expected = |client: &Client| {
            let witness = &client.witness;
            let epoch = witness.id.map_or(Epoch::NONE, |id| id.epoch);
            let forgotten = self.keeper.forgotten.contains(&epoch);
            let told = match begins {
                true if epoch == Epoch::NONE => 0..=1,
                true if forgotten => 1..=2,
                true => 1..=1,
                false if witness.stands_at_the_end(&self.keeper) => 0..=0,
                false => 0..=2,
            };
            (witness.gaps, told)
        };
        let expected: Vec<_> = self.clients.iter().map(expected).collect();
        self.publish();
        self.calm();
        for (client, (gaps, expected)) in self.clients.iter().zip(expected) {
            client.witness.settled(&self.keeper);
            let told = client.witness.gaps - gaps;
            assert!(
                expected.contains(&told),
                "{told} gaps before the next message"
            );
        }
    }

    fn calm(&mut self) {
        let mut still = 0;
        for _ in 0..ROUNDS {
            still = if self.round() { 0 } else { still + 1 };
            if still == 2 {
                return;
            }
        }
        panic!("after {ROUNDS} rounds something still happens");
    }

    /// Everything that can happen happens. False: that was nothing.
    fn round(&mut self) -> bool {
        let mut happened = false;
        for (gateway, (workers, _)) in GATEWAYS.into_iter().enumerate() {
            self.connect(gateway);
            self.resume(gateway);
            self.resume(gateway);
            while self.arrive(gateway) || self.answer(gateway) {
                happened = true;
            }
            self.tick(gateway);
            for worker in 0..workers {
                while self.read_mail(gateway, worker) {
                    happened = true;
                }
            }
        }
        for client in 0..self.clients.len() {
            let gateway = client % GATEWAYS.len();
            happened |= match self.clients[client].stage {
                Stage::Away => self.come(client, gateway),
                _ => self.go_on(client, false),
            };
        }
        happened
    }

    /// Everybody leaves, and the topic is given up everywhere.
    pub fn close(&mut self) {
        for client in 0..self.clients.len() {
            self.leave(client);
        }
        for _ in 0..4 {
            for (gateway, (workers, _)) in GATEWAYS.into_iter().enumerate() {
                self.tick(gateway);
                while self.arrive(gateway) || self.answer(gateway) {}
                for worker in 0..workers {
                    while self.read_mail(gateway, worker) {}
                }
            }
        }
        for gateway in 0..GATEWAYS.len() {
            assert!(!self.is_wanted(gateway), "nobody listens any more");
        }
    }
}
