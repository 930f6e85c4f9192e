//! The real Flask app with the real library: its quickstart, and its own stream beside Siar's.

use super::{serve, sse};
use crate::Flask;
use serde_json::json;
use std::future::IntoFuture;

#[tokio::test]
async fn the_quickstart_reaches_a_listener_of_siar() {
    let (redis, gateway) = serve(&[sse()]).await;
    let flask = Flask::start(&redis.url()).await;
    let mut listener = gateway.listen("sse").await;
    flask.hello().await;
    let event = listener.next().await;
    assert_eq!(
        (event.kind.as_str(), event.data.as_str()),
        ("greeting", r#"{"message": "Hello!"}"#)
    );
}

#[tokio::test]
async fn a_parser_gets_the_same_from_flask_sse_and_from_siar() {
    let (mut redis, gateway) = serve(&[sse()]).await;
    let flask = Flask::start(&redis.url()).await;
    let mut ours = gateway.listen("sse").await;
    let theirs = tokio::spawn(flask.listen().into_future());
    redis.until_subscribers("sse", 2).await;
    let messages = [
        json!({ "data": "foo" }),
        json!({ "data": { "message": "Hello!" } }),
        json!({ "data": "foo\nbar" }),
        json!({ "data": "foo", "type": "example", "id": 5, "retry": 500 }),
        json!({ "data": "thing", "type": "example" }),
        json!({ "data": "whee", "id": "abc" }),
        json!({ "data": 5 }),
        json!({ "data": true }),
        json!({ "data": null }),
        json!({ "data": { "k": "é", "a": [1, 2.5, "豆腐"] } }),
        json!({ "data": "é€豆腐😀" }),
    ];
    for message in &messages {
        assert_eq!(
            flask.publish(message).await,
            2,
            "Flask-SSE and one gateway listen"
        );
    }
    let mut theirs = theirs.await.unwrap();
    for message in &messages {
        let (ours, mut theirs) = (ours.next().await, theirs.next().await);
        if theirs.id.is_empty() {
            // Until the app gives an id, ours is where the stream stands.
            theirs.id = "0-0".into();
        }
        assert_eq!(ours, theirs, "{message}");
    }
    flask.publish(&json!({ "data": "end" })).await;
    assert_eq!(ours.next().await, theirs.next().await);
    assert_eq!((ours.retry(), theirs.retry()), (Some(500), Some(500)));
}
