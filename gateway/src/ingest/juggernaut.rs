//! What Juggernaut publishes: one JSON object with its channels, its data and whom to leave out.
//!
//! Owns: its reading of each field. Never: sends on `except` or fields of others. Pure. Used by: the
//! Redis keeper.

use super::flask_sse::object;
use super::{Refused, data, message, present, readable};
use crate::message::{Malformed, Message, Session};
use crds::name::Topic;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Channels of one payload; a payload with more is malformed.
pub const MOST_CHANNELS: usize = 100;

/// One message for several topics.
#[derive(Debug, PartialEq, Eq)]
pub struct Broadcast {
    /// Each once, in the order of the payload; what is no valid topic is left out.
    pub topics: Vec<Topic>,
    pub message: Message,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(default)]
    channels: Option<OneOrMany>,
    #[serde(default)]
    channel: Option<OneOrMany>,
    #[serde(default)]
    except: Option<OneOrMany>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<serde_json::Value>),
    /// Of no use, but no reason to drop the message.
    Other(serde::de::IgnoredAny),
}

impl OneOrMany {
    fn texts(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(values) => {
                let texts = values.into_iter().map(|value| match value {
                    serde_json::Value::String(text) => Some(text),
                    // Ids of sessions and channels were numbers, too, in some clients.
                    serde_json::Value::Number(number) => Some(number.to_string()),
                    _ => None,
                });
                texts.flatten().collect()
            }
            Self::Other(_) => Vec::new(),
        }
    }
}

/// Reads `payload`, whose data may have `most` bytes.
pub fn parse(payload: &[u8], most: usize) -> Result<Broadcast, Refused> {
    readable(payload, most)?;
    let payload: Payload<'_> = object(payload)?;
    let channels = payload.channels.or(payload.channel);
    let channels = channels.ok_or(Malformed::NotJson)?.texts();
    if channels.is_empty() || channels.len() > MOST_CHANNELS {
        return Err(Malformed::NotJson.into());
    }
    let mut topics: Vec<Topic> = Vec::with_capacity(channels.len());
    for topic in channels.iter().filter_map(|name| Topic::new(name).ok()) {
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    let except = payload.except.map(OneOrMany::texts).unwrap_or_default();
    let except: Vec<Session> = except.iter().filter_map(|name| name.parse().ok()).collect();
    let message = message(data(payload.data)?, most)?.with_except(except)?;
    Ok(Broadcast { topics, message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANA: &str = "0123456789abcdef0123456789abcdef";
    const BEN: &str = "fedcba9876543210fedcba9876543210";

    #[track_caller]
    fn check(payload: &str, topics: &[&str], data: &str, except: &[&str]) {
        let broadcast = parse(payload.as_bytes(), 100).expect(payload);
        let got: Vec<&str> = broadcast.topics.iter().map(Topic::as_str).collect();
        assert_eq!(got, topics, "{payload}");
        assert_eq!(broadcast.message.data(), data, "{payload}");
        let left_out = broadcast.message.except().iter().map(Session::to_string);
        assert_eq!(left_out.collect::<Vec<_>>(), except, "{payload}");
        assert_eq!(broadcast.message.kind(), None);
        assert_eq!(broadcast.message.id(), None);
    }

    #[test]
    fn channels_are_an_array_or_one_string() {
        check(
            r#"{"channels":["channel1","/chat"],"data":"x"}"#,
            &["channel1", "/chat"],
            "x",
            &[],
        );
        check(
            r#"{"channels":"/observer/42","data":"x"}"#,
            &["/observer/42"],
            "x",
            &[],
        );
        check(r#"{"channel":"c1","data":"x"}"#, &["c1"], "x", &[]);
        check(
            r#"{"channel":"c1","channels":["c2"],"data":"x"}"#,
            &["c2"],
            "x",
            &[],
        );
    }

    #[test]
    fn duplicates_count_once_and_names_that_are_none_not_at_all() {
        check(
            r#"{"channels":["a","a",""," b","*",null,"c"],"data":"x"}"#,
            &["a", "c"],
            "x",
            &[],
        );
    }

    #[test]
    fn data_is_text_or_json_as_it_stood() {
        let payload = |data: &str| format!(r#"{{"channels":["a"],"data":{data}}}"#);
        check(&payload(r#""héllo""#), &["a"], "héllo", &[]);
        check(
            &payload(r#"{"b":1,  "a":[2]}"#),
            &["a"],
            r#"{"b":1,  "a":[2]}"#,
            &[],
        );
        check(&payload("5"), &["a"], "5", &[]);
        check(&payload("null"), &["a"], "null", &[]);
    }

    #[test]
    fn except_is_one_session_or_several_and_strangers_are_no_harm() {
        let payload =
            |except: String| format!(r#"{{"channels":["a"],"data":"x","except":{except}}}"#);
        check(&payload(format!("{ANA:?}")), &["a"], "x", &[ANA]);
        check(
            &payload(format!(r#"[{ANA:?},"1822913980577141",7,{BEN:?}]"#)),
            &["a"],
            "x",
            &[ANA, BEN],
        );
        check(&payload("null".into()), &["a"], "x", &[]);
        check(&payload("{}".into()), &["a"], "x", &[]);
    }

    #[test]
    fn other_keys_are_ignored() {
        check(
            r#"{"channels":["a"],"data":"x","type":"t","id":"5","meta":{}}"#,
            &["a"],
            "x",
            &[],
        );
    }

    #[test]
    fn without_channels_data_or_json_it_is_malformed() {
        for payload in [
            "",
            "{",
            "[]",
            "5",
            r#"{"data":"x"}"#,
            r#"{"channels":[],"data":"x"}"#,
            r#"{"channels":{},"data":"x"}"#,
        ] {
            let got = parse(payload.as_bytes(), 100);
            assert_eq!(got, Err(Malformed::NotJson.into()), "{payload}");
        }
        let got = parse(br#"{"channels":["a"]}"#, 100);
        assert_eq!(got, Err(Malformed::NoData.into()));
        let many = vec!["a"; MOST_CHANNELS + 1];
        let payload = serde_json::json!({ "channels": many, "data": "x" }).to_string();
        assert!(parse(payload.as_bytes(), 100).is_err());
    }

    #[test]
    fn the_limit_is_on_the_data() {
        let payload = format!(r#"{{"channels":["a"],"data":"{}"}}"#, "x".repeat(101));
        assert_eq!(parse(payload.as_bytes(), 100), Err(Refused::TooLarge));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_broadcast_or_refused(bytes: Vec<u8>) {
            drop(parse(&bytes, 100));
        }
    }
}
