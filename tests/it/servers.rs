//! The issuer of tokens and the webhook of the harness: what the other tests rely on is true of them.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Command;
use tests::http::{Answer, Ask};
use tests::issuer::{Algorithm, Issuer, Jwks, Key, base64url, parts};
use tests::process::folder;
use tests::scripted::ENDLESS_BYTES;
use tests::wait::within;
use tests::webhook::{Verdict, Webhook};
use tests::wire::{self, Request, Route};

#[test]
fn openssl_reads_each_public_key_and_the_web_key_has_the_same_numbers() {
    for algorithm in Algorithm::ALL {
        let key = Key::new(algorithm);
        let jwk = key.jwk("k1");
        assert_eq!(
            (&jwk["kid"], &jwk["alg"], &jwk["use"]),
            (&json!("k1"), &json!(algorithm.name()), &json!("sig"))
        );
        if algorithm == Algorithm::Hs256 {
            assert_eq!(jwk["k"], base64url(key.secret()));
            continue;
        }
        let der = der(&key);
        let end = |from: usize, to: usize| base64url(&der[der.len() - from..der.len() - to]);
        let numbers = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => {
                json!({ "kty": "RSA", "n": end(256 + 5, 5), "e": end(3, 0) })
            }
            Algorithm::Es256 => {
                json!({ "kty": "EC", "crv": "P-256", "x": end(64, 32), "y": end(32, 0) })
            }
            Algorithm::Es384 => {
                json!({ "kty": "EC", "crv": "P-384", "x": end(96, 48), "y": end(48, 0) })
            }
            Algorithm::EdDsa | Algorithm::Hs256 => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": end(32, 0) })
            }
        };
        for (name, value) in numbers.as_object().unwrap() {
            assert_eq!(&jwk[name], value, "{name} of {algorithm:?}");
        }
    }
}

#[test]
fn a_token_carries_any_header_and_claims_under_a_signature_of_its_key() {
    for algorithm in Algorithm::ALL {
        let key = Key::new(algorithm);
        let token = key.token("k1", &json!({ "sub": "ada" }));
        let [header, claims, signature] = parts(&token);
        let header: Value = serde_json::from_slice(&decode(header)).unwrap();
        assert_eq!(
            header,
            json!({ "alg": algorithm.name(), "typ": "JWT", "kid": "k1" })
        );
        assert_eq!(decode(claims), br#"{"sub":"ada"}"#);
        let (signed, _) = token.rsplit_once('.').unwrap();
        assert!(verify(&key, signed.as_bytes(), &decode(signature)));
        assert!(!verify(&key, b"another message", &decode(signature)));
        assert!(!verify(
            &Key::new(algorithm),
            signed.as_bytes(),
            &decode(signature)
        ));
    }
    let key = Key::of_secret("a public key, say");
    let token = key.sign(&json!({ "alg": "none" }), &json!([]));
    assert_eq!(decode(parts(&token)[0]), br#"{"alg":"none"}"#);
    assert_eq!(decode(parts(&token)[1]), b"[]");
}

#[tokio::test]
async fn an_issuer_serves_its_keys_and_remembers_each_fetch() {
    let issuer = Issuer::start_on("127.0.0.2").await;
    assert_eq!(
        issuer.url(),
        format!("http://127.0.0.2:{}/jwks", issuer.address().port())
    );
    assert_eq!(
        fetch(&issuer).await.expect(200).json(),
        json!({ "keys": [] })
    );
    let jwk = Key::new(Algorithm::EdDsa).jwk("k1");
    issuer.serve(Jwks::Keys(vec![jwk.clone()]));
    let answer = fetch(&issuer).await.expect(200);
    assert_eq!(answer.json(), json!({ "keys": [jwk] }));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    issuer.serve(Jwks::Status(500));
    let _ = fetch(&issuer).await.expect(500);
    issuer.serve(Jwks::NotJson);
    assert!(
        fetch(&issuer)
            .await
            .expect(200)
            .text()
            .starts_with("<!doctype")
    );
    issuer.serve(Jwks::Redirect("http://127.0.0.3/jwks".into()));
    let answer = fetch(&issuer).await.expect(302);
    assert_eq!(answer.header("location"), Some("http://127.0.0.3/jwks"));
    let fetches = issuer.fetches();
    assert_eq!(fetches.len(), 5);
    assert!(fetches.is_sorted());
}

#[tokio::test]
async fn an_issuer_that_hangs_answers_when_it_is_told_something_else() {
    let issuer = Issuer::start().await;
    issuer.serve(Jwks::Hangs);
    let address = issuer.address();
    let asking = tokio::spawn(async move { Ask::get(address, "/jwks").send().await });
    issuer.until_waiting(1).await;
    assert!(!asking.is_finished());
    issuer.serve(Jwks::Keys(Vec::new()));
    let _ = within("the late answer", asking).await.unwrap().expect(200);
    assert_eq!((issuer.waiting(), issuer.fetches().len()), (0, 1));
}

#[tokio::test]
async fn an_endless_answer_is_json_of_100_mib_and_is_made_as_it_is_taken() {
    let issuer = Issuer::start().await;
    issuer.serve(Jwks::Endless);
    let route = Route::plain(issuer.address());
    let request = Request {
        method: "GET".into(),
        path: "/jwks".into(),
        ..Request::default()
    };
    let response = within("a head", wire::send(&route, &request))
        .await
        .unwrap();
    assert_eq!(response.status, 200);
    drop(response);
    assert!(issuer.endless_bytes() < ENDLESS_BYTES / 2);
    let before = issuer.endless_bytes();
    let answer = fetch(&issuer).await.expect(200);
    assert!(answer.body.len() as u64 > ENDLESS_BYTES);
    assert_eq!(answer.json(), json!({ "keys": [] }));
    assert!(issuer.endless_bytes() >= before + ENDLESS_BYTES);
}

#[tokio::test]
async fn a_webhook_records_what_it_is_asked_and_answers_as_told() {
    let webhook = Webhook::start().await;
    let address = webhook.address();
    assert_eq!(webhook.url(), format!("http://{address}/allow"));
    assert_eq!(
        ask(address, "ada").await.expect(200).json(),
        json!({ "allow": true })
    );
    webhook.answer(Verdict::Allow {
        identity: Some("ada".into()),
        expires: Some(1_900_000_000.into()),
    });
    assert_eq!(
        ask(address, "ada").await.expect(200).json(),
        json!({ "allow": true, "identity": "ada", "expires": 1_900_000_000 })
    );
    webhook.answer(Verdict::deny("no seat"));
    assert_eq!(
        ask(address, "ada").await.expect(200).json(),
        json!({ "allow": false, "reason": "no seat" })
    );
    webhook.answer_by(|asked| match asked.json()["token"].as_str() {
        Some("ada") => Verdict::allow_as("ada"),
        _ => Verdict::Status(503),
    });
    assert_eq!(
        ask(address, "ada").await.expect(200).json()["identity"],
        "ada"
    );
    let _ = ask(address, "bob").await.expect(503);
    webhook.answer(Verdict::NotJson);
    assert!(
        ask(address, "ada")
            .await
            .expect(200)
            .text()
            .starts_with("<!doctype")
    );
    webhook.answer(Verdict::Endless);
    let answer = ask(address, "ada").await.expect(200);
    assert!(answer.body.len() as u64 > ENDLESS_BYTES);
    assert_eq!(answer.json(), json!({ "allow": true }));
    let asked = webhook.asked();
    assert_eq!(asked.len(), 7);
    assert_eq!(
        (asked[4].method.as_str(), asked[4].path.as_str()),
        ("POST", "/allow")
    );
    assert_eq!(asked[4].header("x-trace"), Some("7"));
    assert_eq!(asked[4].json(), json!({ "token": "bob" }));
    assert_eq!(webhook.most_waiting(), 1);
}

#[tokio::test]
async fn a_webhook_counts_who_waits_and_forgets_who_leaves() {
    let webhook = Webhook::start().await;
    let address = webhook.address();
    webhook.answer(Verdict::Hangs);
    let mut asking: Vec<_> = (0..3)
        .map(|_| tokio::spawn(async move { ask(address, "ada").await }))
        .collect();
    webhook.until_waiting(3).await;
    asking.pop().unwrap().abort();
    webhook.until_waiting(2).await;
    webhook.answer(Verdict::allow());
    for answer in asking {
        let _ = within("a late answer", answer).await.unwrap().expect(200);
    }
    let _ = ask(address, "ada").await.expect(200);
    assert_eq!((webhook.waiting(), webhook.most_waiting()), (0, 3));
}

async fn fetch(issuer: &Issuer) -> Answer {
    Ask::get(issuer.address(), "/jwks").send().await
}

async fn ask(webhook: SocketAddr, token: &str) -> Answer {
    let body = json!({ "token": token }).to_string();
    let ask = Ask::post(webhook, "/allow", body).header("X-Trace", "7");
    ask.send().await
}

/// base64url, without checking that it is.
fn decode(text: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bits = 0_u32;
    let mut bytes = Vec::new();
    for (at, digit) in text.chars().enumerate() {
        bits = bits << 6 | u32::try_from(DIGITS.find(digit).unwrap()).unwrap();
        if at % 4 > 0 {
            bytes.push((bits >> (6 - at % 4 * 2)).to_le_bytes()[0]);
        }
    }
    bytes
}

/// The public key as `openssl` reads it from the PEM.
fn der(key: &Key) -> Vec<u8> {
    let folder = folder();
    let pem = folder.path().join("key.pem");
    std::fs::write(&pem, key.public_pem()).unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["pkey", "-pubin", "-outform", "DER", "-in"]);
    let output = openssl.arg(pem).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

fn verify(key: &Key, message: &[u8], signature: &[u8]) -> bool {
    let algorithm: &'static dyn VerificationAlgorithm = match key.algorithm() {
        Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED,
        Algorithm::EdDsa => &ED25519,
        Algorithm::Hs256 => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key.secret());
            return hmac::verify(&key, message, signature).is_ok();
        }
    };
    let public = UnparsedPublicKey::new(algorithm, der(key));
    public.verify(message, signature).is_ok()
}
