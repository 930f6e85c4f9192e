//! The query of a URL, decoded once.
//!
//! Owns: what `%` and `+` mean, and that repeated names stay in order. Pure. Used by: `request`.

/// Names and values in their order; bounded by the request head, of which the query is a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(Vec<u8>, Vec<u8>)>);

impl Query {
    /// Reads `raw`, the part after `?`. Every text is a query: a `%` that begins no escape stands for itself.
    #[must_use]
    pub fn parse(raw: &str) -> Self {
        let pairs = raw.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    /// Every value of `name`, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let pairs = self.0.iter();
        pairs
            .filter(move |(key, _)| key == name.as_bytes())
            .map(|(_, value)| value.as_slice())
    }

    /// The first value of `name`.
    #[must_use]
    pub fn first<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.all(name).next()
    }
}

fn decode(text: &str) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let [byte, tail @ ..] = rest {
        rest = tail;
        decoded.push(match (byte, tail) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => *byte,
        });
    }
    decoded
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(raw: &str, expected: &[&str]) {
        let query = Query::parse(raw);
        let values: Vec<_> = query.all("channel").collect();
        let expected: Vec<_> = expected.iter().map(|value| value.as_bytes()).collect();
        assert_eq!(values, expected, "{raw:?}");
    }

    #[test]
    fn values_are_decoded_once() {
        check("channel=a%20b&x=1&channel=c+d", &["a b", "c d"]);
        check("channel=%252e", &["%2e"]);
        check("channel=%2Fobserver%2f42", &["/observer/42"]);
        check("channel=a=b", &["a=b"]);
        check("channel&channel=&=x&&", &["", ""]);
        check("ch%61nnel=x", &["x"]);
    }

    #[test]
    fn half_an_escape_stands_for_itself() {
        check("channel=100%", &["100%"]);
        check("channel=%2", &["%2"]);
        check("channel=%zz%+1", &["%zz% 1"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(raw in ".{0,60}") {
            let _query = Query::parse(&raw);
        }
    }
}
