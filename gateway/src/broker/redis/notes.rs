//! What the gateways of one fleet say to each other over the server.
//!
//! Owns: the JSON of these notes. Unknown ones are ignored: gateways of two versions share a server
//! during every rollout. Pure. Used by: `pump`, which hears them; `lease`, `presence`, which speak.

use serde::{Deserialize, Serialize};

/// One note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "k", rename_all = "lowercase")]
pub enum Note {
    /// Who listens to the address published at `channel`? The answer goes to `from`.
    Ask {
        n: u64,
        from: String,
        channel: String,
    },
    /// The answer to question `n`.
    Answer {
        n: u64,
        streams: u64,
        names: Vec<String>,
    },
    /// Raw messages may have been lost; `n` rises with each time.
    Lost { n: u64 },
    /// The holder of the ingest lease leaves, and looks for a successor.
    Offer { from: String },
    /// `id` hears all raw messages and could take over from `from`.
    Ready { from: String, id: String },
    /// The marker: `to` numbers what follows.
    Take { to: String, token: u64 },
    /// What stood before the marker with this token is numbered.
    Done { token: u64 },
}

impl Note {
    /// As it is published.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads one; none: nothing that this version knows.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(note: &Note, text: &str) {
        assert_eq!(note.text(), text);
        assert_eq!(Note::read(text.as_bytes()).as_ref(), Some(note));
    }

    #[test]
    fn notes_read_back_and_match_what_the_scripts_write() {
        check(&Note::Lost { n: 3 }, r#"{"k":"lost","n":3}"#);
        let to = "g2".into();
        check(
            &Note::Take { to, token: 7 },
            r#"{"k":"take","to":"g2","token":7}"#,
        );
    }

    #[test]
    fn unknown_notes_are_nothing_and_unknown_keys_ignored() {
        assert_eq!(Note::read(br#"{"k":"dance"}"#), None);
        assert_eq!(Note::read(b"x"), None);
        let note = Note::read(br#"{"k":"lost","n":1,"why":"x"}"#);
        assert_eq!(note, Some(Note::Lost { n: 1 }));
    }
}
