use super::*;
use std::time::Duration;

/// A run of one listener on one topic: what was acknowledged, and what it heard, as `number@position` or `gap`.
fn account(acknowledged: &str, heard: &str) -> Account {
    let mut account = Account::new(1, &["ana".into()]);
    let begun = account.begun;
    let at = |index: usize| begun + Duration::from_millis(index as u64);
    let read = |text: &str| {
        let (number, position) = text.split_once('@').unwrap();
        (number.parse::<u64>().unwrap(), position.parse().unwrap())
    };
    for (index, text) in acknowledged.split(' ').enumerate() {
        // A message that was said twice is marked by a star.
        let (number, position) = read(text.trim_end_matches('*'));
        account.topics[0].asked = number + 1;
        account.topics[0].acknowledged.push(Acknowledged {
            number,
            position,
            at: at(index),
            tries: 1 + u32::from(text.ends_with('*')),
        });
    }
    for (index, text) in heard.split(' ').enumerate() {
        let what = if text == "gap" {
            What::Gap {
                reason: "epoch".into(),
                position: "a-1".parse().unwrap(),
            }
        } else {
            let (number, position) = read(text);
            What::Message { number, position }
        };
        let at = at(index);
        account.listeners[0].heard[0].push(Heard { at, what });
    }
    account
}

#[track_caller]
fn holds(acknowledged: &str, heard: &str) -> Pair {
    let verdict = judge(&account(acknowledged, heard));
    verdict.must_hold();
    verdict.pairs[0].clone()
}

/// What the only fault says.
#[track_caller]
fn fails(acknowledged: &str, heard: &str, expected: &str) {
    let verdict = judge(&account(acknowledged, heard));
    assert_eq!(verdict.faults.len(), 1, "{:#?}", verdict.faults);
    let said = &verdict.faults[0];
    assert!(said.contains(expected), "{said}");
}

const THREE: &str = "1@a-1 2@a-2 3@a-3";

#[test]
fn everything_once_and_in_order_holds() {
    let pair = holds(THREE, "1@a-1 2@a-2 3@a-3");
    assert_eq!((pair.missing, pair.again, pair.gaps.len()), (0, 0, 0));
}

#[test]
fn what_is_missing_is_lost_at_the_beginning_in_the_middle_and_at_the_end() {
    fails(THREE, "2@a-2 3@a-3", "1 is lost");
    fails(THREE, "1@a-1 3@a-3", "2 is lost");
    fails(THREE, "1@a-1 2@a-2", "3 is lost");
}

#[test]
fn a_fault_shows_what_stands_around_it() {
    let around = "ana, t0000: 2 is lost, acknowledged at a-2 [0.001 s] after 1 tries; around: 1@";
    let expected = around.replace("1@", "1 at a-1 [0.000 s], 3 at a-3 [0.001 s]");
    fails(THREE, "1@a-1 3@a-3", &expected);
}

#[test]
fn a_gap_at_the_place_covers_what_is_missing_there() {
    for heard in ["gap 2@a-2 3@a-3", "1@a-1 gap 3@a-3", "1@a-1 2@a-2 gap"] {
        let pair = holds(THREE, heard);
        assert_eq!(
            (pair.missing, pair.gaps.as_slice()),
            (1, &["epoch".to_owned()][..])
        );
    }
}

#[test]
fn a_gap_elsewhere_covers_nothing() {
    fails(THREE, "1@a-1 3@a-3 gap", "2 is lost");
    fails(THREE, "gap 1@a-1 3@a-3", "2 is lost");
}

#[test]
fn a_gap_where_nothing_is_missing_is_counted_and_no_fault() {
    let pair = holds(THREE, "1@a-1 gap 2@a-2 3@a-3");
    assert_eq!((pair.missing, pair.gaps.len()), (0, 1));
}

#[test]
fn nothing_comes_twice() {
    fails(THREE, "1@a-1 2@a-2 2@a-2 3@a-3", "2 at a-2 came twice");
    fails("1@a-1 3@a-3", "1@a-1 1@a-2 3@a-3", "1 came twice");
    fails("1@a-1 2@b-3", "1@a-1 1@b-2 2@b-3", "1 came twice");
}

#[test]
fn what_was_said_again_after_all_was_forgotten_may_come_again_at_another_place() {
    let pair = holds("1@b-1* 2@b-2", "1@a-1 1@b-1 2@b-2");
    assert_eq!(pair.again, 1);
    fails(
        "1@a-2* 2@a-3",
        "1@a-1 2@a-3",
        "1 came at a-1, acknowledged was a-2",
    );
}

#[test]
fn order_is_that_of_the_positions() {
    let verdict = judge(&account(THREE, "1@a-1 3@a-3 2@a-2"));
    let said = verdict.faults.join("\n");
    assert!(said.contains("2 came after 3"), "{said}");
    let again = judge(&account("1@a-2 2@a-1", "1@a-2 2@a-1"));
    assert!(again.faults[0].contains("2 was acknowledged at a-1, after 2"));
}

#[test]
fn what_was_never_acknowledged_may_come_once() {
    let _ = holds("1@a-1 3@a-3", "1@a-1 2@a-2 3@a-3");
    fails("1@a-1 3@a-3", "1@a-1 2@a-2 2@a-2 3@a-3", "came twice");
}

#[test]
fn what_nobody_said_is_a_fault() {
    fails(THREE, "1@a-1 2@a-2 3@a-3 9@a-4", "9 was never published");
}

#[test]
fn what_is_strange_is_a_fault() {
    let mut account = account(THREE, "1@a-1 2@a-2 3@a-3");
    account.strange("404".into());
    assert_eq!(judge(&account).faults, ["404"]);
}

#[test]
fn recovery_is_when_the_last_has_heard_what_was_acknowledged_since() {
    let account = account(THREE, "1@a-1 2@a-2 3@a-3");
    let begun = account.begun;
    let ms = Duration::from_millis;
    assert_eq!(account.recovered_after(begun + ms(1)), Some(ms(0)));
    assert_eq!(account.recovered_after(begun), Some(ms(0)));
    assert_eq!(account.recovered_after(begun + ms(9)), None);
}
