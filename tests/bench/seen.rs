//! What one stream of the load client has seen.
//!
//! Every stream counts blank lines, of which each event has one and an opening two. Those that are looked at
//! closely also check that the messages are complete and in order, and how late they were.

use crate::measure::quantile;
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

/// Blank lines of an opening.
const OPENING: u64 = 2;

/// The text of message `number`, `bytes` long: its number, the time, and filling.
pub fn text(number: u64, bytes: usize) -> String {
    let mut text = format!("{number:010} {:020} ", now_nanos());
    while text.len() < bytes {
        text.push('x');
    }
    text
}

/// Nanoseconds since 1970: the same clock in all processes.
pub fn now_nanos() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

pub struct Seen {
    blank_lines: u64,
    last: u8,
    close: Option<Close>,
    pub last_nanos: u64,
}

#[derive(Default)]
struct Close {
    line: Vec<u8>,
    next: u64,
    in_order: bool,
    latencies: Vec<u64>,
}

impl Seen {
    pub fn new(closely: bool) -> Self {
        let close = closely.then(|| Close {
            in_order: true,
            ..Close::default()
        });
        Self {
            blank_lines: 0,
            last: 0,
            close,
            last_nanos: 0,
        }
    }

    /// Takes in bytes as they came, chunk framing included.
    pub fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.blank_lines += u64::from(byte == b'\n' && self.last == b'\n');
            self.last = byte;
        }
        if let Some(close) = &mut self.close {
            close.feed(bytes);
        }
        self.last_nanos = now_nanos();
    }

    pub fn opened(&self) -> bool {
        self.blank_lines >= OPENING
    }

    pub fn complete(&self, messages: u64) -> bool {
        self.blank_lines >= OPENING + messages
    }
}

impl Close {
    fn feed(&mut self, bytes: &[u8]) {
        let now = now_nanos();
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            if let Some(text) = self.line.strip_prefix(b"data: ") {
                let number = |range: std::ops::Range<usize>| -> Option<u64> {
                    std::str::from_utf8(text.get(range)?).ok()?.parse().ok()
                };
                self.in_order &= number(0..10) == Some(self.next);
                self.next += 1;
                self.latencies
                    .push(now.saturating_sub(number(11..31).unwrap_or(0)));
            }
            self.line.clear();
        }
    }
}

/// All streams together, on their way to the process that judges.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Every stream has all its messages, and those looked at closely have them in order.
    pub complete: bool,
    pub streams: usize,
    pub checked: usize,
    pub p50_nanos: u64,
    pub p99_nanos: u64,
    /// When the last message arrived.
    pub last_nanos: u64,
    #[serde(skip)]
    latencies: Vec<u64>,
    #[serde(skip)]
    faulty: bool,
}

impl Summary {
    pub fn add(&mut self, seen: Seen, messages: u64) {
        self.streams += 1;
        self.last_nanos = self.last_nanos.max(seen.last_nanos);
        self.faulty |= seen.blank_lines != OPENING + messages;
        if let Some(close) = seen.close {
            self.checked += 1;
            self.faulty |= !close.in_order || close.next != messages;
            self.latencies.extend(close.latencies);
        }
    }

    /// The time is over and some of `streams` are not complete.
    pub fn missing(&mut self, streams: usize) {
        self.faulty |= self.streams < streams;
    }

    pub fn json(mut self) -> String {
        self.latencies.sort_unstable();
        self.p50_nanos = quantile(&self.latencies, 0.5);
        self.p99_nanos = quantile(&self.latencies, 0.99);
        self.complete = !self.faulty;
        serde_json::to_string(&self).expect("plain figures")
    }
}
