//! What the API server makes of Channels: what it refuses and how it says so, what it keeps, what it shows.
//!
//! Owns: the CRD as it is printed, on an API server of each test's own. Never: runs a gateway or an operator, so what
//! is refused here was refused by the schema.

use serde_json::{Value, json};
use tests::cluster::{ADMIN, Cluster};
use tests::http::Answer;
use tests::wait::{until, within};

mod bad;
mod good;

const CHANNELS: &str = "/apis/siar.dev/v1alpha1/namespaces/default/channels";

async fn cluster() -> Cluster {
    let cluster = Cluster::start().await;
    cluster.install_crd().await;
    cluster
}

fn channel(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "siar.dev/v1alpha1",
        "kind": "Channel",
        "metadata": { "name": name, "namespace": "default" },
        "spec": spec,
    })
}

/// Changes a Channel, or with `orders/status` its status.
async fn patch(cluster: &Cluster, name: &str, change: &Value) -> Answer {
    cluster.merge(&format!("{CHANNELS}/{name}"), change).await
}

#[tokio::test]
async fn the_definition_is_accepted_without_a_warning() {
    let cluster = Cluster::start().await;
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crds/channels.siar.dev.yaml"
    );
    let ask = cluster.ask(ADMIN, "PATCH", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/channels.siar.dev?fieldManager=test&fieldValidation=Strict");
    let ask = ask.header("Content-Type", "application/apply-patch+yaml");
    let yaml = std::fs::read(file).unwrap();
    let answer = ask.body(yaml).send().await.expect(201);
    assert_eq!(answer.header("warning"), None);
    cluster
        .kubectl(&[
            "wait",
            "--for=condition=Established",
            "crd/channels.siar.dev",
        ])
        .await;
    let crd = cluster
        .kubectl(&["get", "crd", "channels.siar.dev", "--output=json"])
        .await;
    let crd: Value = serde_json::from_str(&crd).unwrap();
    for condition in crd["status"]["conditions"].as_array().unwrap() {
        let right = ["Established", "NamesAccepted"]
            .iter()
            .any(|known| condition["type"] == *known);
        assert!(right && condition["status"] == "True", "{condition}");
    }
}

#[tokio::test]
async fn kubectl_get_shows_the_columns_that_matter() {
    let cluster = cluster().await;
    cluster
        .apply(&channel("orders", json!({ "gateway": "public" })))
        .await;
    cluster.apply(&channel("invoices", json!({}))).await;
    let status = json!({ "status": { "streams": 1234, "programmed": "2/3" } });
    let _ = patch(&cluster, "orders/status", &status).await.expect(200);
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let table = cluster.kubectl(&["get", "sch"]).await;
    let lines: Vec<_> = table.lines().map(words).collect();
    assert_eq!(
        lines[0],
        ["NAME", "READY", "GATEWAY", "STREAMS", "PROGRAMMED", "AGE"]
    );
    assert_eq!(lines[1][..3], ["invoices", "Unknown", "default"], "{table}");
    assert_eq!(
        lines[2][..5],
        ["orders", "Unknown", "public", "1234", "2/3"],
        "{table}"
    );
    let wide = cluster.kubectl(&["get", "sch", "--output=wide"]).await;
    let lines: Vec<_> = wide.lines().map(words).collect();
    let columns = [
        "NAME",
        "READY",
        "REASON",
        "GATEWAY",
        "STREAMS",
        "PROGRAMMED",
        "AGE",
    ];
    assert_eq!(lines[0], columns);
    assert_eq!(
        lines[1][..4],
        ["invoices", "Unknown", "Pending", "default"],
        "{wide}"
    );
    for all in ["channels", "channel", "siar"] {
        let selector = "--field-selector=spec.gateway=public";
        let names = cluster
            .kubectl(&["get", all, selector, "--output=name"])
            .await;
        assert_eq!(names, "channel.siar.dev/orders\n", "{all}");
    }
}

#[tokio::test]
async fn kubectl_explain_reads_well() {
    let cluster = cluster().await;
    let explain = async |path: &str| {
        // The descriptions are published a moment after the kind is served.
        let text = until("the kind to be described", || async {
            cluster.kubectl_as(ADMIN, &["explain", path], "").await
        });
        let text = text.await;
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for (path, sentences) in [
        (
            "sch",
            &[
                "A Channel declares topics that browsers listen to with EventSource and that apps publish to",
            ][..],
        ),
        (
            "sch.spec.access",
            &[
                "Who may listen and publish. When left out, nobody may.",
                "Who may listen. The first rule that admits decides; without rules nobody may.",
                "The origins whose pages may read the Channel, such as `https://shop.example.com`.",
            ],
        ),
        (
            "sch.spec.access.subscribe",
            &[
                "Exactly one kind is set.",
                "Admits service accounts of the cluster that RBAC allows the verb `subscribe` or `publish` on this Channel.",
                "A condition in CEL that must hold, too, such as `claims.sub == topic.user`.",
            ],
        ),
        (
            "sch.spec.access.subscribe.jwt.algorithms",
            &[
                "HS256, HS384, HS512, RS256, RS384, RS512, PS256, ES256, ES384 or EdDSA",
                "The algorithms that a token may be signed with; none is assumed.",
            ],
        ),
        ("sch.spec.stream.maxAge", &["1m to 24h, or 0s for never."]),
        ("sch.status.conditions", &["Accepted: the spec is right."]),
    ] {
        let text = explain(path).await;
        for sentence in sentences {
            assert!(
                text.contains(sentence),
                "{path}: {sentence:?} is not in {text}"
            );
        }
        assert!(
            !text.contains("[`") && !text.contains("<empty>"),
            "{path}: {text}"
        );
    }
}

#[tokio::test]
async fn a_channel_has_four_conditions_from_its_first_second() {
    let cluster = cluster().await;
    let created = created(&cluster).await;
    let expected = ["Accepted", "ResolvedRefs", "Programmed", "Ready"].map(|condition| {
        json!({
            "type": condition,
            "status": "Unknown",
            "reason": "Pending",
            "message": "no operator serves this gateway yet: check spec.gateway",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        })
    });
    assert_eq!(created["status"], json!({ "conditions": expected }));
    let unknown = [
        "wait",
        "--for=condition=Accepted=Unknown",
        "sch/orders",
        "--timeout=5s",
    ];
    cluster.kubectl(&unknown).await;
    let ready = [
        "wait",
        "--for=condition=Ready",
        "sch/orders",
        "--timeout=15s",
    ];
    let becomes_ready = async {
        let condition = json!([{
            "type": "Ready",
            "status": "True",
            "reason": "Ready",
            "message": "served by all gateway pods",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]);
        patch(
            &cluster,
            "orders/status",
            &json!({ "status": { "conditions": condition } }),
        )
        .await
    };
    let (waited, patched) = within("kubectl to see it ready", async {
        tokio::join!(cluster.kubectl(&ready), becomes_ready)
    })
    .await;
    let _ = patched.expect(200);
    assert_eq!(waited, "channel.siar.dev/orders condition met\n");
}

#[tokio::test]
async fn status_and_spec_are_written_apart() {
    let cluster = cluster().await;
    let created = created(&cluster).await;
    let both = json!({ "spec": { "topics": ["others"] }, "status": { "streams": 7 } });
    let answer = patch(&cluster, "orders/status", &both)
        .await
        .expect(200)
        .json();
    assert_eq!(answer["spec"], created["spec"]);
    assert_eq!(answer["status"]["streams"], 7);
    assert_eq!(answer["metadata"]["generation"], 1);
    let both = json!({ "spec": { "topics": ["others"] }, "status": { "streams": 8 } });
    let answer = patch(&cluster, "orders", &both).await.expect(200).json();
    assert_eq!(answer["spec"]["topics"], json!(["others"]));
    assert_eq!(answer["status"]["streams"], 7);
    assert_eq!(answer["metadata"]["generation"], 2);
    // What no operator writes is refused there, too.
    let wrong = json!({ "status": { "conditions": [{ "type": "Ready", "status": "Yes", "reason": "", "message": "", "lastTransitionTime": "now" }] } });
    let refused = patch(&cluster, "orders/status", &wrong)
        .await
        .expect(422)
        .text();
    for says in [
        "supported values: \\\"True\\\", \\\"False\\\", \\\"Unknown\\\"",
        "reason",
        "lastTransitionTime",
    ] {
        assert!(refused.contains(says), "{says}: {refused}");
    }
}

/// A Channel that says nothing, as it was stored.
async fn created(cluster: &Cluster) -> Value {
    let orders = channel("orders", json!({}));
    cluster.create(CHANNELS, &orders).await.expect(201).json()
}
