//! What a soak has seen, printed in one piece and judged.
//!
//! Owns: the bounds. Used by: `soak`, its test.

use super::Settings;
use super::usage::{AtRedis, Held};
use super::world::{Counts, World};
use std::collections::BTreeMap;
use std::fmt::{self, Display};

/// How much more memory, in KiB, a gateway may hold after everything than after the warm-up: an allocator keeps what it
/// had at the worst moment, which is full rings of the big topics and pages of history for all who come back at once;
/// 4 to 7 MiB were seen. A leak of 4 KiB for each stream of five minutes, or of 1 KiB in half an hour, would be more.
const MEMORY: u64 = 16 * 1024;

/// What was seen.
pub struct Summary {
    settings: Settings,
    counts: Counts,
    published: usize,
    delivered: u64,
    needless: u64,
    rolled_back: usize,
    pub complete: usize,
    /// What the gateways held before the first stream, after the warm-up, in the middle and at the end of the weather,
    /// and after the last stream.
    pub idle: [Held; 2],
    pub warm: [Held; 2],
    pub busy: Vec<[Held; 2]>,
    pub end: [Held; 2],
    /// What stood at Redis before the first stream and after the last.
    pub redis: Vec<AtRedis>,
}

impl Summary {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            counts: Counts::default(),
            published: 0,
            delivered: 0,
            needless: 0,
            rolled_back: 0,
            complete: 0,
            idle: [Held::NOTHING; 2],
            warm: [Held::NOTHING; 2],
            busy: Vec::new(),
            end: [Held::NOTHING; 2],
            redis: Vec::new(),
        }
    }

    /// Takes over what the pages and publishers have seen, and judges what could only be judged at the end.
    pub(super) fn take(&mut self, world: &World) {
        for (index, account) in world.accounts.iter().enumerate() {
            let account = account.lock();
            for again in account.again() {
                if world.ledger.was_rolled_back(again) {
                    self.rolled_back += 1;
                } else {
                    world.broken(&format!("page {index}"), &format!("{again:?}"));
                }
            }
            for line in account.unfinished(|topic| world.ledger.next(topic)) {
                eprintln!("page {index} has not everything: {line}");
            }
        }
        self.published = world.ledger.acknowledged();
        (self.delivered, self.needless) = world.heard();
        self.counts = world.counts.lock().clone();
    }

    /// What is wrong; nothing, if all is well.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = self.counts.broken.clone();
        let more = self.counts.broken_count - self.counts.broken.len() as u64;
        if more > 0 {
            wrong.push(format!("{more} more rules were broken"));
        }
        let (complete, streams) = (self.complete, self.settings.streams);
        if complete < streams {
            wrong.push(format!("only {complete} of {streams} heard everything"));
        }
        for (index, end) in self.end.iter().enumerate() {
            let (idle, warm) = (&self.idle[index], &self.warm[index]);
            if !end.is_like(idle) {
                wrong.push(format!("gateway {index} held {idle}, and holds {end}"));
            }
            if end.memory > warm.memory + MEMORY {
                wrong.push(format!(
                    "gateway {index} held {warm}, and without streams {end}"
                ));
            }
        }
        if let [before, after] = &self.redis[..]
            && before != after
        {
            wrong.push(format!("at Redis stood {before:?}, and stands {after:?}"));
        }
        wrong
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings {
            time,
            seed,
            streams,
        } = self.settings;
        let minutes = time.as_secs_f64() / 60.0;
        writeln!(f, "soak: {minutes} minutes, SEED={seed}, {streams} streams")?;
        let (published, delivered) = (self.published, self.delivered);
        writeln!(f, "  published    {published} over HTTP, acknowledged")?;
        writeln!(f, "  raw          {}", row(&self.counts.raw))?;
        writeln!(f, "  repeated     {}", row(&self.counts.repeated))?;
        writeln!(f, "  delivered    {delivered}")?;
        let (needless, back) = (self.needless, self.rolled_back);
        writeln!(
            f,
            "  gaps         {}; nothing missing behind {needless}",
            row(&self.counts.gaps)
        )?;
        writeln!(
            f,
            "  rolled back  {back} heard again under their acknowledged place"
        )?;
        writeln!(f, "  opened       {}", row(&self.counts.opened))?;
        writeln!(f, "  ends         {}", row(&self.counts.ends))?;
        writeln!(f, "  refused      {}", row(&self.counts.refused))?;
        writeln!(f, "  unreached    {}", row(&self.counts.unreached))?;
        writeln!(f, "  faults       {}", row(&self.counts.faults))?;
        let last = self.busy.last().unwrap_or(&self.warm);
        for (index, end) in self.end.iter().enumerate() {
            writeln!(f, "  gateway {index}    before:  {}", self.idle[index])?;
            writeln!(f, "               warm:    {}", self.warm[index])?;
            if let Some(middle) = self.busy.first() {
                writeln!(f, "               middle:  {}", middle[index])?;
            }
            writeln!(f, "               end:     {}", last[index])?;
            writeln!(f, "               after:   {end}")?;
        }
        for redis in &self.redis {
            let (connections, topics) = (redis.connections, redis.topics.len());
            let subscriptions = redis.subscriptions;
            writeln!(
                f,
                "  Redis        {connections} connections, {topics} topics, {subscriptions} subscriptions"
            )?;
        }
        writeln!(f, "  heard everything: {} of {streams}", self.complete)?;
        write!(f, "  rules broken: {}", self.counts.broken_count)
    }
}

/// Words with their counts, in one line.
fn row<K: Display>(counts: &BTreeMap<K, u64>) -> String {
    if counts.is_empty() {
        return "none".into();
    }
    let pairs = counts.iter().map(|(word, count)| format!("{word} {count}"));
    Vec::from_iter(pairs).join(", ")
}
