//! The main job: a Flask app that knows nothing of Siar publishes, and a page gets it through its own `EventSource`.
//!
//! Owns: what a real browser does with a stream of Siar: events, types, ids, coming back, refusals.

use crate::{Browser, Channel, Flask, Gateway, GatewaySetup, Redis};
use serde_json::{Value, json};
use tests::http::encode;

/// The page of the Flask app, listening to a URL of Siar.
async fn page(flask: &Flask, url: &str) -> Browser {
    let mut browser = Browser::start().await;
    browser
        .open(&format!("{}/?stream={}", flask.origin(), encode(url)))
        .await;
    browser
}

/// What the page received, once it is `count` events.
async fn received(browser: &mut Browser, count: usize) -> Vec<Value> {
    browser
        .run(&format!("when(() => received.length >= {count})"))
        .await;
    browser.run("received").await.as_array().unwrap().clone()
}

/// The messages that the page received, once they are `count`; it may be told a gap besides.
async fn messages(browser: &mut Browser, count: usize) -> Vec<Value> {
    let messages = "received.filter(event => event.type !== 'siar.gap')";
    browser
        .run(&format!("when(() => {messages}.length >= {count})"))
        .await;
    browser.run(messages).await.as_array().unwrap().clone()
}

fn stream(gateway: &Gateway, query: &str) -> String {
    format!("http://{}/stream{query}", gateway.public())
}

#[tokio::test]
async fn a_page_gets_what_flask_publishes_and_resumes_after_the_gateway_was_killed() {
    let mut redis = Redis::start().await;
    let flask = Flask::start(&redis.url()).await;
    let mut gateway = GatewaySetup::new().redis(&redis.url()).start().await;
    let manifest = format!(
        "# What a team writes to move its Flask-SSE app to Siar.
apiVersion: siar.dev/v1alpha1
kind: Channel
metadata:
  name: sse
spec:
  ingest: [FlaskSse]
  history: {{size: 1000, ttl: 1h}}
  access:
    origins: [\"{}\"]
    subscribe:
      - anonymous: {{}}
  stream: {{heartbeat: 1s, retry: 100ms, maxAge: 30m}}
",
        flask.origin()
    );
    gateway.write("sse", &manifest);
    // The holder of the ingest lease listens even when no browser does.
    redis.until_subscribers("sse", 1).await;

    let mut browser = page(&flask, &stream(&gateway, "")).await;
    browser.run("when(() => opened === 1)").await;
    flask.hello().await;
    for step in 0..5 {
        flask
            .publish(&json!({ "data": { "step": step }, "type": "step" }))
            .await;
    }
    let before = received(&mut browser, 6).await;

    // Published, perhaps not yet received, when the gateway dies.
    for step in 5..10 {
        flask
            .publish(&json!({ "data": { "step": step }, "type": "step" }))
            .await;
    }
    kept(&mut redis, 11).await;
    gateway.kill9();
    gateway.restart_same_port().await;
    redis.until_subscribers("sse", 1).await;
    for step in 10..15 {
        flask
            .publish(&json!({ "data": { "step": step }, "type": "step" }))
            .await;
    }
    let all = messages(&mut browser, 16).await;
    assert_eq!(all[..6], before, "what was received stays");
    assert_eq!(all[0]["type"], "greeting");
    assert_eq!(all[0]["data"], r#"{"message": "Hello!"}"#);
    for (step, event) in all[1..].iter().enumerate() {
        assert_eq!(event["type"], "step", "{all:?}");
        assert_eq!(event["data"], format!(r#"{{"step": {step}}}"#), "{all:?}");
    }
    let offset = |event: &Value| -> u64 {
        let id = event["id"].as_str().unwrap();
        id.split_once('-')
            .unwrap_or_else(|| panic!("no position: {id:?}"))
            .1
            .parse()
            .unwrap()
    };
    assert!(all.iter().map(offset).eq(1..=16), "{all:?}");

    // Nothing more comes: the next thing that the page gets is the next that is published.
    flask.publish(&json!({ "data": "end" })).await;
    let all = messages(&mut browser, 17).await;
    assert_eq!((all.len(), &all[16]["data"]), (17, &json!("end")));
    // Nobody numbered raw messages between the kill and the start: that some may be missing is told once.
    let gaps = browser
        .run("received.filter(event => event.type === 'siar.gap').map(event => event.data)")
        .await;
    let ingest = json!([r#"{"channel":"sse","reason":"ingest"}"#]);
    assert!(gaps == json!([]) || gaps == ingest, "{gaps}");
    assert!(
        browser.run("opened").await.as_u64() >= Some(2),
        "the page came back"
    );
}

/// Waits until the history of `sse` holds `count` messages.
async fn kept(redis: &mut Redis, count: i64) {
    let end = std::time::Instant::now() + tests::wait::DEADLINE;
    loop {
        let seen: i64 = redis
            .run(redis::cmd("XLEN").arg("siar:{default/sse}:h"))
            .await;
        if seen == count {
            return;
        }
        assert!(
            std::time::Instant::now() < end,
            "{seen} messages are kept, not {count}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_type_decides_which_listener_of_the_page_fires() {
    let mut redis = Redis::start().await;
    let flask = Flask::start(&redis.url()).await;
    let sse = Channel::open("sse")
        .ingest(&["FlaskSse"])
        .origins(&[&flask.origin()]);
    let gateway = GatewaySetup::new()
        .channel(&sse)
        .redis(&redis.url())
        .start()
        .await;
    let mut browser = page(&flask, &stream(&gateway, "?channel=sse")).await;
    browser.run("when(() => opened === 1)").await;
    redis.until_subscribers("sse", 1).await;
    flask
        .publish(&json!({ "data": "thing", "type": "example" }))
        .await;
    flask
        .publish(&json!({ "data": "nobody listens to this", "type": "unheard" }))
        .await;
    flask
        .publish(&json!({ "data": "plain", "id": "own" }))
        .await;
    let all = received(&mut browser, 2).await;
    assert_eq!(
        all,
        [
            // Without an id of its own the id is where the stream stands.
            json!({ "type": "example", "data": "thing", "id": "0-0" }),
            json!({ "type": "message", "data": "plain", "id": "own" }),
        ]
    );
}

#[tokio::test]
async fn a_stream_that_drops_before_its_first_message_loses_nothing() {
    let redis = Redis::start().await;
    let flask = Flask::start(&redis.url()).await;
    let channel = Channel::open("c")
        .history(100)
        .origins(&[&flask.origin()])
        .stream("15s", "100ms", "30m");
    let mut gateway = GatewaySetup::new()
        .channel(&channel)
        .redis(&redis.url())
        .start()
        .await;
    let mut browser = page(&flask, &stream(&gateway, "?channel=c")).await;
    browser.run("when(() => opened === 1)").await;
    gateway.kill9();
    let other = GatewaySetup::new()
        .channel(&channel)
        .redis(&redis.url())
        .start()
        .await;
    other.publish("c", "while nobody listened").await;
    gateway.restart_same_port().await;
    let all = received(&mut browser, 1).await;
    assert_eq!(all[0]["data"], "while nobody listened");
}

#[tokio::test]
async fn the_id_of_a_gap_is_where_the_page_goes_on_so_one_loss_is_told_once() {
    let redis = Redis::start().await;
    let flask = Flask::start(&redis.url()).await;
    let channel = Channel::open("c")
        .history(2)
        .origins(&[&flask.origin()])
        .stream("15s", "100ms", "30m");
    let mut gateway = GatewaySetup::new()
        .channel(&channel)
        .redis(&redis.url())
        .start()
        .await;
    let mut browser = page(&flask, &stream(&gateway, "?channel=c")).await;
    browser.run("when(() => opened === 1)").await;
    gateway.publish("c", "0").await;
    received(&mut browser, 1).await;
    gateway.kill9();
    let other = GatewaySetup::new()
        .channel(&channel)
        .redis(&redis.url())
        .start()
        .await;
    for n in 1..6 {
        other.publish("c", n.to_string()).await;
    }
    gateway.restart_same_port().await;
    received(&mut browser, 4).await;
    gateway.kill9();
    gateway.restart_same_port().await;
    gateway.publish("c", "6").await;
    let all = received(&mut browser, 5).await;
    let seen: Vec<&str> = all
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        seen,
        ["message", "siar.gap", "message", "message", "message"],
        "{all:?}"
    );
    let data: Vec<&Value> = all.iter().map(|event| &event["data"]).collect();
    assert_eq!(data[2..], [&json!("4"), &json!("5"), &json!("6")]);
}

#[tokio::test]
async fn a_permanent_refusal_stops_the_page_and_a_passing_one_does_not() {
    let redis = Redis::start().await;
    let flask = Flask::start(&redis.url()).await;
    let open = Channel::open("open")
        .origins(&[&flask.origin()])
        .stream("15s", "100ms", "30m")
        .limit("streams", 1);
    let gateway = GatewaySetup::new().channel(&open).start().await;
    let mut stopped = page(&flask, &stream(&gateway, "?channel=unknown")).await;
    stopped.run("when(() => stopped)").await;
    assert_eq!(stopped.run("opened").await, json!(0));

    let held = gateway.listen("open").await;
    let mut waiting = page(&flask, &stream(&gateway, "?channel=open")).await;
    let all = received(&mut waiting, 1).await;
    assert_eq!(all[0]["type"], "siar.end");
    assert_eq!(all[0]["data"], r#"{"reason":"capacity"}"#);
    assert_eq!(waiting.run("stopped").await, json!(false));
    drop(held);
}
