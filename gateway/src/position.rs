//! Where a message stands in its topic, and how a cursor is judged against what the server remembers.
//!
//! Owns: the text of positions and cursors, and the rules of lost and kept cursors. Never: reads
//! history, knows of streams. Pure. Used by: `broker`, `topics`, `worker`, `http::request`.

use std::fmt;
use std::str::FromStr;

/// The most positions that one cursor may join, and the most topics of one stream.
pub const MOST_TOPICS: usize = 32;
/// The newest epochs that a server remembers for a topic.
pub const MOST_EPOCHS: usize = 8;
/// Offsets stay below this, so that the number type of Lua scripts holds them exactly.
const MOST_OFFSET: u64 = 1 << 53;

/// Six of `[0-9a-z]`, never beginning with `0`: drawn anew whenever the server that numbers may
/// have lost or rolled back anything.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch([u8; 6]);

impl Epoch {
    /// The epoch of a topic never published to; written `0`.
    pub const NONE: Self = Self(*b"000000");

    /// An epoch drawn from random bits.
    #[must_use]
    pub fn draw(random: u64) -> Self {
        const DIGITS: &[u8; 36] = b"123456789abcdefghijklmnopqrstuvwxyz0";
        let mut rest = random;
        let mut name = [b'0'; 6];
        for (index, byte) in name.iter_mut().enumerate() {
            let choices = if index == 0 { 35 } else { 36 };
            *byte = DIGITS[usize::try_from(rest % choices).unwrap_or(0)];
            rest /= choices;
        }
        Self(name)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return f.write_str("0");
        }
        f.write_str(std::str::from_utf8(&self.0).unwrap_or("0"))
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no epoch, position or cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position")]
pub struct NoPosition;

impl FromStr for Epoch {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        let name: [u8; 6] = text.as_bytes().try_into().or(Err(NoPosition))?;
        let allowed = name
            .iter()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
        if !allowed || name[0] == b'0' {
            return Err(NoPosition);
        }
        Ok(Self(name))
    }
}

/// A place in a topic: everything up to and including `offset` is behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    pub epoch: Epoch,
    pub offset: u64,
}

impl Position {
    /// Where a topic stands that was never published to: `0-0`.
    pub const NEVER: Self = Self {
        epoch: Epoch::NONE,
        offset: 0,
    };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.offset)
    }
}

impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        if text == "0-0" {
            return Ok(Self::NEVER);
        }
        let (epoch, digits) = text.split_once('-').ok_or(NoPosition)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let leading_zero = digits.len() > 1 && digits.starts_with('0');
        if !plain || leading_zero {
            return Err(NoPosition);
        }
        let offset = digits.parse().or(Err(NoPosition))?;
        if offset >= MOST_OFFSET {
            return Err(NoPosition);
        }
        Ok(Self {
            epoch: epoch.parse()?,
            offset,
        })
    }
}

/// Splits a cursor into the positions of its topics, in the order of the sorted topics.
pub fn parse_cursor(text: &str) -> Result<Vec<Position>, NoPosition> {
    let positions: Vec<Position> = text
        .split('~')
        .take(MOST_TOPICS + 1)
        .map(Position::from_str)
        .collect::<Result<_, _>>()?;
    if positions.len() > MOST_TOPICS {
        return Err(NoPosition);
    }
    Ok(positions)
}

/// What the server that numbers remembers of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lineage {
    /// The newest epochs with the first offset of each, oldest first; empty: never published to.
    pub epochs: Vec<(Epoch, u64)>,
    /// The newest offset; 0 when never published to.
    pub last: u64,
}

/// What becomes of a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Nothing is lost so far as the numbers tell: go on with the message after this offset.
    Follows(u64),
    /// The cursor's epoch ended there or before: go on after this offset, and tell that the server may have lost
    /// what else it had numbered in that epoch.
    Broken(u64),
    /// The epoch is not listed: go on from the oldest message kept, and tell the loss.
    Unlisted,
}

impl Lineage {
    /// The position of the newest message.
    #[must_use]
    pub fn position(&self) -> Position {
        self.epochs
            .last()
            .map_or(Position::NEVER, |&(epoch, _)| Position {
                epoch,
                offset: self.last,
            })
    }

    /// Whether a cursor's epoch is one that this topic remembers, or the beginning of all.
    #[must_use]
    pub fn lists(&self, epoch: Epoch) -> bool {
        epoch == Epoch::NONE || self.epochs.iter().any(|&(listed, _)| listed == epoch)
    }

    /// The position of `offset`, in the epoch that numbered it; the oldest listed one if older.
    #[must_use]
    pub fn at(&self, offset: u64) -> Position {
        let epoch = self
            .epochs
            .iter()
            .rev()
            .find(|&&(_, first)| first <= offset)
            .or(self.epochs.first())
            .map_or(Epoch::NONE, |&(epoch, _)| epoch);
        Position { epoch, offset }
    }

    /// Where who goes on with the message after `offset` stands: in the epoch of that message, so that what was
    /// told of the way into that epoch is not told again. Never before the oldest listed epoch.
    #[must_use]
    pub fn after(&self, offset: u64) -> Position {
        let oldest = self.oldest();
        let offset = offset.max(oldest.saturating_sub(1));
        let epoch = self.at(offset + 1).epoch;
        Position { epoch, offset }
    }

    /// The first offset of the oldest listed epoch. What was numbered before belongs to nothing remembered.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.epochs.first().map_or(1, |&(_, first)| first)
    }

    /// Judges a cursor. An epoch is drawn anew exactly when the server may have lost something, so a cursor is good
    /// while its own epoch has more; from its end on, what else was acknowledged in that epoch is unknown.
    #[must_use]
    pub fn judge(&self, cursor: Position) -> Judged {
        if cursor.epoch == Epoch::NONE {
            return Judged::Follows(0);
        }
        let Some(index) = self
            .epochs
            .iter()
            .position(|&(epoch, _)| epoch == cursor.epoch)
        else {
            return Judged::Unlisted;
        };
        match self.epochs.get(index + 1) {
            Some(&(_, next)) if cursor.offset + 1 >= next => Judged::Broken(next - 1),
            _ => Judged::Follows(cursor.offset),
        }
    }

    /// Takes in that `offset` was numbered in `epoch`, whose first offset is `first`.
    pub fn advance(&mut self, epoch: Epoch, first: u64, offset: u64) {
        if self
            .epochs
            .last()
            .is_none_or(|&(newest, _)| newest != epoch)
        {
            self.epochs.push((epoch, first));
            if self.epochs.len() > MOST_EPOCHS {
                self.epochs.remove(0);
            }
        }
        self.last = offset;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, good: bool) {
        let parsed = text.parse::<Position>();
        assert_eq!(parsed.is_ok(), good, "{text:?}");
        if let Ok(position) = parsed {
            assert_eq!(position.to_string(), text);
        }
    }

    #[test]
    fn positions_parse_strictly_and_print_the_same() {
        for text in ["0-0", "abcdef-0", "1a2b3c-42", "zzzzzz-99999999"] {
            check(text, true);
        }
        for text in [
            "",
            "-",
            "0-1",
            "0abcde-1",
            "abcde-1",
            "abcdefg-1",
            "abcdef-",
            "abcdef-01",
            "abcdef-+1",
            "ABCDEF-1",
            "abcdef--1",
            "abcdef-1 ",
            "abcdef-18446744073709551616",
            "abcdef-9007199254740992",
            "1732000000000-0",
        ] {
            check(text, false);
        }
    }

    #[test]
    fn eight_positions_up_to_99999999_fit_in_128_bytes() {
        let cursor = ["abcdef-99999999"; 8].join("~");
        assert_eq!(cursor.len(), 127);
        assert_eq!(
            parse_cursor(&cursor).map(|positions| positions.len()),
            Ok(8)
        );
        assert!(parse_cursor(&["abcdef-1"; 33].join("~")).is_err());
    }

    #[test]
    fn a_drawn_epoch_reads_back_and_never_begins_with_zero() {
        for random in (0..u64::MAX).step_by(usize::try_from(u64::MAX / 997).unwrap_or(1)) {
            let epoch = Epoch::draw(random);
            assert_eq!(epoch.to_string().parse(), Ok(epoch));
        }
    }

    #[track_caller]
    fn check_judged(epochs: &[(&str, u64)], last: u64, cursor: &str, expected: Judged) {
        let epochs = epochs.iter();
        let epochs = epochs.map(|&(epoch, first)| (epoch.parse().expect("an epoch"), first));
        let epochs = epochs.collect();
        let judged = Lineage { epochs, last }.judge(cursor.parse().expect("a position"));
        assert_eq!(judged, expected, "{cursor}");
    }

    #[test]
    fn a_cursor_is_good_while_its_epoch_has_more() {
        let check = |cursor, expected| {
            check_judged(&[("aaaaaa", 1), ("bbbbbb", 6)], 9, cursor, expected);
        };
        check("aaaaaa-3", Judged::Follows(3));
        check("aaaaaa-4", Judged::Follows(4));
        check("aaaaaa-5", Judged::Broken(5));
        check("aaaaaa-8", Judged::Broken(5));
        check("bbbbbb-5", Judged::Follows(5));
        check("bbbbbb-9", Judged::Follows(9));
        check("bbbbbb-12", Judged::Follows(12));
        check("cccccc-3", Judged::Unlisted);
        check("0-0", Judged::Follows(0));
    }

    #[test]
    fn the_position_after_a_way_into_an_epoch_follows_however_many_began_there() {
        let epochs = [("aaaaaa", 3), ("bbbbbb", 6), ("cccccc", 6), ("dddddd", 9)];
        check_judged(&epochs, 9, "aaaaaa-5", Judged::Broken(5));
        check_judged(&epochs, 9, "bbbbbb-5", Judged::Broken(5));
        check_judged(&epochs, 9, "cccccc-5", Judged::Follows(5));
        check_judged(&epochs, 9, "cccccc-8", Judged::Broken(8));
        let lineage = Lineage {
            epochs: epochs
                .iter()
                .map(|&(epoch, first)| (epoch.parse().expect("an epoch"), first))
                .collect(),
            last: 9,
        };
        let after = |offset| lineage.after(offset).to_string();
        assert_eq!(
            [4, 5, 7, 8, 9].map(after),
            ["aaaaaa-4", "cccccc-5", "cccccc-7", "dddddd-8", "dddddd-9"]
        );
        assert_eq!(after(0), "aaaaaa-2", "what came before is not remembered");
        assert_eq!(lineage.at(5).to_string(), "aaaaaa-5");
        assert_eq!(lineage.position().to_string(), "dddddd-9");
        assert_eq!(Lineage::default().after(0), Position::NEVER);
    }
}
