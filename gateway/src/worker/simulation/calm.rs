//! How a schedule ends: nothing goes wrong any more, and everything must arrive.

use super::client::{Client, Stage};
use super::rig::GATEWAYS;
use super::world::World;
use crate::position::Position;

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
    /// is who had what the server has.
    pub fn go_on_as_always(&mut self) {
        let begins = self.keeper.begins_epoch();
        let stood = |client: &Client| {
            let witness = &client.witness;
            let seen = witness.id != Some(Position::NEVER);
            let end = witness.stands_at_the_end(&self.keeper);
            (witness.gaps, seen, end)
        };
        let stood: Vec<_> = self.clients.iter().map(stood).collect();
        self.publish();
        self.calm();
        for (client, (gaps, seen, end)) in self.clients.iter().zip(stood) {
            client.witness.settled(&self.keeper);
            let told = client.witness.gaps - gaps;
            let right = match (begins, seen, end) {
                (true, true, _) => told == 1,
                (true, false, _) => told <= 1,
                (false, _, true) => told == 0,
                (false, _, false) => true,
            };
            assert!(right, "{told} gaps before the next message");
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
