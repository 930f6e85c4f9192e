//! What of sets and Secrets is a key, and for what.

use super::*;
use serde_json::json;

const RSA: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEApYFatN+dVCjkj3Al0/mv
IFkWSAkURQJcfvFJ10H5dzk8ENmWpjmZxz8t4Z5RhgEBA3pk9i55qqAR9vYiqvcy
k2wa0TA8HI6FSqeDTmtdXg8Tn5ny2cg8xIFrC1IkJZ3HXS88Xsuxk/JzAaLAf7x+
t60own68LRIGAtyGeJG2dPaOpo3gi+H/gIr0tTMO/jjSCg2Tgvw293pM2wWQluR9
dh1C+anw54UCLAdzpVeWgtg/uKwFq7X9KbpVCGBXq6UrvzAOlYdr7Mv9AB8MuJC6
/i2tQChFsPSyTRgmexeE21dubtDxBMR6sVrGH27xqz1/MAF+gIdY4kkiEKDYHBg5
IwIDAQAB
-----END PUBLIC KEY-----";
const EC: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhA1nBHeAh4wfYSM7yBUa+DYxGzPf
b71DrBcFLk9ApyNm4IvVvLFl0uUYJP1vC0QoJUmXZnysBXl2uYTOcu0reQ==
-----END PUBLIC KEY-----";
const ED: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA7n3knKhG+YO3ZDtD/lfAVIwt8NdNVyFW/gz86B+AEJM=
-----END PUBLIC KEY-----";
const EC_XY: [&str; 2] = [
    "hA1nBHeAh4wfYSM7yBUa-DYxGzPfb71DrBcFLk9ApyM",
    "ZuCL1byxZdLlGCT9bwtEKCVJl2Z8rAV5drmEznLtK3k",
];
const ED_X: &str = "7n3knKhG-YO3ZDtD_lfAVIwt8NdNVyFW_gz86B-AEJM";

fn ec(more: Value) -> Value {
    let mut key = json!({"kty": "EC", "crv": "P-256", "x": EC_XY[0], "y": EC_XY[1]});
    if let (Some(key), Value::Object(more)) = (key.as_object_mut(), more) {
        key.extend(more);
    }
    key
}

fn set(keys: &[Value]) -> Result<KeySet, NoKey> {
    KeySet::from_jwks(json!({"keys": keys}).to_string().as_bytes())
}

fn count(set: &KeySet, algorithm: Algorithm, kid: Option<&str>) -> usize {
    set.fitting(algorithm, kid).count()
}

#[test]
fn a_key_of_a_set_is_for_its_kid_its_algorithm_and_its_curve() {
    let keys = set(&[
        ec(json!({"kid": "a", "alg": "ES256", "use": "sig"})),
        json!({"kty": "OKP", "crv": "Ed25519", "x": ED_X, "kid": "b"}),
        json!({"kty": "RSA", "n": "pYFatN-dVCjkj3Al0_mvIFkWSAkURQ", "e": "AQAB"}),
        json!({"kty": "RSA", "n": "pYFatN-dVCjkj3Al0_mvIFkWSAkURQ", "e": "AQAB", "kid": "p", "alg": "PS256"}),
    ])
    .unwrap();
    assert_eq!(count(&keys, Algorithm::ES256, Some("a")), 1);
    assert_eq!(count(&keys, Algorithm::ES256, Some("b")), 0);
    assert_eq!(count(&keys, Algorithm::ES256, None), 1);
    assert_eq!(count(&keys, Algorithm::ES384, Some("a")), 0);
    assert_eq!(count(&keys, Algorithm::EdDSA, Some("b")), 1);
    assert_eq!(count(&keys, Algorithm::RS256, Some("unnamed")), 1);
    assert_eq!(count(&keys, Algorithm::PS256, Some("p")), 2);
    assert_eq!(count(&keys, Algorithm::RS256, Some("p")), 1);
    assert_eq!(count(&keys, Algorithm::HS256, None), 0);
}

#[test]
fn what_verifies_nothing_is_left_out() {
    for useless in [
        json!({"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}),
        ec(json!({"use": "enc"})),
        ec(json!({"key_ops": ["sign"]})),
        ec(json!({"alg": "none"})),
        ec(json!({"crv": "secp256k1"})),
        json!({"kty": "RSA"}),
        json!("a key"),
        json!({}),
    ] {
        let keys = set(&[useless.clone(), ec(json!({}))]).unwrap();
        assert_eq!(keys.thumbprints().count(), 1, "{useless}");
        assert_eq!(set(&[useless]), Err(NoKey::NoneUsable));
    }
    assert_eq!(set(&[]), Err(NoKey::NoneUsable));
    for text in ["", "[]", "{}", "<html>", r#"{"keys": 1}"#] {
        assert_eq!(KeySet::from_jwks(text.as_bytes()), Err(NoKey::NotASet));
    }
    let many = vec![ec(json!({})); 1000];
    assert_eq!(set(&many).unwrap().thumbprints().count(), MOST_KEYS);
}

#[test]
fn keys_are_told_apart_by_what_they_are() {
    let thumbprints =
        |kid: &str| Vec::from_iter(set(&[ec(json!({"kid": kid}))]).unwrap().thumbprints());
    assert_eq!(thumbprints("a"), thumbprints("b"));
    let other = set(&[json!({"kty": "OKP", "crv": "Ed25519", "x": ED_X})]).unwrap();
    assert_ne!(
        other.thumbprints().next(),
        thumbprints("a").first().copied()
    );
    let rsa = |n: &str, e: &str| {
        let set = set(&[json!({"kty": "RSA", "n": n, "e": e})]).unwrap();
        set.thumbprints().next().unwrap()
    };
    // The last byte of n at the beginning of e.
    assert_ne!(rsa("AQIDBA", "AQAB"), rsa("AQID", "BAEAAQ"));
}

#[test]
fn a_secret_holds_a_public_key_or_a_shared_one() {
    use JwtAlgorithm::{EdDsa, Es256, Hs256, Rs256};
    let read = |value: &str, algorithms: &[JwtAlgorithm]| {
        KeySet::from_secret(value.as_bytes(), algorithms)
    };
    assert_eq!(
        count(&read(RSA, &[Rs256]).unwrap(), Algorithm::RS256, Some("any")),
        1
    );
    assert_eq!(
        count(&read(EC, &[Rs256, Es256]).unwrap(), Algorithm::ES256, None),
        1
    );
    assert_eq!(
        count(&read(ED, &[EdDsa]).unwrap(), Algorithm::EdDSA, None),
        1
    );
    let shared = "a-shared-key-of-at-least-32-bytes";
    let keys = read(shared, &[Hs256]).unwrap();
    assert_eq!(count(&keys, Algorithm::HS256, None), 1);
    assert!(!format!("{keys:?}").contains("shared"), "{keys:?}");
    assert_eq!(read(&shared[..31], &[Hs256]), Err(NoKey::Short));
    assert_eq!(read(RSA, &[Hs256]), Err(NoKey::PublicAsShared));
    assert_eq!(read(EC, &[Rs256]), Err(NoKey::OtherFamily));
    assert_eq!(read(shared, &[Rs256]), Err(NoKey::NoPem));
    let private = "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----";
    assert_eq!(read(private, &[Es256]), Err(NoKey::Private));
}
