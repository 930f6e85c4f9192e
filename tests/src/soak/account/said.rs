//! What a message of the soak carries.
//!
//! Owns: the text of a message. Never: knows what was heard before. Used by: `account` and whoever
//! publishes.

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
}
