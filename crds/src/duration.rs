//! A length of time as people write it: `30m`, `1h30m`, `250ms`.
//!
//! Owns: keeping the text as it was written, and reading it without ever panicking. Never: knows
//! which field allows which range (`policy`, and the schema). Used by: `channel`, `policy`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// The most bytes that a duration may have as text.
const TEXT_BYTES: usize = 16;
/// The most digits of one part.
const PART_DIGITS: usize = 5;
/// The most parts of one duration.
const PARTS: usize = 3;
/// What the schema says; [`DurationText::read`] does the same by hand.
pub const PATTERN: &str = "^([0-9]{1,5}(ms|s|m|h)){1,3}$";

/// A duration as it stands in the manifest, unchecked until [`DurationText::read`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DurationText(String);

/// The text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not a duration; write up to three numbers with ms, s, m or h, such as 250ms, 30s or 1h30m"
)]
pub struct InvalidDuration;

impl DurationText {
    /// Wraps a text without looking at it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The time that the text means; at most 99,999 h three times over, so it never overflows.
    pub fn read(&self) -> Result<Duration, InvalidDuration> {
        let mut rest = self.0.as_str();
        let mut total = Duration::ZERO;
        let mut parts = 0;
        if rest.is_empty() || rest.len() > TEXT_BYTES {
            return Err(InvalidDuration);
        }
        while !rest.is_empty() {
            let (part, tail) = read_part(rest).ok_or(InvalidDuration)?;
            parts += 1;
            if parts > PARTS {
                return Err(InvalidDuration);
            }
            total += part;
            rest = tail;
        }
        Ok(total)
    }
}

/// The first number with its unit, and what follows it.
fn read_part(text: &str) -> Option<(Duration, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, tail) = text.split_at(end);
    if digits.len() > PART_DIGITS {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    let (unit, millis) = units.iter().find(|(unit, _)| tail.starts_with(unit))?;
    Some((Duration::from_millis(number * millis), &tail[unit.len()..]))
}

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "DurationText".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": TEXT_BYTES, "pattern": PATTERN })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: Result<u64, InvalidDuration>) {
        let read = DurationText::new(text).read();
        assert_eq!(read, expected.map(Duration::from_millis), "{text:?}");
    }

    #[test]
    fn numbers_with_units_add_up() {
        check("0s", Ok(0));
        check("250ms", Ok(250));
        check("30m", Ok(1_800_000));
        check("1h30m", Ok(5_400_000));
        check("1m1s1ms", Ok(61_001));
        check("99999h99999h", Ok(2 * 99_999 * 3_600_000));
    }

    #[test]
    fn all_else_is_refused() {
        for text in [
            "", "5", "s", "-1h", "1d", "1h ", " 1h", "1.5h", "1H", "999999s", "1s1s1s1s", "٣s",
        ] {
            check(text, Err(InvalidDuration));
        }
        check("99999h99999h99999h", Err(InvalidDuration));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _outcome = DurationText::new(&text).read();
        }
    }
}
