//! The shape of a manifest, names, topics.

use super::{Bad, bad, channel};
use serde_json::{Value, json};

pub fn table() -> Vec<Bad> {
    [shapes(), names(), topics()]
        .into_iter()
        .flatten()
        .collect()
}

fn manifest(what: &'static str, change: impl FnOnce(&mut Value), says: &'static str) -> Bad {
    let mut manifest = channel("orders", json!({}));
    change(&mut manifest);
    Bad {
        what,
        manifest,
        says,
    }
}

fn shapes() -> Vec<Bad> {
    vec![
        manifest(
            "no spec",
            |it| drop(it.as_object_mut().unwrap().remove("spec")),
            "spec: Required value",
        ),
        manifest(
            "a null for the spec",
            |it| it["spec"] = Value::Null,
            "spec: Required value",
        ),
        manifest(
            "a list for the spec",
            |it| it["spec"] = json!([]),
            "spec in body must be of type object: \"array\"",
        ),
        manifest(
            "an unknown field beside the spec",
            |it| it["specs"] = json!({}),
            "unknown field \"specs\"",
        ),
        manifest(
            "another version",
            |it| it["apiVersion"] = json!("siar.dev/v1"),
            "Channel in version \"v1\" cannot be handled as a Channel",
        ),
        manifest(
            "the kind of Knative",
            |it| it["apiVersion"] = json!("messaging.knative.dev/v1"),
            "siar.dev/v1alpha1",
        ),
        bad(
            "an unknown field of the spec",
            json!({ "topic": "orders" }),
            "unknown field \"spec.topic\"",
        ),
        bad(
            "an unknown field far inside",
            json!({ "access": { "subscribe": [{ "webhook": { "url": "http://a", "timeOut": "1s" } }] } }),
            "unknown field \"spec.access.subscribe[0].webhook.timeOut\"",
        ),
        bad(
            "an unknown section",
            json!({ "auth": {} }),
            "unknown field \"spec.auth\"",
        ),
        bad(
            "text for a switch",
            json!({ "wildcard": "yes" }),
            "spec.wildcard in body must be of type boolean: \"string\"",
        ),
        bad(
            "a number for a switch",
            json!({ "wildcard": 1 }),
            "spec.wildcard in body must be of type boolean: \"integer\"",
        ),
        bad(
            "a list for a section",
            json!({ "stream": [] }),
            "spec.stream in body must be of type object: \"array\"",
        ),
        bad(
            "a null for anonymous",
            json!({ "access": {"subscribe": [{"anonymous": null}] }}),
            "spec.access.subscribe[0]: Invalid value: set exactly one of anonymous",
        ),
        bad(
            "a null in topics",
            json!({ "topics": [null] }),
            "spec.topics[0] in body must be of type string: \"null\"",
        ),
    ]
}

fn names() -> Vec<Bad> {
    vec![
        manifest(
            "a name that is too long",
            |it| it["metadata"]["name"] = json!("a".repeat(254)),
            "must be no more than 253",
        ),
        manifest(
            "a name in capitals",
            |it| it["metadata"]["name"] = json!("Orders"),
            "metadata.name: Invalid value: \"Orders\": a lowercase RFC 1123 subdomain",
        ),
        manifest(
            "a name with a blank",
            |it| it["metadata"]["name"] = json!("my orders"),
            "metadata.name: Invalid value: \"my orders\": a lowercase RFC 1123 subdomain",
        ),
        manifest(
            "no name",
            |it| it["metadata"] = json!({}),
            "name or generateName is required",
        ),
        bad(
            "an empty gateway",
            json!({ "gateway": "" }),
            "spec.gateway in body should be at least 1 chars long",
        ),
        bad(
            "a gateway in capitals",
            json!({ "gateway": "Default" }),
            "spec.gateway: Invalid value: \"Default\": use lower-case letters, digits and -",
        ),
        bad(
            "a gateway that ends with a hyphen",
            json!({ "gateway": "a-" }),
            "with a letter or a digit at both ends",
        ),
        bad(
            "a gateway with a dot",
            json!({ "gateway": "a.b" }),
            "use lower-case letters, digits and -",
        ),
        bad(
            "a gateway that is too long",
            json!({ "gateway": "a".repeat(41) }),
            "spec.gateway: Too long: may not be more than 40",
        ),
        bad(
            "a number for the gateway",
            json!({ "gateway": 7 }),
            "spec.gateway in body must be of type string: \"integer\"",
        ),
    ]
}

fn topics() -> Vec<Bad> {
    let many: Vec<String> = (0..17).map(|at| format!("topic-{at}")).collect();
    vec![
        bad(
            "no topics",
            json!({ "topics": [] }),
            "spec.topics in body should have at least 1 items",
        ),
        bad(
            "too many topics",
            json!({ "topics": many }),
            "spec.topics: Too many: 17: must have at most 16 items",
        ),
        bad(
            "a topic twice",
            json!({ "topics": ["a", "b", "a"] }),
            "spec.topics[2]: Duplicate value: \"a\"",
        ),
        bad(
            "an empty topic",
            json!({ "topics": ["a", ""] }),
            "spec.topics[1] in body should be at least 1 chars long",
        ),
        bad(
            "a topic that is too long",
            json!({ "topics": ["a".repeat(256)] }),
            "spec.topics[0]: Too long: may not be more than 255",
        ),
        bad(
            "a topic of too many bytes",
            json!({ "topics": ["ä".repeat(128)] }),
            "a topic has at most 255 bytes",
        ),
        bad(
            "a topic with a line break",
            json!({ "topics": ["a\nb"] }),
            "spec.topics[0]: Invalid value: \"a\\nb\": a topic has at most 255 bytes, no control character",
        ),
        bad(
            "a topic with a blank at its end",
            json!({ "topics": ["orders "] }),
            "spec.topics[0]: Invalid value: \"orders \": a topic has at most 255 bytes, no control character, no blank at either end",
        ),
        bad(
            "a topic with a blank at its start",
            json!({ "topics": [" orders"] }),
            "no blank at either end",
        ),
        bad(
            "a star for a topic",
            json!({ "topics": ["*"] }),
            "and is not *",
        ),
        bad(
            "a brace that is not closed",
            json!({ "topics": ["orders.{user"] }),
            "spec.topics[0]: Invalid value: \"orders.{user\": a capture is written {name}",
        ),
        bad(
            "a brace that is not opened",
            json!({ "topics": ["orders.user}"] }),
            "a capture is written {name}",
        ),
        bad(
            "a capture without a name",
            json!({ "topics": ["orders.{}"] }),
            "a capture is written {name}, with a letter first",
        ),
        bad(
            "a capture with a hyphen",
            json!({ "topics": ["orders.{user-id}"] }),
            "then letters, digits or _",
        ),
        bad(
            "captures that touch",
            json!({ "topics": ["{a}{b}"] }),
            "put a character between two captures",
        ),
        bad(
            "one topic instead of a list",
            json!({ "topics": "orders" }),
            "spec.topics in body must be of type array: \"string\"",
        ),
        bad(
            "a number for a topic",
            json!({ "topics": [7] }),
            "spec.topics[0] in body must be of type string: \"integer\"",
        ),
    ]
}
