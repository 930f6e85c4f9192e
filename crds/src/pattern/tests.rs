//! Patterns as facts, and every text against a slow and obvious matcher.

use super::*;
use proptest::prelude::*;

fn pattern(text: &str) -> TopicPattern {
    TopicPattern::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

#[track_caller]
fn check(text: &str, topic: &str, expected: Option<&[(&str, &str)]>) {
    let pattern = pattern(text);
    assert_eq!(
        pattern.captures(topic).as_deref(),
        expected,
        "{text:?} {topic:?}"
    );
    assert_eq!(
        pattern.matches(topic),
        expected.is_some(),
        "{text:?} {topic:?}"
    );
}

#[track_caller]
fn check_overlap(a: &str, b: &str, expected: bool) {
    assert_eq!(overlap(&pattern(a), &pattern(b)), expected, "{a:?} {b:?}");
    assert_eq!(overlap(&pattern(b), &pattern(a)), expected, "{b:?} {a:?}");
}

fn overlap(a: &TopicPattern, b: &TopicPattern) -> bool {
    Reader::new(a).overlaps(b)
}

#[test]
fn a_literal_matches_itself_alone() {
    check("orders", "orders", Some(&[]));
    check("orders", "orders.1", None);
    check("orders.*", "orders.1", None);
    assert!(pattern("orders").is_literal());
    assert!(!pattern("orders.{user}").is_literal());
}

#[test]
fn a_capture_is_a_non_empty_run_without_a_dot() {
    check("orders.{user}", "orders.42", Some(&[("user", "42")]));
    check(
        "orders.{user}",
        "orders.a/b%2e",
        Some(&[("user", "a/b%2e")]),
    );
    check("orders.{user}", "orders.", None);
    check("orders.{user}", "orders.4.2", None);
    check("{x}", "søk", Some(&[("x", "søk")]));
    check("{a}.x.{b}", "1.x.2", Some(&[("a", "1"), ("b", "2")]));
    check("{a}-{b}", "x-y-z", Some(&[("a", "x"), ("b", "y-z")]));
    check("{a}-{b}-z", "x-y-w-z", Some(&[("a", "x"), ("b", "y-w")]));
    check("{a}-", "--", Some(&[("a", "-")]));
    check("{a}-{b}", "--a", Some(&[("a", "-"), ("b", "a")]));
    check("{a}-{b}", "-a", None);
}

#[test]
fn what_cannot_be_read_one_way_is_refused() {
    let check = |text: &str, expected: InvalidPattern| {
        assert_eq!(TopicPattern::parse(text), Err(expected), "{text:?}");
    };
    check("", InvalidPattern::Topic(InvalidTopic::Empty));
    check("*", InvalidPattern::Topic(InvalidTopic::Star));
    check("a{", InvalidPattern::Brace);
    check("a}", InvalidPattern::Brace);
    check("{}", InvalidPattern::Name(String::new()));
    check("{1a}", InvalidPattern::Name("1a".into()));
    check("{in}", InvalidPattern::Name("in".into()));
    check("{a}{b}", InvalidPattern::Touching);
    check("{a}.{a}", InvalidPattern::Twice("a".into()));
    check(
        "{a}.{b}.{c}.{d}.{e}.{f}.{g}.{h}.{i}",
        InvalidPattern::TooMany,
    );
}

#[test]
fn patterns_overlap_when_a_topic_fits_both() {
    check_overlap("orders", "orders", true);
    check_overlap("orders", "orders.{u}", false);
    check_overlap("orders.{u}", "orders.{v}", true);
    check_overlap("orders.{u}", "{x}.1", true);
    check_overlap("orders.{u}", "{x}.1.{y}", false);
    check_overlap("a{x}", "{y}b", true);
    check_overlap("a{x}.c", "{y}b", false);
    check_overlap("a-{x}", "b-{y}", false);
    check_overlap("{x}-a", "{y}-b", false);
    check_overlap("{x}a", "a{y}", true);
    check_overlap("{x}", "a", true);
}

#[test]
fn redis_hears_at_least_what_the_pattern_matches() {
    assert_eq!(pattern("a*[b].{x}").redis_glob(), r"a\*\[b\].*");
}

/// Whether `topic` fits the parts, by trying every length of every capture.
fn slowly(parts: &[Part], topic: &[char]) -> bool {
    match parts {
        [] => topic.is_empty(),
        [Part::Literal(text), others @ ..] => {
            let text: Vec<char> = text.chars().collect();
            topic.starts_with(&text) && slowly(others, &topic[text.len()..])
        }
        [Part::Capture(_), others @ ..] => (1..=topic.len())
            .take_while(|&end| topic[end - 1] != '.')
            .any(|end| slowly(others, &topic[end..])),
    }
}

/// Short texts over few characters, so that they often meet.
pub fn any_pattern() -> impl Strategy<Value = TopicPattern> {
    let part = prop_oneof!["[ab.]{1,2}", Just("{}".to_owned())];
    prop::collection::vec(part, 1..5).prop_filter_map("touching or invalid", |parts| {
        let named = parts.iter().enumerate().map(|(at, part)| match &**part {
            "{}" => format!("{{c{at}}}"),
            text => text.to_owned(),
        });
        TopicPattern::parse(&named.collect::<String>()).ok()
    })
}

#[track_caller]
fn check_reaches(pattern: &str, prefix: &str, expected: bool) {
    let reaches = TopicPattern::parse(pattern).unwrap().reaches(prefix);
    assert_eq!(reaches, expected, "{pattern} {prefix:?}");
}

#[test]
fn a_prefix_is_reached_by_what_may_begin_with_it() {
    for pattern in ["orders", "orders.{id}", "{any}"] {
        check_reaches(pattern, "", true);
        check_reaches(pattern, "ord", true);
    }
    check_reaches("orders", "orders", true);
    check_reaches("orders", "orders.", false);
    check_reaches("orders.{id}", "orders.4", true);
    check_reaches("orders.{id}", "orders.4.", false);
    check_reaches("orders.{id}.x", "orders.4.", true);
    check_reaches("orders.{id}.x", "orders..", false);
    check_reaches("{any}", "orders.", false);
    check_reaches("{any}.b", "a.", true);
}

proptest! {
    #[test]
    fn what_matches_is_reached_from_each_of_its_beginnings(
        pattern in any_pattern(), topic in "[ab.]{0,7}"
    ) {
        let reached = (0..=topic.len()).all(|end| pattern.reaches(&topic[..end]));
        prop_assert!(reached || !pattern.matches(&topic), "{:?} {:?}", pattern, topic);
    }

    #[test]
    fn no_text_makes_parsing_panic(text in "[a{}.* ]{0,12}|.{0,300}") {
        if let Ok(pattern) = TopicPattern::parse(&text) {
            prop_assert_eq!(pattern.as_str(), text);
            let _glob = pattern.redis_glob();
        }
    }

    #[test]
    fn matching_agrees_with_trying_everything(pattern in any_pattern(), topic in "[ab.]{0,7}") {
        let expected = slowly(&pattern.parts, &Vec::from_iter(topic.chars()));
        prop_assert_eq!(pattern.matches(&topic), expected, "{:?} {:?}", pattern, topic);
    }

    #[test]
    fn what_matches_both_means_that_they_overlap(
        a in any_pattern(), b in any_pattern(), topic in "[ab.]{0,7}"
    ) {
        if a.matches(&topic) && b.matches(&topic) {
            prop_assert!(overlap(&a, &b), "{:?} {:?} {:?}", a, b, topic);
        }
        prop_assert_eq!(overlap(&a, &b), overlap(&b, &a));
    }

    #[test]
    fn captures_put_together_again_are_the_topic(pattern in any_pattern(), topic in "[ab.]{0,7}") {
        if let Some(captures) = pattern.captures(&topic) {
            let mut text = pattern.as_str().to_owned();
            for (name, value) in captures {
                text = text.replacen(&format!("{{{name}}}"), value, 1);
            }
            prop_assert_eq!(text, topic);
        }
    }
}
