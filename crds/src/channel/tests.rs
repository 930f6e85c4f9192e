//! The rules that the API server checks, run here on the types.

use super::*;
use crate::duration::DurationText;
use crate::pattern::TopicPattern;
use proptest::prelude::*;

fn channel(spec: serde_json::Value) -> Channel {
    Channel::new("orders", serde_json::from_value(spec).unwrap())
}

/// `said` is part of the refusal; empty when the rules have nothing to say.
#[track_caller]
fn check(spec: serde_json::Value, said: &str) {
    let shown = spec.to_string();
    let outcome = channel(spec).validate_cel();
    let errors = outcome.err().map(|errors| format!("{errors:?}"));
    match errors {
        None => assert_eq!(said, "", "{shown}"),
        Some(text) => assert!(!said.is_empty() && text.contains(said), "{shown}: {text}"),
    }
}

#[test]
fn a_rule_is_of_exactly_one_kind() {
    use serde_json::json;
    let rules = |rules| json!({"access": {"subscribe": rules}});
    check(rules(json!([{"anonymous": {}}])), "");
    check(
        rules(json!([{"tokens": {"secretRef": {"name": "a"}}, "when": "true"}])),
        "",
    );
    check(rules(json!([{}])), "set exactly one of anonymous");
    check(
        rules(json!([{"anonymous": {}}, {"anonymous": {}, "webhook": {"url": "http://a"}}])),
        "set exactly one of anonymous",
    );
    check(
        rules(json!([{"jwt": {"algorithms": ["RS256"]}}])),
        "set exactly one of jwks, key",
    );
}

#[test]
fn shared_keys_and_public_keys_do_not_mix() {
    use serde_json::json;
    let jwt = |keys: &str, of, algorithms: &[&str]| {
        let jwt = json!({ keys: of, "algorithms": algorithms });
        json!({"access": {"publish": [{"jwt": jwt}]}})
    };
    let key = || json!({"secretRef": {"name": "a", "key": "b"}});
    let jwks = || json!({"url": "https://a/keys?a=b@c"});
    check(jwt("key", key(), &["HS256", "HS512"]), "");
    check(jwt("jwks", jwks(), &["RS256", "EdDSA"]), "");
    check(
        jwt("key", key(), &["HS256", "RS256"]),
        "a rule of its own for HS algorithms",
    );
    check(jwt("jwks", jwks(), &["HS256"]), "use key instead of jwks");
    check(
        jwt("jwks", json!({"url": "https://ana:pw@a/keys"}), &["RS256"]),
        "no place for secrets",
    );
}

#[test]
fn an_entry_of_a_list_is_named() {
    use serde_json::json;
    check(json!({"topics": ["a", "b.{user}"]}), "");
    check(json!({"topics": ["a", "b.{user"]}), "spec.topics[1]");
    check(
        json!({"access": {"origins": ["*", "https://a/"]}}),
        "spec.access.origins[1]",
    );
}

#[test]
fn durations_have_ranges() {
    use serde_json::json;
    check(json!({"stream": {"maxAge": "0s"}}), "");
    check(json!({"stream": {"maxAge": "1m"}}), "");
    check(json!({"stream": {"maxAge": "59s"}}), "use 1m to 24h");
    check(json!({"stream": {"heartbeat": "0s"}}), "use 1s to 5m");
    check(json!({"stream": {"retry": "1h"}}), "use 100ms to 1m");
    check(json!({"history": {"size": 1, "ttl": "168h"}}), "");
    check(
        json!({"history": {"size": 1, "ttl": "169h"}}),
        "use 1s to 168h",
    );
}

#[test]
fn what_goes_together_is_checked_together() {
    use serde_json::json;
    check(json!({"scaling": {"minReplicas": 2, "maxReplicas": 2}}), "");
    check(
        json!({"scaling": {"minReplicas": 3, "maxReplicas": 2}}),
        "must not be greater",
    );
    check(json!({"redis": {"url": "redis://a:6379/0"}}), "");
    check(
        json!({"redis": {"url": "redis://:pw@a:6379/0"}}),
        "into the Secret",
    );
}

#[test]
fn a_channel_stays_with_its_gateway() {
    let old = channel(serde_json::json!({}));
    let mut new = old.clone();
    new.spec.wildcard = true;
    assert!(new.validate_cel_update(&old).is_ok());
    new.spec.gateway = "other".to_owned();
    let error = format!("{:?}", new.validate_cel_update(&old).unwrap_err());
    assert!(
        error.contains("a Channel stays with its gateway"),
        "{error}"
    );
}

#[test]
fn what_is_left_out_is_not_sent_as_null() {
    let spec = channel(serde_json::json!({})).spec;
    let value = serde_json::to_value(&spec).unwrap();
    let fields: Vec<&String> = value.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["gateway", "limits", "stream", "wildcard"]);
    assert_eq!(spec.stream, StreamSpec::default());
    assert_eq!(spec.stream.heartbeat, DurationText::new("15s"));
    assert_eq!(spec.limits, LimitsSpec::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What is refused in words here would be refused by `policy`, too; never more.
    #[test]
    fn the_schema_refuses_no_topic_that_is_one(text in r"[a-z ä{}_*\n\u{a0}]{1,10}") {
        let spec = serde_json::json!({"topics": [text]});
        if channel(spec).validate_cel().is_err() {
            prop_assert!(TopicPattern::parse(&text).is_err(), "{:?}", text);
        }
    }
}
