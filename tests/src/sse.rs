//! Reads server-sent events as the HTML standard says, byte by byte if need be.
//!
//! Owns: the rules of a browser. Never: shares a line with the gateway's encoder; knows of sockets or HTTP.
//! Used by: `listen`, and the test vectors.

use std::collections::VecDeque;

/// One event, as a page gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `message` unless the stream named another.
    pub kind: String,
    pub data: String,
    /// `lastEventId` of the page's event.
    pub id: String,
}

/// What a stream can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Event(Event),
    /// A block without data that set the last event id: fires nothing in a page.
    Cursor(String),
    /// A comment, its text after the colon as it stood.
    Comment(String),
    /// A new reconnection time in milliseconds.
    Retry(u64),
}

/// The state of the parser between two reads.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    begun: bool,
    data: Option<String>,
    kind: String,
    id: String,
    id_in_block: bool,
    last_event_id: String,
    retry: Option<u64>,
    items: VecDeque<Item>,
}

impl Parser {
    /// A parser for a stream that was opened with `last_event_id`.
    #[must_use]
    pub fn resumed(last_event_id: &str) -> Self {
        Self {
            id: last_event_id.into(),
            last_event_id: last_event_id.into(),
            ..Self::default()
        }
    }

    /// Takes in the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let lf_of_crlf = std::mem::take(&mut self.after_cr) && byte == b'\n';
            match byte {
                _ if lf_of_crlf => {}
                b'\r' | b'\n' => {
                    self.after_cr = byte == b'\r';
                    self.end_line();
                }
                _ => self.line.push(byte),
            }
        }
    }

    /// The next thing that the stream said and that was not taken yet.
    pub fn take(&mut self) -> Option<Item> {
        self.items.pop_front()
    }

    /// What a client would send as `Last-Event-ID` now.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// The reconnection time in milliseconds, if the stream set one.
    #[must_use]
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    fn end_line(&mut self) {
        let bytes = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&bytes);
        let mut line = text.as_ref();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            return self.end_block();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        if field.is_empty() {
            return self.items.push_back(Item::Comment(value.into()));
        }
        self.field(field, value.strip_prefix(' ').unwrap_or(value));
    }

    fn field(&mut self, field: &str, value: &str) {
        match field {
            "event" => self.kind = value.into(),
            "data" => {
                let data = self.data.get_or_insert_default();
                data.push_str(value);
                data.push('\n');
            }
            "id" if !value.contains('\0') => {
                self.id = value.into();
                self.id_in_block = true;
            }
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                if let Ok(retry) = value.parse() {
                    self.retry = Some(retry);
                    self.items.push_back(Item::Retry(retry));
                }
            }
            _ => {}
        }
    }

    fn end_block(&mut self) {
        self.last_event_id.clone_from(&self.id);
        let kind = std::mem::take(&mut self.kind);
        let id_in_block = std::mem::take(&mut self.id_in_block);
        let id = self.id.clone();
        match self.data.take() {
            Some(mut data) => {
                data.pop();
                let kind = if kind.is_empty() {
                    "message".into()
                } else {
                    kind
                };
                self.items.push_back(Item::Event(Event { kind, data, id }));
            }
            None if id_in_block => self.items.push_back(Item::Cursor(id)),
            None => {}
        }
    }
}

#[cfg(test)]
mod vectors;
