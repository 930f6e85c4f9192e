//! What is kept, how streams live, bounds, and the size of the fleet.

use super::{Bad, bad};
use serde_json::json;

pub fn table() -> Vec<Bad> {
    [history(), stream(), limits(), scaling()]
        .into_iter()
        .flatten()
        .collect()
}

fn history() -> Vec<Bad> {
    let kept = |size: i64, ttl: &str| json!({ "history": { "size": size, "ttl": ttl } });
    vec![
        bad(
            "a history without size",
            json!({ "history": { "ttl": "1h" } }),
            "spec.history.size: Required value",
        ),
        bad(
            "a history of nothing",
            kept(0, "1h"),
            "spec.history.size in body should be greater than or equal to 1",
        ),
        bad(
            "a history of less than nothing",
            kept(-1, "1h"),
            "spec.history.size in body should be greater than or equal to 1",
        ),
        bad(
            "a history that is too long",
            kept(100_001, "1h"),
            "spec.history.size in body should be less than or equal to 100000",
        ),
        bad(
            "text for a size",
            json!({ "history": { "size": "1000" } }),
            "spec.history.size in body must be of type integer: \"string\"",
        ),
        bad(
            "a fraction for a size",
            json!({ "history": { "size": 1.5 } }),
            "spec.history.size in body must be of type int32",
        ),
        bad(
            "a number in place of a history",
            json!({ "history": 1000 }),
            "spec.history in body must be of type object: \"integer\"",
        ),
        bad(
            "a ttl that is too short",
            kept(1, "999ms"),
            "spec.history.ttl: Invalid value: \"999ms\": use 1s to 168h, as in 250ms, 30s or 1h30m",
        ),
        bad(
            "a ttl that is too long",
            kept(1, "168h1s"),
            "spec.history.ttl: Invalid value: \"168h1s\": use 1s to 168h",
        ),
        bad(
            "a ttl in days",
            kept(1, "7d"),
            "spec.history.ttl: Invalid value: \"7d\": use 1s to 168h, as in 250ms, 30s or 1h30m",
        ),
        bad(
            "a ttl without unit",
            kept(1, "3600"),
            "spec.history.ttl: Invalid value: \"3600\": use 1s to 168h",
        ),
        bad(
            "a number for a ttl",
            json!({ "history": { "size": 1, "ttl": 3600 } }),
            "spec.history.ttl in body must be of type string: \"integer\"",
        ),
    ]
}

fn stream() -> Vec<Bad> {
    let stream = |field: &str, value: &str| json!({ "stream": { field: value } });
    vec![
        bad(
            "no heartbeat",
            stream("heartbeat", "0s"),
            "spec.stream.heartbeat: Invalid value: \"0s\": use 1s to 5m",
        ),
        bad(
            "a heartbeat that is too rare",
            stream("heartbeat", "5m1s"),
            "spec.stream.heartbeat: Invalid value: \"5m1s\": use 1s to 5m",
        ),
        bad(
            "a heartbeat in words",
            stream("heartbeat", "15 seconds"),
            "spec.stream.heartbeat: Invalid value: \"15 seconds\": use 1s to 5m, as in 250ms, 30s or 1h30m",
        ),
        bad(
            "an empty heartbeat",
            stream("heartbeat", ""),
            "spec.stream.heartbeat: Invalid value: \"\": use 1s to 5m",
        ),
        bad(
            "a heartbeat below nothing",
            stream("heartbeat", "-15s"),
            "use 1s to 5m",
        ),
        bad(
            "a heartbeat of four parts",
            stream("heartbeat", "1s1s1s1s"),
            "use 1s to 5m",
        ),
        bad(
            "a heartbeat with a fraction",
            stream("heartbeat", "1.5s"),
            "use 1s to 5m",
        ),
        bad(
            "a heartbeat of too many digits",
            stream("heartbeat", "100000ms"),
            "use 1s to 5m",
        ),
        bad(
            "a heartbeat of too many characters",
            stream("heartbeat", "1h00000m000000000s"),
            "spec.stream.heartbeat: Too long: may not be more than 16",
        ),
        bad(
            "a retry that is too short",
            stream("retry", "99ms"),
            "spec.stream.retry: Invalid value: \"99ms\": use 100ms to 1m",
        ),
        bad(
            "a retry that is too long",
            stream("retry", "61s"),
            "spec.stream.retry: Invalid value: \"61s\": use 100ms to 1m",
        ),
        bad(
            "an age that is too short",
            stream("maxAge", "59s"),
            "spec.stream.maxAge: Invalid value: \"59s\": use 1m to 24h, as in 30m or 1h30m, or 0s for never",
        ),
        bad(
            "an age that is too long",
            stream("maxAge", "25h"),
            "spec.stream.maxAge: Invalid value: \"25h\": use 1m to 24h",
        ),
        bad(
            "never in words",
            stream("maxAge", "never"),
            "spec.stream.maxAge: Invalid value: \"never\": use 1m to 24h, as in 30m or 1h30m, or 0s for never",
        ),
        bad(
            "a number for a retry",
            json!({ "stream": { "retry": 2000 } }),
            "spec.stream.retry in body must be of type string: \"integer\"",
        ),
    ]
}

fn limits() -> Vec<Bad> {
    let limit = |field: &str, value: i64| json!({ "limits": { field: value } });
    vec![
        bad(
            "no streams",
            limit("streams", 0),
            "spec.limits.streams in body should be greater than or equal to 1",
        ),
        bad(
            "too many streams",
            limit("streams", 10_000_001),
            "spec.limits.streams in body should be less than or equal to 10000000",
        ),
        bad(
            "more streams than a number holds",
            limit("streams", 1 << 31),
            "spec.limits.streams in body should be less than or equal to 10000000",
        ),
        bad(
            "messages of no bytes",
            limit("messageBytes", 0),
            "spec.limits.messageBytes in body should be greater than or equal to 1",
        ),
        bad(
            "messages that are too large",
            limit("messageBytes", 1_048_577),
            "spec.limits.messageBytes in body should be less than or equal to 1048576",
        ),
        bad(
            "a size with its unit",
            json!({ "limits": { "messageBytes": "64Ki" } }),
            "spec.limits.messageBytes in body must be of type integer: \"string\"",
        ),
        bad(
            "nothing published",
            limit("publishPerSecond", 0),
            "spec.limits.publishPerSecond in body should be greater than or equal to 1",
        ),
        bad(
            "too much published",
            limit("publishPerSecond", 1_000_001),
            "spec.limits.publishPerSecond in body should be less than or equal to 1000000",
        ),
        bad(
            "no topics listened to",
            limit("topics", 0),
            "spec.limits.topics in body should be greater than or equal to 1",
        ),
        bad(
            "too many topics listened to",
            limit("topics", 1_000_001),
            "spec.limits.topics in body should be less than or equal to 1000000",
        ),
        bad(
            "no stream of a client",
            limit("streamsPerClient", 0),
            "spec.limits.streamsPerClient in body should be greater than or equal to 1",
        ),
        bad(
            "too many streams of a client",
            limit("streamsPerClient", 1_000_001),
            "spec.limits.streamsPerClient in body should be less than or equal to 1000000",
        ),
    ]
}

fn scaling() -> Vec<Bad> {
    let scaling = |field: &str, value: i64| json!({ "scaling": { field: value } });
    vec![
        bad(
            "more replicas at least than at most",
            json!({ "scaling": { "minReplicas": 3, "maxReplicas": 2 } }),
            "spec.scaling: Invalid value: minReplicas must not be greater than maxReplicas",
        ),
        bad(
            "no replicas at least",
            scaling("minReplicas", 0),
            "spec.scaling.minReplicas in body should be greater than or equal to 1",
        ),
        bad(
            "too many replicas at least",
            scaling("minReplicas", 1001),
            "spec.scaling.minReplicas in body should be less than or equal to 1000",
        ),
        bad(
            "no replicas at most",
            scaling("maxReplicas", 0),
            "spec.scaling.maxReplicas in body should be greater than or equal to 1",
        ),
        bad(
            "too many replicas at most",
            scaling("maxReplicas", 1001),
            "spec.scaling.maxReplicas in body should be less than or equal to 1000",
        ),
        bad(
            "no streams for a replica",
            scaling("streamsPerReplica", 0),
            "spec.scaling.streamsPerReplica in body should be greater than or equal to 1",
        ),
        bad(
            "too many streams for a replica",
            scaling("streamsPerReplica", 10_000_001),
            "spec.scaling.streamsPerReplica in body should be less than or equal to 10000000",
        ),
    ]
}
