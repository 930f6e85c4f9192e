//! A message as it stands in Redis: one JSON object in the pub/sub channel and in the stream.
//!
//! Owns: its keys and its version; gateways of two versions share a server during every rollout.
//! Never: numbers a message, which the script does. Pure. Used by: `publish`, `history`, `pump`.

use crate::frame::Frame;
use crate::message::{Malformed, Message, Session};
use crate::position::{Epoch, NoPosition, Position};
use crds::name::{InvalidTopic, Topic};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What this version writes and reads; the script puts it in front.
const VERSION: u64 = 1;

#[derive(Serialize)]
struct Body<'a> {
    topic: &'a str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    except: Vec<String>,
    data: &'a str,
}

/// The message as an object, to which the script adds version, epoch, offsets and time.
#[must_use]
pub fn body(topic: &Topic, message: &Message) -> String {
    let body = Body {
        topic: topic.as_str(),
        kind: message.kind(),
        id: message.id(),
        retry: message.retry(),
        except: message.except().iter().map(Session::to_string).collect(),
        data: message.data(),
    };
    serde_json::to_string(&body).unwrap_or_default()
}

#[derive(Deserialize)]
struct Version {
    v: u64,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    e: Cow<'a, str>,
    f: u64,
    o: u64,
    t: u64,
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(borrow, rename = "type", default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(default)]
    retry: Option<u64>,
    #[serde(default)]
    except: Vec<String>,
    data: String,
}

/// Why an entry cannot be delivered; its offset is a hole, which is found and told.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("written by a newer version ({0})")]
    Newer(u64),
    #[error("not the expected JSON")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Position(#[from] NoPosition),
    #[error(transparent)]
    Topic(#[from] InvalidTopic),
    #[error(transparent)]
    Message(#[from] Malformed),
}

/// Reads what the script wrote. Unknown keys are ignored.
pub fn parse(text: &[u8]) -> Result<Frame, Unreadable> {
    let entry: Entry<'_> = match serde_json::from_slice(text) {
        Ok(entry) => {
            newer(text)?;
            entry
        }
        Err(error) => {
            newer(text)?;
            return Err(error.into());
        }
    };
    let epoch: Epoch = entry.e.parse()?;
    let except = entry.except.iter().filter_map(|name| name.parse().ok());
    let message = Message::new(entry.data)?
        .with_type(entry.kind.as_deref().unwrap_or_default())?
        .with_id(entry.id.as_deref().unwrap_or_default())?
        .with_retry(entry.retry)
        .with_except(except.collect())?;
    let offset = entry.o;
    let position = Some(Position { epoch, offset });
    let topic = Topic::new(&entry.topic)?;
    Ok(Frame::new(topic, message, position, entry.f, entry.t))
}

fn newer(text: &[u8]) -> Result<(), Unreadable> {
    let Version { v } = serde_json::from_slice(text)?;
    if v > VERSION {
        return Err(Unreadable::Newer(v));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbered(body: &str) -> String {
        let head = r#"{"v":1,"e":"abcdef","f":2,"o":5,"t":77,"#;
        format!("{head}{}", body.strip_prefix('{').unwrap())
    }

    #[test]
    fn what_is_written_reads_back() {
        let topic = Topic::new("a\"b").unwrap();
        let message = Message::new("x\r\n\u{2028}é")
            .and_then(|message| message.with_type("t"))
            .and_then(|message| message.with_id("7"))
            .and_then(|message| {
                message
                    .with_retry(Some(5))
                    .with_except(vec![Session::draw(9)])
            })
            .unwrap();
        let frame = parse(numbered(&body(&topic, &message)).as_bytes()).unwrap();
        assert_eq!(frame.message(), &message);
        assert_eq!(frame.topic(), &topic);
        assert_eq!(frame.position().unwrap().to_string(), "abcdef-5");
        assert_eq!((frame.first(), frame.time()), (2, 77));
    }

    #[test]
    fn unknown_keys_are_ignored_and_a_newer_version_is_unreadable() {
        let known = numbered(r#"{"topic":"a","data":"x","zzz":[{}]}"#);
        assert!(parse(known.as_bytes()).is_ok());
        let newer = known.replace("\"v\":1", "\"v\":2");
        assert!(matches!(parse(newer.as_bytes()), Err(Unreadable::Newer(2))));
        assert!(matches!(parse(br#"{"v":9}"#), Err(Unreadable::Newer(9))));
        for bad in ["", "{}", "[]", r#"{"v":1}"#] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_are_refused(bytes: Vec<u8>) {
            drop(parse(&bytes));
        }
    }
}
