//! Manifests that are right: accepted, and kept as they were written but for the defaults.
//!
//! Owns: the defaults, spelled out. Never: asks the types for them.

use super::{CHANNELS, channel, cluster};
use serde_json::{Value, json};

/// Every kind of thing that a spec can say, most of it at the bounds of what is allowed.
fn specs() -> Vec<(&'static str, Value)> {
    let anonymous = || json!([{ "anonymous": {} }]);
    vec![
        ("empty", json!({})),
        (
            "open",
            json!({ "access": { "subscribe": anonymous(), "publish": anonymous() } }),
        ),
        ("gateway", json!({ "gateway": "a" })),
        ("gateway-of-forty", json!({ "gateway": "a".repeat(40) })),
        (
            "topics",
            json!({ "topics": ["orders", "orders.{user}", "shop/{shop}/orders-{order_id}", "Bestellungen: für {x}", "{a}.{b}", "ä".repeat(127)] }),
        ),
        (
            "sixteen-topics",
            json!({ "topics": (0..16).map(|at| format!("topic-{at}")).collect::<Vec<_>>() }),
        ),
        ("topic-of-255", json!({ "topics": ["a".repeat(255)] })),
        (
            "redis",
            json!({ "redis": { "url": "redis://redis.shop:6379/0" } }),
        ),
        (
            "redis-of-its-own",
            json!({ "redis": { "url": "rediss://[::1]:6380/15", "secretRef": { "name": "orders.redis" }, "prefix": "app:" } }),
        ),
        (
            "redis-sentinel",
            json!({ "redis": { "url": "redis+sentinel://a,[::1]:26379/1?master=My.master-1_" } }),
        ),
        (
            "redis-cluster",
            json!({ "redis": { "url": "rediss+cluster://a:1,b,127.0.0.1/0" } }),
        ),
        (
            "ingest",
            json!({ "ingest": ["FlaskSse", "Juggernaut", "Raw"] }),
        ),
        ("no-ingest", json!({ "ingest": [] })),
        ("wildcard", json!({ "wildcard": true })),
        ("history", json!({ "history": { "size": 1 } })),
        (
            "long-history",
            json!({ "history": { "size": 100_000, "ttl": "168h" } }),
        ),
        (
            "short-history",
            json!({ "history": { "size": 10, "ttl": "1s" } }),
        ),
        ("stream", json!({ "stream": { "heartbeat": "1s" } })),
        (
            "slow-stream",
            json!({ "stream": { "heartbeat": "5m", "retry": "1m", "maxAge": "24h" } }),
        ),
        (
            "quick-stream",
            json!({ "stream": { "heartbeat": "1000ms", "retry": "100ms", "maxAge": "1m" } }),
        ),
        ("endless-stream", json!({ "stream": { "maxAge": "0s" } })),
        (
            "parts-of-a-duration",
            json!({ "stream": { "maxAge": "1h30m15s" } }),
        ),
        (
            "limits",
            json!({ "limits": { "streams": 10_000_000, "messageBytes": 1_048_576, "publishPerSecond": 1_000_000, "topics": 1_000_000, "streamsPerClient": 1_000_000 } }),
        ),
        (
            "small-limits",
            json!({ "limits": { "streams": 1, "messageBytes": 1, "publishPerSecond": 1, "topics": 1, "streamsPerClient": 1 } }),
        ),
        ("one-limit", json!({ "limits": { "streamsPerClient": 6 } })),
        (
            "scaling",
            json!({ "scaling": { "minReplicas": 1000, "maxReplicas": 1000, "streamsPerReplica": 10_000_000 } }),
        ),
        (
            "scaling-up-only",
            json!({ "scaling": { "minReplicas": 1 } }),
        ),
        ("scaling-of-nothing", json!({ "scaling": {} })),
    ]
}

/// The same of those who may come in.
fn access() -> Vec<(&'static str, Value)> {
    vec![
        (
            "origins",
            json!({ "access": { "origins": ["*", "https://shop.example.com", "http://localhost:8000", "http://[::1]:8080", "capacitor://localhost"] } }),
        ),
        (
            "tokens",
            json!({ "access": { "publish": [{ "tokens": { "secretRef": { "name": "publishers" } }, "when": "topic.user == identity" }] } }),
        ),
        (
            "jwks",
            json!({ "access": { "subscribe": [{ "jwt": { "issuer": "https://id.example.com", "audiences": ["siar"], "jwks": { "url": "https://id.example.com/keys?a=b@c" }, "algorithms": ["RS256", "ES256"] }, "when": "claims.sub == topic.user" }] } }),
        ),
        (
            "key",
            json!({ "access": { "subscribe": [{ "jwt": { "key": { "secretRef": { "name": "keys", "key": "Public_1.pem" } }, "algorithms": ["EdDSA"], "requireExp": false } }] } }),
        ),
        (
            "shared-key",
            json!({ "access": { "subscribe": [{ "jwt": { "key": { "secretRef": { "name": "keys", "key": "hs" } }, "algorithms": ["HS256", "HS384", "HS512"] } }] } }),
        ),
        (
            "all-public-algorithms",
            json!({ "access": { "publish": [{ "jwt": { "jwks": { "url": "http://id" }, "algorithms": ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"] } }] } }),
        ),
        (
            "service-accounts",
            json!({ "access": { "subscribe": [{ "serviceAccounts": {} }] } }),
        ),
        (
            "service-accounts-for",
            json!({ "access": { "publish": [{ "serviceAccounts": { "audiences": ["a", "b"], "recheck": "1h" } }] } }),
        ),
        (
            "webhook",
            json!({ "access": { "subscribe": [{ "webhook": { "url": "http://auth.shop/allow" } }] } }),
        ),
        (
            "webhook-at-its-bounds",
            json!({ "access": { "publish": [{ "webhook": { "url": "https://auth.shop:8443/", "timeout": "100ms", "recheck": "10s" } }] } }),
        ),
        (
            "sixteen-rules",
            json!({ "access": { "subscribe": vec![json!({ "anonymous": {} }); 16], "publish": vec![json!({ "webhook": { "url": "http://a" } }); 16] } }),
        ),
        (
            "all-kinds",
            json!({ "access": { "subscribe": [
            { "anonymous": {} },
            { "tokens": { "secretRef": { "name": "a" } } },
            { "serviceAccounts": {} },
            { "webhook": { "url": "http://a", "timeout": "10s" } },
        ] } }),
        ),
    ]
}

/// What the documentation of each field says that it is when it is left out.
fn with_defaults(mut spec: Value) -> Value {
    let mut default = |path: &str, value: Value| fill(&mut spec, path, &value);
    default("/gateway", json!("default"));
    default("/wildcard", json!(false));
    default("/stream", json!({}));
    default("/stream/heartbeat", json!("15s"));
    default("/stream/retry", json!("2s"));
    default("/stream/maxAge", json!("30m"));
    default("/limits", json!({}));
    default("/limits/streams", json!(100_000));
    default("/limits/messageBytes", json!(65_536));
    default("/limits/topics", json!(10_000));
    default("/limits/publishPerSecond", json!(1_000));
    default("/redis/prefix", json!(""));
    default("/history/ttl", json!("1h"));
    for rules in ["/access/subscribe", "/access/publish"] {
        for at in 0..16 {
            let mut default =
                |field: &str, value: Value| default(&format!("{rules}/{at}/{field}"), value);
            default("jwt/requireExp", json!(true));
            default("serviceAccounts/audiences", json!(["siar"]));
            default("serviceAccounts/recheck", json!("5m"));
            default("webhook/timeout", json!("1s"));
            default("webhook/recheck", json!("5m"));
        }
    }
    spec
}

/// Sets what is left out, where its parent is there.
fn fill(spec: &mut Value, path: &str, value: &Value) {
    let (parent, name) = path.rsplit_once('/').unwrap();
    if let Some(Value::Object(fields)) = spec.pointer_mut(parent) {
        fields.entry(name).or_insert_with(|| value.clone());
    }
}

#[tokio::test]
async fn what_is_right_is_kept_as_it_was_written_with_the_defaults() {
    let cluster = cluster().await;
    let specs = [specs(), access()].concat();
    assert!(specs.len() >= 35, "only {} rows", specs.len());
    for (name, spec) in specs {
        let path = format!("{CHANNELS}?fieldValidation=Strict");
        let answer = cluster.create(&path, &channel(name, spec.clone())).await;
        assert_eq!(answer.status, 201, "{name}: {}", answer.text());
        assert_eq!(answer.header("warning"), None, "{name}");
        let kept = cluster
            .get(&format!("{CHANNELS}/{name}"))
            .await
            .expect(200)
            .json();
        assert_eq!(kept["spec"], with_defaults(spec), "{name}");
    }
    let long = "a".repeat(253);
    let _ = cluster
        .create(CHANNELS, &channel(&long, json!({})))
        .await
        .expect(201);
}

#[tokio::test]
async fn a_null_is_a_field_that_was_left_out() {
    let cluster = cluster().await;
    let nulls = json!({
        "gateway": null,
        "topics": null,
        "redis": null,
        "ingest": null,
        "wildcard": null,
        "history": null,
        "access": null,
        "stream": null,
        "limits": { "streams": null, "streamsPerClient": null },
        "scaling": null,
    });
    let answer = cluster
        .create(CHANNELS, &channel("orders", nulls))
        .await
        .expect(201);
    assert_eq!(answer.json()["spec"], with_defaults(json!({})));
}
