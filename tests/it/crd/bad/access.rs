//! Who may come in: origins, rules, what the cluster and a service of the team decide.

use super::{Bad, bad, subscribe};
use serde_json::{Value, json};

pub fn table() -> Vec<Bad> {
    [origins(), rules(), service_accounts(), webhooks()]
        .into_iter()
        .flatten()
        .collect()
}

fn origins() -> Vec<Bad> {
    let origin = |origin: &str| json!({ "access": { "origins": [origin] } });
    let many: Vec<String> = (0..33)
        .map(|at| format!("https://{at}.example.com"))
        .collect();
    vec![
        bad(
            "an origin without scheme",
            origin("shop.example.com"),
            "spec.access.origins[0]: Invalid value: \"shop.example.com\": write scheme://host or scheme://host:port",
        ),
        bad(
            "an origin with a slash",
            origin("https://shop.example.com/"),
            "write scheme://host or scheme://host:port, without a path, or * for any page",
        ),
        bad(
            "an origin with a path",
            origin("https://shop.example.com/app"),
            "without a path",
        ),
        bad(
            "an origin with a star inside",
            origin("https://*.example.com"),
            "or * for any page",
        ),
        bad(
            "an origin with a user",
            origin("https://ana@shop.example.com"),
            "write scheme://host",
        ),
        bad(
            "an empty origin",
            origin(""),
            "spec.access.origins[0] in body should be at least 1 chars long",
        ),
        bad(
            "an origin that is too long",
            origin(&format!("https://{}", "a".repeat(248))),
            "spec.access.origins[0]: Too long: may not be more than 255",
        ),
        bad(
            "an origin twice",
            json!({ "access": { "origins": ["https://a", "https://a"] } }),
            "spec.access.origins[1]: Duplicate value: \"https://a\"",
        ),
        bad(
            "too many origins",
            json!({ "access": { "origins": many } }),
            "spec.access.origins: Too many: 33: must have at most 32 items",
        ),
        bad(
            "one origin instead of a list",
            json!({ "access": { "origins": "*" } }),
            "spec.access.origins in body must be of type array: \"string\"",
        ),
    ]
}

fn rules() -> Vec<Bad> {
    let many = vec![json!({ "anonymous": {} }); 17];
    vec![
        bad(
            "a rule without kind",
            subscribe(json!({})),
            "spec.access.subscribe[0]: Invalid value: set exactly one of anonymous, tokens, jwt, serviceAccounts, webhook",
        ),
        bad(
            "a rule that is only a condition",
            subscribe(json!({ "when": "true" })),
            "spec.access.subscribe[0]: Invalid value: set exactly one of anonymous",
        ),
        bad(
            "a rule of two kinds",
            subscribe(json!({ "anonymous": {}, "serviceAccounts": {} })),
            "spec.access.subscribe[0]: Invalid value: set exactly one of anonymous",
        ),
        bad(
            "a rule for publishing of two kinds",
            json!({ "access": { "publish": [{ "anonymous": {} }, { "anonymous": {}, "webhook": { "url": "http://a" } }] } }),
            "spec.access.publish[1]: Invalid value: set exactly one of anonymous",
        ),
        bad(
            "a rule instead of a list",
            json!({ "access": { "subscribe": { "anonymous": {} } } }),
            "unknown field \"spec.access.subscribe.anonymous\"",
        ),
        bad(
            "too many rules for listening",
            json!({ "access": { "subscribe": many } }),
            "spec.access.subscribe: Too many: 17: must have at most 16 items",
        ),
        bad(
            "too many rules for publishing",
            json!({ "access": { "publish": many } }),
            "spec.access.publish: Too many: 17: must have at most 16 items",
        ),
        bad(
            "a switch for anonymous",
            subscribe(json!({ "anonymous": true })),
            "spec.access.subscribe[0].anonymous in body must be of type object: \"boolean\"",
        ),
        bad(
            "a field of anonymous",
            subscribe(json!({ "anonymous": { "allowed": true } })),
            "unknown field \"spec.access.subscribe[0].anonymous.allowed\"",
        ),
        bad(
            "an unknown kind",
            subscribe(json!({ "basic": {} })),
            "unknown field \"spec.access.subscribe[0].basic\"",
        ),
        bad(
            "an empty condition",
            subscribe(json!({ "anonymous": {}, "when": "" })),
            "spec.access.subscribe[0].when in body should be at least 1 chars long",
        ),
        bad(
            "a condition that is too long",
            subscribe(json!({ "anonymous": {}, "when": "a".repeat(1025) })),
            "spec.access.subscribe[0].when: Too long: may not be more than 1024",
        ),
        bad(
            "a switch for a condition",
            subscribe(json!({ "anonymous": {}, "when": true })),
            "spec.access.subscribe[0].when in body must be of type string: \"boolean\"",
        ),
    ]
}

fn service_accounts() -> Vec<Bad> {
    let accounts =
        |field: &str, value: Value| subscribe(json!({ "serviceAccounts": { field: value } }));
    let many: Vec<String> = (0..17).map(|at| format!("app-{at}")).collect();
    vec![
        bad(
            "service accounts for no audience",
            accounts("audiences", json!([])),
            "spec.access.subscribe[0].serviceAccounts.audiences in body should have at least 1 items",
        ),
        bad(
            "service accounts for an empty audience",
            accounts("audiences", json!([""])),
            "spec.access.subscribe[0].serviceAccounts.audiences[0] in body should be at least 1 chars long",
        ),
        bad(
            "service accounts for too many audiences",
            accounts("audiences", json!(many)),
            "spec.access.subscribe[0].serviceAccounts.audiences: Too many: 17: must have at most 16 items",
        ),
        bad(
            "service accounts for an audience twice",
            accounts("audiences", json!(["a", "a"])),
            "spec.access.subscribe[0].serviceAccounts.audiences[1]: Duplicate value: \"a\"",
        ),
        bad(
            "service accounts asked about too often",
            accounts("recheck", json!("9s")),
            "serviceAccounts.recheck: Invalid value: \"9s\": use 10s to 1h",
        ),
        bad(
            "service accounts asked about too rarely",
            accounts("recheck", json!("61m")),
            "serviceAccounts.recheck: Invalid value: \"61m\": use 10s to 1h",
        ),
        bad(
            "service accounts by name",
            subscribe(json!({ "serviceAccounts": ["reader"] })),
            "spec.access.subscribe[0].serviceAccounts in body must be of type object: \"array\"",
        ),
    ]
}

fn webhooks() -> Vec<Bad> {
    let webhook = |field: &str, value: &str| {
        let mut rule = json!({ "webhook": { "url": "http://auth.shop/" } });
        rule["webhook"][field] = json!(value);
        subscribe(rule)
    };
    vec![
        bad(
            "a webhook without URL",
            subscribe(json!({ "webhook": {} })),
            "spec.access.subscribe[0].webhook.url: Required value",
        ),
        bad(
            "a webhook at an empty URL",
            webhook("url", ""),
            "spec.access.subscribe[0].webhook.url in body should be at least 1 chars long",
        ),
        bad(
            "a webhook at a URL without scheme",
            webhook("url", "auth.shop/allow"),
            "webhook.url: Invalid value: \"auth.shop/allow\": write https://host/path or http://host/path",
        ),
        bad(
            "a webhook at a URL with a blank",
            webhook("url", "http://auth.shop/a b"),
            "without blanks",
        ),
        bad(
            "a webhook with a password",
            webhook("url", "http://ana:hunter2@auth.shop/"),
            "leave the user name and the password out",
        ),
        bad(
            "a webhook at a URL that is too long",
            webhook("url", &format!("http://{}", "a".repeat(1018))),
            "spec.access.subscribe[0].webhook.url: Too long: may not be more than 1024",
        ),
        bad(
            "a webhook with too little time",
            webhook("timeout", "99ms"),
            "spec.access.subscribe[0].webhook.timeout: Invalid value: \"99ms\": use 100ms to 10s",
        ),
        bad(
            "a webhook with too much time",
            webhook("timeout", "11s"),
            "webhook.timeout: Invalid value: \"11s\": use 100ms to 10s",
        ),
        bad(
            "a webhook with a time without unit",
            webhook("timeout", "1"),
            "webhook.timeout: Invalid value: \"1\": use 100ms to 10s",
        ),
        bad(
            "a webhook asked too often",
            webhook("recheck", "0s"),
            "webhook.recheck: Invalid value: \"0s\": use 10s to 1h",
        ),
        bad(
            "a webhook asked too rarely",
            webhook("recheck", "2h"),
            "webhook.recheck: Invalid value: \"2h\": use 10s to 1h",
        ),
    ]
}
