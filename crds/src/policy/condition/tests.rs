//! Which expressions are served, and what they read.

use super::*;
use std::collections::BTreeSet;

#[track_caller]
fn compiled(text: &str) -> Condition {
    Condition::compile(text).unwrap_or_else(|error| panic!("{text:?} {error}"))
}

#[track_caller]
fn refused(text: &str, said: &str) {
    let error = Condition::compile(text).map(|condition| condition.text().to_owned());
    let error = error.expect_err(text);
    assert!(error.contains(said), "{text:?} {error}");
}

fn names(names: &[&str]) -> Names {
    Names::These(
        names
            .iter()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>(),
    )
}

#[test]
fn a_condition_tells_what_it_reads() {
    let reads = |text: &str| compiled(text).reads().clone();
    let none = Reads::default();
    assert_eq!(reads("true"), none);
    let both = Reads {
        topic: names(&["user"]),
        claims: names(&["sub"]),
        ..none.clone()
    };
    assert_eq!(reads("claims.sub == topic.user"), both);
    assert_eq!(
        reads("has(claims.sub) && claims['sub'] == topic[\"user\"]"),
        both
    );
    let realm = Reads {
        claims: names(&["realm_access"]),
        ..none.clone()
    };
    assert_eq!(reads("'editor' in claims.realm_access.roles"), realm);
    assert_eq!(
        reads("claims.realm_access.roles.exists(r, r.startsWith('ed'))"),
        realm
    );
    let all = Reads {
        claims: Names::All,
        ..none.clone()
    };
    assert_eq!(reads("claims.exists(c, c == 'x')"), all);
    assert_eq!(
        reads("claims[identity] == 1"),
        Reads {
            identity: true,
            ..all
        }
    );
    let header = Reads {
        request: true,
        headers: names(&["x-team"]),
        ..none.clone()
    };
    assert_eq!(reads("request.headers['x-team'] == 'a'"), header);
    assert_eq!(
        reads("request.ip != ''"),
        Reads {
            request: true,
            ..none.clone()
        }
    );
    let whole = Reads {
        request: true,
        headers: Names::All,
        ..none
    };
    assert_eq!(reads("size(request.headers) > 0"), whole);
}

#[test]
fn what_is_unknown_is_told_before_it_denies_anybody() {
    refused("claim.sub == 'x'", "names \"claim\"");
    refused("claims.sub == topics.user", "names \"topics\"");
    refused("request.host == 'x'", "request.host");
    refused("request.headers['X-Team'] == 'x'", "lower case");
    refused("request.headers.cookie == 'x'", "do not see");
    refused("claims.sub.matches('^a')", "matches()");
    refused("lower(claims.sub) == 'x'", "lower()");
    refused("claims.roles.exists(r, s == 'x')", "names \"s\"");
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    refused("claims.sub = 'x'", "column");
    refused("claims.sub ==\n", "line");
    refused("", "cannot be read");
    refused("(((", "cannot be read");
}

#[test]
fn what_could_take_long_is_refused() {
    refused(&format!("'{}' == ''", "x".repeat(CONDITION_BYTES)), "bytes");
    refused(
        &format!("{}1 == 1{}", "(".repeat(30), ")".repeat(30)),
        "deep",
    );
    let long = ["1"; 200].join(" + ");
    refused(&format!("{long} == 1"), "terms");
    let many = ["x == claims.b"; 8].join(" && ");
    refused(&format!("claims.a.all(x, {many})"), "a loop of");
    compiled("claims.roles.exists(r, r.startsWith('ed') && r != 'editor' && size(r) < 20)");
    refused(
        "claims.a.all(x, claims.b.all(y, x == y))",
        "loop inside a loop",
    );
    refused(
        "claims.a.map(x, claims.b.filter(y, y)) == []",
        "loop inside a loop",
    );
    refused("claims == {'a': 1}", "map or struct");
    refused("A{b: 1} == 1", "map or struct");
}

#[test]
fn conditions_are_equal_when_their_texts_are() {
    assert_eq!(compiled("claims.a == 1"), compiled("claims.a == 1"));
    assert_ne!(compiled("claims.a == 1"), compiled("claims.a==1"));
}

/// The stack of a worker's thread.
const STACK: usize = 2 * 1024 * 1024;

/// Expressions of the most bytes, each as deep as it can be written.
fn deep() -> Vec<String> {
    let fill = |head: &str, part: &str, tail: &str| {
        let count = (CONDITION_BYTES - head.len() - tail.len()) / part.len();
        format!("{head}{}{tail}", part.repeat(count))
    };
    vec![
        fill("claims", ".a", " == 1"),
        fill("claims", "[0]", " == 1"),
        fill("1", "+1", " == 1"),
        fill("true", "&&true", ""),
        fill("true", "||true", ""),
        fill("", "true?true:", "true"),
        fill("", "!", "true"),
        fill("", "-", "1 == 1"),
        fill("1", "==1", ""),
        fill("1", " in[1]", ""),
        fill("'a'", ".size()", " == 1"),
        fill("", "(", ""),
        fill("", "[", ""),
        fill("", "{", ""),
        fill("", "size(", ""),
        format!("{}1{} == 1", "(".repeat(NESTING), ")".repeat(NESTING)),
        format!("{}1{} == []", "[".repeat(NESTING), "]".repeat(NESTING)),
        format!(
            "{}[]{} == 1",
            "size(".repeat(NESTING - 1),
            ")".repeat(NESTING - 1)
        ),
    ]
}

#[test]
fn nothing_that_can_be_written_overflows_the_stack_of_a_worker() {
    let compile = std::thread::Builder::new().stack_size(STACK);
    #[expect(
        clippy::disallowed_methods,
        reason = "the size of its stack is what is tested"
    )]
    let thread = compile.spawn(|| {
        for text in deep() {
            assert!(text.len() <= CONDITION_BYTES);
            if let Ok(condition) = Condition::compile(&text) {
                // Whatever it says: that there is an answer is what counts.
                let context = cel::Context::default();
                let _answer = condition.program().execute(&context);
            }
        }
    });
    thread.unwrap().join().unwrap();
}
