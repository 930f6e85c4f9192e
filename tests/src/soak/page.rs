//! One page: it listens, comes back as a browser does, leaves, starts anew or dozes, all as its own chance says.
//!
//! Owns: the life of a stream as its client sees it. Never: judges what it hears; `account` does. Used by: `soak`.

use super::account::Account;
use super::scene::{FEED, Ticket, topics_of};
use super::world::{Stage, World};
use crate::listen::Listen;
use crate::sse::{Event, Item, Parser};
use crate::wire::Body;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long a server may take for the head of an answer.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a browser waits before coming back, unless the stream said otherwise.
const RETRY: Duration = Duration::from_millis(500);
/// How long a page without the right to listen waits before it asks again, in milliseconds.
const UNWANTED_MS: std::ops::Range<u64> = 500..2_000;
/// How long a page stays before it does something else, in seconds: 3,000 pages do so about 20 times a second.
const STAY_S: std::ops::Range<f64> = 5.0..300.0;
/// How long one is away, in seconds.
const AWAY_S: std::ops::Range<f64> = 0.0..8.0;
/// How long one does not read, in seconds: beyond 15 s a gateway may end it.
const DOZE_S: std::ops::Range<f64> = 1.0..20.0;
/// The least that a kernel takes ahead.
const NARROW: u32 = 4_096;
/// A gateway that says nothing for so long is gone: heartbeats come every 5 s.
const SILENT: Duration = Duration::from_secs(90);

/// What a page does next of its own.
#[derive(Clone, Copy)]
enum Turn {
    /// It closes, and comes back with its position.
    Leave,
    /// It closes, and is another page from now on.
    Anew,
    /// It does not read for a while.
    Doze,
}

/// How a stream went.
enum Went {
    /// It ended by itself.
    Ended,
    Turned(Turn),
    Over,
}

struct Page {
    world: Arc<World>,
    index: usize,
    ticket: Ticket,
    chance: StdRng,
    /// What it would send as `Last-Event-ID`; empty for a new page.
    cursor: String,
    retry: Duration,
    why: &'static str,
    /// Whether it did not read for a while on this stream.
    dozed: bool,
    turn_at: Instant,
}

/// Lives until the soak is over.
pub async fn live(world: Arc<World>, index: usize) {
    let mut chance = StdRng::seed_from_u64(world.seed ^ (index as u64 + 1) << 20);
    let mut page = Page {
        ticket: Ticket::of(index, &mut chance),
        world,
        index,
        chance,
        cursor: String::new(),
        retry: RETRY,
        why: "first",
        dozed: false,
        turn_at: Instant::now(),
    };
    // Not all in one moment: 250 a second.
    sleep(Duration::from_millis(4 * index as u64)).await;
    page.settle();
    while page.world.stage() < Stage::Over {
        let stay = page.stream().await;
        let Some(pause) = stay else { return };
        sleep(pause).await;
    }
}

impl Page {
    /// Draws when it does something of its own next.
    fn settle(&mut self) {
        self.turn_at = Instant::now() + self.seconds(STAY_S);
    }

    fn seconds(&mut self, range: std::ops::Range<f64>) -> Duration {
        Duration::from_secs_f64(self.chance.random_range(range))
    }

    fn listen(&mut self) -> Listen {
        let address = self.world.gateways[self.chance.random_range(0..2)];
        let mut listen = Listen::at(address).last_event_id(&self.cursor);
        for line in &self.ticket.lines {
            listen = listen.channel(line);
        }
        if let Some(token) = self.ticket.token {
            listen = listen.token(token);
        }
        let narrow = self.ticket.narrow.then_some(NARROW);
        listen.by(|route| route.receive_buffer = narrow)
    }

    /// One stream from its request to its end; how long to wait before the next, none when all is over.
    async fn stream(&mut self) -> Option<Duration> {
        let response = match timeout(ANSWER, self.listen().respond()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                let word = error.kind().to_string();
                self.world.count(|counts| &mut counts.unreached, &word);
                return Some(self.retry);
            }
            Err(_) => {
                self.world
                    .count(|counts| &mut counts.unreached, "no answer");
                return Some(self.retry);
            }
        };
        if response.status != 200 {
            let word = response.status.to_string();
            self.world.count(|counts| &mut counts.refused, &word);
            if self.ticket.token.is_none() || response.status != 401 {
                self.broken(&format!("a stream was refused with {word}"));
            }
            return Some(Duration::from_millis(self.chance.random_range(UNWANTED_MS)));
        }
        *self.world.counts.lock().opened.entry(self.why).or_default() += 1;
        if self.cursor.is_empty() {
            self.begin();
        }
        self.dozed = false;
        match self.read(response.body).await {
            Went::Over => None,
            Went::Ended => {
                self.why = "back";
                Some(self.retry)
            }
            Went::Turned(Turn::Anew) => {
                self.why = "anew";
                self.cursor.clear();
                Some(self.seconds(AWAY_S))
            }
            Went::Turned(_) => {
                self.why = "back";
                Some(self.seconds(AWAY_S))
            }
        }
    }

    /// A new page is owed what is begun from now on.
    fn begin(&mut self) {
        let ledger = &self.world.ledger;
        let topics = |line: &str| {
            let topics = topics_of(line).into_iter();
            let next = topics.map(|topic| {
                let next = ledger.next(&topic);
                (topic, next)
            });
            next.collect()
        };
        let lines = self.ticket.lines.iter().map(String::as_str);
        self.world.accounts[self.index].lock().open(lines, topics);
    }

    async fn read(&mut self, mut body: Body) -> Went {
        let world = self.world.clone();
        let mut parser = Parser::resumed(&self.cursor);
        let mut over = std::pin::pin!(world.until(Stage::Over));
        loop {
            let chunk = tokio::select! {
                biased;
                () = &mut over => return Went::Over,
                () = tokio::time::sleep_until(self.turn_at) => {
                    self.settle();
                    if self.world.stage() != Stage::Busy { continue }
                    match self.turn() {
                        Turn::Doze => {
                            self.dozed = true;
                            sleep(self.seconds(DOZE_S)).await;
                            continue;
                        }
                        turn => return Went::Turned(turn),
                    }
                }
                chunk = timeout(SILENT, body.chunk()) => chunk,
            };
            let Ok(chunk) = chunk else {
                self.end("silent");
                return Went::Ended;
            };
            let Ok(Some(bytes)) = chunk else {
                self.end(if chunk.is_err() { "cut" } else { "no word" });
                return Went::Ended;
            };
            parser.push(&bytes);
            let ended = self.take(&mut parser);
            self.cursor = parser.last_event_id().into();
            if ended {
                self.retry = parser.retry().map_or(RETRY, Duration::from_millis);
                return Went::Ended;
            }
        }
    }

    fn turn(&mut self) -> Turn {
        match self.chance.random_range(0..10) {
            0..4 => Turn::Leave,
            4..7 => Turn::Anew,
            _ => Turn::Doze,
        }
    }

    /// Whether the stream said that it ends.
    fn take(&mut self, parser: &mut Parser) -> bool {
        let mut ended = None;
        let world = self.world.clone();
        let mut account = world.accounts[self.index].lock();
        while let Some(item) = parser.take() {
            match item {
                Item::Event(event) if ended.is_some() => {
                    world.broken(&self.name(), &format!("after its end came {event:?}"));
                }
                Item::Event(event) if event.kind == "siar.end" => {
                    ended = Some(word(&event, "reason"));
                }
                Item::Event(event) => self.hear(&mut account, &event),
                Item::Cursor(id) => account.cursor(&id),
                Item::Comment(_) | Item::Retry(_) => {}
            }
        }
        let faults = account.take_faults();
        drop(account);
        world.faults(&self.name(), &faults);
        if let Some(reason) = &ended {
            world.count(|counts| &mut counts.ends, reason);
        }
        ended.is_some()
    }

    fn hear(&self, account: &mut Account, event: &Event) {
        match event.kind.as_str() {
            "message" => account.message(&event.data, &event.id),
            "siar.gap" => {
                let (channel, reason) = (word(event, "channel"), word(event, "reason"));
                account.gap(line(&channel), &event.id);
                self.world.count(|counts| &mut counts.gaps, &reason);
            }
            other => self.broken(&format!("an event {other}")),
        }
    }

    /// The stream ended without a word of its own. Who reads slowly may not take it: a stream that is full gets a second
    /// for its last words.
    fn end(&self, how: &str) {
        let slow = self.dozed || self.ticket.narrow;
        let word = if slow { "slow: " } else { "" }.to_owned() + how;
        self.world.count(|counts| &mut counts.ends, &word);
        if !slow {
            self.broken(&format!("its stream ended without siar.end: {how}"));
        }
    }

    fn broken(&self, what: &str) {
        self.world.broken(&self.name(), what);
    }

    fn name(&self) -> String {
        format!("page {} on {}", self.index, self.ticket.lines.join(" "))
    }
}

/// What the page asked for: a loss in a feed is told with the name of its Channel.
fn line(channel: &str) -> &str {
    match FEED.strip_suffix(".*") {
        Some(feed) if feed == channel => FEED,
        _ => channel,
    }
}

/// The string `name` in the JSON data of a control event.
fn word(event: &Event, name: &str) -> String {
    let value: Value = serde_json::from_str(&event.data).unwrap_or_default();
    value[name].as_str().unwrap_or("?").into()
}
