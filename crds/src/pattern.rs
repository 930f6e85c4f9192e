//! Patterns of topics.

/// placeholder
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicPattern(String);

impl TopicPattern {
    /// Whether `topic` is one of these.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        self.0 == topic
    }
}
