//! What goes out, whole and cut at every byte.

use super::*;
use crate::clock;
use crate::message::{Message, Session};
use crate::worker::stream::tests::stream;
use crds::name::Topic;
use proptest::prelude::*;

const NAMES: [&str; 3] = ["a", "b", "c"];

fn frame(topic: usize, offset: u64, data: &str, own_id: bool) -> Arc<Frame> {
    let mut message = Message::new(data.to_owned()).unwrap();
    if own_id {
        message = message.with_id(&format!("own{offset}")).unwrap();
    }
    let position = Position {
        epoch: "aaaaaa".parse().unwrap(),
        offset,
    };
    Arc::new(Frame::new(
        Topic::new(NAMES[topic]).unwrap(),
        message,
        Some(position),
        1,
        0,
    ))
}

fn rings(count: usize, messages: &[(String, bool)]) -> (Vec<Ring>, Vec<Ring>) {
    let empty = || {
        (0..count)
            .map(|_| Ring::new("aaaaaa-0".parse().unwrap()))
            .collect::<Vec<_>>()
    };
    let mut full = empty();
    for (number, (data, own_id)) in messages.iter().enumerate() {
        let offset = (number / count) as u64 + 1;
        full[number % count].push(frame(number % count, offset, data, *own_id));
    }
    (empty(), full)
}

/// Writes everything through a socket that takes `cuts` bytes at a time and is then full until called.
fn written(count: usize, framing: Framing, messages: &[(String, bool)], cuts: &[usize]) -> Vec<u8> {
    let (empty, full) = rings(count, messages);
    let mut stream = stream(&empty, framing, clock::now());
    let show = |key: Key| Some((&full[key.slot as usize], true, NAMES[key.slot as usize]));
    let (mut out, mut begun, mut sent) = (Out::default(), Begun::default(), Vec::new());
    let mut cuts = cuts.iter().copied().chain(std::iter::repeat(usize::MAX));
    loop {
        out.clear();
        out.fill(&mut stream, show, &mut Vec::new());
        if out.is_empty() {
            return sent;
        }
        let all: Vec<u8> = out.pieces.concat();
        let taken = cuts.next().unwrap_or(usize::MAX).min(all.len());
        sent.extend_from_slice(&all[..taken]);
        let rest = out.settle(&mut stream, taken, &mut begun);
        rest.iter().for_each(|piece| sent.extend_from_slice(piece));
    }
}

fn messages(data: &[&str]) -> Vec<(String, bool)> {
    data.iter().map(|&data| (data.to_owned(), false)).collect()
}

#[test]
fn one_topic_sends_the_shared_bytes() {
    let sent = written(1, Framing::Chunked, &messages(&["x"]), &[]);
    assert_eq!(
        String::from_utf8(sent).unwrap(),
        "8\r\ndata: x\n\r\ne\r\nid: aaaaaa-1\n\n\r\n"
    );
}

#[test]
fn several_topics_send_the_cursor_of_all() {
    let sent = written(2, Framing::Bare, &messages(&["x", "y"]), &[]);
    let expected = "data: x\nid: aaaaaa-1~aaaaaa-0\n\ndata: y\nid: aaaaaa-1~aaaaaa-1\n\n";
    assert_eq!(String::from_utf8(sent).unwrap(), expected);
}

#[test]
fn what_is_cut_begins_one_message_and_takes_back_the_others() {
    let (empty, full) = rings(1, &messages(&["one", "two", "three"]));
    let mut stream = stream(&empty, Framing::Chunked, clock::now());
    let mut out = Out::default();
    out.fill(
        &mut stream,
        |_| Some((&full[0], true, "a")),
        &mut Vec::new(),
    );
    let first = out.pieces[0].len();
    let mut begun = Begun::default();
    let rest = out.settle(&mut stream, first + 1, &mut begun);
    assert_eq!(begun.messages, [(0, 2)]);
    assert_eq!(
        rest.iter().map(Bytes::len).sum::<usize>(),
        out.pieces[1].len() - 1
    );
    assert_eq!(
        stream.subs.all()[0].cursor.position().to_string(),
        "aaaaaa-2"
    );
}

#[test]
fn a_withheld_message_leaves_its_position_only() {
    let mut full = Ring::new("aaaaaa-0".parse().unwrap());
    let message = Message::new("x")
        .and_then(|m| m.with_except(vec![Session::draw(1)]))
        .unwrap();
    let position = "aaaaaa-1".parse().unwrap();
    full.push(Arc::new(Frame::new(
        Topic::new("a").unwrap(),
        message,
        Some(position),
        1,
        0,
    )));
    let empty = [Ring::new("aaaaaa-0".parse().unwrap())];
    let mut stream = stream(&empty, Framing::Bare, clock::now());
    let mut out = Out::default();
    out.fill(&mut stream, |_| Some((&full, true, "a")), &mut Vec::new());
    assert_eq!(out.pieces.concat(), b"id: aaaaaa-1\n\n");
}

#[test]
fn a_large_message_goes_out_alone_and_the_next_waits() {
    let large = "x".repeat(2 * MOST_BYTES);
    let (empty, full) = rings(1, &messages(&[&large, "y"]));
    let mut stream = stream(&empty, Framing::Chunked, clock::now());
    let mut out = Out::default();
    out.fill(
        &mut stream,
        |_| Some((&full[0], true, "a")),
        &mut Vec::new(),
    );
    assert_eq!(out.pieces.len(), 1);
}

proptest! {
    #[test]
    fn however_it_is_cut_the_bytes_are_the_same(
        count in 1_usize..=3,
        chunked in any::<bool>(),
        messages in prop::collection::vec(("[a\n]{0,9}", any::<bool>()), 1..40),
        cuts in prop::collection::vec(0_usize..120, 0..40),
    ) {
        let framing = if chunked { Framing::Chunked } else { Framing::Bare };
        let whole = written(count, framing, &messages, &[]);
        // A cut that takes nothing may come again; with room at last everything goes out.
        let cut = written(count, framing, &messages, &cuts);
        if count == 1 {
            prop_assert_eq!(cut, whole);
        } else {
            prop_assert_eq!(events(&cut), events(&whole));
        }
    }
}

/// The lines of data, sorted: topics may overtake each other when the socket was full in between.
fn events(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| line.starts_with("data:"))
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}
