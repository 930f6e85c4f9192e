//! A place in a topic, as a gateway names it: the harness's own reading of it.
//!
//! Owns: the text of positions and of the ids that join them. Never: judges one. Used by: `steady`, `soak`.

use std::fmt;
use std::str::FromStr;

/// A place in a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub epoch: Epoch,
    pub offset: u64,
}

/// Which numbering; a text of at most 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch([u8; 8]);

impl FromStr for Position {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (name, offset) = text.split_once('-')?;
            let mut epoch = [0; 8];
            epoch
                .get_mut(..name.len())?
                .copy_from_slice(name.as_bytes());
            Some(Self {
                epoch: Epoch(epoch),
                offset: offset.parse().ok()?,
            })
        };
        read().ok_or_else(|| format!("{text:?} is no position"))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let epoch = String::from_utf8_lossy(&self.epoch.0);
        write!(f, "{}-{}", epoch.trim_end_matches('\0'), self.offset)
    }
}

/// The positions in an id, in the order of the sorted topics; none at all when it is something else.
#[must_use]
pub fn positions(id: &str) -> Vec<Position> {
    let read: Result<Vec<Position>, String> = id.split('~').map(str::parse).collect();
    read.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

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
