//! The Redis server of a Channel, and who publishes to it directly.

use super::{Bad, bad};
use serde_json::json;

pub fn table() -> Vec<Bad> {
    [redis(), urls(), ingest()].into_iter().flatten().collect()
}

fn redis() -> Vec<Bad> {
    vec![
        bad(
            "a Redis without URL",
            json!({ "redis": {} }),
            "spec.redis.url: Required value",
        ),
        bad(
            "the URL in place of the section",
            json!({ "redis": "redis://a" }),
            "spec.redis in body must be of type object: \"string\"",
        ),
        bad(
            "an empty URL",
            json!({ "redis": { "url": "" } }),
            "spec.redis.url in body should be at least 1 chars long",
        ),
        bad(
            "a Secret without name",
            json!({ "redis": { "url": "redis://a", "secretRef": {} } }),
            "spec.redis.secretRef.name: Required value",
        ),
        bad(
            "an empty name of a Secret",
            json!({ "redis": { "url": "redis://a", "secretRef": { "name": "" } } }),
            "spec.redis.secretRef.name in body should be at least 1 chars long",
        ),
        bad(
            "a name of a Secret in capitals",
            json!({ "redis": { "url": "redis://a", "secretRef": { "name": "Orders" } } }),
            "spec.redis.secretRef.name: Invalid value: \"Orders\": name a Secret in the Channel's namespace: lower-case letters",
        ),
        bad(
            "a name of a Secret that is too long",
            json!({ "redis": { "url": "redis://a", "secretRef": { "name": "a".repeat(254) } } }),
            "spec.redis.secretRef.name: Too long: may not be more than 253",
        ),
        bad(
            "the name in place of the reference",
            json!({ "redis": { "url": "redis://a", "secretRef": "orders" } }),
            "spec.redis.secretRef in body must be of type object: \"string\"",
        ),
        bad(
            "a Secret of another namespace",
            json!({ "redis": { "url": "redis://a", "secretRef": { "name": "a", "namespace": "b" } } }),
            "unknown field \"spec.redis.secretRef.namespace\"",
        ),
        bad(
            "a prefix that is too long",
            json!({ "redis": { "url": "redis://a", "prefix": "a".repeat(65) } }),
            "spec.redis.prefix: Too long: may not be more than 64",
        ),
        bad(
            "a prefix with a line break",
            json!({ "redis": { "url": "redis://a", "prefix": "a\n" } }),
            "spec.redis.prefix: Invalid value: \"a\\n\": use no control characters",
        ),
    ]
}

fn urls() -> Vec<Bad> {
    let at = |url: &str| json!({ "redis": { "url": url } });
    vec![
        bad(
            "a host without scheme",
            at("redis.shop:6379"),
            "spec.redis.url: Invalid value: \"redis.shop:6379\": write redis://host:6379/0, redis+sentinel://host:26379,host:26379/0?master=NAME or redis+cluster://host:6379,host:6379, each with rediss for TLS",
        ),
        bad(
            "another scheme",
            at("http://redis.shop"),
            "\"http://redis.shop\": write redis://host:6379/0",
        ),
        bad(
            "a scheme in capitals",
            at("REDIS://redis.shop"),
            "write redis://host:6379/0",
        ),
        bad(
            "a URL without host",
            at("redis://"),
            "write redis://host:6379/0",
        ),
        bad(
            "a URL with a blank",
            at("redis://redis shop"),
            "write redis://host:6379/0",
        ),
        bad(
            "a port that is no number",
            at("redis://a:x"),
            "write redis://host:6379/0",
        ),
        bad(
            "a database that is no number",
            at("redis://a/x"),
            "write redis://host:6379/0",
        ),
        bad(
            "a query",
            at("redis://a?protocol=resp3"),
            "write redis://host:6379/0",
        ),
        bad(
            "several hosts for one server",
            at("rediss://a,b"),
            "name one host, or say with redis+sentinel:// or redis+cluster:// what they are",
        ),
        bad(
            "Sentinels without a master",
            at("redis+sentinel://a,b"),
            "end redis+sentinel:// with ?master=NAME",
        ),
        bad(
            "a master without Sentinels",
            at("redis+cluster://a,b?master=m"),
            "end redis+sentinel:// with ?master=NAME",
        ),
        bad(
            "a database of a cluster",
            at("rediss+cluster://a,b/1"),
            "a cluster has no database but 0: leave it out",
        ),
        bad(
            "too many hosts",
            at(&format!("redis+cluster://{}", ["a"; 17].join(","))),
            "write redis://host:6379/0",
        ),
        bad(
            "a password in the URL",
            at("redis://:hunter2@redis.shop"),
            "put the user name and the password into the Secret that secretRef names",
        ),
        bad(
            "a URL that is too long",
            at(&format!("redis://{}", "a".repeat(1017))),
            "spec.redis.url: Too long: may not be more than 1024",
        ),
    ]
}

fn ingest() -> Vec<Bad> {
    vec![
        bad(
            "an unknown kind of publisher",
            json!({ "ingest": ["Flask"] }),
            "spec.ingest[0]: Unsupported value: \"Flask\": supported values: \"FlaskSse\", \"Juggernaut\", \"Raw\"",
        ),
        bad(
            "a kind of publisher in another case",
            json!({ "ingest": ["flaskSse"] }),
            "spec.ingest[0]: Unsupported value",
        ),
        bad(
            "a kind of publisher twice",
            json!({ "ingest": ["Raw", "Raw"] }),
            "spec.ingest[1]: Duplicate value: \"Raw\"",
        ),
        bad(
            "too many kinds",
            json!({ "ingest": ["Raw", "FlaskSse", "Juggernaut", "Raw"] }),
            "spec.ingest: Too many: 4: must have at most 3 items",
        ),
        bad(
            "one kind of publisher instead of a list",
            json!({ "ingest": "Raw" }),
            "spec.ingest in body must be of type array: \"string\"",
        ),
    ]
}
