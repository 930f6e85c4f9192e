//! The events for the app: who came and who went, heard by a plain subscriber of Redis.

use super::{Duration, Gateway, GatewaySetup, Redis, chat, json, within_time};
use tests::manifest::secret;
use tests::redis::Heard;

const SUBSCRIBE: &str = "juggernaut:subscribe";
const UNSUBSCRIBE: &str = "juggernaut:unsubscribe";

async fn hear(redis: &Redis) -> Heard {
    redis.hear(&[SUBSCRIBE, UNSUBSCRIBE]).await
}

/// The next event: its Redis channel, the Juggernaut channel, the session; `meta` may be left out.
async fn event(heard: &mut Heard) -> (String, String, String, Option<serde_json::Value>) {
    let (channel, payload) = heard.next().await;
    let value: serde_json::Value = serde_json::from_str(&payload).unwrap();
    let text = |key: &str| {
        value[key]
            .as_str()
            .unwrap_or_else(|| panic!("no {key} in {payload}"))
            .to_owned()
    };
    (
        channel,
        text("channel"),
        text("session_id"),
        value.get("meta").cloned(),
    )
}

async fn session(listener: &mut tests::listen::Listener) -> String {
    listener.opened().await["session"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn coming_and_going_are_each_told_once_with_the_session() {
    let redis = Redis::start().await;
    let gateway = super::serve(&redis).await;
    let mut heard = hear(&redis).await;
    let mut listener = gateway.listen("c1").channel("c2").control().await;
    let session = session(&mut listener).await;
    let mut told = [event(&mut heard).await, event(&mut heard).await];
    told.sort_by(|a, b| a.1.cmp(&b.1));
    let expected = ["c1", "c2"].map(|channel| {
        (
            SUBSCRIBE.to_owned(),
            channel.to_owned(),
            session.clone(),
            None,
        )
    });
    assert_eq!(told, expected);
    drop(listener);
    let mut told = [event(&mut heard).await, event(&mut heard).await];
    told.sort_by(|a, b| a.1.cmp(&b.1));
    let expected = ["c1", "c2"].map(|channel| {
        (
            UNSUBSCRIBE.to_owned(),
            channel.to_owned(),
            session.clone(),
            None,
        )
    });
    assert_eq!(told, expected);
    // The next thing heard is of another stream: nothing was told twice.
    let _other = gateway.listen("/chat").await;
    assert_eq!(event(&mut heard).await.1, "/chat");
}

#[tokio::test]
async fn meta_is_the_verified_identity() {
    let redis = Redis::start().await;
    let gateway = GatewaySetup::new()
        .file(
            "chat",
            vec![
                chat().tokens("subscribe", "readers").manifest(),
                secret("readers", &[("ana", "token-of-ana")]),
            ],
        )
        .redis(&redis.url())
        .start()
        .await;
    let mut heard = hear(&redis).await;
    let listener = gateway.listen("c1").token("token-of-ana").await;
    let (_, channel, _, meta) = event(&mut heard).await;
    assert_eq!((channel.as_str(), meta), ("c1", Some(json!("ana"))));
    drop(listener);
}

#[tokio::test]
async fn a_client_that_vanished_is_told_too() {
    let redis = Redis::start().await;
    let setup = GatewaySetup::new()
        .channel(&chat().stream("1s", "2s", "30m"))
        .redis(&redis.url());
    let gateway = setup.start().await;
    let mut heard = hear(&redis).await;
    let mut listener = gateway.listen("c1").control().await;
    let session = session(&mut listener).await;
    assert_eq!(
        event(&mut heard).await,
        (SUBSCRIBE.into(), "c1".into(), session.clone(), None)
    );
    listener.vanish();
    let told = event_within(Duration::from_secs(60), &mut heard).await;
    assert_eq!(told, (UNSUBSCRIBE.into(), "c1".into(), session, None));
    drop(listener);
}

#[tokio::test]
async fn what_a_killed_gateway_owed_is_told_by_another() {
    let redis = Redis::start().await;
    let setup = GatewaySetup::new().channel(&chat()).redis(&redis.url());
    let (mut first, _second): (Gateway, Gateway) =
        (setup.clone().start().await, setup.start().await);
    let mut heard = hear(&redis).await;
    let mut listener = first.listen("c1").control().await;
    let session = session(&mut listener).await;
    assert_eq!(event(&mut heard).await.0, SUBSCRIBE);
    first.kill9();
    let told = event_within(Duration::from_secs(60), &mut heard).await;
    assert_eq!(told, (UNSUBSCRIBE.into(), "c1".into(), session, None));
}

#[tokio::test]
async fn what_a_gateway_that_leaves_owes_is_told_before_it_ends() {
    let redis = Redis::start().await;
    let mut gateway = super::serve(&redis).await;
    let mut heard = hear(&redis).await;
    let mut listener = gateway.listen("c1").control().await;
    let session = session(&mut listener).await;
    assert_eq!(event(&mut heard).await.0, SUBSCRIBE);
    gateway.term();
    assert!(gateway.exit().await.success());
    let told = event(&mut heard).await;
    assert_eq!(told, (UNSUBSCRIBE.into(), "c1".into(), session, None));
}

async fn event_within(
    limit: Duration,
    heard: &mut Heard,
) -> (String, String, String, Option<serde_json::Value>) {
    let (channel, payload) = within_time(limit, "an event for the app", heard.patiently()).await;
    let value: serde_json::Value = serde_json::from_str(&payload).unwrap();
    let text = |key: &str| value[key].as_str().unwrap().to_owned();
    (
        channel,
        text("channel"),
        text("session_id"),
        value.get("meta").cloned(),
    )
}
