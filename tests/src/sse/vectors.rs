//! The parsing vectors of web-platform-tests and LaunchDarkly, each fed whole, byte by byte and split at random.

use super::{Event, Item, Parser};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const RANDOM_SPLITS: usize = 50;

/// What a vector must yield: type, data and last event id of each event; the last event id and retry at the end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    events: Vec<(String, String, String)>,
    last_event_id: String,
    retry: Option<u64>,
}

fn read(chunks: &[&[u8]]) -> Outcome {
    let mut parser = Parser::default();
    let mut outcome = Outcome::default();
    for chunk in chunks {
        parser.push(chunk);
    }
    while let Some(item) = parser.take() {
        if let Item::Event(Event { kind, data, id }) = item {
            outcome.events.push((kind, data, id));
        }
    }
    outcome.last_event_id = parser.last_event_id().into();
    outcome.retry = parser.retry();
    outcome
}

#[track_caller]
fn check_all(input: &[u8], expected: &Outcome) {
    assert_eq!(read(&[input]), *expected, "whole");
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(read(&bytes), *expected, "byte by byte");
    let mut random = StdRng::seed_from_u64(7);
    for round in 0..RANDOM_SPLITS {
        let mut rest = input;
        let mut chunks = Vec::new();
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(random.random_range(1..=rest.len()));
            chunks.push(head);
            rest = tail;
        }
        assert_eq!(read(&chunks), *expected, "split at random, round {round}");
    }
}

/// Events of type `message` without ids.
#[track_caller]
fn check(input: &str, messages: &[&str]) {
    let events = messages
        .iter()
        .map(|data| ("message".into(), (*data).into(), String::new()))
        .collect();
    check_all(
        input.as_bytes(),
        &Outcome {
            events,
            ..Outcome::default()
        },
    );
}

#[track_caller]
fn check_events(
    input: &str,
    events: &[(&str, &str, &str)],
    last_event_id: &str,
    retry: Option<u64>,
) {
    let events = events
        .iter()
        .map(|(kind, data, id)| ((*kind).into(), (*data).into(), (*id).into()))
        .collect();
    check_all(
        input.as_bytes(),
        &Outcome {
            events,
            last_event_id: last_event_id.into(),
            retry,
        },
    );
}

#[test]
fn names_are_exact_and_all_line_ends_count() {
    check(
        "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n",
        &["\0\n 2\n1\n3\n\n4"],
    );
}

#[test]
fn a_field_without_colon_has_an_empty_value() {
    check("data:test\r\ndata\ndata:test\r\n\r", &["test\n\ntest"]);
    check("data:\n\ndata\ndata\n\ndata:test\n\n", &["", "\n", "test"]);
    check(
        "data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n",
        &["test\n\ntest"],
    );
}

#[test]
fn one_space_is_stripped_and_no_tab() {
    check("data:\ttest\rdata: \ndata:test\n\n", &["\ttest\n\ntest"]);
}

#[test]
fn long_comments_are_comments() {
    let long = "x".repeat(2048);
    check(
        &format!("data:1\r:\0\n:\r\ndata:2\n:{long}\rdata:3\n:data:fail\r:{long}\ndata:4\n\n"),
        &["1\n2\n3\n4"],
    );
}

#[test]
fn one_byte_order_mark_is_stripped_at_the_start_only() {
    check(
        "\u{feff}data:1\n\n\u{feff}data:2\n\ndata:3\n\n",
        &["1", "3"],
    );
    check("\u{feff}\u{feff}data:1\n\ndata:2\n\n", &["2"]);
}

#[test]
fn the_type_holds_for_one_event() {
    check_events(
        "event:test\ndata:x\n\ndata:x\n\n",
        &[("test", "x", ""), ("message", "x", "")],
        "",
        None,
    );
    check("event: \ndata:data\n\n", &["data"]);
    check_events(
        "event:  greeting\ndata:  Hello\n\n",
        &[(" greeting", " Hello", "")],
        "",
        None,
    );
}

#[test]
fn retry_takes_digits_only() {
    check_events(
        "retry:3000\nretry:1000x\ndata:x\n\n",
        &[("message", "x", "")],
        "",
        Some(3000),
    );
    check("retry\ndata:test\n\n", &["test"]);
}

#[test]
fn ids_stay_until_replaced_and_nul_voids_them() {
    check_events(
        "id: abc\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
        &[
            ("message", "a", "abc"),
            ("message", "b", "abc"),
            ("message", "c", ""),
        ],
        "",
        None,
    );
    check("id: a\0bc\ndata: Hello\n\n", &["Hello"]);
    check_events(
        "id: 1\ndata: x\n\nid: a\0bc\ndata: y\n\n",
        &[("message", "x", "1"), ("message", "y", "1")],
        "1",
        None,
    );
}

#[test]
fn a_block_without_data_sets_the_id_and_fires_nothing() {
    check_events(
        "event: x\nid: 7\n\ndata: a\n\n",
        &[("message", "a", "7")],
        "7",
        None,
    );
    let mut parser = Parser::default();
    parser.push(b"id: 7\n\n");
    assert_eq!(parser.take(), Some(Item::Cursor("7".into())));
}

#[test]
fn a_block_cut_by_the_end_is_discarded_with_its_id() {
    check_events(
        "retry:1000\ndata:test1\n\nid:test\ndata:test2",
        &[("message", "test1", "")],
        "",
        Some(1000),
    );
}

#[test]
fn line_ends_may_be_cut_between_their_bytes() {
    let chunks = [
        "data: Hello\r",
        "\ndata: World\r",
        "\n\r\ndata: OK\r",
        "\n",
        "\r",
        "\n",
    ];
    let chunks: Vec<&[u8]> = chunks.iter().map(|chunk| chunk.as_bytes()).collect();
    let outcome = read(&chunks);
    let data: Vec<&str> = outcome
        .events
        .iter()
        .map(|(_, data, _)| data.as_str())
        .collect();
    assert_eq!(data, ["Hello\nWorld", "OK"]);
    check(
        &String::from_utf8(chunks.concat()).unwrap(),
        &["Hello\nWorld", "OK"],
    );
}

#[test]
fn a_resumed_stream_begins_with_the_id_it_was_opened_with() {
    let mut parser = Parser::resumed("9");
    parser.push(b"data: a\n\n");
    assert_eq!(
        parser.take(),
        Some(Item::Event(Event {
            kind: "message".into(),
            data: "a".into(),
            id: "9".into()
        }))
    );
}
