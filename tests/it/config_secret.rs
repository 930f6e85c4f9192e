//! The configuration from the operator's Secret: what comes into force and when, and that nothing which happens to the
//! Secret or the API server disturbs what is in force.

use crate::{Channel, Gateway, Listener};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tests::cluster::{Cluster, Setup};
use tests::gateway::binary;
use tests::http::Ask;
use tests::issuer::base64;
use tests::manifest::secret;
use tests::published::{HOME, NEWER, SECRET, bind, follower, home, packed, publish, snapshot};
use tests::wait::until_time;
use tests::webhook::{Verdict, Webhook};

mod outage; // the API server is gone, frozen, or was never there

/// Who the gateway is to the cluster.
const ME: &str = "gateway";
/// A change takes no longer: between two tries are 5 s, the rest is for a busy machine.
const IN_TIME: Duration = Duration::from_secs(40);

async fn cluster() -> Cluster {
    let cluster = Setup::default().identity(ME, &[]).start().await;
    home(&cluster, ME).await;
    cluster
}

async fn until_served(gateway: &Gateway, topic: &str) {
    until_time(IN_TIME, format!("{topic} to be served"), || async {
        let path = format!("/history?channel={topic}");
        match gateway.get(&path).await.status {
            200 => Ok(()),
            other => Err(format!("it answers {other}")),
        }
    })
    .await;
}

/// What is published arrives at a stream that was open before.
async fn goes_on(gateway: &Gateway, topic: &str, listener: &mut Listener) {
    gateway.publish(topic, "it goes on").await;
    assert_eq!(listener.next().await.data, "it goes on");
}

async fn until_up(gateway: &Gateway, up: bool) {
    let up = f64::from(u8::from(up));
    until_time(IN_TIME, format!("the source to be up: {up}"), || async {
        let seen = gateway.metrics().await.sum("siar_config_source_up", &[]);
        if seen == up {
            Ok(())
        } else {
            Err(format!("it is {seen}"))
        }
    })
    .await;
}

/// How many lines of the log have these words.
fn told(gateway: &mut Gateway, words: &str) -> usize {
    let log = gateway.process().log();
    log.lines().filter(|line| line.contains(words)).count()
}

#[tokio::test]
async fn a_secret_that_appears_makes_the_gateway_ready() {
    let cluster = cluster().await;
    let mut gateway = follower(&cluster, ME).start_unready().await;
    until_up(&gateway, true).await;
    let ready = Ask::get(gateway.admin(), "/readyz")
        .send()
        .await
        .expect(503);
    assert_eq!(ready.text(), "not ready: no configuration yet\n");
    assert_eq!(gateway.listen("a").await.end().await.reason, "starting");
    let mut channel = Channel::open("a").manifest();
    channel["metadata"]["uid"] = json!("b0a7");
    channel["metadata"]["generation"] = json!(3);
    let published = snapshot(&[channel]);
    publish(&cluster, &published.pack()).await;
    gateway.until_ready().await;
    let mut listener = gateway.listen("a").await;
    goes_on(&gateway, "a", &mut listener).await;
    let status = gateway.status().await;
    assert_eq!(status["formats"], json!([1]));
    assert_eq!(status["revision"], json!(&*published.revision));
    let digest = &*published.policies()[0].digest;
    assert_eq!(
        status["channels"]["default/a"],
        json!({ "uid": "b0a7", "generation": 3, "digest": digest, "streams": 1 })
    );
    assert_eq!(told(&mut gateway, "it is not there yet"), 1);
}

#[tokio::test]
async fn the_right_to_one_secret_is_all_that_a_gateway_needs() {
    let cluster = cluster().await;
    publish(&cluster, &packed(&[&Channel::open("a")])).await;
    let gateway = follower(&cluster, ME).start().await;
    until_served(&gateway, "a").await;
    let name = ["create", "secret", "generic", "other", "--namespace", HOME];
    let _ = cluster.kubectl(&name).await;
    let secrets = format!("/api/v1/namespaces/{HOME}/secrets");
    for (method, path) in [
        ("GET", secrets.clone()),
        ("GET", format!("{secrets}/other")),
        (
            "GET",
            format!("{secrets}?fieldSelector=metadata.name%3Dother"),
        ),
        ("DELETE", format!("{secrets}/{SECRET}")),
        ("GET", "/api/v1/secrets".into()),
        ("GET", format!("/api/v1/namespaces/{HOME}/configmaps")),
        ("GET", "/apis/siar.dev/v1alpha1/channels".into()),
    ] {
        let answer = cluster.ask(ME, method, &path).send().await;
        assert_eq!(answer.status, 403, "{method} {path}");
    }
    let own = format!("{secrets}/{SECRET}");
    let _ = cluster.ask(ME, "GET", &own).send().await.expect(200);
}

#[tokio::test]
async fn a_token_that_is_gone_ends_its_streams_and_no_others() {
    let cluster = cluster().await;
    let guarded = Channel::closed("c")
        .tokens("subscribe", "readers")
        .manifest();
    let open = Channel::open("a").manifest();
    let with = |pairs: &[(&str, &str)]| {
        snapshot(&[guarded.clone(), open.clone(), secret("readers", pairs)]).pack()
    };
    publish(
        &cluster,
        &with(&[("ana", "token-ana"), ("ben", "token-ben")]),
    )
    .await;
    let gateway = follower(&cluster, ME).start().await;
    let mut ana = gateway.listen("c").channel("a").token("token-ana").await;
    let mut ben = gateway.listen("c").channel("a").token("token-ben").await;
    let mut anybody = gateway.listen("a").await;
    publish(&cluster, &with(&[("ben", "token-ben")])).await;
    assert_eq!(ana.end().await.reason, "revoked");
    goes_on(&gateway, "a", &mut ben).await;
    assert_eq!(anybody.next().await.data, "it goes on");
    let refused = gateway.listen("c").token("token-ana").refused().await;
    assert_eq!(refused.status, 401);
    gateway
        .until_metric("siar_config_applies_total", &[("result", "applied")], 2.0)
        .await;
}

#[tokio::test]
async fn what_cannot_be_read_and_what_is_deleted_changes_nothing() {
    let cluster = cluster().await;
    let [a, b] = ["a", "b"].map(|name| packed(&[&Channel::open(name)]));
    publish(&cluster, &a).await;
    let mut gateway = follower(&cluster, ME).start().await;
    let mut listener = gateway.listen("a").await;
    let rejected = [("result", "rejected")];
    for (count, bytes) in [(1.0, NEWER), (2.0, &a[..a.len() / 2]), (3.0, b"")] {
        publish(&cluster, bytes).await;
        gateway
            .until_metric("siar_config_applies_total", &rejected, count)
            .await;
        goes_on(&gateway, "a", &mut listener).await;
    }
    gateway.until_logged(&["format 2", "update"]).await;
    gateway.until_logged(&["WARN", "cut short"]).await;
    let _ = cluster
        .kubectl(&["delete", "secret", SECRET, "--namespace", HOME])
        .await;
    gateway.until_logged(&["it is deleted"]).await;
    goes_on(&gateway, "a", &mut listener).await;
    drop(gateway.listen("a").await);
    // The same again is no change, another one is.
    publish(&cluster, &a).await;
    publish(&cluster, &b).await;
    until_served(&gateway, "b").await;
    assert_eq!(listener.end().await.reason, "deleted");
    let applied = [("result", "applied")];
    let metrics = gateway.metrics().await;
    assert_eq!(metrics.sum("siar_config_applies_total", &applied), 2.0);
    assert_eq!(metrics.sum("siar_config_applies_total", &rejected), 3.0);
    assert_eq!(told(&mut gateway, " WARN "), 4);
}

#[tokio::test]
async fn at_the_most_talkative_level_the_log_holds_neither_the_secret_nor_the_credentials() {
    let mut cluster = cluster().await;
    let [a, b] = ["a", "b"].map(|name| packed(&[&Channel::open(name)]));
    publish(&cluster, &a).await;
    let setup = follower(&cluster, ME).flag("--log", "trace");
    let mut gateway = setup.start().await;
    publish(&cluster, &b).await;
    until_served(&gateway, "b").await;
    publish(&cluster, NEWER).await;
    gateway.until_logged(&["format 2"]).await;
    cluster.kill9();
    until_up(&gateway, false).await;
    let log = gateway.process().log();
    assert!(log.contains("TRACE"), "it says something: {log}");
    for bytes in [&a, &b] {
        let data = base64(bytes);
        assert!(!log.contains(&data[40..80]), "the Secret is in the log");
    }
    assert!(!log.contains(&format!("token-of-{ME}")), "the token is");
}

#[tokio::test]
async fn without_credentials_the_gateway_says_so_and_does_not_start() {
    let secret = format!("{HOME}/{SECRET}");
    let arguments = ["--config-secret", &secret, "--listen", "127.0.0.1:0"];
    let output = std::process::Command::new(binary("siar-gateway"))
        .args(arguments)
        .args(["--admin", "127.0.0.1:0"])
        .env("KUBECONFIG", "/nowhere/at/all")
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("API server") && error.contains("kubeconfig"),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[tokio::test]
async fn channels_lead_neither_to_loopback_nor_to_the_api_server_unless_it_is_listed() {
    let cluster = cluster().await;
    let webhook = Webhook::start().await;
    webhook.answer(Verdict::allow_as("eve"));
    let rule = json!({ "webhook": { "url": webhook.url() } });
    let asking = Channel::closed("c").with("access", json!({ "subscribe": [rule] }));
    publish(&cluster, &packed(&[&asking])).await;
    let gateway = follower(&cluster, ME).start().await;
    let refused = gateway.listen("c").await.end().await;
    assert_eq!(refused.reason, "unavailable");
    assert!(webhook.asked().is_empty());
    let listed = follower(&cluster, ME).flag("--allow-targets", "127.0.0.1");
    let gateway = listed.start().await;
    gateway.listen("c").await.cursor().await;
    assert_eq!(webhook.asked().len(), 1);
}
