//! The harness itself: what the other tests rely on is true of the servers that they start.

use serde_json::json;
use std::future::IntoFuture;
use tests::browser::Browser;
use tests::certs::Certs;
use tests::flask::Flask;
use tests::redis::{Redis, Setup};

mod groups; // sentinels and clusters

#[tokio::test]
async fn redis_comes_back_on_its_port_from_the_older_save() {
    let mut redis = Redis::start().await;
    let url = redis.url();
    let () = redis.run(redis::cmd("SET").arg("kept").arg("1")).await;
    redis.save().await;
    let () = redis.run(redis::cmd("SET").arg("lost").arg("1")).await;
    redis.kill9();
    redis.start_again().await;
    assert_eq!(redis.url(), url);
    let kept: (Option<String>, Option<String>) =
        redis.run(redis::cmd("MGET").arg("kept").arg("lost")).await;
    assert_eq!(kept, (Some("1".into()), None));
    redis.flush().await;
    let size: i64 = redis.run(&mut redis::cmd("DBSIZE")).await;
    assert_eq!(size, 0);
}

#[tokio::test]
async fn redis_takes_a_password_over_tls() {
    let mut redis = Setup::default()
        .password("s3cret")
        .tls(Certs::new())
        .start()
        .await;
    let name: String = redis.run(redis::cmd("PING").arg("over tls")).await;
    assert_eq!(name, "over tls");
    assert!(redis.url().starts_with("rediss://127.0.0.1:"));
}

#[tokio::test]
async fn connections_of_others_are_counted_and_cut_by_type() {
    let mut redis = Redis::start().await;
    assert_eq!(redis.connections().await, Vec::<String>::new());
    let mut heard = redis.hear(&["c"]).await;
    assert_eq!(redis.connections().await.len(), 1);
    assert_eq!(redis.publish("c", "x").await, 1);
    assert_eq!(heard.next().await, ("c".into(), "x".into()));
    redis.kill_clients("pubsub").await;
    assert_eq!(redis.subscribers("c").await, 0);
}

#[tokio::test]
async fn a_frozen_redis_answers_again_after_the_thaw() {
    let mut redis = Redis::start().await;
    redis.freeze();
    redis.thaw();
    let pong: String = redis.run(&mut redis::cmd("PING")).await;
    assert_eq!(pong, "PONG");
}

#[tokio::test]
async fn flask_sse_streams_what_its_app_publishes() {
    let mut redis = Redis::start().await;
    let flask = Flask::start(&redis.url()).await;
    // Its head comes with its first event.
    let opening = tokio::spawn(flask.listen().path("/stream").into_future());
    redis.until_subscribers("sse", 1).await;
    flask.hello().await;
    let mut listener = opening.await.unwrap();
    assert_eq!(
        listener.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    let event = listener.next().await;
    assert_eq!(
        (event.kind.as_str(), event.data.as_str()),
        ("greeting", "{\"message\": \"Hello!\"}")
    );
    assert_eq!(
        flask
            .publish(&json!({ "data": "foo", "type": "example", "id": 5, "retry": 500 }))
            .await,
        1
    );
    let event = listener.next().await;
    assert_eq!(
        (event.kind.as_str(), event.data.as_str(), event.id.as_str()),
        ("example", "foo", "5")
    );
    redis.publish("sse", r#"{"data": "end"}"#).await;
    assert_eq!(listener.next().await.data, "end");
    assert_eq!(listener.retry(), Some(500));
}

#[tokio::test]
async fn a_page_in_chromium_listens_with_its_own_event_source() {
    let mut redis = Redis::start().await;
    let flask = Flask::start(&redis.url()).await;
    let mut browser = Browser::start().await;
    browser
        .open(&format!("{}/?stream=/stream", flask.origin()))
        .await;
    redis.until_subscribers("sse", 1).await;
    flask.hello().await;
    browser.run("when(() => received.length === 1)").await;
    assert_eq!(
        browser.run("received").await,
        json!([{ "type": "greeting", "data": "{\"message\": \"Hello!\"}", "id": "" }])
    );
}
