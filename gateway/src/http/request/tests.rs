//! What is read from requests, and what is refused.

use super::evidence::Evidence;
use super::publish::{Form, PublishRequest, idempotency_key};
use super::*;
use bytes::Bytes;
use proptest::prelude::*;

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let parse = |value: &str| http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
    let lines = lines.iter();
    lines
        .map(|(name, value)| (http::HeaderName::from_static(name), parse(value)))
        .collect()
}

fn subscribe(query: &str) -> Result<SubscribeRequest, Bad> {
    SubscribeRequest::parse(&Query::parse(query), &HeaderMap::new())
}

#[track_caller]
fn check_names(query: &str, expected: &[&str]) {
    let names: Vec<_> = subscribe(query)
        .unwrap()
        .names
        .iter()
        .map(Name::text)
        .collect();
    assert_eq!(names, expected, "{query}");
}

#[test]
fn topics_are_sorted_and_repeated_ones_count_once() {
    check_names("channel=b&channel=a&channel=b", &["a", "b"]);
    check_names("channel=%2Fobserver%2F42", &["/observer/42"]);
    check_names("", &["sse"]);
    check_names("channel=", &["sse"]);
    check_names("channel=orders.*&channel=*", &["*", "orders.*"]);
}

#[test]
fn a_bad_name_is_told_with_what_to_do() {
    let long = format!("channel={}", "x".repeat(300));
    for (query, what) in [
        ("channel=a%00b", "control character; remove it"),
        ("channel=%20a", "begins or ends with a space; remove it"),
        ("channel=%ff", "not UTF-8"),
        (long.as_str(), "longer than 255 bytes"),
        ("envelope=maybe", "write envelope=1"),
        ("since=soon", "`since`"),
    ] {
        let error = subscribe(query).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
        assert!(error.len() < 300, "{error}");
    }
    let many: String = (0..33).map(|index| format!("channel=t{index}&")).collect();
    assert_eq!(subscribe(&many), Err(Bad::TooManyTopics));
}

#[track_caller]
fn check_begin(query: &str, header: Option<&str>, expected: &Result<Begin, Bad>) {
    let lines: Vec<_> = header.map(|id| ("last-event-id", id)).into_iter().collect();
    let parsed = SubscribeRequest::parse(&Query::parse(query), &headers(&lines));
    assert_eq!(&parsed.map(|request| request.begin), expected, "{query}");
}

#[test]
fn the_header_goes_before_the_query_and_a_cursor_before_since() {
    let cursor = |text: &str| Ok(Begin::Cursor(text.as_bytes().to_vec()));
    check_begin("", None, &Ok(Begin::Live));
    check_begin("last_event_id=a", Some("b"), &cursor("b"));
    check_begin("last_event_id=a&since=5", None, &cursor("a"));
    check_begin("last_event_id=a", Some(""), &cursor("a"));
    check_begin("", Some("søk"), &cursor("søk"));
    check_begin("since=5", Some(""), &Ok(Begin::Messages(5)));
}

#[test]
fn since_is_a_number_of_messages_or_a_time() {
    check_begin("since=100000", None, &Ok(Begin::Messages(100_000)));
    check_begin("since=100001", None, &Err(Bad::Since));
    check_begin(
        "since=10m",
        None,
        &Ok(Begin::Time(Duration::from_secs(600))),
    );
    check_begin("since=168h", None, &Ok(Begin::Time(LONGEST_SINCE)));
    check_begin("since=169h", None, &Err(Bad::Since));
    check_begin("since=-1", None, &Err(Bad::Since));
    check_begin("since=", None, &Ok(Begin::Live));
}

#[test]
fn history_and_presence_ask_for_one_topic() {
    let history = |query: &str| HistoryRequest::parse(&Query::parse(query));
    assert_eq!(history("channel=a&channel=a").unwrap().limit, 100);
    assert_eq!(history("limit=1000").unwrap().topic.as_str(), "sse");
    assert_eq!(history("channel=a&channel=b"), Err(Bad::OneTopic));
    for limit in ["0", "1001", "x", "-1"] {
        assert_eq!(history(&format!("limit={limit}")), Err(Bad::Limit));
    }
    let presence = PresenceRequest::parse(&Query::parse("channel=a"));
    assert_eq!(presence.unwrap().topic.as_str(), "a");
}

fn raw(query: &str, body: &'static [u8]) -> Result<PublishRequest, Bad> {
    match Form::parse(&Query::parse(query), &HeaderMap::new())? {
        Form::Raw(raw) => raw.with(Bytes::from_static(body)),
        Form::Json => panic!("JSON"),
    }
}

#[test]
fn a_raw_body_is_the_data_whatever_its_type() {
    let one = raw("channel=a&type=t&id=7&retry=500", b"{\"x\": 1}").unwrap();
    assert!(!one.batch);
    let message = &one.items[0].message;
    assert_eq!(
        (
            message.data(),
            message.kind(),
            message.id(),
            message.retry()
        ),
        ("{\"x\": 1}", Some("t"), Some("7"), Some(500))
    );
    assert_eq!(raw("", b"").unwrap().items[0].topic.as_str(), "sse");
    assert!(raw("channel=a&channel=b", b"x").unwrap().batch);
    assert_eq!(raw("", b"\xff"), Err(Bad::Message(Malformed::NotText)));
    assert_eq!(
        raw("type=a%0Adata:+evil", b""),
        Err(Bad::Message(Malformed::LineEnd("type")))
    );
    assert_eq!(raw("retry=1.5", b""), Err(Bad::Retry));
    assert_eq!(raw("retry=%2B5", b""), Err(Bad::Retry));
}

#[test]
fn json_says_everything_itself_unless_the_query_names_topics() {
    let json = headers(&[("content-type", "Application/JSON; charset=utf-8")]);
    let form = |query| Form::parse(&Query::parse(query), &json).unwrap();
    assert_eq!(form(""), Form::Json);
    assert!(matches!(form("channel=a"), Form::Raw(_)));
}

fn posted(body: &str) -> Result<PublishRequest, Bad> {
    PublishRequest::from_json(body.as_bytes())
}

#[test]
fn a_json_message_is_a_string_or_json_as_it_stood() {
    for (data, expected) in [
        (r#""a\nb""#, "a\nb"),
        (r#"{"k":  [1, "\u00e9"]}"#, r#"{"k":  [1, "\u00e9"]}"#),
        ("5", "5"),
        ("null", "null"),
        (r#""""#, ""),
    ] {
        let body = format!(r#"{{"channel": "a", "data": {data}, "id": 5}}"#);
        let request = posted(&body).unwrap();
        assert!(!request.batch);
        assert_eq!(request.items[0].message.data(), expected);
        assert_eq!(request.items[0].message.id(), Some("5"));
    }
}

#[test]
fn arrays_and_channels_are_batches_in_order() {
    let request = posted(r#"[{"channels": ["b", "a", "b"], "data": 1}, {"data": 2}]"#).unwrap();
    let topics: Vec<_> = request
        .items
        .iter()
        .map(|item| item.topic.as_str())
        .collect();
    assert_eq!(topics, ["b", "a", "sse"]);
    assert!(request.batch);
    assert!(posted(r#"{"channels": ["a"], "data": 1}"#).unwrap().batch);
}

#[test]
fn a_bad_item_is_told_by_its_number_and_field() {
    for (body, what) in [
        (r#"{"channel": "a"}"#, "`data` is missing"),
        (r#"[{"data": 1}, {"data": 1, "id": "a\r"}]"#, "item 1: `id`"),
        (r#"{"chanel": "a", "data": 1}"#, "unknown field `chanel`"),
        (r#"{"data": 1, "id": {}}"#, "`id` is a string or a number"),
        (r#"{"data": 1, "channel": "a", "channels": []}"#, "use one"),
        (r#"{"data": 1, "channels": []}"#, "empty"),
        ("[]", "empty"),
        ("{", "no JSON"),
        ("[1]", "no JSON"),
    ] {
        let error = posted(body).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    let many = format!("[{}]", vec![r#"{"data":1}"#; 101].join(","));
    assert_eq!(posted(&many), Err(Bad::TooManyItems));
}

#[test]
fn a_key_is_a_short_line_of_visible_ascii() {
    let key = |text: &str| {
        idempotency_key(&headers(&[("idempotency-key", text)])).map(|key| key.map(str::len))
    };
    assert_eq!(key("a b"), Ok(Some(3)));
    assert_eq!(key(""), Err(Bad::Key));
    assert_eq!(key("ø"), Err(Bad::Key));
    assert_eq!(key(&"x".repeat(256)), Err(Bad::Key));
    assert_eq!(idempotency_key(&HeaderMap::new()), Ok(None));
}

proptest! {
    #[test]
    fn no_request_makes_the_parsers_panic(
        query in "([a-z_]{1,13}=)?.{0,40}(&(channel|since|limit|retry)=.{0,12})?",
        id in proptest::collection::vec(0x20_u8..0x7f, 0..40),
        body in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let query = Query::parse(&query);
        let mut lines = HeaderMap::new();
        for name in ["last-event-id", "authorization", "cookie", "idempotency-key"] {
            lines.insert(name, http::HeaderValue::from_bytes(&id).unwrap());
        }
        let _outcome = SubscribeRequest::parse(&query, &lines);
        let _outcome = HistoryRequest::parse(&query);
        let _outcome = PresenceRequest::parse(&query);
        let _outcome = Evidence::parse(&query, &lines, "siar_token");
        let _outcome = idempotency_key(&lines);
        let _outcome = PublishRequest::from_json(&body);
        if let Ok(Form::Raw(raw)) = Form::parse(&query, &lines) {
            let _outcome = raw.with(Bytes::from(body));
        }
    }

    #[test]
    fn no_json_makes_the_parser_panic(
        body in r#"\[?\{("(channel|channels|data|type|id|retry|except)": ?("[^"]{0,5}"|\[\]|null|-?[0-9]{1,20}|\{\}),?){0,4}\}\]?"#,
    ) {
        let _outcome = PublishRequest::from_json(body.as_bytes());
    }
}
