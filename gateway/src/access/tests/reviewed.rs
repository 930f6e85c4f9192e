//! Webhooks and the cluster: when they are asked, and what their verdicts do.

use super::*;
use crate::access::review::{Review, Verdict};
use crate::fixtures::with;

fn hook() -> Value {
    json!({"webhook": {"url": "http://auth.shop/allow"}})
}

fn accounts() -> Value {
    json!({"serviceAccounts": {}})
}

fn channel(rules: &Value) -> Arc<Snapshot> {
    let topics = json!({"topics": ["orders.{user}"]});
    snapshot(&[("orders", with(super::rules(rules), topics))])
}

/// What is decided about `orders.ana`, with each reviewer that is asked answering the next of `answers`.
fn decided_with(
    rules: &Value,
    token: Option<&str>,
    answers: &[Option<Verdict>],
) -> (String, usize, Option<Grant>) {
    let snapshot = channel(rules);
    let asks = [ask(&snapshot.policies()[0], "orders.ana")];
    let mut findings = Findings::default();
    let world = World::default();
    loop {
        let decision = world.with(1_000_000, |known| {
            decide(
                Action::Subscribe,
                &asks,
                &with_token(token),
                known,
                &findings,
            )
        });
        let asked = findings.verdicts.len();
        return match decision {
            Decision::Needs(Need::Review(review)) => {
                let answer = answers.get(asked).cloned().expect("nobody else is asked");
                findings.verdicts.push((review, answer));
                continue;
            }
            Decision::Granted(grant) => {
                let name = grant.identity().map_or("anonymous", |name| name).to_owned();
                (name, asked, Some(grant))
            }
            Decision::Denied(denial) => (denial.reason.word().to_owned(), asked, None),
            Decision::Needs(need) => (format!("{need:?}"), asked, None),
            Decision::Unreachable => ("unreachable".to_owned(), asked, None),
        };
    }
}

fn yes(name: &str) -> Option<Verdict> {
    Some(Verdict {
        allow: true,
        identity: (!name.is_empty()).then(|| name.into()),
        expires: None,
    })
}

fn no() -> Option<Verdict> {
    Some(Verdict::default())
}

/// `expected` and how many reviewers were asked.
#[track_caller]
fn check_asked(
    rules: &Value,
    token: Option<&str>,
    answers: &[Option<Verdict>],
    expected: &str,
    asked: usize,
) {
    let (word, count, _) = decided_with(rules, token, answers);
    assert_eq!((&*word, count), (expected, asked), "{rules}");
}

#[test]
fn a_reviewer_is_asked_when_its_rule_is_reached_and_only_then() {
    let anonymous = json!({"anonymous": {}});
    let tokens = json!({"tokens": {"secretRef": {"name": "readers"}}});
    check_asked(&json!([hook()]), None, &[yes("")], "anonymous", 1);
    check_asked(&json!([hook()]), Some("t"), &[yes("eve")], "eve", 1);
    check_asked(&json!([hook()]), Some("t"), &[no()], "bad-token", 1);
    check_asked(&json!([hook()]), None, &[no()], "no-token", 1);
    let known = Some(Verdict {
        allow: false,
        ..yes("eve").unwrap()
    });
    check_asked(
        &json!([hook()]),
        Some("t"),
        std::slice::from_ref(&known),
        "not-admitted",
        1,
    );
    check_asked(
        &json!([hook(), anonymous]),
        Some("t"),
        &[known],
        "anonymous",
        1,
    );
    check_asked(
        &json!([hook(), anonymous]),
        Some("t"),
        &[no()],
        "bad-token",
        1,
    );
    check_asked(&json!([hook(), anonymous]), None, &[no()], "anonymous", 1);
    check_asked(&json!([anonymous, hook()]), None, &[], "anonymous", 0);
    check_asked(&json!([anonymous, hook()]), Some("t"), &[], "anonymous", 0);
    check_asked(&json!([tokens, hook()]), Some(ANA), &[], "ana", 0);
    check_asked(&json!([tokens, hook()]), Some("t"), &[yes("eve")], "eve", 1);
    check_asked(&json!([accounts()]), None, &[], "no-token", 0);
    check_asked(&json!([accounts()]), Some("t"), &[yes("sa")], "sa", 1);
    check_asked(
        &json!([accounts(), hook()]),
        Some("t"),
        &[no(), yes("eve")],
        "eve",
        2,
    );
}

#[test]
fn a_reviewer_that_cannot_be_asked_denies_nobody_for_good() {
    let tokens = json!({"tokens": {"secretRef": {"name": "readers"}}});
    check_asked(&json!([hook()]), Some("t"), &[None], "unreachable", 1);
    check_asked(
        &json!([hook(), tokens]),
        Some("t"),
        &[None],
        "unreachable",
        1,
    );
    check_asked(&json!([hook(), tokens]), Some(ANA), &[None], "ana", 1);
    let anonymous = json!({"anonymous": {}});
    check_asked(
        &json!([hook(), anonymous]),
        Some("t"),
        &[None],
        "unreachable",
        1,
    );
    check_asked(&json!([hook(), anonymous]), None, &[None], "anonymous", 1);
    check_asked(
        &json!([hook(), anonymous, tokens]),
        Some(ANA),
        &[None],
        "anonymous",
        1,
    );
}

#[test]
fn a_condition_saves_the_question_and_judges_the_answer() {
    let mine = |condition: &str| {
        let mut rule = hook();
        rule["when"] = condition.into();
        json!([rule])
    };
    check_asked(
        &mine("topic.user == 'ana'"),
        Some("t"),
        &[yes("eve")],
        "eve",
        1,
    );
    check_asked(
        &mine("topic.user == 'ben'"),
        Some("t"),
        &[],
        "not-admitted",
        0,
    );
    check_asked(
        &mine("topic.user == identity"),
        Some("t"),
        &[yes("ana")],
        "ana",
        1,
    );
    check_asked(
        &mine("topic.user == identity"),
        Some("t"),
        &[yes("eve")],
        "not-admitted",
        1,
    );
}

#[test]
fn a_verdict_may_end() {
    let until = |expires| {
        Some(Verdict {
            expires: Some(expires),
            ..yes("eve").unwrap()
        })
    };
    // It is second 1000.
    check_asked(&json!([hook()]), Some("t"), &[until(995)], "bad-token", 1);
    let (.., grant) = decided_with(&json!([hook()]), Some("t"), &[until(1010)]);
    assert_eq!(grant.unwrap().expires(), Some(1_015_000));
}

#[test]
fn an_open_stream_keeps_its_verdict_while_its_rule_stays() {
    let (.., grant) = decided_with(&json!([hook()]), Some("t"), &[yes("eve")]);
    let grant = grant.unwrap();
    assert_eq!(grant.recheck(), Some(std::time::Duration::from_secs(300)));
    let (action, asks, request) = grant.question();
    assert_eq!((action, asks.len()), (Action::Subscribe, 1));
    assert_eq!(request.token, Some(Token::new("t")));
    let again = |rules: &Value| {
        let again = World::default().with(1_000_000, |known| grant.again(&channel(rules), known));
        match again {
            Again::Unchanged => "unchanged",
            Again::Renewed(_) => "renewed",
            Again::Ended(reason) => reason.word(),
        }
    };
    assert_eq!(again(&json!([hook()])), "unchanged");
    assert_eq!(again(&json!([hook(), {"anonymous": {}}])), "renewed");
    let mut slower = hook();
    slower["webhook"]["timeout"] = "2s".into();
    assert_eq!(again(&json!([slower])), "rotated");
    assert_eq!(again(&json!([accounts()])), "rotated");
    assert_eq!(again(&json!([])), "revoked");
    let text = format!("{grant:?}");
    assert!(!text.contains("\"t\""), "{text}");
}

#[test]
fn a_verdict_is_for_its_channel_and_reviewer() {
    let snapshot = channel(&json!([hook()]));
    let policy = &snapshot.policies()[0];
    let reviewer = Reviewer::of(&policy.access.subscribe[0].kind).unwrap();
    let elsewhere = Review {
        channel: crds::name::ChannelName::new("shop", "other"),
        reviewer,
    };
    let findings = Findings {
        verdicts: vec![(elsewhere, yes("eve"))],
        ..Findings::default()
    };
    let asks = [ask(policy, "orders.ana")];
    let decision = World::default().with(0, |known| {
        decide(
            Action::Subscribe,
            &asks,
            &with_token(None),
            known,
            &findings,
        )
    });
    assert!(matches!(decision, Decision::Needs(Need::Review(_))));
}
