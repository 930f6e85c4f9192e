//! Keys under which a message is published once.
//!
//! Owns: what makes two requests the same. Pure. Used by: `publish`.

use crate::message::Message;
use sha2::{Digest, Sha256};

/// The key of one message of a request: others' keys and other messages of the list are other keys.
pub fn of(key: &str, index: usize, identity: &str) -> String {
    hex(&[
        key.as_bytes(),
        b"\0",
        index.to_string().as_bytes(),
        b"\0",
        identity.as_bytes(),
    ])
}

/// What a repeated request must equal.
pub fn content(message: &Message) -> String {
    let retry = message
        .retry()
        .map(|retry| retry.to_string())
        .unwrap_or_default();
    let except = message.except().iter().map(ToString::to_string);
    let except = except.collect::<String>();
    let [kind, id] = [message.kind(), message.id()].map(Option::unwrap_or_default);
    hex(&[
        kind.as_bytes(),
        b"\0",
        id.as_bytes(),
        b"\0",
        retry.as_bytes(),
        b"\0",
        except.as_bytes(),
        b"\0",
        message.data().as_bytes(),
    ])
}

fn hex(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_others_and_of_other_places_in_a_list_differ() {
        assert_eq!(of("k", 0, "ana"), of("k", 0, "ana"));
        let all = [
            of("k", 0, "ana"),
            of("k", 1, "ana"),
            of("k", 0, "ben"),
            of("k0", 0, "ana"),
        ];
        for (index, key) in all.iter().enumerate() {
            assert!(!all[index + 1..].contains(key), "{index}");
        }
    }

    #[test]
    fn each_part_of_a_message_is_part_of_its_content() {
        let message = |data: &'static str| Message::new(data).unwrap();
        let all = [
            message("x"),
            message("y"),
            message("x").with_id("1").unwrap(),
            message("x").with_type("1").unwrap(),
            message("x").with_retry(Some(1)),
            message("x")
                .with_except(vec![crate::message::Session::draw(1)])
                .unwrap(),
        ]
        .map(|message| content(&message));
        for (index, one) in all.iter().enumerate() {
            assert!(!all[index + 1..].contains(one), "{index}");
        }
    }
}
