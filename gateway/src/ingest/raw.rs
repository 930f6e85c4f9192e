//! What a plain publisher publishes: any text is the data.
//!
//! Owns: that it is text and not too large. Pure. Used by: the Redis keeper.

use super::{Refused, message};
use crate::message::Message;

/// Reads `payload`, which may have `most` bytes.
pub fn parse(payload: Vec<u8>, most: usize) -> Result<Message, Refused> {
    message(payload, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Malformed;

    #[test]
    fn any_text_is_data() {
        for text in ["", "x", "{\"data\": 5}", "a\nb\0"] {
            let message = parse(text.as_bytes().to_vec(), 100).unwrap();
            assert_eq!(message.data(), text);
        }
    }

    #[test]
    fn what_is_no_text_or_too_large_is_refused() {
        let not_text = parse(vec![0xff], 100);
        assert_eq!(not_text, Err(Refused::Malformed(Malformed::NotText)));
        assert_eq!(parse(vec![b'x'; 101], 100), Err(Refused::TooLarge));
    }
}
