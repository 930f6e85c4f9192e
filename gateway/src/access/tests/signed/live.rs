//! Open streams of signed tokens: what is kept of a token, and what ends them.

use super::*;

fn granted(world: &World, spec: &Value, token: &str) -> Grant {
    match judged(world, spec, "orders.ana", Some(token), &Findings::default()) {
        Decision::Granted(grant) => grant,
        other => panic!("{other:?}"),
    }
}

/// What becomes of a stream when its Channel changes from `before` to `after`.
#[track_caller]
fn again(before: &Value, after: &Value, expected: &str) {
    let world = world(EC_JWK);
    let grant = granted(&world, &channel(before), &signed("one", &usual()));
    let after = compiled(&channel(after));
    let again = world.with(TIME * 1000, |known| grant.again(&after, known));
    let word = match again {
        Again::Unchanged => "unchanged",
        Again::Renewed(_) => "renewed",
        Again::Ended(reason) => reason.word(),
    };
    assert_eq!(word, expected);
}

#[test]
fn a_stream_is_decided_again_by_what_was_kept_of_its_token() {
    let own = when(jwt(), "claims.sub == topic.user");
    again(&json!([own]), &json!([own]), "unchanged");
    again(&json!([own]), &json!([own, {"anonymous": {}}]), "renewed");
    again(&json!([own]), &json!([jwt()]), "renewed");
    again(
        &json!([own]),
        &json!([when(jwt(), "claims.sub == 'ben'")]),
        "revoked",
    );
    again(
        &json!([own]),
        &json!([when(jwt(), "topic.user == 'ben'")]),
        "revoked",
    );
    again(
        &json!([own]),
        &json!([when(jwt(), "claims.role == 'editor'")]),
        "rotated",
    );
    again(
        &json!([own]),
        &json!([when(jwt(), "request.ip == 'x'")]),
        "rotated",
    );
    again(&json!([jwt()]), &json!([]), "revoked");
    let mut other = jwt();
    other["jwt"]["audiences"] = json!(["other"]);
    again(&json!([jwt()]), &json!([other]), "revoked");
    other["jwt"]["audiences"] = json!(["other", "siar"]);
    again(&json!([jwt()]), &json!([other]), "renewed");
    other["jwt"]["jwks"]["url"] = "https://elsewhere/keys".into();
    again(&json!([jwt()]), &json!([other]), "rotated");
    other["jwt"]["algorithms"] = json!(["EdDSA"]);
    again(&json!([jwt()]), &json!([other]), "rotated");
    again(
        &json!([jwt()]),
        &json!([{"tokens": {"secretRef": {"name": "jwt"}}}]),
        "revoked",
    );
}

#[test]
fn a_key_that_its_issuer_withdraws_ends_the_streams_of_its_tokens() {
    let world = world(&format!("{EC_JWK}, {ED_JWK}"));
    let spec = channel(&json!([jwt()]));
    let grant = granted(&world, &spec, &signed("one", &usual()));
    let snapshot = compiled(&spec);
    let again = || world.with(TIME * 1000, |known| grant.again(&snapshot, known));
    assert!(matches!(again(), Again::Unchanged));
    let rest = set(ED_JWK);
    assert!(world.keyring.put(&URL.into(), rest));
    assert!(matches!(again(), Again::Ended(CloseReason::Revoked)));
}

#[test]
fn a_stream_ends_with_its_token() {
    let grant = granted(
        &world(EC_JWK),
        &channel(&json!([jwt()])),
        &signed("one", &usual()),
    );
    assert_eq!(grant.expires(), Some((TIME + 60 + 5) * 1000));
    let anonymous = channel(&json!([{"anonymous": {}}, jwt()]));
    let grant = granted(&world(EC_JWK), &anonymous, &signed("one", &usual()));
    assert_eq!(grant.expires(), None, "nobody needs it");
}

#[test]
fn a_removed_token_that_is_not_signed_is_not_kept_open_by_a_rule_for_signed_ones() {
    let rules = json!([{"tokens": {"secretRef": {"name": "jwt"}}}, jwt()]);
    let world = world(EC_JWK);
    let spec = channel(&rules);
    let grant = granted(&world, &spec, SHARED);
    let without = snapshot_with("jwt", &[("other", "x")], &[("orders", spec)]);
    let again = world.with(TIME * 1000, |known| grant.again(&without, known));
    assert!(
        matches!(again, Again::Ended(CloseReason::Revoked)),
        "{again:?}"
    );
}
