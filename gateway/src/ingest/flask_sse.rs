//! What Flask-SSE publishes: one JSON object with `data`, and perhaps `type`, `id` and `retry`.
//!
//! Owns: its reading of each field. Never: sends on what would break out of a frame. Pure. Used by: the
//! Redis keeper.

use super::{Refused, data, message, present, readable};
use crate::message::{Malformed, Message};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    retry: Option<&'a RawValue>,
}

/// Reads `payload`, whose data may have `most` bytes.
pub fn parse(payload: &[u8], most: usize) -> Result<Message, Refused> {
    readable(payload, most)?;
    let payload: Payload<'_> = object(payload)?;
    let kind = text(payload.kind, |_| false)?;
    let id = text(payload.id, |text| {
        text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
    })?;
    Ok(message(data(payload.data)?, most)?
        .with_type(&kind)?
        .with_id(&id)?
        .with_retry(payload.retry.and_then(retry)))
}

/// Reads a JSON object; serde would take an array for one, too.
pub(super) fn object<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, Malformed> {
    let first = payload.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'{') {
        return Err(Malformed::NotJson);
    }
    serde_json::from_slice(payload).or(Err(Malformed::NotJson))
}

/// A string, or what stands there if it is `allowed`; absent is empty.
fn text(value: Option<&RawValue>, allowed: impl Fn(&str) -> bool) -> Result<String, Malformed> {
    let Some(text) = value.map(RawValue::get) else {
        return Ok(String::new());
    };
    if allowed(text) {
        return Ok(text.to_owned());
    }
    serde_json::from_str(text).or(Err(Malformed::NotJson))
}

/// Milliseconds, as an integer or its digits in a string; all else is no retry, yet no harm.
fn retry(value: &RawValue) -> Option<u64> {
    let text = value.get();
    let digits = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Fields<'a> = (Option<&'a str>, &'a str, Option<&'a str>, Option<u64>);

    #[track_caller]
    fn check(payload: &str, expected: Fields<'_>) {
        let message = parse(payload.as_bytes(), 1000).expect(payload);
        let got = (
            message.kind(),
            message.data(),
            message.id(),
            message.retry(),
        );
        assert_eq!(got, expected, "{payload}");
    }

    #[track_caller]
    fn refused(payload: &str, why: Malformed) {
        let got = parse(payload.as_bytes(), 1000);
        assert_eq!(got, Err(Refused::Malformed(why)), "{payload}");
    }

    #[test]
    fn its_own_vectors_arrive_as_it_would_send_them() {
        check(r#"{"data": "foo"}"#, (None, "foo", None, None));
        check(
            r#"{"data": {"message": "Hello!"}}"#,
            (None, r#"{"message": "Hello!"}"#, None, None),
        );
        check(r#"{"data": "foo\nbar"}"#, (None, "foo\nbar", None, None));
        check(
            r#"{"data": "foo", "id": 5, "retry": 500, "type": "example"}"#,
            (Some("example"), "foo", Some("5"), Some(500)),
        );
        check(
            r#"{"data": "thing", "type": "example"}"#,
            (Some("example"), "thing", None, None),
        );
        check(
            r#"{"data": "whee", "id": "abc"}"#,
            (None, "whee", Some("abc"), None),
        );
    }

    #[test]
    fn data_that_is_no_string_stays_as_it_stood() {
        for text in [
            "5",
            "true",
            "null",
            "-0.10e+2",
            "[1,  2]",
            r#"{"k": "\u00e9"}"#,
            r#"{"b":1, "a":{}}"#,
        ] {
            check(&format!(r#"{{"data": {text} }}"#), (None, text, None, None));
        }
        check(r#"{"data": "\u00e9"}"#, (None, "é", None, None));
    }

    #[test]
    fn data_is_kept_whole_where_its_own_reader_lost_some() {
        let odd = "\u{b}\u{c}\u{1c}\u{1d}\u{1e}\u{85}\u{2028}\u{2029}";
        for text in [odd, "", "foo\n", "\n", "\n\n", " x", "a\n b"] {
            let payload = serde_json::json!({ "data": text }).to_string();
            check(&payload, (None, text, None, None));
        }
    }

    #[test]
    fn zero_is_a_value_and_empty_is_none() {
        check(
            r#"{"data":"x","id":0,"retry":0}"#,
            (None, "x", Some("0"), Some(0)),
        );
        check(
            r#"{"data":"x","id":"","type":"","retry":""}"#,
            (None, "x", None, None),
        );
        check(
            r#"{"data":"x","id":null,"type":null,"retry":null}"#,
            (None, "x", None, None),
        );
    }

    #[test]
    fn numbers_are_ids_by_their_digits() {
        check(
            r#"{"data":"x","id":12345678901234567890123}"#,
            (None, "x", Some("12345678901234567890123"), None),
        );
        check(
            r#"{"data":"x","id":-1.50}"#,
            (None, "x", Some("-1.50"), None),
        );
        refused(r#"{"data":"x","id":true}"#, Malformed::NotJson);
        refused(r#"{"data":"x","id":[1]}"#, Malformed::NotJson);
    }

    #[test]
    fn a_retry_is_an_integer_or_its_digits_and_else_dropped() {
        check(
            r#"{"data":"x","retry":"250"}"#,
            (None, "x", None, Some(250)),
        );
        for retry in [
            "-1",
            "1.0",
            "1e3",
            r#""+5""#,
            r#"" 5""#,
            "true",
            "{}",
            "99999999999999999999",
        ] {
            let payload = format!(r#"{{"data":"x","retry":{retry}}}"#);
            check(&payload, (None, "x", None, None));
        }
    }

    #[test]
    fn types_and_ids_cannot_inject_fields() {
        refused(
            r#"{"data":"x","type":"a\ndata: evil"}"#,
            Malformed::LineEnd("type"),
        );
        refused(r#"{"data":"x","id":"a\r"}"#, Malformed::LineEnd("id"));
        refused(r#"{"data":"x","id":"\u0000"}"#, Malformed::LineEnd("id"));
        refused(r#"{"data":"x","type":"siar.end"}"#, Malformed::Reserved);
        refused(r#"{"data":"x","type":5}"#, Malformed::NotJson);
    }

    #[test]
    fn what_is_no_object_with_data_is_malformed() {
        refused("{}", Malformed::NoData);
        for payload in [
            "",
            "x",
            "5",
            "null",
            r#""data""#,
            "[]",
            r#"["x"]"#,
            r#"{"data": NaN}"#,
            r#"{"data": Infinity}"#,
            r#"{"data": "x""#,
            r#"{"data": "x"} x"#,
            r#"{"data": "\ud800"}"#,
        ] {
            refused(payload, Malformed::NotJson);
        }
        assert!(parse(b"{\"data\":\"\xff\"}", 1000).is_err());
    }

    #[test]
    fn other_keys_are_ignored() {
        check(
            r#"{"event":"x","data":"y","z":{}}"#,
            (None, "y", None, None),
        );
    }

    #[test]
    fn the_limit_is_on_the_data() {
        let payload = |count| format!(r#"{{"data": "{}"}}"#, "\\u00e9".repeat(count));
        assert!(parse(payload(50).as_bytes(), 100).is_ok());
        assert_eq!(parse(payload(51).as_bytes(), 100), Err(Refused::TooLarge));
        let endless = vec![b' '; super::super::BESIDE + 700];
        assert_eq!(parse(&endless, 100), Err(Refused::TooLarge));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_refused(bytes: Vec<u8>) {
            drop(parse(&bytes, 100));
        }

        #[test]
        fn any_string_arrives_as_it_is(data: String, id in "[^\r\n\0]{0,9}") {
            let payload = serde_json::json!({ "data": data, "id": id }).to_string();
            let message = parse(payload.as_bytes(), 10_000).unwrap();
            prop_assert_eq!(message.data(), data);
            prop_assert_eq!(message.id().unwrap_or_default(), id);
        }

        #[test]
        fn near_json_is_a_message_or_refused(text in r#"\{("(data|id|type|retry)":("[a\\"]{0,3}"|[0-9.e-]{1,4}|null|\{\}),?){0,4}\}"#) {
            drop(parse(text.as_bytes(), 100));
        }
    }
}
