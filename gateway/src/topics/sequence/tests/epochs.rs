//! Where the way into another epoch is told, and where it is not.

use super::super::{Sequence, Step};
use crate::broker::Page;
use crate::close::GapReason;
use crate::frame::Frame;
use crate::message::Message;
use crate::position::{Lineage, Position};
use crds::name::Topic;
use std::sync::Arc;

fn position(text: &str) -> Position {
    text.parse().expect("a position")
}

fn frame(at: &str, first: u64) -> Arc<Frame> {
    let (topic, message) = (Topic::new("t").expect("a topic"), Message::new("x"));
    let message = message.expect("text");
    Arc::new(Frame::new(topic, message, Some(position(at)), first, 0))
}

fn lineage(epochs: &[(&str, u64)], last: u64) -> Lineage {
    let epochs = epochs
        .iter()
        .map(|&(epoch, first)| (epoch.parse().expect("an epoch"), first));
    Lineage {
        epochs: epochs.collect(),
        last,
    }
}

fn words(step: Step) -> String {
    match step {
        Step::Frame(frame) => frame.position().expect("numbered").to_string(),
        Step::Gap { reason, position } => {
            let position = position.map_or(String::new(), |position| position.to_string());
            format!("gap {} {position}", reason.word())
        }
        Step::Read(position) => format!("read {position}"),
        Step::ReadLater(position) => format!("read {position} later"),
    }
}

/// A page after `from`, of a server that remembers this.
fn page(lineage: Lineage, lost: bool, from: &str, frames: &[(&str, u64)], more: bool) -> Page {
    let frames = frames.iter().map(|&(at, first)| frame(at, first));
    Page {
        lineage,
        lost: lost.then_some(GapReason::Epoch),
        from: position(from),
        frames: frames.collect(),
        more,
    }
}

/// What a sequence says that has heard `aaaaaa-2` live.
fn told(keeps: bool, think: impl FnOnce(&mut Sequence, &mut dyn FnMut(Step))) -> Vec<String> {
    let mut told = Vec::new();
    let mut out = |step| told.push(words(step));
    let mut sequence = Sequence::new(keeps);
    sequence.joined(lineage(&[("aaaaaa", 1)], 1), &mut out);
    sequence.frame(frame("aaaaaa-2", 1), &mut out);
    think(&mut sequence, &mut out);
    assert_eq!(told.remove(0), "aaaaaa-2");
    told
}

#[test]
fn an_unbroken_subscription_follows_into_an_epoch_without_a_word() {
    for keeps in [true, false] {
        let told = told(keeps, |sequence, mut out| {
            sequence.frame(frame("bbbbbb-3", 3), &mut out);
            sequence.frame(frame("cccccc-1", 1), &mut out);
        });
        assert_eq!(told, ["bbbbbb-3", "cccccc-1"]);
    }
}

#[test]
fn after_an_interruption_the_next_epoch_is_told_once_right_before_its_first_message() {
    let told = told(false, |sequence, mut out| {
        sequence.interrupted();
        sequence.resumed(lineage(&[("aaaaaa", 1)], 2), &mut out);
        sequence.frame(frame("bbbbbb-3", 3), &mut out);
        sequence.resumed(lineage(&[("aaaaaa", 1), ("bbbbbb", 3)], 3), &mut out);
        sequence.frame(frame("cccccc-4", 4), &mut out);
    });
    assert_eq!(told, ["gap epoch bbbbbb-2", "bbbbbb-3", "cccccc-4"]);
}

#[test]
fn what_was_remembered_before_the_newest_was_heard_takes_nothing_back() {
    let told = told(false, |sequence, mut out| {
        sequence.interrupted();
        sequence.frame(frame("bbbbbb-3", 3), &mut out);
        sequence.resumed(lineage(&[("aaaaaa", 1)], 2), &mut out);
        sequence.frame(frame("bbbbbb-4", 3), &mut out);
        sequence.interrupted();
        sequence.frame(frame("bbbbbb-5", 3), &mut out);
        sequence.resumed(lineage(&[("aaaaaa", 1), ("bbbbbb", 3)], 6), &mut out);
        sequence.frame(frame("bbbbbb-6", 3), &mut out);
    });
    let first = ["gap epoch bbbbbb-2", "bbbbbb-3", "bbbbbb-4"];
    assert_eq!(told, [&first[..], &["bbbbbb-5", "bbbbbb-6"]].concat());
}

#[test]
fn an_epoch_that_began_unheard_behind_the_newest_is_told_without_a_next_message() {
    let told = told(false, |sequence, mut out| {
        sequence.interrupted();
        // From the node that has given the slot away, and whose connection is slower.
        sequence.frame(frame("aaaaaa-3", 1), &mut out);
        sequence.resumed(lineage(&[("aaaaaa", 1), ("bbbbbb", 4)], 4), &mut out);
    });
    assert_eq!(told, ["aaaaaa-3", "gap epoch bbbbbb-4"]);
}

#[test]
fn with_history_what_is_left_of_the_epochs_between_is_read_first() {
    // `bbbbbb` went back behind `aaaaaa-2` and `cccccc` followed it, before anybody here heard of either.
    let known = || lineage(&[("aaaaaa", 1), ("bbbbbb", 2), ("cccccc", 3)], 3);
    let told = told(true, |sequence, mut out| {
        sequence.interrupted();
        sequence.frame(frame("cccccc-3", 3), &mut out);
        let one = page(known(), true, "bbbbbb-1", &[("bbbbbb-2", 2)], true);
        sequence.page(position("aaaaaa-2"), Ok(&one), &mut out);
        let two = page(known(), true, "cccccc-2", &[("cccccc-3", 3)], false);
        sequence.page(position("bbbbbb-2"), Ok(&two), &mut out);
        sequence.resumed(known(), &mut out);
        sequence.frame(frame("dddddd-4", 4), &mut out);
    });
    let first = ["read aaaaaa-2", "gap epoch bbbbbb-1", "bbbbbb-2"];
    let second = ["read bbbbbb-2", "gap epoch cccccc-2", "cccccc-3"];
    assert_eq!(told, [&first[..], &second, &["dddddd-4"]].concat());
}

#[test]
fn a_tail_found_when_it_stands_again_comes_with_the_ways_into_its_epochs() {
    let known = || lineage(&[("aaaaaa", 1), ("bbbbbb", 4)], 4);
    let told = told(true, |sequence, mut out| {
        sequence.interrupted();
        sequence.resumed(known(), &mut out);
        let one = page(known(), false, "aaaaaa-2", &[("aaaaaa-3", 1)], true);
        sequence.page(position("aaaaaa-2"), Ok(&one), &mut out);
        let two = page(known(), true, "bbbbbb-3", &[("bbbbbb-4", 4)], false);
        sequence.page(position("aaaaaa-3"), Ok(&two), &mut out);
    });
    let first = ["read aaaaaa-2", "aaaaaa-3", "read aaaaaa-3"];
    assert_eq!(
        told,
        [&first[..], &["gap epoch bbbbbb-3", "bbbbbb-4"]].concat()
    );
}

#[test]
fn whoever_hears_the_same_epoch_again_is_unbroken() {
    for keeps in [true, false] {
        let told = told(keeps, |sequence, mut out| {
            sequence.interrupted();
            sequence.frame(frame("aaaaaa-3", 1), &mut out);
            sequence.frame(frame("bbbbbb-4", 4), &mut out);
        });
        assert_eq!(told, ["aaaaaa-3", "bbbbbb-4"]);
    }
}

#[test]
fn a_page_that_knows_of_an_epoch_before_it_is_heard_waits_for_it_to_be_heard() {
    let known = lineage(&[("aaaaaa", 1), ("bbbbbb", 3)], 3);
    let told = told(true, |sequence, mut out| {
        // Heard from a server that has forgotten it by now: the interruption is still to come.
        sequence.frame(frame("aaaaaa-4", 1), &mut out);
        let ahead = page(known.clone(), true, "bbbbbb-2", &[("bbbbbb-3", 3)], false);
        sequence.page(position("aaaaaa-2"), Ok(&ahead), &mut out);
        sequence.interrupted();
        sequence.resumed(known, &mut out);
        sequence.page(position("aaaaaa-4"), Ok(&ahead), &mut out);
    });
    let first = ["read aaaaaa-2", "gap too-old aaaaaa-3", "aaaaaa-4"];
    let second = ["read aaaaaa-4", "gap epoch bbbbbb-2", "bbbbbb-3"];
    assert_eq!(told, [&first[..], &second].concat());
}

#[test]
fn a_hole_before_an_epoch_that_is_heard_is_filled_without_a_word() {
    let known = || lineage(&[("aaaaaa", 1), ("bbbbbb", 4)], 5);
    let told = told(true, |sequence, mut out| {
        sequence.frame(frame("bbbbbb-5", 4), &mut out);
        let one = page(known(), false, "aaaaaa-2", &[("aaaaaa-3", 1)], true);
        sequence.page(position("aaaaaa-2"), Ok(&one), &mut out);
        let frames = [("bbbbbb-4", 4), ("bbbbbb-5", 4)];
        let two = page(known(), true, "bbbbbb-3", &frames, false);
        sequence.page(position("aaaaaa-3"), Ok(&two), &mut out);
    });
    let first = ["read aaaaaa-2", "aaaaaa-3", "read aaaaaa-3"];
    assert_eq!(told, [&first[..], &["bbbbbb-4", "bbbbbb-5"]].concat());
}

#[test]
fn an_interruption_behind_held_messages_is_told_behind_them() {
    let known = || lineage(&[("aaaaaa", 1), ("bbbbbb", 4), ("cccccc", 6)], 6);
    let told = told(true, |sequence, mut out| {
        sequence.frame(frame("bbbbbb-5", 4), &mut out);
        sequence.interrupted();
        sequence.frame(frame("cccccc-6", 6), &mut out);
        let one = page(known(), false, "aaaaaa-2", &[("aaaaaa-3", 1)], true);
        sequence.page(position("aaaaaa-2"), Ok(&one), &mut out);
        let frames = [("bbbbbb-4", 4), ("bbbbbb-5", 4)];
        let two = page(known(), true, "bbbbbb-3", &frames, true);
        sequence.page(position("aaaaaa-3"), Ok(&two), &mut out);
        let three = page(known(), true, "cccccc-5", &[("cccccc-6", 6)], false);
        sequence.page(position("bbbbbb-5"), Ok(&three), &mut out);
    });
    let first = ["read aaaaaa-2", "aaaaaa-3", "read aaaaaa-3"];
    let second = ["bbbbbb-4", "bbbbbb-5", "read bbbbbb-5"];
    let third = ["gap epoch cccccc-5", "cccccc-6"];
    assert_eq!(told, [&first[..], &second, &third].concat());
}

/// What a sequence says that joins a topic of which the server remembers `known`.
fn told_from_the_beginning(
    known: Lineage,
    before: &[(&str, u64)],
    interrupted: bool,
    after: &[(&str, u64)],
) -> Vec<String> {
    let mut told = Vec::new();
    let mut out = |step| told.push(words(step));
    let mut sequence = Sequence::new(false);
    for &(at, first) in before {
        sequence.frame(frame(at, first), &mut out);
    }
    if interrupted {
        sequence.interrupted();
    }
    sequence.joined(known, &mut out);
    for &(at, first) in after {
        sequence.frame(frame(at, first), &mut out);
    }
    told
}

#[test]
fn whoever_joins_at_the_end_of_an_epoch_may_have_missed_it() {
    let known = lineage(&[("aaaaaa", 1)], 4);
    let told = told_from_the_beginning(known, &[], false, &[("bbbbbb-5", 5)]);
    assert_eq!(told, ["gap epoch bbbbbb-4", "bbbbbb-5"]);
}

#[test]
fn what_an_earlier_connection_brought_is_owed_to_nobody() {
    for known in [lineage(&[("bbbbbb", 1)], 7), Lineage::default()] {
        let told = told_from_the_beginning(known, &[("aaaaaa-5", 1)], true, &[]);
        assert_eq!(told, Vec::<String>::new());
    }
}

#[test]
fn the_first_message_ever_is_delivered_however_early_it_came() {
    let early = [("aaaaaa-1", 1), ("aaaaaa-2", 1)];
    let told = told_from_the_beginning(Lineage::default(), &early, false, &[]);
    assert_eq!(told, ["aaaaaa-1", "aaaaaa-2"]);
}

#[test]
fn the_first_message_after_an_interruption_may_not_be_the_first_ever() {
    let mut told = Vec::new();
    let mut out = |step| told.push(words(step));
    let mut sequence = Sequence::new(false);
    sequence.joined(Lineage::default(), &mut out);
    sequence.interrupted();
    sequence.frame(frame("aaaaaa-1", 1), &mut out);
    assert_eq!(told, ["gap epoch aaaaaa-0", "aaaaaa-1"]);
}
