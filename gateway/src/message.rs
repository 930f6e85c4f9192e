//! What is published: data, type, id, retry.
//!
//! Owns: that none of them can break out of a frame. Never: knows where it came from or goes to.
//! Pure. Used by: `http::request` and `ingest`, which make it; `frame`, which encodes it.

use bytes::Bytes;
use std::fmt;
use std::str::FromStr;

/// The most bytes of a publisher's own id or type.
pub const FIELD_BYTES: usize = 1024;
/// Types that begin so are the gateway's own control events.
pub const RESERVED_TYPE: &str = "siar.";
/// The most sessions that one message may be withheld from.
pub const MOST_EXCEPT: usize = 100;

/// One line of text that cannot end an SSE line: not empty, no CR, LF or NUL, at most 1,024 bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field(Box<str>);

/// Why a message was refused at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("`{0}` contains CR, LF or NUL; remove it")]
    LineEnd(&'static str),
    #[error("`{0}` is longer than 1024 bytes; shorten it")]
    TooLong(&'static str),
    #[error("types that begin with `siar.` are reserved for control events; choose another")]
    Reserved,
    #[error("`data` is missing; send it, an empty string is allowed")]
    NoData,
    #[error("the data is not UTF-8; server-sent events carry text only")]
    NotText,
    #[error("the message is not a JSON object of the expected form")]
    NotJson,
    #[error("`except` names more than 100 sessions")]
    TooManyExcept,
}

impl Field {
    /// Checks `text`; `name` is what it is called in the message of the error. Empty text is no field.
    pub fn new(text: &str, name: &'static str) -> Result<Option<Self>, Malformed> {
        if text.is_empty() {
            return Ok(None);
        }
        if text.len() > FIELD_BYTES {
            return Err(Malformed::TooLong(name));
        }
        if text.contains(['\r', '\n', '\0']) {
            return Err(Malformed::LineEnd(name));
        }
        Ok(Some(Self(text.into())))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An unguessable name of one open stream, told in `siar.open`, named in `except`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Session(u128);

impl Session {
    /// A session from random bits.
    #[must_use]
    pub fn draw(random: u128) -> Self {
        Self(random)
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("session")
    }
}

/// A text that names no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a session")]
pub struct NoSession;

impl FromStr for Session {
    type Err = NoSession;

    fn from_str(text: &str) -> Result<Self, NoSession> {
        if text.len() != 32
            || text
                .bytes()
                .any(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Err(NoSession);
        }
        u128::from_str_radix(text, 16).map(Self).or(Err(NoSession))
    }
}

/// A message that can go out: its data is UTF-8, its type and id are single lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    data: Bytes,
    kind: Option<Field>,
    id: Option<Field>,
    retry: Option<u64>,
    except: Box<[Session]>,
}

impl Message {
    /// A message of type `message` without an own id.
    pub fn new(data: impl Into<Bytes>) -> Result<Self, Malformed> {
        let data = data.into();
        if std::str::from_utf8(&data).is_err() {
            return Err(Malformed::NotText);
        }
        Ok(Self {
            data,
            kind: None,
            id: None,
            retry: None,
            except: Box::default(),
        })
    }

    /// Sets the type; empty text means `message`.
    pub fn with_type(mut self, kind: &str) -> Result<Self, Malformed> {
        if kind.starts_with(RESERVED_TYPE) {
            return Err(Malformed::Reserved);
        }
        self.kind = Field::new(kind, "type")?;
        Ok(self)
    }

    /// Sets the publisher's own id; empty text means none.
    pub fn with_id(mut self, id: &str) -> Result<Self, Malformed> {
        self.id = Field::new(id, "id")?;
        Ok(self)
    }

    /// Sets the reconnection time in milliseconds.
    #[must_use]
    pub fn with_retry(mut self, retry: Option<u64>) -> Self {
        self.retry = retry;
        self
    }

    /// Sets the sessions that do not get it.
    pub fn with_except(mut self, except: Vec<Session>) -> Result<Self, Malformed> {
        if except.len() > MOST_EXCEPT {
            return Err(Malformed::TooManyExcept);
        }
        self.except = except.into();
        Ok(self)
    }

    /// The data as text.
    #[must_use]
    pub fn data(&self) -> &str {
        std::str::from_utf8(&self.data).unwrap_or_default()
    }

    /// The type; none is `message`.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.kind.as_ref().map(Field::as_str)
    }

    /// The publisher's own id.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_ref().map(Field::as_str)
    }

    /// The reconnection time in milliseconds.
    #[must_use]
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// The sessions that do not get it.
    #[must_use]
    pub fn except(&self) -> &[Session] {
        &self.except
    }

    /// The bytes it occupies, for the bounds of queues and stores.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.data.len() + self.kind().map_or(0, str::len) + self.id().map_or(0, str::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_types_cannot_end_a_line() {
        for bad in ["a\nb", "a\r", "\0", "a\r\ndata: evil"] {
            let message = Message::new("x").expect("text");
            assert_eq!(
                message.clone().with_type(bad),
                Err(Malformed::LineEnd("type"))
            );
            assert_eq!(message.with_id(bad), Err(Malformed::LineEnd("id")));
        }
    }

    #[test]
    fn empty_id_and_type_are_none() {
        let message = Message::new("x")
            .and_then(|m| m.with_id(""))
            .and_then(|m| m.with_type(""))
            .expect("fine");
        assert_eq!((message.id(), message.kind()), (None, None));
    }

    #[test]
    fn control_events_cannot_be_forged() {
        assert_eq!(
            Message::new("x").and_then(|m| m.with_type("siar.end")),
            Err(Malformed::Reserved)
        );
    }

    #[test]
    fn a_session_reads_back_and_nothing_else_does() {
        let session = Session::draw(7);
        assert_eq!(session.to_string().parse(), Ok(session));
        for bad in [
            "",
            "1822913980577141",
            &"G".repeat(32),
            &"A".repeat(32),
            &format!("+{}", "1".repeat(31)),
        ] {
            assert_eq!(bad.parse::<Session>(), Err(NoSession), "{bad:?}");
        }
    }
}
