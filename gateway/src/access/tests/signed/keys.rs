//! The keys of issuers: which one a token is of, and what is not known of it yet.

use super::*;

#[test]
fn an_unknown_key_is_asked_for_once() {
    let spec = channel(&json!([jwt()]));
    let other = signed("three", &usual());
    let decide =
        |findings: &Findings| judged(&world(EC_JWK), &spec, "orders.ana", Some(&other), findings);
    let mut findings = Findings::default();
    assert!(matches!(decide(&findings), Decision::Needs(Need::Keys(url)) if *url == *URL));
    findings.unreachable = vec![URL.into()];
    assert!(matches!(decide(&findings), Decision::Unreachable));
    findings = Findings {
        fetched: vec![URL.into()],
        ..Findings::default()
    };
    assert!(matches!(
        decide(&findings),
        Decision::Denied(Denial {
            reason: Denied::BadToken,
            ..
        })
    ));
    let nothing_yet = judged(
        &World::default(),
        &spec,
        "orders.ana",
        Some("a.b.c"),
        &Findings::default(),
    );
    assert!(matches!(nothing_yet, Decision::Needs(_)), "{nothing_yet:?}");
}

#[test]
fn while_an_issuer_is_out_of_reach_its_tokens_are_not_taken_for_bad_ones() {
    let other = signed("three", &usual());
    let findings = Findings {
        unreachable: vec![URL.into()],
        ..Findings::default()
    };
    let anonymous = json!({"anonymous": {}});
    for rules in [
        json!([jwt(), anonymous]),
        json!([anonymous, jwt()]),
        json!([jwt()]),
    ] {
        let spec = channel(&rules);
        let decide = |token| judged(&world(EC_JWK), &spec, "orders.ana", token, &findings);
        assert!(
            matches!(decide(Some(&*other)), Decision::Unreachable),
            "{rules}"
        );
        let good = signed("one", &usual());
        assert!(
            matches!(decide(Some(&*good)), Decision::Granted(_)),
            "{rules}"
        );
        let bad = signed("one", &but("aud", json!("other")));
        assert!(
            matches!(decide(Some(&*bad)), Decision::Denied(_)),
            "{rules}"
        );
    }
}

#[test]
fn where_names_do_not_tell_a_newer_set_may_have_the_key() {
    let unnamed = EC_JWK.replace(r#""kid": "one","#, "");
    let spec = channel(&json!([jwt()]));
    let forged = signed("one", &usual()).replace('.', ".x");
    let decide = |set: &str, token: &str| {
        judged(
            &world(set),
            &spec,
            "orders.ana",
            Some(token),
            &Findings::default(),
        )
    };
    let good = decide(&unnamed, &signed("any", &usual()));
    assert!(matches!(good, Decision::Granted(_)), "{good:?}");
    let [header, claims, _] = forged.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts");
    };
    let forged = format!(
        "{header}.{}.{}",
        &claims[1..],
        signed("one", &but("sub", json!("x")))
            .split('.')
            .nth(2)
            .unwrap()
    );
    assert!(matches!(decide(&unnamed, &forged), Decision::Needs(_)));
    assert!(matches!(decide(EC_JWK, &forged), Decision::Denied(_)));
}

#[test]
fn a_known_token_counts_only_where_its_key_may_sign_so() {
    let world = world(EC_JWK);
    let spec = channel(&json!([jwt()]));
    let token = signed("one", &usual());
    let decide = || {
        judged(
            &world,
            &spec,
            "orders.ana",
            Some(&token),
            &Findings::default(),
        )
    };
    assert!(matches!(decide(), Decision::Granted(_)));
    // The same key, published for another algorithm.
    let other = EC_JWK.replace(r#""kty": "EC""#, r#""kty": "EC", "alg": "ES384""#);
    world.keyring.put(&URL.into(), set(&other));
    assert!(!matches!(decide(), Decision::Granted(_)));
    world.keyring.put(&URL.into(), set(ED_JWK));
    assert!(!matches!(decide(), Decision::Granted(_)));
    world.keyring.put(&URL.into(), set(EC_JWK));
    assert!(matches!(decide(), Decision::Granted(_)));
}

#[test]
fn a_wrong_token_is_checked_once_against_a_key_and_stays_wrong() {
    let world = world(EC_JWK);
    let spec = channel(&json!([jwt(), jwt()]));
    let good = signed("one", &usual());
    let last = if good.ends_with('A') { 'Q' } else { 'A' };
    let forged = format!("{}{last}", &good[..good.len() - 1]);
    for _ in 0..3 {
        let decision = judged(
            &world,
            &spec,
            "orders.ana",
            Some(&forged),
            &Findings::default(),
        );
        assert!(matches!(decision, Decision::Denied(_)), "{decision:?}");
    }
    let decision = judged(
        &world,
        &spec,
        "orders.ana",
        Some(&good),
        &Findings::default(),
    );
    assert!(matches!(decision, Decision::Granted(_)), "{decision:?}");
}
