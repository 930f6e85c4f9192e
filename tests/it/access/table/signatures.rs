//! Who signed a token and by what algorithm: the rule says, the token only claims.

use super::visit::Visit;
use super::world::{World, fixed, published};
use super::{BAD_TOKEN, Case, Expected, UNAVAILABLE, ana, ana_with, with};
use serde_json::{Value, json};
use tests::issuer::{Algorithm, Key, base64url, parts};

use Algorithm::{EdDsa, Es256, Es384, Hs256, Ps256, Rs256};

pub fn cases(world: &World) -> Vec<Case> {
    [
        pinned(world),
        unsigned(world),
        confused(world),
        named(world),
        forged(world),
        misshapen(world),
        extended(world),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn header(algorithm: Algorithm) -> Value {
    json!({ "alg": algorithm.name(), "kid": algorithm.name() })
}

fn header_with(algorithm: Algorithm, more: Value) -> Value {
    with(header(algorithm), more)
}

/// Each algorithm is admitted where it is pinned, with a key of a Secret and of the issuer, and nowhere else.
fn pinned(world: &World) -> Vec<Case> {
    let mut cases = Vec::new();
    for signs in Algorithm::ALL {
        let token = world.key(signs).token(signs.name(), &ana());
        for takes in Algorithm::ALL {
            let name = format!("{} where {} is pinned", signs.name(), takes.name());
            let case = if signs == takes { Case::ana } else { Case::bad };
            cases.push(case(name, &fixed(takes), &token));
        }
        let name = format!("{} of the issuer", signs.name());
        let case = if signs == Hs256 {
            Case::bad
        } else {
            let name = format!("{name} alone");
            cases.push(Case::ana(name, &published(signs), &token));
            Case::ana
        };
        cases.push(case(name, "jwks-any", &token));
        let stranger = Key::new(signs).token(signs.name(), &ana());
        let name = format!("{} of a stranger", signs.name());
        cases.push(Case::bad(name, &fixed(signs), &stranger));
        if signs != Hs256 {
            let name = format!("{} of a stranger with a kid of the issuer", signs.name());
            cases.push(Case::bad(name, &published(signs), &stranger));
        }
    }
    cases
}

fn unsigned(world: &World) -> Vec<Case> {
    let claims = base64url(ana().to_string());
    let good = world.token(&ana());
    let [_, _, signature] = parts(&good);
    let mut cases = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE", "", " none", "null"] {
        let head = base64url(json!({ "alg": alg, "kid": "ES256" }).to_string());
        for (how, end) in [("no", ""), ("some", signature)] {
            let token = format!("{head}.{claims}.{end}");
            for channel in ["fixed-es256", "jwks-any", "fixed-hs256"] {
                let name = format!("alg {alg:?} with {how} signature on {channel}");
                cases.push(Case::bad(name, channel, &token));
            }
        }
    }
    for (name, head) in [
        ("alg null", json!({ "alg": null })),
        ("no alg", json!({ "typ": "JWT" })),
        ("alg a list", json!({ "alg": ["none", "ES256"] })),
        ("alg a number", json!({ "alg": 0 })),
        ("alg unknown", json!({ "alg": "ES256K" })),
        ("alg in lower case", json!({ "alg": "es256" })),
        ("a header that is a list", json!(["ES256"])),
        ("a header that is a text", json!("ES256")),
    ] {
        let token = world.key(Es256).sign(&head, &ana());
        cases.push(Case::bad(name, "fixed-es256", &token));
    }
    let twice = r#"{"alg":"none","alg":"ES256"}"#;
    let token = world.key(Es256).sign_text(twice, &ana().to_string());
    cases.push(Case::bad("alg twice", "fixed-es256", &token));
    cases
}

/// HS256 with what everybody knows for a secret.
fn confused(world: &World) -> Vec<Case> {
    let mut cases = Vec::new();
    for algorithm in [Rs256, Ps256, Es256, Es384, EdDsa] {
        let key = world.key(algorithm);
        let (pem, jwk) = (key.public_pem(), key.jwk(algorithm.name()));
        for (what, secret) in [
            ("PEM", pem.clone()),
            ("PEM without its last line end", pem.trim_end().to_owned()),
            ("JWK", jwk.to_string()),
        ] {
            let name = format!("HS256 with the {what} of {}", algorithm.name());
            let token = Key::of_secret(secret)
                .sign(&json!({ "alg": "HS256", "kid": algorithm.name() }), &ana());
            cases.push(Case::bad(&*name, &fixed(algorithm), &token));
            let name = format!("{name}, published");
            cases.push(Case::bad(name, &published(algorithm), &token));
        }
        let name = format!("HS256 with the PEM, called {}", algorithm.name());
        let token = Key::of_secret(pem).sign(&header(algorithm), &ana());
        cases.push(Case::bad(name, &fixed(algorithm), &token));
    }
    let pem = Key::of_secret(world.key(Rs256).public_pem());
    let token = pem.token("RS256", &ana());
    let rs256 = world.key(Rs256).token("RS256", &ana());
    cases.extend([
        Case::bad("a public key in the Secret of HS256", "confused", &token),
        Case::bad("its RS256 there", "confused", &rs256),
        Case::bad("a key of another family", "mistaken", &rs256),
        Case::bad("a Secret without the key", "keyless", &world.token(&ana())),
        Case::bad(
            "HS256 called HS512",
            "fixed-hs256",
            &world.key(Hs256).sign(&json!({ "alg": "HS512" }), &ana()),
        ),
        Case::bad(
            "HS256 with an empty secret",
            "fixed-hs256",
            &Key::of_secret("").token("HS256", &ana()),
        ),
        Case::bad(
            "HS256 with the kid for a secret",
            "fixed-hs256",
            &Key::of_secret("HS256").token("HS256", &ana()),
        ),
        Case::bad(
            "PS256 called RS256",
            "fixed-ps256",
            &world.key(Ps256).sign(&header(Rs256), &ana()),
        ),
        Case::bad(
            "RS256 called PS256",
            "fixed-rs256",
            &world.key(Rs256).sign(&header(Ps256), &ana()),
        ),
    ]);
    cases
}

/// Which key a token names.
fn named(world: &World) -> Vec<Case> {
    let kid = |value: Value| header_with(Es256, json!({ "kid": value }));
    let sign = |header: &Value| world.key(Es256).sign(header, &ana());
    let unknown = sign(&kid(json!("another")));
    let stream = |token: &str| Visit::channel("jwks-es256").token(token);
    let long = "k".repeat(4000);
    vec![
        Case::new("a kid unknown", stream(&unknown), Expected::Passing),
        Case::new(
            "a kid unknown to one who is no EventSource",
            stream(&unknown).at("/stream"),
            UNAVAILABLE,
        ),
        Case::new(
            "a kid unknown, asking for history",
            stream(&unknown).at("/history"),
            UNAVAILABLE,
        ),
        Case::new(
            "a kid of another algorithm",
            stream(&sign(&kid(json!("RS256")))),
            Expected::Passing,
        ),
        Case::new(
            "a kid empty",
            stream(&sign(&kid(json!("")))),
            Expected::Passing,
        ),
        Case::new(
            "a kid of 4 KB",
            stream(&sign(&kid(json!(long)))),
            Expected::Passing,
        ),
        Case::new(
            "a kid that is a path",
            stream(&sign(&kid(json!("../../../dev/null")))),
            Expected::Passing,
        ),
        Case::ana("no kid", "jwks-es256", &sign(&json!({ "alg": "ES256" }))),
        Case::ana("any kid beside a Secret", "fixed-es256", &unknown),
        Case::bad(
            "a kid that is a number",
            "jwks-es256",
            &sign(&kid(json!(7))),
        ),
        Case::bad(
            "a kid that is a list",
            "jwks-es256",
            &sign(&kid(json!(["ES256"]))),
        ),
        // It may be of a key that a newer set has.
        Case::new(
            "no kid, of a stranger",
            stream(&Key::new(Es256).sign(&json!({ "alg": "ES256" }), &ana())),
            Expected::Passing,
        ),
    ]
}

fn forged(world: &World) -> Vec<Case> {
    let good = world.token(&ana());
    let other = world.token(&ana_with(json!({ "sub": "eve" })));
    let [head, claims, signature] = parts(&good);
    let [_, eve, eves] = parts(&other);
    let mut flipped = signature.to_owned();
    let last = if flipped.starts_with('A') { "B" } else { "A" };
    flipped.replace_range(0..1, last);
    let zeros = base64url([0; 64]);
    let der = base64url([0x30, 6, 2, 1, 1, 2, 1, 1]);
    let padded = format!("{good}==");
    let standard = format!("{head}.{claims}.{}", signature.replace(['-', '_'], "+"));
    let standard = if standard == good {
        format!("{good}+")
    } else {
        standard
    };
    let es384 = base64url(json!({ "alg": "ES384", "kid": "ES256" }).to_string());
    [
        (
            "claims of another token",
            format!("{head}.{eve}.{signature}"),
        ),
        (
            "a signature of another token",
            format!("{head}.{claims}.{eves}"),
        ),
        (
            "the header of another algorithm",
            format!("{es384}.{claims}.{signature}"),
        ),
        (
            "one bit of the signature",
            format!("{head}.{claims}.{flipped}"),
        ),
        ("a signature of zeros", format!("{head}.{claims}.{zeros}")),
        ("a signature in DER", format!("{head}.{claims}.{der}")),
        ("a signature twice", format!("{good}{signature}")),
        ("a signature with padding", padded),
        ("a signature in another alphabet", standard),
        (
            "claims that are no base64",
            format!("{head}.{{}}.{signature}"),
        ),
    ]
    .into_iter()
    .map(|(name, token)| Case::bad(name, "fixed-es256", &token))
    .collect()
}

fn misshapen(world: &World) -> Vec<Case> {
    let good = world.token(&ana());
    let [head, claims, signature] = parts(&good);
    let jwe = base64url(json!({ "alg": "dir", "enc": "A256GCM" }).to_string());
    let mut cases: Vec<Case> = [
        ("without its signature", format!("{head}.{claims}.")),
        ("without its last part", format!("{head}.{claims}")),
        (
            "without its last character",
            good[..good.len() - 1].to_owned(),
        ),
        ("without half of it", good[..good.len() / 2].to_owned()),
        ("a header alone", head.to_owned()),
        ("dots", "..".into()),
        ("a dot", ".".into()),
        (
            "five parts",
            format!("{jwe}..{claims}.{signature}.{signature}"),
        ),
        ("five parts, signed", format!("{good}.{claims}.{signature}")),
        ("four parts", format!("{good}.{signature}")),
        ("a dot more", format!("{good}.")),
        ("a dot before", format!(".{good}")),
        ("no claims", format!("{head}..{signature}")),
        ("in quotes", format!("\"{good}\"")),
        ("a blank within", good.replacen('.', ". ", 1)),
        ("said twice", format!("{good} {good}")),
        ("a list", format!("{good},{good}")),
        ("in capitals", good.to_uppercase()),
    ]
    .into_iter()
    .map(|(name, token)| Case::bad(format!("a token: {name}"), "fixed-es256", &token))
    .collect();
    let huge = |bytes: usize| world.token(&ana_with(json!({ "huge": "x".repeat(bytes) })));
    cases.push(Case::ana("a token of 7 KB", "fixed-es256", &huge(5_000)));
    cases.push(Case::bad("a token of 12 KB", "fixed-es256", &huge(9_000)));
    let huge = huge(786_432);
    for channel in ["fixed-es256", "open"] {
        let way = |how: &str, visit: Visit| {
            let name = format!("a token of 1 MiB in the {how} on {channel}");
            Case::new(name, visit, Expected::TurnedAway)
        };
        let visit = || Visit::channel(channel);
        cases.extend([
            way("header", visit().token(&huge)),
            way("cookie", visit().cookie(&huge)),
            way("query", visit().access_token(&huge)),
        ]);
    }
    cases
}

/// Headers of a token that would tell the gateway where to look, or to leave out what it checks.
fn extended(world: &World) -> Vec<Case> {
    let eve = Key::new(Es256);
    let url = world.rogue.url();
    let by = |key: &Key, more: Value| key.sign(&header_with(Es256, more), &ana());
    let own = |more: Value| by(world.key(Es256), more);
    let raw = raw_payload(world.key(Es256));
    let mut cases = vec![
        Case::bad(
            "crit",
            "fixed-es256",
            &own(json!({ "crit": ["x"], "x": 1 })),
        ),
        Case::bad("crit empty", "fixed-es256", &own(json!({ "crit": [] }))),
        Case::bad(
            "crit b64",
            "fixed-es256",
            &own(json!({ "crit": ["b64"], "b64": true })),
        ),
        Case::bad(
            "b64 false",
            "fixed-es256",
            &own(json!({ "crit": ["b64"], "b64": false })),
        ),
        Case::bad("b64 false with the claims as they are", "fixed-es256", &raw),
        Case::ana("a type", "fixed-es256", &own(json!({ "typ": "at+jwt" }))),
        Case::ana("an unknown word", "fixed-es256", &own(json!({ "x": [1] }))),
    ];
    for (name, more) in [
        ("jwk", json!({ "jwk": eve.jwk("ES256") })),
        ("jku", json!({ "jku": url })),
        ("x5u", json!({ "x5u": url })),
        ("x5c", json!({ "x5c": ["MIIB"] })),
        ("iss", json!({ "iss": url, "kid": url })),
    ] {
        let token = by(&eve, more);
        let name = format!("a stranger's {name} in the header");
        cases.push(Case::bad(&*name, "fixed-es256", &token));
        let expected = if name.contains("iss") {
            Expected::Passing
        } else {
            BAD_TOKEN
        };
        let visit = Visit::channel("jwks-es256").token(&token);
        cases.push(Case::new(format!("{name}, published"), visit, expected));
    }
    cases
}

/// RFC 7797: the payload is signed and stands in the token without being encoded.
fn raw_payload(key: &Key) -> String {
    let header = json!({ "alg": "ES256", "b64": false, "crit": ["b64"] }).to_string();
    let claims = r#"{"sub":"ana"}"#;
    let signed = key.sign_text(&header, claims);
    let [head, _, signature] = parts(&signed);
    format!("{head}.{claims}.{signature}")
}
