//! The checker catches what it is for, and is silent about everything else.

use super::*;

/// A listener of the topics `a` and `b`, which opened when `next` was the number that both use next.
fn opened(next: u64) -> Account {
    let mut account = Account::default();
    account.open(["b", "a"], |name| vec![(name.to_owned(), next)]);
    account.cursor(&id(next - 1, next - 1));
    account
}

fn id(a: u64, b: u64) -> String {
    format!("aaaaaa-{a}~bbbbbb-{b}")
}

impl Account {
    /// Number `number` of `a`, at the same offset.
    fn a(&mut self, number: u64) {
        self.says(Source::Http, number, &id(number, 0));
    }

    fn says(&mut self, source: Source, number: u64, id: &str) {
        let said = Said {
            topic: "a",
            source,
            number,
        };
        self.message(&said.text(40), id);
    }

    #[track_caller]
    fn found(&mut self, expected: &[&str]) {
        let found = self.take_faults();
        let found = Vec::from_iter(found.iter().map(ToString::to_string));
        assert_eq!(found, expected);
    }
}

#[test]
fn everything_once_and_in_order_is_right() {
    let mut account = opened(5);
    for number in 5..9 {
        account.a(number);
    }
    account.found(&[]);
    assert!(!account.complete(|topic| if topic == "a" { 9 } else { 5 }));
    account.message("b http 5 ", &id(8, 5));
    assert!(account.complete(|topic| if topic == "a" { 9 } else { 6 }));
    account.found(&[]);
    assert_eq!((account.heard, account.needless), (5, 0));
}

#[test]
fn a_message_that_is_missing_is_lost() {
    let mut account = opened(1);
    account.a(1);
    account.a(4);
    account.found(&["a: aaaaaa-4 came after aaaaaa-1", "a: 2 to 3 lost"]);
}

#[test]
fn a_message_is_lost_though_the_offsets_have_no_hole() {
    let mut account = opened(1);
    account.a(1);
    account.says(Source::Http, 3, &id(2, 0));
    account.found(&["a: 2 to 2 lost"]);
}

#[test]
fn a_hole_in_the_offsets_is_told_though_the_numbers_have_none() {
    let mut account = opened(1);
    account.a(1);
    account.says(Source::Http, 2, &id(3, 0));
    account.found(&["a: aaaaaa-3 came after aaaaaa-1"]);
}

#[test]
fn what_was_begun_after_a_stream_had_opened_is_owed_to_it() {
    let mut account = opened(5);
    account.says(Source::Http, 6, &id(5, 0));
    account.found(&["a: 5 to 5 lost"]);
    // One that was under way in that moment may come or not.
    let mut account = opened(5);
    account.says(Source::Http, 4, &id(5, 0));
    account.found(&[]);
}

#[test]
fn the_same_message_again_came_twice() {
    let mut account = opened(1);
    account.a(1);
    account.a(2);
    account.a(2);
    account.found(&["a: aaaaaa-2 came after aaaaaa-2", "a: 2 came twice"]);
    account.a(1);
    account.found(&["a: aaaaaa-1 came after aaaaaa-2", "a: 1 came twice"]);
}

#[test]
fn a_repetition_is_told_though_a_gap_stands_before_it() {
    let mut account = opened(1);
    account.a(1);
    account.a(2);
    account.gap("a", &id(1, 0));
    account.a(2);
    account.found(&["a: 2 came twice"]);
}

#[test]
fn two_messages_that_changed_places_are_a_loss_and_one_that_is_late() {
    let mut account = opened(1);
    account.says(Source::Http, 1, &id(1, 0));
    account.says(Source::Http, 3, &id(2, 0));
    account.says(Source::Http, 2, &id(3, 0));
    account.found(&["a: 2 to 2 lost", "a: 2 came late"]);
}

#[test]
fn a_gap_at_its_place_explains_a_hole() {
    let mut account = opened(1);
    account.a(1);
    account.gap("a", &id(5, 0));
    account.a(6);
    account.a(7);
    account.found(&[]);
    assert_eq!(account.needless, 0);
}

#[test]
fn a_gap_of_another_topic_explains_nothing() {
    let mut account = opened(1);
    account.a(1);
    account.gap("b", &id(1, 5));
    account.a(3);
    account.found(&["a: aaaaaa-3 came after aaaaaa-1", "a: 2 to 2 lost"]);
}

#[test]
fn behind_a_gap_that_goes_back_to_another_epoch_what_is_kept_comes_again_once() {
    let mut account = opened(1);
    for number in 1..5 {
        account.a(number);
    }
    account.gap("a", "cccccc-2~bbbbbb-0");
    for number in [3, 4, 5, 5] {
        let id = format!("cccccc-{number}~bbbbbb-0");
        account.says(Source::Http, number, &id);
    }
    account.found(&["a: cccccc-5 came after cccccc-5", "a: 5 came twice"]);
}

#[test]
fn behind_a_gap_that_goes_back_each_epoch_begins_with_a_gap_of_its_own() {
    let mut account = opened(1);
    for number in 1..5 {
        account.a(number);
    }
    account.gap("a", "cccccc-0~bbbbbb-0");
    account.says(Source::Http, 1, "cccccc-1~bbbbbb-0");
    account.gap("a", "dddddd-1~bbbbbb-0");
    for number in [2, 4, 3, 5] {
        let id = format!("dddddd-{number}~bbbbbb-0");
        account.says(Source::Http, number, &id);
    }
    account.gap("a", "eeeeee-5~bbbbbb-0");
    account.says(Source::Http, 4, "eeeeee-6~bbbbbb-0");
    account.found(&[
        "a: dddddd-4 came after dddddd-2",
        "a: dddddd-3 came after dddddd-4",
        "a: 3 came twice",
        "a: dddddd-5 came after dddddd-3",
        "a: 4 came twice",
    ]);
}

#[test]
fn a_gap_after_the_hole_explains_nothing() {
    let mut account = opened(1);
    account.a(1);
    account.a(3);
    account.gap("a", &id(3, 0));
    account.found(&["a: aaaaaa-3 came after aaaaaa-1", "a: 2 to 2 lost"]);
}

#[test]
fn a_gap_before_the_message_before_the_hole_explains_nothing() {
    let mut account = opened(1);
    account.a(1);
    account.gap("a", &id(1, 0));
    account.a(2);
    account.a(4);
    account.found(&["a: aaaaaa-4 came after aaaaaa-2", "a: 3 to 3 lost"]);
    assert_eq!(account.needless, 1);
}

#[test]
fn a_gap_that_points_elsewhere_does_not_explain_the_hole_behind_it() {
    let mut account = opened(1);
    account.a(1);
    account.gap("a", &id(3, 0));
    account.a(6);
    account.found(&["a: aaaaaa-6 came after aaaaaa-3"]);
}

#[test]
fn a_gap_of_a_topic_that_was_not_asked_for_is_foreign() {
    let mut account = opened(1);
    account.gap("c", "");
    account.message("c http 1 ", "");
    account.message("hello", "");
    account.found(&[
        "not asked for or not published: a gap of c",
        "not asked for or not published: 1 of c",
        "not asked for or not published: hello",
    ]);
}

#[test]
fn raw_messages_may_be_lost_but_not_repeated_or_reordered() {
    let mut account = opened(1);
    account.says(Source::Raw, 3, &id(1, 0));
    account.says(Source::Raw, 9, &id(2, 0));
    account.says(Source::Http, 1, &id(3, 0));
    account.found(&[]);
    account.says(Source::Raw, 9, &id(4, 0));
    account.says(Source::Raw, 8, &id(5, 0));
    account.found(&["a: 9 came twice", "a: 8 came twice"]);
}

#[test]
fn a_new_epoch_is_no_hole_and_a_message_heard_in_both_is_judged_later() {
    let mut account = opened(1);
    account.a(1);
    account.a(2);
    account.says(Source::Http, 2, "cccccc-2~bbbbbb-0");
    account.says(Source::Http, 3, "cccccc-3~bbbbbb-0");
    account.found(&[]);
    let again = &account.again()[0];
    assert_eq!((again.number, again.second.offset), (2, 2));
    // The one before the newest would be a repetition wherever it stands.
    account.says(Source::Http, 2, "dddddd-1~bbbbbb-0");
    account.found(&["a: 2 came twice"]);
}

#[test]
fn all_topics_of_a_feed_share_one_line_and_its_gaps() {
    let mut account = Account::default();
    let topics = |_: &str| vec![("a".to_owned(), 1), ("b".to_owned(), 1)];
    account.open(["x.*"], topics);
    account.cursor("0-0");
    account.message("a http 1 ", "eeeeee-1");
    account.message("b http 1 ", "eeeeee-2");
    account.found(&[]);
    account.gap("x.*", "eeeeee-4");
    account.message("b http 3 ", "eeeeee-5");
    account.message("a http 2 ", "eeeeee-6");
    account.found(&[]);
    account.message("a http 4 ", "eeeeee-8");
    account.found(&["x.*: eeeeee-8 came after eeeeee-6", "a: 3 to 3 lost"]);
}
