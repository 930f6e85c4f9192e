//! What one stream of the load client has seen.
//!
//! Every stream counts blank lines, of which each event has one and an opening two. Those that are looked at
//! closely also check that the messages are complete and in order, and how late they were.

use crate::measure::quantile;
use serde::{Deserialize, Serialize};
use std::ops::Range;
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
    /// Bytes after the opening.
    bytes: u64,
    last: u8,
    close: Option<Close>,
    pub last_nanos: u64,
}

#[derive(Default)]
struct Close {
    line: Vec<u8>,
    next: u64,
    in_order: bool,
    gapped: bool,
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
            bytes: 0,
            last: 0,
            close,
            last_nanos: 0,
        }
    }

    /// Takes in bytes as they came, chunk framing included.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Some((&first, &last)) = bytes.first().zip(bytes.last()) else {
            return;
        };
        if self.opened() {
            self.bytes += bytes.len() as u64;
        }
        // Without branches, so that the compiler compares many bytes at once.
        let pairs = bytes.iter().zip(&bytes[1..]);
        let blank: usize = pairs
            .map(|(one, two)| usize::from((*one == b'\n') & (*two == b'\n')))
            .sum();
        self.blank_lines += blank as u64 + u64::from(self.last == b'\n' && first == b'\n');
        self.last = last;
        self.last_nanos = now_nanos();
        if let Some(close) = &mut self.close {
            close.feed(bytes, self.last_nanos);
        }
    }

    pub fn opened(&self) -> bool {
        self.blank_lines >= OPENING
    }

    /// Whether nothing more is waited for: all messages came, or word that some are lost.
    pub fn complete(&self, messages: u64) -> bool {
        self.blank_lines >= OPENING + messages
            || self.close.as_ref().is_some_and(|close| close.gapped)
    }
}

impl Close {
    fn feed(&mut self, mut bytes: &[u8], now: u64) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            if self.line.is_empty() {
                self.take(&bytes[..end], now);
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&bytes[..end]);
                self.take(&line, now);
            }
            bytes = &bytes[end + 1..];
        }
        self.line.extend_from_slice(bytes);
    }

    fn take(&mut self, line: &[u8], now: u64) {
        let Some(text) = line.strip_prefix(b"data: ") else {
            self.gapped |= line == b"event: siar.gap";
            return;
        };
        self.in_order &= number(text, 0..10) == Some(self.next);
        self.next += 1;
        self.latencies
            .push(now.saturating_sub(number(text, 11..31).unwrap_or(0)));
    }
}

/// The decimal number there.
fn number(text: &[u8], range: Range<usize>) -> Option<u64> {
    text.get(range)?.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// All streams together, on their way to the process that judges.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Every stream has all its messages, and those looked at closely have them in order.
    pub complete: bool,
    pub streams: usize,
    pub checked: usize,
    /// Of those that are looked at closely, the ones that were told of a loss.
    pub gaps: usize,
    /// Bytes that arrived after the openings, framing included.
    pub bytes: u64,
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
        self.bytes += seen.bytes;
        self.last_nanos = self.last_nanos.max(seen.last_nanos);
        self.faulty |= seen.blank_lines != OPENING + messages;
        if let Some(close) = seen.close {
            self.checked += 1;
            self.gaps += usize::from(close.gapped);
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
