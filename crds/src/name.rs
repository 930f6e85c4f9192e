//! The names that the rest is built from: a topic, and a Channel in its namespace.
//!
//! Owns: what a valid topic is. Never: knows patterns (`pattern`) or who owns a topic (`conflict`).
//! Used by: every crate; both are one shared pointer, so cloning is free.

use std::fmt;
use std::sync::Arc;

/// The most bytes of UTF-8 that a topic may have.
pub const TOPIC_BYTES: usize = 255;

/// A concrete name that is published to and listened to: 1–255 bytes of UTF-8 without control
/// characters, without space at either end, and not `*`. Compared as bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

/// Why a text is no topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopic {
    #[error("a topic name is empty; give it at least one character")]
    Empty,
    #[error("a topic name is longer than 255 bytes; shorten it")]
    TooLong,
    #[error("a topic name contains a control character; remove it")]
    Control,
    #[error("a topic name begins or ends with a space; remove it")]
    Space,
    #[error("`*` alone is not a topic name")]
    Star,
}

impl Topic {
    /// Checks `name` against the rules of the type.
    pub fn new(name: &str) -> Result<Self, InvalidTopic> {
        if name.is_empty() {
            return Err(InvalidTopic::Empty);
        }
        if name.len() > TOPIC_BYTES {
            return Err(InvalidTopic::TooLong);
        }
        if name.chars().any(char::is_control) {
            return Err(InvalidTopic::Control);
        }
        if name.starts_with(char::is_whitespace) || name.ends_with(char::is_whitespace) {
            return Err(InvalidTopic::Space);
        }
        if name == "*" {
            return Err(InvalidTopic::Star);
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// A Channel's namespace and name, shown as `namespace/name`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName {
    namespace: Arc<str>,
    name: Arc<str>,
}

impl ChannelName {
    /// Joins the two parts; the API server, or `policy` for manifests from files, has checked them.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The namespace, shared.
    #[must_use]
    pub fn namespace(&self) -> &Arc<str> {
        &self.namespace
    }

    /// The name of the Channel, shared.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Result<(), InvalidTopic>) {
        assert_eq!(Topic::new(name).map(|_| ()), expected, "{name:?}");
    }

    #[test]
    fn any_text_without_controls_is_a_topic() {
        check("orders", Ok(()));
        check("/observer/42", Ok(()));
        check("users.søk sign", Ok(()));
        check("orders.*", Ok(()));
        check(&"x".repeat(255), Ok(()));
    }

    #[test]
    fn what_would_confuse_people_or_redis_is_refused() {
        check("", Err(InvalidTopic::Empty));
        check(&"x".repeat(256), Err(InvalidTopic::TooLong));
        check("a\nb", Err(InvalidTopic::Control));
        check("a\0", Err(InvalidTopic::Control));
        check("a\u{85}b", Err(InvalidTopic::Control));
        check(" a", Err(InvalidTopic::Space));
        check("a ", Err(InvalidTopic::Space));
        check("*", Err(InvalidTopic::Star));
    }
}
