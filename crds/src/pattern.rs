//! The patterns of topics that a Channel declares: `orders`, `orders.{user}`.
//!
//! Owns: parsing, matching, captures; `reader`: whether two patterns share a topic. Never: allocates when
//! matching; knows Channels. Used by: `policy`, `conflict`, `snapshot`, the gateway's topics and ingest.

mod reader;

pub use reader::Reader;

use crate::name::{InvalidTopic, Topic};
use std::fmt;
use std::sync::Arc;

/// The most captures of one pattern.
pub const CAPTURES: usize = 8;
/// The most bytes of a capture's name.
const CAPTURE_BYTES: usize = 32;
/// Words that CEL does not take as a field, so `topic.in` could never be written.
const NO_FIELDS: [&str; 4] = ["true", "false", "null", "in"];

/// A topic, or a shape of topics in which `{name}` stands for a non-empty run without `.`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPattern {
    text: Arc<str>,
    /// The text cut at captures; literals are never empty, captures never touch.
    parts: Arc<[Part]>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Part {
    Literal(Box<str>),
    Capture(Box<str>),
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    #[error("{0}")]
    Topic(#[from] InvalidTopic),
    #[error("a brace is not closed or not opened; captures are written {{name}}")]
    Brace,
    #[error(
        "{{{0}}} is not a capture; its name begins with a letter, goes on with letters, digits or _, has at most 32 characters and is not true, false, null or in"
    )]
    Name(String),
    #[error("{{{0}}} occurs twice; give each capture its own name")]
    Twice(String),
    #[error("two captures touch, so nothing says where one ends; put a character between them")]
    Touching,
    #[error("there are more than {CAPTURES} captures; use fewer")]
    TooMany,
}

impl TopicPattern {
    /// Reads a pattern; what is a valid topic without braces is one, too.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        Topic::new(text)?;
        let parts = cut(text)?;
        let mut names: Vec<&str> = Vec::new();
        for pair in parts.windows(2) {
            if let [Part::Capture(_), Part::Capture(_)] = pair {
                return Err(InvalidPattern::Touching);
            }
        }
        for part in &parts {
            if let Part::Capture(name) = part {
                if names.contains(&&**name) {
                    return Err(InvalidPattern::Twice(name.to_string()));
                }
                names.push(name);
            }
        }
        if names.len() > CAPTURES {
            return Err(InvalidPattern::TooMany);
        }
        Ok(Self {
            text: text.into(),
            parts: parts.into(),
        })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the pattern is one topic, without captures.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        matches!(&*self.parts, [Part::Literal(_)])
    }

    /// What stands before the first capture; all of a literal.
    #[must_use]
    pub fn prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(text)) => text,
            Some(Part::Capture(_)) | None => "",
        }
    }

    /// What stands after the last capture; all of a literal.
    fn suffix(&self) -> &str {
        match self.parts.last() {
            Some(Part::Literal(text)) => text,
            Some(Part::Capture(_)) | None => "",
        }
    }

    /// Whether `topic` is one of these.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        walk(&self.parts, topic, |_, _| {})
    }

    /// The captures of `topic` by name, in order of the pattern; none when it does not match. Where
    /// several readings are possible, each capture takes as little as it can, from left to right.
    #[must_use]
    pub fn captures<'a>(&'a self, topic: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        let mut found = Vec::new();
        walk(&self.parts, topic, |name, value| {
            found.push((name, value));
        })
        .then_some(found)
    }

    /// The names of its captures, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Capture(name) => Some(&**name),
            Part::Literal(_) => None,
        })
    }

    /// The shape as Redis writes it for `PSUBSCRIBE`: `*` for each capture, its own glob characters
    /// escaped. It hears more than the pattern matches, so every arrival is matched again.
    #[must_use]
    pub fn redis_glob(&self) -> String {
        let mut glob = String::with_capacity(self.text.len());
        for part in self.parts.iter() {
            match part {
                Part::Literal(text) => glob.extend(text.chars().flat_map(escaped)),
                Part::Capture(_) => glob.push('*'),
            }
        }
        glob
    }

    /// Whether some topic that begins with `prefix` matches; a topic is at most 255 bytes long, which is
    /// not weighed.
    #[must_use]
    pub fn reaches(&self, prefix: &str) -> bool {
        Reader::new(self).reaches(prefix)
    }
}

/// Walks `rest` along the parts, the shortest capture first. Taking the first place at which the
/// next literal fits never spoils a later one, and the last literal is bound to the end.
fn walk<'a>(parts: &'a [Part], mut rest: &'a str, mut found: impl FnMut(&'a str, &'a str)) -> bool {
    let mut parts = parts;
    loop {
        let (name, value) = match parts {
            [] => return rest.is_empty(),
            [Part::Literal(text), others @ ..] => match rest.strip_prefix(&**text) {
                Some(tail) => {
                    (rest, parts) = (tail, others);
                    continue;
                }
                None => return false,
            },
            [Part::Capture(name)] => {
                parts = &[];
                (name, std::mem::take(&mut rest))
            }
            [Part::Capture(name), Part::Literal(text)] => match rest.strip_suffix(&**text) {
                Some(value) => {
                    (rest, parts) = ("", &[]);
                    (name, value)
                }
                None => return false,
            },
            [Part::Capture(name), others @ ..] => {
                let Some((value, tail)) = split_at_literal(rest, others) else {
                    return false;
                };
                (rest, parts) = (tail, others);
                (name, value)
            }
        };
        if value.is_empty() || value.contains('.') {
            return false;
        }
        found(name, value);
    }
}

/// A capture of at least one character, and the rest that begins with the next literal.
fn split_at_literal<'a>(rest: &'a str, next: &[Part]) -> Option<(&'a str, &'a str)> {
    let Some(Part::Literal(text)) = next.first() else {
        return None;
    };
    let first = rest.chars().next()?.len_utf8();
    let at = rest[first..].find(&**text)?;
    Some(rest.split_at(first + at))
}

/// Cuts a pattern at its captures.
fn cut(text: &str) -> Result<Vec<Part>, InvalidPattern> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (literal, tail) = rest.split_at(at);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.into()));
        }
        let inside = tail.strip_prefix('{').ok_or(InvalidPattern::Brace)?;
        let (name, tail) = inside.split_once('}').ok_or(InvalidPattern::Brace)?;
        if !is_field(name) {
            return Err(InvalidPattern::Name(name.to_owned()));
        }
        parts.push(Part::Capture(name.into()));
        rest = tail;
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest.into()));
    }
    Ok(parts)
}

/// Whether a rule can write `topic.name`.
fn is_field(name: &str) -> bool {
    name.len() <= CAPTURE_BYTES
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !NO_FIELDS.contains(&name)
}

/// A character of a literal as a glob of Redis takes it literally.
fn escaped(c: char) -> impl Iterator<Item = char> {
    let special = matches!(c, '*' | '?' | '[' | ']' | '^' | '\\');
    special.then_some('\\').into_iter().chain([c])
}

impl fmt::Display for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}

#[cfg(test)]
mod tests;
