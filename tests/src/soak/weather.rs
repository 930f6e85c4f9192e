//! What happens to Redis, to the gateways and to their configuration, one thing after the other.
//!
//! Owns: which faults there are, how often, and that each is over when the next begins. Never: looks at what listeners
//! make of it. Used by: `soak`.

use super::scene::{Forms, TOKENS, USUAL};
use super::world::World;
use crate::gateway::Gateway;
use crate::redis::Redis;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The pause between two faults, in seconds.
const PAUSE_S: std::ops::Range<f64> = 2.0..8.0;
/// How long Redis may take to be in use again by both gateways.
const USED_AGAIN: Duration = Duration::from_secs(60);

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Redis cuts all subscriptions.
    CutSubscriptions,
    /// Redis cuts all other connections.
    CutCommands,
    /// Redis is stopped for a while.
    Freeze,
    /// Redis is busy for a while.
    Sleep,
    /// Redis is killed and comes back with everything.
    Crash,
    /// Redis is killed and comes back as it was some seconds before.
    OlderSave,
    /// Redis forgets everything.
    Flush,
    /// A Channel keeps less, and then again as much as before.
    History,
    /// A Channel takes few messages in a second for a while.
    Limits,
    /// A token is no longer known, and then known again.
    Revoke,
    /// A gateway is asked to end, and starts again on its port.
    Restart,
}

/// Each with its share.
pub const FAULTS: &[(Fault, u32)] = &[
    (Fault::CutSubscriptions, 6),
    (Fault::CutCommands, 6),
    (Fault::Freeze, 4),
    (Fault::Sleep, 4),
    (Fault::Crash, 3),
    (Fault::OlderSave, 1),
    (Fault::Flush, 1),
    (Fault::History, 3),
    (Fault::Limits, 3),
    (Fault::Revoke, 4),
    (Fault::Restart, 3),
];

/// What happens next, as chance says: each once before the first comes again.
pub struct Forecast {
    faults: Vec<(Fault, u32)>,
    first: Vec<Fault>,
    chance: StdRng,
}

/// What it happens to.
pub struct Weather<'a> {
    pub forecast: &'a mut Forecast,
    pub world: &'a World,
    pub redis: &'a mut Redis,
    pub gateways: &'a mut [Gateway; 2],
}

impl Forecast {
    /// Of these faults, each with its share.
    #[must_use]
    pub fn new(seed: u64, faults: Vec<(Fault, u32)>) -> Self {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut first = Vec::from_iter(faults.iter().map(|(fault, _)| *fault));
        first.shuffle(&mut chance);
        Self {
            faults,
            first,
            chance,
        }
    }

    /// How long nothing happens, what happens then, and the chance by which it does.
    fn next(&mut self) -> (Duration, Fault, StdRng) {
        let pause = seconds(&mut self.chance, PAUSE_S);
        let fault = self.first.pop().unwrap_or_else(|| {
            let any = self
                .faults
                .choose_weighted(&mut self.chance, |(_, share)| *share);
            any.expect("there are faults with shares").0
        });
        (pause, fault, StdRng::from_rng(&mut self.chance))
    }
}

impl Weather<'_> {
    /// Goes on until `end`; then everything is as it was.
    pub async fn run(&mut self, end: Instant) {
        while Instant::now() < end {
            let (pause, fault, mut chance) = self.forecast.next();
            sleep(pause).await;
            let begin = self.world.seconds();
            self.cause(fault, &mut chance).await;
            let (took, word) = (self.world.seconds() - begin, format!("{fault:?}"));
            println!("{begin:8.2} s  {word} for {took:.2} s");
            self.world.count(|counts| &mut counts.faults, &word);
        }
        self.until_used_again().await;
    }

    async fn cause(&mut self, fault: Fault, chance: &mut StdRng) {
        match fault {
            Fault::CutSubscriptions => self.redis.kill_clients("pubsub").await,
            Fault::CutCommands => self.redis.kill_clients("normal").await,
            Fault::Freeze => {
                self.redis.freeze();
                sleep(seconds(chance, 1.0..4.0)).await;
                self.redis.thaw();
            }
            Fault::Sleep => {
                let time = chance.random_range(0.5..3.0);
                let () = self
                    .redis
                    .run(redis::cmd("DEBUG").arg("SLEEP").arg(time))
                    .await;
            }
            Fault::Crash => {
                self.redis.kill9();
                sleep(seconds(chance, 0.0..2.0)).await;
                self.redis.start_again().await;
            }
            Fault::OlderSave => {
                let older = self.redis.keep();
                sleep(seconds(chance, 1.0..4.0)).await;
                self.redis.kill9();
                self.redis.start_from(&older).await;
            }
            Fault::Flush => self.redis.flush().await,
            Fault::History => {
                let forms = Forms {
                    kept: chance.random_range(1..300),
                    ..USUAL
                };
                self.change(forms, seconds(chance, 2.0..6.0)).await;
            }
            Fault::Limits => {
                let forms = Forms {
                    per_second: chance.random_range(1..5),
                    ..USUAL
                };
                self.change(forms, seconds(chance, 2.0..6.0)).await;
            }
            Fault::Revoke => {
                let forms = Forms {
                    tokens: TOKENS.len() - 1,
                    ..USUAL
                };
                self.change(forms, seconds(chance, 2.0..6.0)).await;
            }
            Fault::Restart => {
                let gateway = &mut self.gateways[chance.random_range(0..2)];
                gateway.term();
                let status = gateway.exit().await;
                if !status.success() {
                    let what = format!("a gateway ended with {status}");
                    self.world.broken("the weather", &what);
                }
                gateway.restart_same_port().await;
            }
        }
    }

    /// Other manifests for a while, at both gateways.
    async fn change(&self, forms: Forms, time: Duration) {
        for forms in [forms, USUAL] {
            for gateway in self.gateways.iter() {
                for (name, documents) in forms.files() {
                    let texts = documents.iter().map(Value::to_string);
                    gateway.write(name, &Vec::from_iter(texts).join("\n---\n"));
                }
            }
            sleep(time).await;
        }
    }

    async fn until_used_again(&self) {
        for gateway in self.gateways.iter() {
            crate::wait::until_time(USED_AGAIN, "Redis to be in use again", || async {
                let up = gateway.metrics().await.sum("siar_redis_up", &[]);
                if up == 1.0 {
                    Ok(())
                } else {
                    Err(format!("siar_redis_up is {up}"))
                }
            })
            .await;
        }
    }
}

fn seconds(chance: &mut StdRng, range: std::ops::Range<f64>) -> Duration {
    Duration::from_secs_f64(chance.random_range(range))
}
