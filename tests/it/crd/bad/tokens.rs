//! Who may come in with a token: of a Secret, or signed.

use super::{Bad, bad, subscribe};
use serde_json::{Value, json};

pub fn table() -> Vec<Bad> {
    [tokens(), algorithms(), claims(), keys()]
        .into_iter()
        .flatten()
        .collect()
}

fn tokens() -> Vec<Bad> {
    let secret = |name: &str| subscribe(json!({ "tokens": { "secretRef": { "name": name } } }));
    vec![
        bad(
            "tokens from nowhere",
            subscribe(json!({ "tokens": {} })),
            "spec.access.subscribe[0].tokens.secretRef: Required value",
        ),
        bad(
            "tokens of a Secret without name",
            subscribe(json!({ "tokens": { "secretRef": {} } })),
            "spec.access.subscribe[0].tokens.secretRef.name: Required value",
        ),
        bad(
            "tokens of a Secret with an empty name",
            secret(""),
            "spec.access.subscribe[0].tokens.secretRef.name in body should be at least 1 chars long",
        ),
        bad(
            "tokens of a Secret in another namespace",
            secret("shop/readers"),
            "tokens.secretRef.name: Invalid value: \"shop/readers\": name a Secret in the Channel's namespace",
        ),
        bad(
            "tokens in clear",
            subscribe(json!({ "tokens": ["s3cret"] })),
            "spec.access.subscribe[0].tokens in body must be of type object: \"array\"",
        ),
    ]
}

fn jwks() -> Value {
    json!({ "url": "https://id.example.com/keys" })
}

fn algorithms() -> Vec<Bad> {
    let key = || json!({ "secretRef": { "name": "keys", "key": "public.pem" } });
    let with = |algorithms: Value| {
        subscribe(json!({ "jwt": { "jwks": jwks(), "algorithms": algorithms } }))
    };
    vec![
        bad(
            "neither jwks nor key",
            subscribe(json!({ "jwt": { "algorithms": ["RS256"] } })),
            "spec.access.subscribe[0].jwt: Invalid value: set exactly one of jwks, key",
        ),
        bad(
            "both jwks and key",
            subscribe(json!({ "jwt": { "jwks": jwks(), "key": key(), "algorithms": ["RS256"] } })),
            "spec.access.subscribe[0].jwt: Invalid value: set exactly one of jwks, key",
        ),
        bad(
            "no algorithms",
            subscribe(json!({ "jwt": { "jwks": jwks() } })),
            "spec.access.subscribe[0].jwt.algorithms: Required value",
        ),
        bad(
            "an empty list of algorithms",
            with(json!([])),
            "spec.access.subscribe[0].jwt.algorithms in body should have at least 1 items",
        ),
        bad(
            "the algorithm none",
            with(json!(["none"])),
            "spec.access.subscribe[0].jwt.algorithms[0]: Unsupported value: \"none\": supported values: ",
        ),
        bad(
            "an algorithm in another case",
            with(json!(["rs256"])),
            "spec.access.subscribe[0].jwt.algorithms[0]: Unsupported value: \"rs256\"",
        ),
        bad(
            "an algorithm twice",
            with(json!(["RS256", "RS256"])),
            "spec.access.subscribe[0].jwt.algorithms[1]: Duplicate value: \"RS256\"",
        ),
        bad(
            "too many algorithms",
            with(json!(vec!["RS256"; 11])),
            "spec.access.subscribe[0].jwt.algorithms: Too many: 11: must have at most 10 items",
        ),
        bad(
            "shared and public keys in one rule",
            subscribe(json!({ "jwt": { "key": key(), "algorithms": ["HS256", "RS256"] } })),
            "spec.access.subscribe[0].jwt: Invalid value: use a rule of its own for HS algorithms",
        ),
        bad(
            "shared keys that are published",
            with(json!(["HS256"])),
            "spec.access.subscribe[0].jwt: Invalid value: HS algorithms take their key from a Secret: use key instead of jwks",
        ),
    ]
}

fn claims() -> Vec<Bad> {
    let and = |field: &str, value: Value| {
        subscribe(json!({ "jwt": { "jwks": jwks(), "algorithms": ["RS256"], field: value } }))
    };
    let many: Vec<String> = (0..17).map(|at| format!("app-{at}")).collect();
    vec![
        bad(
            "an empty issuer",
            and("issuer", json!("")),
            "spec.access.subscribe[0].jwt.issuer in body should be at least 1 chars long",
        ),
        bad(
            "an issuer that is too long",
            and("issuer", json!("a".repeat(513))),
            "spec.access.subscribe[0].jwt.issuer: Too long: may not be more than 512",
        ),
        bad(
            "an empty audience",
            and("audiences", json!([""])),
            "spec.access.subscribe[0].jwt.audiences[0] in body should be at least 1 chars long",
        ),
        bad(
            "an audience that is too long",
            and("audiences", json!(["a".repeat(256)])),
            "spec.access.subscribe[0].jwt.audiences[0]: Too long: may not be more than 255",
        ),
        bad(
            "an audience twice",
            and("audiences", json!(["a", "a"])),
            "spec.access.subscribe[0].jwt.audiences[1]: Duplicate value: \"a\"",
        ),
        bad(
            "too many audiences",
            and("audiences", json!(many)),
            "spec.access.subscribe[0].jwt.audiences: Too many: 17: must have at most 16 items",
        ),
        bad(
            "one audience instead of a list",
            and("audiences", json!("siar")),
            "spec.access.subscribe[0].jwt.audiences in body must be of type array: \"string\"",
        ),
        bad(
            "text for requireExp",
            and("requireExp", json!("false")),
            "spec.access.subscribe[0].jwt.requireExp in body must be of type boolean: \"string\"",
        ),
    ]
}

fn keys() -> Vec<Bad> {
    let secret = |reference: Value| {
        subscribe(json!({ "jwt": { "key": { "secretRef": reference }, "algorithms": ["RS256"] } }))
    };
    let url = |url: &str| {
        subscribe(json!({ "jwt": { "jwks": { "url": url }, "algorithms": ["RS256"] } }))
    };
    vec![
        bad(
            "keys without URL",
            subscribe(json!({ "jwt": { "jwks": {}, "algorithms": ["RS256"] } })),
            "spec.access.subscribe[0].jwt.jwks.url: Required value",
        ),
        bad(
            "keys at a URL without scheme",
            url("id.example.com/keys"),
            "jwt.jwks.url: Invalid value: \"id.example.com/keys\": write https://host/path or http://host/path",
        ),
        bad(
            "keys from a file",
            url("file:///etc/keys"),
            "jwt.jwks.url: Invalid value: \"file:///etc/keys\": write https://host/path",
        ),
        bad(
            "keys at a URL with a password",
            url("https://ana:hunter2@id.example.com/"),
            "leave the user name and the password out: a Channel is no place for secrets",
        ),
        bad(
            "keys at a URL that is too long",
            url(&format!("https://{}", "a".repeat(1017))),
            "spec.access.subscribe[0].jwt.jwks.url: Too long: may not be more than 1024",
        ),
        bad(
            "a key from nowhere",
            subscribe(json!({ "jwt": { "key": {}, "algorithms": ["RS256"] } })),
            "spec.access.subscribe[0].jwt.key.secretRef: Required value",
        ),
        bad(
            "a key of a Secret without name",
            secret(json!({ "key": "a" })),
            "spec.access.subscribe[0].jwt.key.secretRef.name: Required value",
        ),
        bad(
            "a key without its name in the Secret",
            secret(json!({ "name": "a" })),
            "spec.access.subscribe[0].jwt.key.secretRef.key: Required value",
        ),
        bad(
            "a key with an empty name in the Secret",
            secret(json!({ "name": "a", "key": "" })),
            "spec.access.subscribe[0].jwt.key.secretRef.key in body should be at least 1 chars long",
        ),
        bad(
            "a key with a slash in its name",
            secret(json!({ "name": "a", "key": "a/b" })),
            "jwt.key.secretRef.key: Invalid value: \"a/b\": a key of a Secret has letters, digits, -, _ and .",
        ),
        bad(
            "a key in a Secret with an empty name",
            secret(json!({ "name": "", "key": "a" })),
            "spec.access.subscribe[0].jwt.key.secretRef.name in body should be at least 1 chars long",
        ),
        bad(
            "a key with a name that is too long",
            secret(json!({ "name": "a", "key": "a".repeat(254) })),
            "spec.access.subscribe[0].jwt.key.secretRef.key: Too long: may not be more than 253",
        ),
    ]
}
