//! What is bounded: series by Channels and not by clients, the form of probes and status, and what a log may say.

use super::{METRICS, on, text};
use crate::{Channel, Gateway, GatewaySetup, Redis};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tests::http::Ask;
use tests::manifest::secret;
use tests::wait::until_time;

#[tokio::test]
async fn series_are_as_many_as_channels_whatever_clients_do() {
    let channel = Channel::open("c")
        .topics(&["c.{n}"])
        .tokens("subscribe", "readers");
    let readers = secret("readers", &[("ana", "token-ana")]);
    let setup = GatewaySetup::new().file("c", vec![channel.manifest(), readers]);
    let gateway = setup.start().await;
    let series = |text: &str| -> BTreeSet<String> {
        // Each worker tells for itself from the moment when its thread runs.
        let of_clients =
            |line: &&str| line.starts_with("siar_") && !line.starts_with("siar_worker_busy_ratio");
        let lines = text.lines().filter(of_clients);
        lines
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(name, _)| name.to_owned())
            .collect()
    };
    let before = series(&text(&gateway).await);
    let mut listeners = Vec::new();
    for n in 0..50 {
        let topic = format!("c.topic-{n}");
        listeners.push(gateway.listen(&topic).token("token-ana").await);
        gateway
            .publish_with(&[("channel", &topic), ("type", "kind-of-event")], "x")
            .await;
        gateway.listen(&format!("other-{n}")).refused().await;
        gateway.get(&format!("/path-{n}")).await;
        gateway
            .listen(&topic)
            .token(&format!("wrong-{n}"))
            .refused()
            .await;
    }
    let after = series(&text(&gateway).await);
    assert_eq!(
        after.difference(&before).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
    let labels = |line: &str| -> BTreeSet<String> {
        let inner = line
            .split_once('{')
            .map_or("", |(_, rest)| rest.trim_end_matches('}'));
        let pairs = inner.split("\",").filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(name, _)| name.to_owned())
            .filter(|name| name != "gateway" && name != "le")
            .collect()
    };
    for line in &after {
        let name = line.split('{').next().unwrap();
        let Some((_, expected)) = METRICS.iter().find(|(known, _)| *known == name) else {
            continue;
        };
        let expected: BTreeSet<String> = expected.iter().map(|&label| label.into()).collect();
        assert_eq!(labels(line), expected, "{line}");
    }
    // A Channel that is gone takes its series along.
    drop(listeners);
    gateway.until_metric("siar_streams", &[], 0.0).await;
    gateway.remove("c").await;
    let sweep = Duration::from_secs(90);
    until_time(sweep, "the series of the Channel to go", || async {
        if gateway
            .metrics()
            .await
            .has("siar_streams", &[("channel", "c")])
        {
            Err("they are there".into())
        } else {
            Ok(())
        }
    })
    .await;
}

#[tokio::test]
async fn probes_and_status_have_their_form() {
    let gateway = Gateway::serving(&Channel::open("c")).await;
    let _streams = (gateway.listen("c").await, gateway.listen("c").await);
    for path in ["/livez", "/readyz"] {
        let answer = Ask::get(gateway.admin(), path).send().await.expect(200);
        assert_eq!(answer.text(), "ok\n", "{path}");
    }
    let status = gateway.status().await;
    let keys: Vec<&String> = status.as_object().unwrap().keys().collect();
    assert_eq!(
        json!(keys),
        json!([
            "broker", "channels", "draining", "formats", "revision", "streams"
        ])
    );
    assert_eq!(status["draining"], false);
    assert_eq!(status["streams"], 2);
    assert_eq!(status["channels"]["default/c"]["streams"], 2);
    assert_eq!(status["broker"], "memory");
    for (address, path, expected) in [
        (gateway.admin(), "/stream", 404),
        (gateway.public(), "/metrics", 404),
        (gateway.public(), "/status", 404),
        (gateway.public(), "/readyz", 404),
    ] {
        assert_eq!(
            Ask::get(address, path).send().await.status,
            expected,
            "{path}"
        );
    }
    let redis = Redis::start().await;
    let shared = on(&redis).await;
    assert_eq!(shared.status().await["broker"], "redis");
}

#[tokio::test]
async fn at_the_most_talkative_level_the_log_holds_no_token_and_no_payload() {
    let mut redis = Redis::start().await;
    let guarded = Channel::closed("c").history(10).ingest(&["FlaskSse"]);
    let guarded = guarded
        .tokens("subscribe", "readers")
        .tokens("publish", "writers");
    let documents = vec![
        guarded.manifest(),
        secret("readers", &[("ana", "hunter2-ana")]),
        secret("writers", &[("ed", "hunter2-ed")]),
    ];
    let setup = GatewaySetup::new().file("c", documents).redis(&redis.url());
    let mut gateway = setup.flag("--log", "trace").start().await;
    for http2 in [false, true] {
        let by = |route: &mut tests::wire::Route| route.http2 = http2;
        let mut listener = gateway.listen("c").token("hunter2-ana").by(by).await;
        let query = gateway
            .listen("c")
            .query("access_token", "hunter2-ana")
            .by(by);
        query.await.cursor().await;
        let cookie = gateway
            .listen("c")
            .header("Cookie", "siar_token=hunter2-ana")
            .by(by);
        cookie.await.cursor().await;
        let wrong = gateway.listen("c").token("hunter2-wrong").by(by);
        assert_eq!(wrong.refused().await.status, 401);
        let post = gateway
            .post(&[("channel", "c")], "hunter2 in the data")
            .by(by);
        let _ = post.token("hunter2-ed").send().await.expect(200);
        assert_eq!(listener.next().await.data, "hunter2 in the data");
        redis.publish("c", r#"{"data": "hunter2 raw"}"#).await;
        assert_eq!(listener.next().await.data, "hunter2 raw");
        redis.publish("c", "hunter2 is no message").await;
    }
    gateway
        .until_metric("siar_messages_malformed_total", &[], 2.0)
        .await;
    let log = gateway.process().log();
    let told: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("hunter2"))
        .collect();
    assert!(
        told.is_empty(),
        "{} lines, the first:\n{}",
        told.len(),
        told[0]
    );
    assert!(log.lines().count() > 20, "it says something:\n{log}");
    let metrics = text(&gateway).await + &gateway.status().await.to_string();
    assert!(!metrics.contains("hunter2") && !metrics.contains("ana"));
}
