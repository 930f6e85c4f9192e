//! Manifests that are wrong in one thing, and what the API server says to each.
//!
//! Owns: that every field and bound of the schema is held, in words that name the field and what it takes.
//! Never: repeats what only the operator can know (`tests/it/rules.rs`).

use super::{CHANNELS, Cluster, channel, cluster, patch};
use serde_json::{Value, json};
use tests::cluster::ADMIN;

mod access;
mod delivery;
mod names;
mod redis;
mod tokens;

/// A manifest that is wrong in one thing.
#[derive(Clone)]
struct Bad {
    /// What is wrong.
    what: &'static str,
    manifest: Value,
    /// Stands in the message: the field, and what it takes.
    says: &'static str,
}

fn bad(what: &'static str, spec: Value, says: &'static str) -> Bad {
    Bad {
        what,
        manifest: channel("orders", spec),
        says,
    }
}

/// A spec with one rule for listening.
fn subscribe(rule: Value) -> Value {
    json!({ "access": { "subscribe": [rule] } })
}

fn table() -> Vec<Bad> {
    let tables = [
        names::table(),
        redis::table(),
        delivery::table(),
        access::table(),
        tokens::table(),
    ];
    tables.concat()
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_a_message_that_helps() {
    let cluster = cluster().await;
    let table = table();
    assert!(table.len() >= 140, "only {} rows", table.len());
    let mut faults = Vec::new();
    for row in &table {
        // A strict client takes unknown fields for mistakes, as `kubectl` does. Nothing is kept.
        let path = format!("{CHANNELS}?dryRun=All&fieldValidation=Strict");
        let answer = cluster.create(&path, &row.manifest).await;
        let message = answer.json()["message"].take();
        let message = message.as_str().unwrap_or_default();
        if ![400, 422].contains(&answer.status) || !message.contains(row.says) {
            let status = answer.status;
            faults.push(format!(
                "{}: not {:?}, but: {status} {message}",
                row.what, row.says
            ));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[tokio::test]
async fn kubectl_apply_prints_why_each_manifest_is_refused() {
    let cluster = cluster().await;
    // Each from another table, all in one file, a good one among them.
    let chosen = [
        "an unknown field far inside",
        "a gateway in capitals",
        "a brace that is not closed",
        "a password in the URL",
        "a ttl in days",
        "more replicas at least than at most",
        "a rule of two kinds",
        "an origin with a slash",
        "the algorithm none",
        "neither jwks nor key",
    ];
    let table = table();
    let rows = chosen.map(|what| {
        let row = table.iter().find(|row| row.what == what);
        row.unwrap_or_else(|| panic!("no row {what}"))
    });
    let mut documents: Vec<String> = rows.map(|row| row.manifest.to_string()).into();
    documents.insert(5, channel("good", json!({})).to_string());
    let refused = cluster
        .kubectl_as(ADMIN, &["apply", "-f", "-"], &documents.join("\n---\n"))
        .await
        .unwrap_err();
    for row in rows {
        assert!(refused.contains(row.says), "{}: {refused}", row.what);
    }
    let kept = cluster.kubectl(&["get", "sch", "--output=name"]).await;
    assert_eq!(kept, "channel.siar.dev/good\n");
}

#[tokio::test]
async fn a_channel_stays_with_its_gateway() {
    let cluster = cluster().await;
    let _ = cluster
        .create(CHANNELS, &channel("orders", json!({ "gateway": "public" })))
        .await
        .expect(201);
    let says = "spec.gateway: Invalid value: \"internal\": a Channel stays with its gateway; create a new Channel instead";
    check_change(&cluster, json!({ "gateway": "internal" }), says).await;
    // Left out is the default, not what was.
    let says = "spec.gateway: Invalid value: \"default\": a Channel stays with its gateway";
    check_change(&cluster, json!({ "gateway": null }), says).await;
    // All else may change, as often as one likes.
    let change = json!({ "spec": { "gateway": "public", "topics": ["a"], "wildcard": true } });
    let _ = patch(&cluster, "orders", &change).await.expect(200);
}

async fn check_change(cluster: &Cluster, spec: Value, says: &str) {
    let answer = patch(cluster, "orders", &json!({ "spec": spec })).await;
    let answer = answer.expect(422);
    assert!(
        answer.text().contains(&says.replace('"', "\\\"")),
        "{says}: {}",
        answer.text()
    );
}
