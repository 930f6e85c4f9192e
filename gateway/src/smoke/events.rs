//! Reads a stream of events.
//!
//! Owns: what a client needs of the format. Pure. Never: trusts a length. Used by: `smoke`.

/// The most bytes of one block: the largest message and its framing fit several times.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Empty for a plain message.
    pub kind: String,
    pub data: String,
}

/// What came and makes no whole block yet, and where the stream is.
#[derive(Debug, Default)]
pub struct Events {
    bytes: Vec<u8>,
    cursor: String,
}

/// A block went beyond every bound.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLarge;

impl Events {
    /// Takes in what came next.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        if self.bytes.len() + bytes.len() > MOST_BYTES {
            return Err(TooLarge);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole block that says more than a comment does: its event, if it has data.
    pub fn take(&mut self) -> Option<Option<Event>> {
        loop {
            let end = self.bytes.windows(2).position(|pair| pair == b"\n\n")?;
            let block: Vec<u8> = self.bytes.drain(..end + 2).collect();
            if let Some(said) = self.read(&String::from_utf8_lossy(&block)) {
                return Some(said);
            }
        }
    }

    /// What a client sends as `Last-Event-ID`.
    pub fn cursor(&self) -> &str {
        &self.cursor
    }

    fn read(&mut self, block: &str) -> Option<Option<Event>> {
        let (mut event, mut lines, mut says) = (Event::default(), Vec::new(), false);
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut event.kind),
                "data" => lines.push(value),
                "id" => {
                    value.clone_into(&mut self.cursor);
                    says = true;
                }
                _ => {}
            }
        }
        if lines.is_empty() {
            return says.then_some(None);
        }
        event.data = lines.join("\n");
        Some(Some(event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, data: &str) -> Option<Option<Event>> {
        let (kind, data) = (kind.to_owned(), data.to_owned());
        Some(Some(Event { kind, data }))
    }

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text = "retry: 5\n: siar\n\nid: 0-0\n\nevent: greeting\ndata: a\ndata: b\nid: e-1\n\ndata:\n\n: \n\n";
        for size in 1..text.len() {
            let mut events = Events::default();
            let mut seen = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                events.push(piece).unwrap();
                while let Some(said) = events.take() {
                    seen.push((said, events.cursor().to_owned()));
                }
            }
            let [opening, greeting, empty] = &seen[..] else {
                panic!("in pieces of {size}: {seen:?}");
            };
            assert_eq!(opening, &(None, "0-0".to_owned()));
            assert_eq!(
                Some(greeting.0.as_ref()),
                event("greeting", "a\nb").as_ref().map(Option::as_ref)
            );
            assert_eq!(greeting.1, "e-1");
            assert_eq!(empty.0, Some(Event::default()));
        }
    }

    #[test]
    fn what_never_ends_is_not_kept() {
        let mut events = Events::default();
        let piece = vec![b'x'; 1024 * 1024];
        let taken = (0..100).take_while(|_| events.push(&piece).is_ok()).count();
        assert_eq!(taken, MOST_BYTES / piece.len());
    }
}
