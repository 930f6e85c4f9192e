//! What a token must claim: for whom it is, by whom, and when.

use super::visit::Visit;
use super::world::{ISSUER, World};
use super::{ANYBODY, Case, NOT_ADMITTED, ana, ana_with, seconds_from_now, with};
use serde_json::{Value, json};
use tests::issuer::Algorithm;

pub fn cases(world: &World) -> Vec<Case> {
    [times(world), parties(world), odd(world), keycloak(world)]
        .into_iter()
        .flatten()
        .collect()
}

fn times(world: &World) -> Vec<Case> {
    let exp = |value: Value| world.token(&json!({ "sub": "ana", "exp": value }));
    let at = |seconds: i64| exp(json!(seconds_from_now(seconds)));
    let nbf = |value: Value| world.token(&ana_with(json!({ "nbf": value })));
    let begins = |seconds: i64| nbf(json!(seconds_from_now(seconds)));
    let fraction = json!(f64::from(u32::try_from(seconds_from_now(600)).unwrap()) + 0.5);
    let endless = world.token(&json!({ "sub": "ana" }));
    let here = "fixed-es256";
    vec![
        Case::bad("expired a minute ago", here, &at(-60)),
        Case::bad("expired beyond the leeway", here, &at(-6)),
        Case::bad("expired in 1970", here, &exp(json!(1))),
        Case::bad("expired at zero", here, &exp(json!(0))),
        Case::bad("expired before 1970", here, &exp(json!(-1))),
        Case::bad(
            "exp a text",
            here,
            &exp(json!(seconds_from_now(600).to_string())),
        ),
        Case::bad("exp a date", here, &exp(json!("2099-01-01T00:00:00Z"))),
        Case::bad("exp null", here, &exp(json!(null))),
        Case::bad("exp a list", here, &exp(json!([seconds_from_now(600)]))),
        Case::bad("exp true", here, &exp(json!(true))),
        Case::bad("no exp", here, &endless),
        Case::ana("no exp where none is asked for", "forever", &endless),
        Case::bad(
            "an exp that is over, where none is asked for",
            "forever",
            &at(-60),
        ),
        Case::ana(
            "an exp to come, where none is asked for",
            "forever",
            &at(600),
        ),
        Case::bad(
            "exp null, where none is asked for",
            "forever",
            &exp(json!(null)),
        ),
        Case::ana("exp with a fraction", here, &exp(fraction)),
        Case::ana("exp beyond all times", here, &exp(json!(1e300))),
        Case::ana("exp at the end of u64", here, &exp(json!(u64::MAX))),
        Case::bad("not valid for a minute", here, &begins(60)),
        Case::bad("not valid for longer than the leeway", here, &begins(30)),
        Case::ana("not valid within the leeway", here, &begins(3)),
        Case::ana("valid since a while", here, &begins(-60)),
        Case::bad("nbf a text", here, &nbf(json!("0"))),
        Case::bad("nbf null", here, &nbf(json!(null))),
        Case::bad("nbf beyond all times", here, &nbf(json!(1e300))),
        Case::ana(
            "iat in the future",
            here,
            &world.token(&ana_with(json!({ "iat": seconds_from_now(9000) }))),
        ),
    ]
}

/// Issuer and audiences.
fn parties(world: &World) -> Vec<Case> {
    let of = |iss: Value, aud: Value| world.token(&ana_with(json!({ "iss": iss, "aud": aud })));
    let by = |iss: Value| of(iss, json!("siar"));
    let meant = |aud: Value| of(json!(ISSUER), aud);
    let without_aud = world.token(&ana_with(json!({ "iss": ISSUER })));
    let without_iss = world.token(&ana_with(json!({ "aud": "siar" })));
    let mut cases = vec![
        Case::ana("aud and iss as asked for", "strict", &meant(json!("siar"))),
        Case::ana("the other aud", "strict", &meant(json!("shop"))),
        Case::ana("several aud", "strict", &meant(json!(["x", "shop"]))),
        Case::bad("no aud", "strict", &without_aud),
        Case::bad("no iss", "strict", &without_iss),
        Case::bad("neither", "strict", &world.token(&ana())),
    ];
    for (name, aud) in [
        ("another", json!("other")),
        ("others", json!(["other", "shops"])),
        ("none in a list", json!([])),
        ("an empty one", json!("")),
        ("in capitals", json!("SIAR")),
        ("a part of ours", json!("sia")),
        ("more than ours", json!("siar,shop")),
        ("with a blank", json!("siar ")),
        ("an object", json!({ "siar": true })),
        ("a number", json!(7)),
        ("null", json!(null)),
        ("ours and a number", json!(["siar", 7])),
        ("ours in a list of lists", json!([["siar"]])),
    ] {
        cases.push(Case::bad(format!("aud: {name}"), "strict", &meant(aud)));
    }
    for (name, iss) in [
        ("another", json!("https://evil.example")),
        ("with a slash", json!(format!("{ISSUER}/"))),
        ("a part of ours", json!(&ISSUER[..ISSUER.len() - 1])),
        ("in capitals", json!(ISSUER.to_uppercase())),
        ("with a blank", json!(format!(" {ISSUER}"))),
        ("a list", json!([ISSUER])),
        ("empty", json!("")),
        ("null", json!(null)),
    ] {
        cases.push(Case::bad(format!("iss: {name}"), "strict", &by(iss)));
    }
    let any = of(json!("https://evil.example"), json!("other"));
    cases.push(Case::ana(
        "any aud and iss where none is asked for",
        "fixed-es256",
        &any,
    ));
    cases
}

/// Claims of wrong kinds, several times, and such as are none.
fn odd(world: &World) -> Vec<Case> {
    let exp = seconds_from_now(600);
    let key = world.key(Algorithm::Es256);
    let header = json!({ "alg": "ES256", "kid": "ES256" }).to_string();
    let text = |claims: &str| key.sign_text(&header, claims);
    let here = "fixed-es256";
    let mut cases: Vec<Case> = [
        (
            "sub twice",
            format!(r#"{{"sub":"eve","sub":"ana","exp":{exp}}}"#),
        ),
        (
            "exp twice",
            format!(r#"{{"sub":"ana","exp":1,"exp":{exp}}}"#),
        ),
        (
            "exp twice, escaped",
            format!(r#"{{"sub":"ana","exp":1,"\u0065xp":{exp}}}"#),
        ),
        ("a list", format!(r#"["ana",{exp}]"#)),
        ("a text", r#""ana""#.into()),
        ("a number", "7".into()),
        ("null", "null".into()),
        ("nothing", String::new()),
        (
            "an object without end",
            format!(r#"{{"sub":"ana","exp":{exp}"#),
        ),
        ("two objects", format!(r#"{{"sub":"ana","exp":{exp}}}{{}}"#)),
        (
            "a comma too many",
            format!(r#"{{"sub":"ana","exp":{exp},}}"#),
        ),
        (
            "a byte order mark",
            format!("\u{feff}{{\"sub\":\"ana\",\"exp\":{exp}}}"),
        ),
        ("sub a number", format!(r#"{{"sub":7,"exp":{exp}}}"#)),
        ("sub null", format!(r#"{{"sub":null,"exp":{exp}}}"#)),
        ("sub a list", format!(r#"{{"sub":["ana"],"exp":{exp}}}"#)),
        ("Exp for exp", format!(r#"{{"sub":"ana","Exp":{exp}}}"#)),
        (
            "4,000 brackets",
            format!("{{\"sub\":\"ana\",\"exp\":{exp},\"x\":{}", "[".repeat(4000)),
        ),
    ]
    .into_iter()
    .map(|(name, claims)| Case::bad(format!("claims: {name}"), here, &text(&claims)))
    .collect();
    let nobody = text(&format!(r#"{{"exp":{exp}}}"#));
    let visit = |token: &str| Visit::channel(here).token(token);
    cases.push(Case::new("claims: no sub", visit(&nobody), ANYBODY));
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let deep = text(&format!(r#"{{"sub":"ana","exp":{exp},"x":{deep}}}"#));
    cases.push(Case::ana("claims: 100 brackets", here, &deep));
    let spaced = text(&format!(" {{ \"exp\" : {exp} , \"sub\" : \"ana\" }} "));
    cases.push(Case::ana("claims: with blanks", here, &spaced));
    cases
}

/// As a Keycloak writes them: nested claims, one of several audiences, keys by URL.
fn keycloak(world: &World) -> Vec<Case> {
    let token = |more: Value| {
        let claims = ana_with(json!({ "iss": ISSUER, "aud": ["account"], "typ": "Bearer" }));
        let key = world.key(Algorithm::Rs256);
        key.token("RS256", &with(claims, more))
    };
    let roles = |roles: Value| token(json!({ "realm_access": { "roles": roles } }));
    let denied = |name: &str, token: &str| {
        let visit = Visit::channel("keycloak").token(token);
        Case::new(format!("nested claims: {name}"), visit, NOT_ADMITTED)
    };
    vec![
        Case::ana(
            "nested claims: the role",
            "keycloak",
            &roles(json!(["x", "reader"])),
        ),
        denied("other roles", &roles(json!(["writer", "readers"]))),
        denied("no roles", &roles(json!([]))),
        denied("roles in a text", &roles(json!("reader"))),
        denied(
            "roles in an object of another form",
            &roles(json!({ "0": "reader" })),
        ),
        denied("an absent list", &token(json!({ "realm_access": {} }))),
        denied("an absent object", &token(json!({}))),
        denied("null", &token(json!({ "realm_access": null }))),
        denied(
            "more roles than are looked at",
            &roles(json!(vec!["reader"; 257])),
        ),
        denied(
            "the name of the role with dots",
            &token(json!({ "realm_access.roles": ["reader"] })),
        ),
    ]
}
