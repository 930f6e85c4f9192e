//! What a cursor yields, as words.

use super::*;
use crate::message::Message;
use crate::position::Lineage;
use crds::name::Topic;

fn position(text: &str) -> Position {
    text.parse().unwrap()
}

fn frame(at: &str) -> Arc<Frame> {
    let topic = Topic::new("orders").unwrap();
    Arc::new(Frame::new(
        topic,
        Message::new(at.to_owned()).unwrap(),
        Some(position(at)),
        1,
        0,
    ))
}

fn ring(before: &str, frames: &[&str]) -> Ring {
    let mut ring = Ring::new(position(before));
    frames.iter().for_each(|at| ring.push(frame(at)));
    ring
}

fn page(epochs: &[(&str, u64)], last: u64, from: &str, frames: &[&str]) -> Arc<Page> {
    Arc::new(Page {
        lineage: Lineage {
            epochs: epochs
                .iter()
                .map(|(epoch, first)| (epoch.parse().unwrap(), *first))
                .collect(),
            last,
        },
        lost: None,
        from: position(from),
        frames: frames.iter().map(|at| frame(at)).collect(),
        more: false,
    })
}

/// Everything that the cursor yields until it is idle or asks, as words.
fn drain(cursor: &mut Cursor, ring: &Ring) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        match cursor.next(ring, true) {
            Next::Frame { frame, .. } => told.push(frame.message().data().to_owned()),
            Next::Gap(reason) => told.push(format!("gap {}", reason.word())),
            Next::Ask(position) => told.push(format!("ask {position}")),
            Next::PageDone => {
                if let Some(position) = cursor.turn_page(ring) {
                    told.push(format!("ask {position}"));
                }
            }
            Next::Idle => return told,
        }
    }
}

#[test]
fn a_live_stream_gets_what_comes_after_it() {
    let mut ring = ring("aaaaaa-3", &["aaaaaa-4"]);
    let (mut cursor, ask) = Cursor::new(Start::Live, &ring);
    assert_eq!((ask, cursor.position()), (None, position("aaaaaa-4")));
    ring.push(frame("aaaaaa-5"));
    assert_eq!(drain(&mut cursor, &ring), ["aaaaaa-5"]);
}

#[test]
fn a_resumed_stream_reads_history_and_meets_the_ring() {
    let mut ring = ring("aaaaaa-3", &["aaaaaa-4"]);
    let (mut cursor, ask) = Cursor::new(Start::After(position("aaaaaa-1")), &ring);
    assert_eq!(ask, Some(position("aaaaaa-1")));
    ring.push(frame("aaaaaa-5"));
    cursor.paged(
        position("aaaaaa-1"),
        &page(
            &[("aaaaaa", 1)],
            4,
            "aaaaaa-1",
            &["aaaaaa-2", "aaaaaa-3", "aaaaaa-4"],
        ),
    );
    assert_eq!(
        drain(&mut cursor, &ring),
        ["aaaaaa-2", "aaaaaa-3", "aaaaaa-4", "aaaaaa-5"]
    );
}

#[test]
fn history_ahead_of_the_ring_is_not_told_twice_nor_the_way_into_its_epoch() {
    let mut ring = ring("aaaaaa-8", &["aaaaaa-9"]);
    let (mut cursor, _) = Cursor::new(Start::After(position("aaaaaa-1")), &ring);
    let known = [("aaaaaa", 1), ("bbbbbb", 4)];
    let mut rest = page(&known, 5, "aaaaaa-1", &["aaaaaa-2", "aaaaaa-3"]);
    Arc::make_mut(&mut rest).more = true;
    cursor.paged(position("aaaaaa-1"), &rest);
    assert_eq!(
        drain(&mut cursor, &ring),
        ["aaaaaa-2", "aaaaaa-3", "ask aaaaaa-3"]
    );
    let mut next = page(&known, 5, "bbbbbb-3", &["bbbbbb-4", "bbbbbb-5"]);
    Arc::make_mut(&mut next).lost = Some(GapReason::Epoch);
    cursor.paged(position("aaaaaa-3"), &next);
    assert_eq!(
        drain(&mut cursor, &ring),
        ["gap epoch", "bbbbbb-4", "bbbbbb-5"]
    );
    ring.push_gap(GapReason::Epoch, Some(position("bbbbbb-3")));
    ["bbbbbb-4", "bbbbbb-5", "bbbbbb-6"]
        .iter()
        .for_each(|at| ring.push(frame(at)));
    assert_eq!(drain(&mut cursor, &ring), ["bbbbbb-6"]);
}

#[test]
fn whoever_follows_hears_of_an_epoch_what_the_ring_says() {
    for broken in [false, true] {
        let mut ring = ring("aaaaaa-3", &["aaaaaa-4"]);
        let (mut cursor, _) = Cursor::new(Start::After(position("aaaaaa-4")), &ring);
        let before = position("bbbbbb-4");
        if broken {
            ring.push_gap(GapReason::Epoch, Some(before));
        }
        ring.push(frame("bbbbbb-5"));
        let gap = broken.then_some("gap epoch");
        let told: Vec<_> = gap.into_iter().chain(["bbbbbb-5"]).collect();
        assert_eq!(drain(&mut cursor, &ring), told);
        // Who was told it already is not told again.
        let (mut told, _) = Cursor::new(Start::After(before), &ring);
        let more = match told.next(&ring, true) {
            Next::Frame { frame, .. } => frame.message().data().to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(more == "bbbbbb-5", broken, "{more}");
    }
}

#[test]
fn a_ring_that_moved_past_sends_back_to_history() {
    let mut ring = ring("aaaaaa-3", &["aaaaaa-4"]);
    let (mut cursor, _) = Cursor::new(Start::After(position("aaaaaa-3")), &ring);
    ring.restart(position("aaaaaa-9"));
    assert_eq!(drain(&mut cursor, &ring), ["ask aaaaaa-3"]);
    let (mut live_only, _) = Cursor::new(Start::Live, &ring);
    ring.push(frame("aaaaaa-10"));
    ring.restart(position("aaaaaa-12"));
    ring.push(frame("aaaaaa-13"));
    assert!(matches!(
        live_only.next(&ring, false),
        Next::Gap(GapReason::Overflow)
    ));
    assert!(matches!(live_only.next(&ring, false), Next::Frame { .. }));
}

#[test]
fn a_server_that_forgot_what_the_ring_missed_is_told_once() {
    let ring = ring("aaaaaa-7", &["aaaaaa-8"]);
    let (mut cursor, _) = Cursor::new(Start::After(position("aaaaaa-5")), &ring);
    let nothing = page(&[("aaaaaa", 1)], 5, "aaaaaa-5", &[]);
    cursor.paged(position("aaaaaa-5"), &nothing);
    // This one may have been read before the ring heard.
    assert_eq!(drain(&mut cursor, &ring), ["ask aaaaaa-5"]);
    cursor.paged(position("aaaaaa-5"), &nothing);
    assert_eq!(drain(&mut cursor, &ring), ["gap epoch", "aaaaaa-8"]);
}

#[test]
fn a_flushed_server_is_told_once_however_late_the_ring_hears() {
    let mut ring = ring("aaaaaa-7", &["aaaaaa-8"]);
    let (mut cursor, ask) = Cursor::new(Start::Lost(GapReason::Epoch), &ring);
    assert_eq!(ask, Some(Position::NEVER));
    cursor.paged(
        Position::NEVER,
        &page(&[("bbbbbb", 1)], 2, "0-0", &["bbbbbb-1", "bbbbbb-2"]),
    );
    assert_eq!(
        drain(&mut cursor, &ring),
        ["gap epoch", "bbbbbb-1", "bbbbbb-2", "ask bbbbbb-2"]
    );
    let nothing = page(&[("bbbbbb", 1)], 2, "bbbbbb-2", &[]);
    cursor.paged(position("bbbbbb-2"), &nothing);
    assert_eq!(drain(&mut cursor, &ring), ["ask bbbbbb-2"]);
    cursor.paged(position("bbbbbb-2"), &nothing);
    assert_eq!(drain(&mut cursor, &ring), Vec::<String>::new());
    ring.push_gap(GapReason::Epoch, Some(position("bbbbbb-0")));
    ["bbbbbb-1", "bbbbbb-2", "bbbbbb-3"]
        .iter()
        .for_each(|at| ring.push(frame(at)));
    assert_eq!(drain(&mut cursor, &ring), ["bbbbbb-3"]);
}

#[test]
fn a_stream_an_epoch_ahead_skips_what_the_ring_hears_late() {
    let mut ring = ring("aaaaaa-3", &["aaaaaa-4"]);
    let (mut cursor, _) = Cursor::new(Start::After(position("bbbbbb-6")), &ring);
    let nothing = page(&[("aaaaaa", 1), ("bbbbbb", 6)], 6, "bbbbbb-6", &[]);
    cursor.paged(position("bbbbbb-6"), &nothing);
    assert_eq!(drain(&mut cursor, &ring), Vec::<String>::new());
    assert_eq!(cursor.following(), None, "the short way must not pass");
    ring.push(frame("aaaaaa-5"));
    let mark = cursor.mark();
    assert_eq!(drain(&mut cursor, &ring), Vec::<String>::new());
    cursor.back_to(mark);
    ["bbbbbb-6", "bbbbbb-7"]
        .iter()
        .for_each(|at| ring.push(frame(at)));
    assert_eq!(drain(&mut cursor, &ring), ["bbbbbb-7"]);
}

#[test]
fn an_empty_page_that_knows_less_than_the_ring_is_asked_for_again() {
    let mut ring = ring("aaaaaa-3", &["aaaaaa-4"]);
    let (mut cursor, _) = Cursor::new(Start::After(position("bbbbbb-6")), &ring);
    ring.restart(position("cccccc-9"));
    let old = page(&[("aaaaaa", 1), ("bbbbbb", 6)], 6, "bbbbbb-6", &[]);
    cursor.paged(position("bbbbbb-6"), &old);
    assert_eq!(drain(&mut cursor, &ring), ["ask bbbbbb-6"]);
    let known = [("aaaaaa", 1), ("bbbbbb", 6), ("cccccc", 8)];
    let mut rest = page(&known, 9, "bbbbbb-6", &["bbbbbb-7"]);
    Arc::make_mut(&mut rest).more = true;
    cursor.paged(position("bbbbbb-6"), &rest);
    let all = ["bbbbbb-7", "ask bbbbbb-7"];
    assert_eq!(drain(&mut cursor, &ring), all);
}

#[test]
fn an_overflow_behind_a_stream_does_not_move_it_back() {
    let mut ring = ring("aaaaaa-3", &[]);
    let (mut cursor, _) = Cursor::new(Start::After(position("aaaaaa-8")), &ring);
    ring.restart(position("aaaaaa-6"));
    assert!(matches!(
        cursor.next(&ring, false),
        Next::Gap(GapReason::Overflow)
    ));
    assert_eq!(cursor.position(), position("aaaaaa-8"));
    ["aaaaaa-7", "aaaaaa-8", "aaaaaa-9"]
        .iter()
        .for_each(|at| ring.push(frame(at)));
    assert_eq!(drain(&mut cursor, &ring), ["aaaaaa-9"]);
}

#[test]
fn going_back_takes_the_same_again() {
    let ring = ring("aaaaaa-3", &["aaaaaa-4", "aaaaaa-5"]);
    let (mut cursor, _) = Cursor::new(Start::After(position("aaaaaa-3")), &ring);
    let mark = cursor.mark();
    assert_eq!(drain(&mut cursor, &ring).len(), 2);
    cursor.back_to(mark);
    assert_eq!(drain(&mut cursor, &ring), ["aaaaaa-4", "aaaaaa-5"]);
}
