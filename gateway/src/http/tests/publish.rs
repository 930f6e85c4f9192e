//! Publishing and what is kept of it.

use super::*;
use crate::fixtures::{ANA, snapshot_for};
use futures_util::stream;

#[tokio::test]
async fn a_token_is_not_read_where_no_rule_reads_one() {
    let world = usual();
    let lines = [
        ("cookie", "siar_token=site-wide"),
        ("authorization", "Bearer x"),
    ];
    assert_eq!(
        world
            .ask("POST /publish?channel=open", &lines, "x")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn what_is_published_is_answered_and_kept() {
    let world = usual();
    let answer = world
        .ask("POST /publish?channel=open&type=t", &[], "a")
        .await;
    let first = answer.json();
    assert_eq!((answer.status, &first["channel"]), (200, &json!("open")));
    assert_eq!(first["id"], first["position"]);
    let body = r#"[{"channel": "open", "data": {"k": 1}, "id": "own"}, {"data": "b"}]"#;
    let json = [("content-type", "application/json")];
    let batch = world.ask("POST /publish", &json, body).await.json();
    let results = batch["results"].as_array().unwrap();
    assert_eq!(
        (&results[0]["id"], &results[1]["channel"]),
        (&json!("own"), &json!("sse"))
    );
    let history = world.ask("GET /history?channel=open", &[], "").await.json();
    assert_eq!(history["position"], results[0]["position"]);
    let messages = history["messages"].as_array().unwrap();
    assert_eq!(messages[0]["type"], "t");
    assert_eq!(
        (&messages[1]["id"], &messages[1]["data"]),
        (&json!("own"), &json!("{\"k\": 1}"))
    );
    let none = world
        .ask("GET /presence?channel=open", &[], "")
        .await
        .json();
    assert_eq!(
        none,
        json!({"channel": "open", "streams": 0, "identities": [], "complete": true})
    );
}

#[tokio::test]
async fn a_list_is_published_whole_or_not_at_all() {
    let world = usual();
    let json = [("content-type", "application/json")];
    for (body, status) in [
        (
            r#"[{"channel": "open", "data": 1}, {"channel": "closed", "data": 1}]"#,
            401,
        ),
        (
            r#"[{"channel": "open", "data": 1}, {"channel": "none", "data": 1}]"#,
            404,
        ),
        (
            r#"[{"channel": "open", "data": 1}, {"channel": "open"}]"#,
            400,
        ),
    ] {
        assert_eq!(world.ask("POST /publish", &json, body).await.status, status);
    }
    let history = world.ask("GET /history?channel=open", &[], "").await.json();
    assert_eq!(history["messages"], json!([]));
}

#[tokio::test]
async fn the_same_key_publishes_once() {
    let world = usual();
    let key = [("idempotency-key", "k")];
    let first = world.ask("POST /publish?channel=open", &key, "a").await;
    let again = world.ask("POST /publish?channel=open", &key, "a").await;
    assert_eq!(
        (first.json(), first.header("idempotency-replayed")),
        (again.json(), "")
    );
    assert_eq!(again.header("idempotency-replayed"), "true");
    let other = world.ask("POST /publish?channel=open", &key, "b").await;
    assert_eq!((other.status, &*other.word()), (422, "key-conflict"));
}

#[tokio::test]
async fn bounds_of_size_and_rate_are_told() {
    let world = usual();
    let large = world
        .ask("POST /publish?channel=open", &[], &"x".repeat(101))
        .await;
    assert_eq!((large.status, &*large.word()), (413, "too-large"));
    let json = [("content-type", "application/json")];
    let item = format!(r#"{{"channel": "open", "data": "{}"}}"#, "x".repeat(101));
    assert_eq!(
        world.ask("POST /publish", &json, &item).await.word(),
        "too-large"
    );
    for _ in 0..4 {
        assert_eq!(
            world
                .ask("POST /publish?channel=open", &[], "x")
                .await
                .status,
            200
        );
    }
    let fast = world
        .refused("POST /publish?channel=open", &[], 429, "rate")
        .await;
    assert_eq!(fast.header("retry-after"), "1");
}

#[tokio::test]
async fn a_stranger_is_not_asked_for_more_than_a_small_list() {
    let world = world(Some(snapshot(&[("closed", tokens())])));
    let json = [("content-type", "application/json")];
    let list = |bytes| {
        format!(
            r#"[{{"channel": "closed", "data": "{}"}}]"#,
            "x".repeat(bytes)
        )
    };
    for body in [list(10), list(100_000)] {
        assert_eq!(
            world.ask("POST /publish", &json, &body).await.word(),
            "no-token"
        );
    }
    let holder = [json[0], ("authorization", &format!("Bearer {ANA}"))];
    assert_eq!(
        world
            .ask("POST /publish", &holder, &list(100_000))
            .await
            .word(),
        "too-large"
    );
}

#[tokio::test]
async fn what_is_revoked_while_a_body_arrives_is_not_published() {
    let world = usual();
    let token = format!("Bearer {ANA}");
    let lines = [("authorization", &*token)];
    let changing = |holders: &'static [(&str, &str)]| {
        let snapshots = world.snapshots.clone();
        Body::from_stream(stream::once(async move {
            snapshots.send_replace(Some(snapshot_for(holders, &[("closed", tokens())])));
            Ok::<_, std::io::Error>("x")
        }))
    };
    let line = "POST /publish?channel=closed";
    let published = world
        .ask_with(line, &lines, changing(&[("ana", ANA), ("ben", "b")]))
        .await;
    assert_eq!(published.status, 200, "{}", published.text);
    let refused = world
        .ask_with(line, &lines, changing(&[("ben", "b")]))
        .await;
    assert_eq!((refused.status, &*refused.word()), (503, "unavailable"));
    let again = world.ask(line, &lines, "x").await;
    assert_eq!((again.status, &*again.word()), (401, "bad-token"));
}
