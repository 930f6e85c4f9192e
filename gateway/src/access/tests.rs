//! Who is admitted, as tables.

mod reviewed;
mod signed;

use super::*;
use crate::clock;
use crate::close::CloseReason;
use crate::fixtures::{ANA, BEN, open, policy, snapshot, snapshot_for, tokens, with};
use crds::snapshot::Snapshot;
use serde_json::{Value, json};

fn rules(rules: &Value) -> Value {
    json!({"access": {"subscribe": rules}})
}

fn anonymous_or_tokens() -> Value {
    rules(&json!([{"anonymous": {}}, {"tokens": {"secretRef": {"name": "readers"}}}]))
}

fn ask(policy: &Arc<Policy>, topic: &str) -> Ask {
    Ask {
        policy: policy.clone(),
        subject: Subject::Topic(Topic::new(topic).unwrap()),
    }
}

fn with_token(token: Option<&str>) -> Request {
    Request {
        token: token.map(Token::new),
        facts: None,
    }
}

/// What decisions know in these tests.
#[derive(Default)]
struct World {
    keyring: Keyring,
    memo: Memo,
    failures: std::sync::atomic::AtomicUsize,
}

impl World {
    fn with<T>(&self, unix: u64, act: impl FnOnce(&Known<'_>) -> T) -> T {
        let failed = |_: &Policy, _: &'static str| {
            self.failures
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        };
        let now = Now {
            unix,
            ..clock::now()
        };
        act(&Known {
            keyring: &self.keyring,
            memo: &self.memo,
            now,
            failed: &failed,
        })
    }

    fn decide(&self, action: Action, asks: &[Ask], request: &Request) -> Decision {
        self.with(0, |known| {
            decide(action, asks, request, known, &Findings::default())
        })
    }
}

fn decided(action: Action, asks: &[Ask], request: &Request) -> Decision {
    World::default().decide(action, asks, request)
}

#[track_caller]
fn check(spec: Value, token: Option<&str>, expected: Result<Option<&str>, Denied>) {
    let asks = vec![ask(&policy(spec), "orders")];
    let decided = match decided(Action::Subscribe, &asks, &with_token(token)) {
        Decision::Granted(grant) => Ok(grant.identity().map(ToString::to_string)),
        Decision::Denied(denial) => Err(denial.reason),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        decided,
        expected.map(|identity| identity.map(ToOwned::to_owned))
    );
}

#[test]
fn a_channel_without_rules_admits_nobody() {
    check(json!({}), None, Err(Denied::NotAdmitted));
    check(json!({}), Some(ANA), Err(Denied::NotAdmitted));
}

#[test]
fn anonymous_admits_everybody_and_reads_no_token() {
    check(open(), None, Ok(None));
    check(open(), Some("a site-wide cookie"), Ok(None));
}

#[test]
fn a_token_admits_its_holder_by_name() {
    check(tokens(), Some(ANA), Ok(Some("ana")));
    check(tokens(), Some(BEN), Ok(Some("ben")));
    check(tokens(), None, Err(Denied::NoToken));
    check(tokens(), Some("guessed"), Err(Denied::BadToken));
    check(tokens(), Some(""), Err(Denied::BadToken));
}

#[test]
fn a_token_that_nothing_verifies_is_never_a_silent_downgrade() {
    check(anonymous_or_tokens(), Some("old"), Err(Denied::BadToken));
    check(anonymous_or_tokens(), None, Ok(None));
    check(anonymous_or_tokens(), Some(ANA), Ok(None));
}

#[test]
fn the_right_to_listen_is_not_the_right_to_publish() {
    let policy = policy(rules(&json!([{"anonymous": {}}])));
    let asks = vec![ask(&policy, "orders")];
    assert!(matches!(
        decided(Action::Publish, &asks, &Request::default()),
        Decision::Denied(Denial {
            reason: Denied::NotAdmitted,
            ..
        })
    ));
}

#[test]
fn the_first_refusal_in_order_is_the_answer() {
    let snapshot = snapshot(&[("a", open()), ("b", tokens()), ("c", json!({}))]);
    let asks: Vec<Ask> = snapshot
        .policies()
        .iter()
        .map(|policy| ask(policy, policy.channel.name()))
        .collect();
    let Decision::Denied(denial) = decided(Action::Subscribe, &asks, &Request::default()) else {
        panic!("granted");
    };
    assert_eq!((denial.reason, denial.ask.name()), (Denied::NoToken, "b"));
}

#[test]
fn a_grant_counts_each_channel_once() {
    let policy = policy(with(tokens(), json!({"topics": ["orders", "orders.{id}"]})));
    let asks = vec![ask(&policy, "orders"), ask(&policy, "orders.1")];
    let Decision::Granted(grant) = decided(Action::Subscribe, &asks, &with_token(Some(ANA))) else {
        panic!("denied");
    };
    assert_eq!(grant.channels().count(), 1);
}

#[test]
fn no_token_is_printed() {
    let text = format!("{:?}", with_token(Some("hunter2")));
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_grant_is_small() {
    assert!(size_of::<Grant>() <= 96, "{}", size_of::<Grant>());
}

fn granted(snapshot: &Snapshot, token: &str) -> Grant {
    let asks = vec![ask(&snapshot.policies()[0], "orders")];
    match decided(Action::Subscribe, &asks, &with_token(Some(token))) {
        Decision::Granted(grant) => grant,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_again(before: Value, after: &Snapshot, expected: Result<&str, CloseReason>) {
    let grant = granted(&snapshot(&[("orders", before)]), ANA);
    let again = World::default().with(0, |known| grant.again(after, known));
    let again = match again {
        Again::Unchanged => Ok("unchanged"),
        Again::Renewed(_) => Ok("renewed"),
        Again::Ended(reason) => Err(reason),
    };
    assert_eq!(again, expected);
}

#[test]
fn the_same_channel_again_changes_nothing() {
    let others = snapshot(&[("orders", tokens()), ("other", open())]);
    check_again(tokens(), &others, Ok("unchanged"));
}

#[test]
fn a_change_that_admits_still_renews() {
    let after = with(tokens(), json!({"limits": {"streams": 7}}));
    check_again(tokens(), &snapshot(&[("orders", after)]), Ok("renewed"));
    let fewer = snapshot_for(&[("ana", ANA)], &[("orders", tokens())]);
    check_again(tokens(), &fewer, Ok("renewed"));
}

#[test]
fn a_removed_token_revokes_and_goes_before_rotating() {
    let without = snapshot_for(&[("ben", BEN)], &[("orders", tokens())]);
    check_again(tokens(), &without, Err(CloseReason::Revoked));
    let moved = with(tokens(), json!({"history": {"size": 5}}));
    let both = snapshot_for(&[("ben", BEN)], &[("orders", moved)]);
    check_again(tokens(), &both, Err(CloseReason::Revoked));
}

#[test]
fn what_was_joined_and_is_no_longer_the_same_rotates() {
    let kept = |size| with(tokens(), json!({"history": {"size": size}}));
    let after = snapshot(&[("orders", kept(5))]);
    check_again(tokens(), &after, Err(CloseReason::Rotated));
    check_again(kept(7), &after, Ok("renewed"));
    let wild = snapshot(&[("orders", with(tokens(), json!({"wildcard": true})))]);
    check_again(tokens(), &wild, Err(CloseReason::Rotated));
    let heir = snapshot(&[("heir", with(tokens(), json!({"topics": ["orders"]})))]);
    check_again(tokens(), &heir, Err(CloseReason::Rotated));
}

#[test]
fn a_topic_that_nobody_owns_any_more_is_deleted() {
    check_again(tokens(), &snapshot(&[]), Err(CloseReason::Deleted));
    let other = with(tokens(), json!({"topics": ["elsewhere"]}));
    check_again(
        tokens(),
        &snapshot(&[("orders", other)]),
        Err(CloseReason::Deleted),
    );
}
