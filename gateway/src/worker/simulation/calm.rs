//! How a schedule ends: nothing goes wrong any more, and everything must arrive.

use super::client::{Client, Stage};
use super::rig::GATEWAYS;
use super::world::World;

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

    /// The next message reaches everybody, and nobody is told a gap before it who did not have more than the
    /// server. Without history a gateway cannot ask which of the frames that it heard the server has forgotten.
    pub fn go_on_as_always(&mut self) {
        let stood = |client: &Client| {
            let gaps = client.witness.gaps;
            let end = client.witness.stands_at_the_end(&self.keeper);
            end.then_some(gaps)
        };
        let stood: Vec<_> = self.clients.iter().map(stood).collect();
        self.publish();
        self.calm();
        for (client, gaps) in self.clients.iter().zip(stood) {
            client.witness.settled(&self.keeper);
            let told = gaps.is_some_and(|gaps| gaps != client.witness.gaps);
            let forgot = !self.keeper.keeps() && self.keeper.disasters > 0;
            assert!(!told || forgot, "a gap before the next message");
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
