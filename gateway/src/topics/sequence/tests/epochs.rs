//! A server that went back more than once while nobody here heard it, and what is left of its earlier epochs.

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

/// `bbbbbb` went back behind `aaaaaa-2` and `cccccc` followed it, before anybody here heard of either.
fn two_epochs_later() -> Lineage {
    lineage(&[("aaaaaa", 1), ("bbbbbb", 2), ("cccccc", 3)], 3)
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

/// What a sequence says that stands at `aaaaaa-2`.
fn told(keeps: bool, think: impl FnOnce(&mut Sequence, &mut dyn FnMut(Step))) -> Vec<String> {
    let mut told = Vec::new();
    let mut out = |step| told.push(words(step));
    let mut sequence = Sequence::new(keeps);
    sequence.joined(lineage(&[("aaaaaa", 1)], 2), &mut out);
    think(&mut sequence, &mut out);
    told
}

#[test]
fn an_epoch_that_nobody_heard_of_is_read_before_the_one_after_it() {
    let told = told(true, |sequence, mut out| {
        sequence.frame(frame("cccccc-3", 3), &mut out);
        let mut page = Page {
            lineage: two_epochs_later(),
            lost: None,
            from: position("cccccc-2"),
            frames: vec![frame("cccccc-3", 3)],
            more: false,
        };
        sequence.page(position("cccccc-2"), Ok(&page), &mut out);
        page.lost = Some(GapReason::Epoch);
        page.from = position("aaaaaa-1");
        page.frames.insert(0, frame("bbbbbb-2", 2));
        sequence.page(position("aaaaaa-2"), Ok(&page), &mut out);
    });
    let reads = ["read cccccc-2", "read aaaaaa-2"];
    let rest = ["gap epoch aaaaaa-1", "bbbbbb-2", "cccccc-3"];
    assert_eq!(told, [&reads[..], &rest[..]].concat());
}

#[test]
fn without_history_it_is_told_as_soon_as_the_server_says_so() {
    let told = told(false, |sequence, mut out| {
        sequence.frame(frame("cccccc-3", 3), &mut out);
        sequence.resumed(two_epochs_later(), &mut out);
        sequence.resumed(two_epochs_later(), &mut out);
    });
    assert_eq!(told, ["cccccc-3", "gap epoch "]);
}

#[test]
fn the_epoch_after_the_own_one_costs_no_gap_without_history() {
    let told = told(false, |sequence, mut out| {
        sequence.frame(frame("bbbbbb-3", 3), &mut out);
        sequence.resumed(lineage(&[("aaaaaa", 1), ("bbbbbb", 3)], 3), &mut out);
    });
    assert_eq!(told, ["bbbbbb-3"]);
}

#[test]
fn what_an_earlier_connection_brought_of_a_forgotten_epoch_is_owed_to_nobody() {
    let known = [lineage(&[("bbbbbb", 1)], 7), Lineage::default()];
    for lineage in known {
        let mut told = Vec::new();
        let mut out = |step| told.push(words(step));
        let mut sequence = Sequence::new(false);
        sequence.frame(frame("aaaaaa-5", 1), &mut out);
        sequence.joined(lineage, &mut out);
        assert_eq!(told, Vec::<String>::new());
    }
}

#[test]
fn the_first_message_ever_is_delivered_however_early_it_came() {
    let mut told = Vec::new();
    let mut out = |step| told.push(words(step));
    let mut sequence = Sequence::new(false);
    sequence.frame(frame("aaaaaa-1", 1), &mut out);
    sequence.frame(frame("aaaaaa-2", 1), &mut out);
    sequence.joined(Lineage::default(), &mut out);
    assert_eq!(told, ["aaaaaa-1", "aaaaaa-2"]);
}
