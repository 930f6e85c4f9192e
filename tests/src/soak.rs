//! A soak: thousands of pages on two gateways for minutes, with everything that may happen to them, to the gateways, to
//! Redis and to the configuration, and an account of every message.
//!
//! Owns: its stages, and the summary. Never: waits for a fixed time where a state tells; asserts how fast anything is.
//! Used by: the test `soak`.

use crate::gateway::Gateway;
use crate::redis::{Redis, Setup as RedisSetup};
use crate::wait::until_time;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub mod account;
mod ledger;
mod page;
mod publisher;
mod scene;
mod summary;
mod usage;
mod weather;
mod world;

pub use summary::Summary;
pub use usage::{AtRedis, Held};
use weather::{FAULTS, Forecast, Weather};
use world::{Stage, World};

/// How long all streams may take to open on a busy machine.
const STAGE: Duration = Duration::from_secs(180);
/// How long a last message may take to all pages before there is one more, and how often there is.
const ROUND: Duration = Duration::from_secs(20);
const ROUNDS: usize = 9;
/// How long topics linger, and idle threads stay, with room for a busy machine.
const LINGER: Duration = Duration::from_secs(90);
/// How long everything runs before faults begin.
const WARM: Duration = Duration::from_secs(20);

/// How long and with what.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long there is weather.
    pub time: Duration,
    pub seed: u64,
    pub streams: usize,
}

impl Settings {
    /// From `SOAK_MINUTES`, `SEED` and `SOAK_STREAMS`; the seed is another one each time unless it is given.
    #[must_use]
    pub fn from_environment() -> Self {
        let number = |name: &str| {
            let text = std::env::var(name).ok()?;
            let number = text.parse::<f64>();
            Some(number.unwrap_or_else(|error| panic!("{name}={text}: {error}")))
        };
        let minutes = number("SOAK_MINUTES").unwrap_or(5.0);
        let seed = number("SEED").map(|seed| seed as u64);
        Self {
            time: Duration::from_secs_f64(60.0 * minutes),
            seed: seed.unwrap_or_else(|| crate::wait::unix_ms() % 1_000_000),
            streams: number("SOAK_STREAMS").map_or(3_000, |streams| streams as usize),
        }
    }
}

/// Runs it from the first stream to the last, and tells what was seen.
pub async fn run(settings: Settings) -> Summary {
    println!("soak: SEED={} for {:?}", settings.seed, settings.time);
    let redis = RedisSetup::default().directive("appendonly", "yes");
    // What is acknowledged or heard is on the disk: only an older save loses it.
    let redis = redis.directive("appendfsync", "always");
    let redis = redis.directive("auto-aof-rewrite-percentage", "0");
    let mut redis = redis
        .directive("enable-debug-command", "local")
        .start()
        .await;
    let setup = scene::setup(&redis.url());
    let mut gateways = [setup.clone().start().await, setup.start().await];
    let addresses = [gateways[0].public(), gateways[1].public()];
    let world = World::new(settings.seed, settings.streams, addresses, redis.url());
    let world = Arc::new(world);
    let mut summary = Summary::new(settings);
    summary.idle = held(&mut gateways).await;
    summary
        .redis
        .push(until_settled(&mut redis, |_| true).await);

    let (mut pages, mut publishers) = (JoinSet::new(), publishers(&world));
    for index in 0..settings.streams {
        pages.spawn(page::live(world.clone(), index));
    }
    let open = || async {
        let open: u64 = world.counts.lock().opened.values().sum();
        let all = open >= settings.streams as u64;
        all.then_some(()).ok_or_else(|| format!("{open} are"))
    };
    until_time(STAGE, "all streams to be open", open).await;
    world.go(Stage::Busy);
    tokio::time::sleep(WARM).await;
    summary.warm = held(&mut gateways).await;

    let mut forecast = Forecast::new(settings.seed, FAULTS.to_vec());
    let end = Instant::now() + settings.time;
    for part in [end - settings.time / 2, end] {
        let mut weather = Weather {
            forecast: &mut forecast,
            world: &world,
            redis: &mut redis,
            gateways: &mut gateways,
        };
        weather.run(part).await;
        summary.busy.push(held(&mut gateways).await);
    }

    world.go(Stage::Last);
    while let Some(done) = publishers.join_next().await {
        done.expect("no publisher panics");
    }
    summary.complete = until_complete(&world).await;
    summary.take(&world);
    world.go(Stage::Over);
    pages.shutdown().await;
    let idle = summary.redis[0].clone();
    let settled = until_settled(&mut redis, |now| *now == idle).await;
    summary.redis.push(settled);
    summary.end = until_idle(&mut gateways, &summary.idle).await;
    summary
}

fn publishers(world: &Arc<World>) -> JoinSet<()> {
    let mut publishers = JoinSet::new();
    for (index, (kind, topic)) in (0..).zip(scene::topics()) {
        if let Some(mean) = kind.raw {
            publishers.spawn(publisher::raw(world.clone(), mean, topic.clone(), index));
        }
        publishers.spawn(publisher::http(world.clone(), kind, topic, index));
    }
    publishers
}

async fn held(gateways: &mut [Gateway; 2]) -> [Held; 2] {
    let [one, other] = gateways;
    [Held::by(one).await, Held::by(other).await]
}

/// Waits until every page heard everything; how many did is the answer. Who was away, and was told a gap, has to hear
/// one more message in each topic: so a last message that is lost is found, too.
async fn until_complete(world: &World) -> usize {
    for _ in 0..ROUNDS {
        let end = Instant::now() + ROUND;
        while Instant::now() < end {
            if world.complete() == world.accounts.len() {
                return world.accounts.len();
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        publisher::round(world).await;
    }
    world.complete()
}

/// What stands at Redis once `is_right`, or at the latest after the lingers.
async fn until_settled(redis: &mut Redis, is_right: impl Fn(&AtRedis) -> bool) -> AtRedis {
    let end = Instant::now() + LINGER;
    loop {
        let now = AtRedis::of(redis).await;
        if is_right(&now) || Instant::now() > end {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What the gateways hold once they hold no more files and threads than at the beginning, or at the latest after the
/// lingers.
async fn until_idle(gateways: &mut [Gateway; 2], before: &[Held; 2]) -> [Held; 2] {
    let end = Instant::now() + LINGER;
    loop {
        let now = held(gateways).await;
        let pairs = now.iter().zip(before);
        let mut idle = pairs.map(|(now, before)| now.is_like(before));
        if idle.all(|idle| idle) || Instant::now() > end {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
