//! Signed tokens: whom they admit, what a stream keeps of them, and what ends it.

mod keys;
mod live;

use super::*;
use crate::fixtures::snapshot_with;
use crds::keys::KeySet;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use std::sync::atomic::Ordering;

const EC_KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgUfb0Qp75J0XUnfZ+
O6xd0S43gFbQYJFsie8tf2HtVoahRANCAASEDWcEd4CHjB9hIzvIFRr4NjEbM99v
vUOsFwUuT0CnI2bgi9W8sWXS5Rgk/W8LRCglSZdmfKwFeXa5hM5y7St5
-----END PRIVATE KEY-----";
const EC_JWK: &str = r#"{"kty": "EC", "crv": "P-256", "kid": "one",
    "x": "hA1nBHeAh4wfYSM7yBUa-DYxGzPfb71DrBcFLk9ApyM", "y": "ZuCL1byxZdLlGCT9bwtEKCVJl2Z8rAV5drmEznLtK3k"}"#;
const ED_JWK: &str = r#"{"kty": "OKP", "crv": "Ed25519", "kid": "two",
    "x": "7n3knKhG-YO3ZDtD_lfAVIwt8NdNVyFW_gz86B-AEJM"}"#;
const URL: &str = "https://id.example.com/keys";
const SHARED: &str = "a-shared-key-of-at-least-32-bytes";
/// Seconds since 1970.
const TIME: u64 = 1_800_000_000;

fn signed(kid: &str, claims: &Value) -> String {
    let header = Header {
        kid: Some(kid.to_owned()),
        ..Header::new(Algorithm::ES256)
    };
    encode(
        &header,
        claims,
        &EncodingKey::from_ec_pem(EC_KEY.as_bytes()).unwrap(),
    )
    .unwrap()
}

fn shared(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SHARED.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

fn usual() -> Value {
    json!({"iss": "https://id.example.com", "aud": "siar", "sub": "ana", "exp": TIME + 60, "role": "editor", "more": "x"})
}

fn jwt() -> Value {
    json!({"jwt": {"issuer": "https://id.example.com", "audiences": ["siar"], "algorithms": ["ES256"],
        "jwks": {"url": URL}}})
}

fn channel(rules: &Value) -> Value {
    json!({"topics": ["orders.{user}"], "access": {"subscribe": rules}})
}

fn when(mut rule: Value, condition: &str) -> Value {
    rule["when"] = condition.into();
    rule
}

fn set(keys: &str) -> KeySet {
    KeySet::from_jwks(format!(r#"{{"keys": [{keys}]}}"#).as_bytes()).unwrap()
}

fn world(keys: &str) -> World {
    let world = World::default();
    world.keyring.put(&URL.into(), set(keys));
    world
}

fn compiled(spec: &Value) -> Arc<Snapshot> {
    snapshot_with("jwt", &[("key", SHARED)], &[("orders", spec.clone())])
}

fn judged(
    world: &World,
    spec: &Value,
    topic: &str,
    token: Option<&str>,
    findings: &Findings,
) -> Decision {
    let asks = [ask(&compiled(spec).policies()[0], topic)];
    world.with(TIME * 1000, |known| {
        decide(
            Action::Subscribe,
            &asks,
            &with_token(token),
            known,
            findings,
        )
    })
}

/// What is decided about `token` on the topic `orders.ana`, in a word.
fn word(spec: &Value, token: Option<&str>) -> String {
    let decision = judged(
        &world(EC_JWK),
        spec,
        "orders.ana",
        token,
        &Findings::default(),
    );
    match decision {
        Decision::Granted(grant) => grant.identity().map_or("anonymous", |name| name).to_owned(),
        Decision::Denied(denial) => denial.reason.word().to_owned(),
        Decision::Needs(need) => format!("{need:?}"),
        Decision::Unreachable => "unreachable".to_owned(),
    }
}

#[track_caller]
fn check(rules: &Value, token: Option<&str>, expected: &str) {
    assert_eq!(word(&channel(rules), token), expected);
}

/// One claim changed; null takes it away.
fn but(name: &str, value: Value) -> Value {
    let mut claims = usual();
    claims[name] = value;
    if claims[name].is_null() {
        claims.as_object_mut().unwrap().remove(name);
    }
    claims
}

#[test]
fn a_token_is_taken_from_its_issuer_for_us_in_its_time() {
    for (claims, expected) in [
        (usual(), "ana"),
        (but("aud", json!(["other", "siar"])), "ana"),
        (but("aud", json!("other")), "bad-token"),
        (but("aud", json!([])), "bad-token"),
        (but("aud", Value::Null), "bad-token"),
        (but("iss", json!("https://id.example.com/")), "bad-token"),
        (but("iss", Value::Null), "bad-token"),
        (but("exp", json!(TIME - 4)), "ana"),
        (but("exp", json!(TIME - 5)), "bad-token"),
        (but("exp", json!("soon")), "bad-token"),
        (but("exp", Value::Null), "bad-token"),
        (but("nbf", json!(TIME + 5)), "ana"),
        (but("nbf", json!(TIME + 6)), "bad-token"),
        (but("sub", Value::Null), "anonymous"),
        (but("sub", json!("")), "anonymous"),
        (but("sub", json!("a\nb")), "anonymous"),
        (but("sub", json!("x".repeat(256))), "anonymous"),
    ] {
        check(&json!([jwt()]), Some(&signed("one", &claims)), expected);
    }
    check(&json!([jwt()]), None, "no-token");
    let mut lasting = jwt();
    lasting["jwt"]["requireExp"] = false.into();
    let token = signed("one", &but("exp", Value::Null));
    check(&json!([lasting]), Some(&token), "ana");
    check(
        &json!([lasting]),
        Some(&signed("one", &but("exp", json!(1)))),
        "bad-token",
    );
}

#[test]
fn what_is_forged_is_not_taken() {
    let good = signed("one", &usual());
    let [header, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts");
    };
    for forged in [
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{header}.{claims}.{}", &signature[..40]),
        format!("{header}.{claims}.{signature}.x"),
        format!("eyJhbGciOiJub25lIn0.{claims}."),
        format!("eyJhbGciOiJub25lIn0.{claims}.{signature}"),
        format!(
            "{header}.{}.{signature}",
            signed("one", &but("sub", json!("ben")))
                .split('.')
                .nth(1)
                .unwrap()
        ),
        shared(&usual()),
        String::new(),
        ".".repeat(5),
        "x".repeat(100_000),
        format!("{good}\r\n"),
    ] {
        check(&json!([jwt()]), Some(&forged), "bad-token");
    }
}

#[test]
fn a_shared_key_verifies_what_was_signed_with_it() {
    let rule = json!({"jwt": {"algorithms": ["HS256"], "key": {"secretRef": {"name": "jwt", "key": "key"}}}});
    check(&json!([rule]), Some(&shared(&usual())), "ana");
    check(&json!([rule]), Some(&signed("one", &usual())), "bad-token");
    let absent = json!({"jwt": {"algorithms": ["HS256"], "key": {"secretRef": {"name": "jwt", "key": "absent"}}}});
    check(&json!([absent]), Some(&shared(&usual())), "bad-token");
    check(&json!([absent, rule]), Some(&shared(&usual())), "ana");
}

#[test]
fn conditions_decide_about_captures_and_claims() {
    let own = when(jwt(), "claims.sub == topic.user");
    let token = signed("one", &usual());
    check(&json!([own]), Some(&token), "ana");
    check(
        &json!([own]),
        Some(&signed("one", &but("sub", json!("ben")))),
        "not-admitted",
    );
    check(
        &json!([own, {"anonymous": {}}]),
        Some(&signed("one", &but("sub", json!("ben")))),
        "anonymous",
    );
    check(
        &json!([when(jwt(), "claims.role == 'editor' && identity == 'ana'")]),
        Some(&token),
        "ana",
    );
    check(
        &json!([when(jwt(), "claims.absent == 'x'")]),
        Some(&token),
        "not-admitted",
    );
    check(
        &json!([when(json!({"anonymous": {}}), "topic.user == 'ana'")]),
        None,
        "anonymous",
    );
    check(
        &json!([when(json!({"anonymous": {}}), "topic.user == 'ben'")]),
        None,
        "not-admitted",
    );
}

#[test]
fn a_condition_that_fails_denies_and_is_told() {
    let world = world(EC_JWK);
    let spec = channel(&json!([when(jwt(), "claims.absent == 1")]));
    let token = signed("one", &usual());
    let decision = judged(
        &world,
        &spec,
        "orders.ana",
        Some(&token),
        &Findings::default(),
    );
    assert!(matches!(decision, Decision::Denied(_)));
    assert_eq!(world.failures.load(Ordering::Relaxed), 1);
}

#[test]
fn a_token_that_no_rule_takes_is_never_a_silent_downgrade() {
    let both = json!([{"anonymous": {}}, jwt()]);
    check(&both, None, "anonymous");
    check(&both, Some(&signed("one", &usual())), "anonymous");
    check(
        &both,
        Some(&signed("one", &but("aud", json!("other")))),
        "bad-token",
    );
    check(&both, Some("a site-wide cookie"), "bad-token");
    check(
        &both,
        Some(&signed("three", &usual())),
        &format!("{:?}", Need::Keys(URL.into())),
    );
}
