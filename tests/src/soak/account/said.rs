//! What a message of the soak carries, and where it stands.
//!
//! Owns: the text of a message and the reading of ids. Never: knows what was heard before. Used by: `account` and whoever
//! publishes.

use std::fmt;

/// How a message came to the gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// `POST /publish`, repeated until it is acknowledged: none is lost.
    Http,
    /// A raw `PUBLISH`: at most once.
    Raw,
}

/// The data of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    pub topic: &'a str,
    pub source: Source,
    /// 1, 2, 3 … for each topic and source.
    pub number: u64,
}

/// A place in a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub epoch: Epoch,
    pub offset: u64,
}

/// Which numbering; a text of at most 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch([u8; 8]);

impl<'a> Said<'a> {
    /// The data, padded to `bytes`.
    #[must_use]
    pub fn text(&self, bytes: usize) -> String {
        let source = match self.source {
            Source::Http => "http",
            Source::Raw => "raw",
        };
        let mut text = format!("{} {source} {} ", self.topic, self.number);
        text.extend(std::iter::repeat_n('.', bytes.saturating_sub(text.len())));
        text
    }

    /// Reads the data; none when it is not what this test publishes.
    #[must_use]
    pub fn read(data: &'a str) -> Option<Self> {
        let mut words = data.splitn(4, ' ');
        let topic = words.next()?;
        let source = match words.next()? {
            "http" => Source::Http,
            "raw" => Source::Raw,
            _ => return None,
        };
        let number = words.next()?.parse().ok()?;
        let padding = words.next()?;
        padding.bytes().all(|byte| byte == b'.').then_some(Self {
            topic,
            source,
            number,
        })
    }
}

impl Position {
    /// Reads `<epoch>-<offset>`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (name, offset) = text.split_once('-')?;
        let mut epoch = [0; 8];
        epoch
            .get_mut(..name.len())?
            .copy_from_slice(name.as_bytes());
        Some(Self {
            epoch: Epoch(epoch),
            offset: offset.parse().ok()?,
        })
    }
}

/// The positions in an id, in the order of the sorted topics; none at all when it is something else.
#[must_use]
pub fn positions(id: &str) -> Vec<Position> {
    let read: Option<Vec<Position>> = id.split('~').map(Position::read).collect();
    read.unwrap_or_default()
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let epoch = String::from_utf8_lossy(&self.epoch.0);
        write!(f, "{}-{}", epoch.trim_end_matches('\0'), self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let said = Said {
            topic: "kept.7",
            source: Source::Raw,
            number: 12,
        };
        for bytes in [0, 100] {
            assert_eq!(Said::read(&said.text(bytes)), Some(said));
        }
        assert_eq!(said.text(100).len(), 100);
        for other in [
            "",
            "kept.7 raw 12",
            "kept.7 raw x ",
            "kept.7 raw 1 . .",
            "a b 1 ",
        ] {
            assert_eq!(Said::read(other), None, "{other:?}");
        }
    }

    #[test]
    fn ids_are_read_as_positions_or_not_at_all() {
        let texts = |id| Vec::from_iter(positions(id).iter().map(ToString::to_string));
        assert_eq!(texts("abcdef-3"), ["abcdef-3"]);
        assert_eq!(texts("abcdef-3~0-0"), ["abcdef-3", "0-0"]);
        for other in ["", "own", "abcdef-3~own", "abcdefghi-3"] {
            assert_eq!(texts(other), [""; 0], "{other:?}");
        }
    }
}
