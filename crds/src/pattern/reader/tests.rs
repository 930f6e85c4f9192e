//! Sets of places against the usual table of two patterns, cell by cell and character by character.

use super::super::tests::any_pattern;
use super::*;
use proptest::prelude::*;

/// What one character of a topic may be; a capture is `Any`, then `Run`.
#[derive(Clone, Copy)]
enum Symbol {
    Only(char),
    /// One character but `.`.
    Any,
    /// Any number of characters but `.`, none too.
    Run,
    /// Any number of characters: what follows a beginning.
    Rest,
}

impl Symbol {
    fn meets(self, other: Self) -> bool {
        match (self, other) {
            (Self::Only(a), Self::Only(b)) => a == b,
            (Self::Only(c), Self::Any | Self::Run) | (Self::Any | Self::Run, Self::Only(c)) => {
                c != '.'
            }
            (Self::Any | Self::Run, Self::Any | Self::Run) => true,
            (Self::Rest, _) | (_, Self::Rest) => true,
        }
    }
}

fn symbols(pattern: &TopicPattern) -> Vec<Symbol> {
    let mut symbols = Vec::new();
    for part in pattern.parts.iter() {
        match part {
            Part::Literal(text) => symbols.extend(text.chars().map(Symbol::Only)),
            Part::Capture(_) => symbols.extend([Symbol::Any, Symbol::Run]),
        }
    }
    symbols
}

/// Whether some text fits both.
fn shared(a: &[Symbol], b: &[Symbol]) -> bool {
    let run =
        |symbols: &[Symbol], at: usize| matches!(symbols.get(at), Some(Symbol::Run | Symbol::Rest));
    // `below[j]`: whether a[i + 1..] and b[j..] share a text; `row` is the same for a[i..].
    let mut below = vec![false; b.len() + 1];
    for i in (0..=a.len()).rev() {
        let mut row = vec![false; b.len() + 1];
        for j in (0..=b.len()).rev() {
            let meets = matches!((a.get(i), b.get(j)), (Some(x), Some(y)) if x.meets(*y));
            row[j] = (i == a.len() && j == b.len())
                || (run(a, i) && below[j])
                || (run(b, j) && row[j + 1])
                || (meets && !run(a, i) && !run(b, j) && below[j + 1])
                || (meets && run(a, i) && !run(b, j) && row[j + 1])
                || (meets && run(b, j) && !run(a, i) && below[j]);
        }
        below = row;
    }
    below[0]
}

#[track_caller]
fn check(a: &str, b: &str, expected: bool) {
    let (x, y) = (
        TopicPattern::parse(a).unwrap(),
        TopicPattern::parse(b).unwrap(),
    );
    assert_eq!(shared(&symbols(&x), &symbols(&y)), expected, "{a:?} {b:?}");
    assert_eq!(Reader::new(&x).overlaps(&y), expected, "{a:?} {b:?}");
    assert_eq!(Reader::new(&y).overlaps(&x), expected, "{b:?} {a:?}");
}

#[test]
fn the_longest_patterns_are_told_apart_by_one_character() {
    let (x, long) = ("x".repeat(240), "x".repeat(255));
    check(&long, &long, true);
    check(&long, &format!("{}y", &long[1..]), false);
    check(&long, "{a}", true);
    check(&long, "{a}x{b}x{c}", true);
    check(&long, "{a}y{b}", false);
    check(&format!("{}{{a}}", &long[3..]), "{b}x", true);
    check(
        &format!("{{a}}-{x}-001-1"),
        &format!("{{a}}-{x}-002-1"),
        false,
    );
    check(
        &format!("{{a}}-{x}-001-1"),
        &format!("{{a}}-{x}-{{b}}"),
        true,
    );
    check(
        &format!("{{a}}-{x}-{{b}}-1"),
        &format!("{{a}}-{x}-1-{{b}}"),
        true,
    );
    check(
        &format!("{{a}}-{x}-1{{b}}"),
        &format!("{{a}}.{x}-1{{b}}"),
        false,
    );
    check(
        &format!("{{a}}x.{x}-{{b}}"),
        &format!("{{a}}y.{x}-{{b}}"),
        false,
    );
}

#[test]
fn characters_of_several_bytes_are_met_whole() {
    // é is C3 A9, © is C2 A9, ê is C3 AA.
    for (a, b) in [("é", "©"), ("é", "ê"), ("ã", "é")] {
        check(&format!("{{x}}{a}"), &format!("{{x}}{b}"), false);
        check(&format!("{a}{{x}}"), &format!("{b}{{x}}"), false);
        check(&format!("{{x}}{a}{{y}}"), &format!("{{x}}{a}{b}"), true);
        check(&format!("{a}{{x}}{a}"), &format!("{a}{b}"), false);
    }
    let long = "é".repeat(126);
    check(&format!("{{x}}{long}"), &format!("{long}{{x}}"), true);
    check(
        &format!("{{x}}{long}"),
        &format!("©{{x}}{}", &long[4..]),
        true,
    );
    check(
        &format!("{{x}}{long}"),
        &format!("{{x}}😀{}", &long[4..]),
        false,
    );
}

/// Two patterns of up to 255 bytes, made of one topic by putting captures over some of it; sometimes one
/// character of the second is another.
fn long_pair() -> impl Strategy<Value = (TopicPattern, TopicPattern)> {
    let topic = prop_oneof!["[ab.]{1,60}", "[x-]{100,255}", "[aé©ê😀.]{1,90}"];
    let holes = || prop::collection::vec((any::<prop::sample::Index>(), 1..30usize), 0..6);
    let change = prop::option::of((any::<prop::sample::Index>(), "[ax.é©-]"));
    (topic, holes(), holes(), change).prop_filter_map("invalid", |(topic, ours, theirs, change)| {
        let mut changed: Vec<String> = topic.chars().map(String::from).collect();
        let first = with_captures(changed.clone(), &ours)?;
        if let Some((at, by)) = change {
            let at = at.index(changed.len());
            changed[at] = by;
        }
        Some((first, with_captures(changed, &theirs)?))
    })
}

fn with_captures(
    mut topic: Vec<String>,
    holes: &[(prop::sample::Index, usize)],
) -> Option<TopicPattern> {
    for (number, (at, len)) in holes.iter().enumerate() {
        let at = at.index(topic.len());
        let hole = topic[at..].iter().take(*len);
        let len = hole
            .take_while(|text| text.len() < 5 && *text != ".")
            .count();
        if len > 0 {
            topic.splice(at..at + len, [format!("{{c{number}}}")]);
        }
    }
    TopicPattern::parse(&topic.concat()).ok()
}

proptest! {
    #[test]
    fn short_patterns_overlap_as_the_table_tells(a in any_pattern(), b in any_pattern()) {
        let expected = shared(&symbols(&a), &symbols(&b));
        prop_assert_eq!(Reader::new(&a).overlaps(&b), expected, "{:?} {:?}", a, b);
    }

    #[test]
    fn long_patterns_overlap_as_the_table_tells((a, b) in long_pair()) {
        let expected = shared(&symbols(&a), &symbols(&b));
        prop_assert_eq!(Reader::new(&a).overlaps(&b), expected, "{:?} {:?}", a, b);
        prop_assert_eq!(Reader::new(&b).overlaps(&a), expected, "{:?} {:?}", b, a);
    }

    #[test]
    fn a_prefix_is_reached_as_the_table_tells(
        (pattern, other) in long_pair(), end in any::<prop::sample::Index>()
    ) {
        let end = end.index(other.as_str().chars().count() + 1);
        let prefix: String = other.as_str().chars().take(end).collect();
        let mut wanted: Vec<Symbol> = prefix.chars().map(Symbol::Only).collect();
        wanted.push(Symbol::Rest);
        let expected = shared(&symbols(&pattern), &wanted);
        prop_assert_eq!(pattern.reaches(&prefix), expected, "{:?} {:?}", pattern, prefix);
    }
}
