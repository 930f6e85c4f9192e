//! Who may come in: tokens and where they may stand, anonymous Channels and pages of other sites. A refusal says what is missing, and no token is ever printed.

use crate::{Channel, Gateway, GatewaySetup};
use serde_json::{Value, json};
use tests::cluster::{Cluster, Setup};
use tests::http::{Answer, Ask};
use tests::listen::Listen;
use tests::manifest::secret;
use tests::wait::until;

mod jwks; // issuers in trouble and issuers that rotate
mod live; // what ends open streams: time, rules, keys
mod origins; // which pages may read and publish
mod reviews; // webhooks and service accounts
mod secrets; // no token and no key stands in anything that is written
mod table; // who comes with what, and what comes of it: every rule, each way in, each attack

const ANA: &str = "ana-and-nobody-else-knows-this";
const BEN: &str = "ben-and-nobody-else-knows-this";

/// The Channel `c` for whom the Secret `readers` knows: ana and ben, who may also publish.
fn guarded() -> Channel {
    Channel::closed("c")
        .tokens("subscribe", "readers")
        .tokens("publish", "readers")
}

fn readers() -> Value {
    secret("readers", &[("ana", ANA), ("ben", BEN)])
}

async fn serving(channel: &Channel) -> Gateway {
    GatewaySetup::new()
        .channel(channel)
        .file("readers", vec![readers()])
        .start()
        .await
}

/// Asserts status and word of a refusal, which is a problem as RFC 9457 wants it.
#[track_caller]
fn check(answer: &Answer, status: u16, word: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let problem = answer.json();
    let kind = problem["type"].as_str().unwrap();
    assert!(
        kind.ends_with(&format!("/{word}")),
        "{kind} is not about {word}"
    );
    assert_eq!(problem["status"], status);
    let detail = problem["detail"].as_str().unwrap();
    assert!(!detail.contains(ANA) && !detail.contains(BEN), "{detail}");
}

/// `base` with these further or other fields.
fn with(mut base: Value, more: Value) -> Value {
    let Value::Object(more) = more else {
        panic!("no object: {more}");
    };
    base.as_object_mut().expect("an object").extend(more);
    base
}

/// A cluster that answers the reviews of `gateway`, and in which `shop/reader` may listen to that Channel. It does
/// not know so at once: authorization by RBAC is eventual.
async fn reviewing(channel: &str) -> Cluster {
    const RBAC: &str = "rbac.authorization.k8s.io";
    let version = format!("{RBAC}/v1");
    let cluster = Setup::default().identity("gateway", &[]).start().await;
    let to = |kind: &str, name: &str| json!({ "kind": kind, "name": name, "apiGroup": RBAC });
    let named = json!({ "name": "reader", "namespace": "default" });
    let rule = json!({
        "apiGroups": ["siar.dev"], "resources": ["channels"], "resourceNames": [channel], "verbs": ["subscribe"],
    });
    let account = json!({ "kind": "ServiceAccount", "name": "reader", "namespace": "shop" });
    for object in [
        json!({
            "apiVersion": version, "kind": "ClusterRoleBinding", "metadata": { "name": "gateway" },
            "roleRef": to("ClusterRole", "system:auth-delegator"), "subjects": [to("User", "gateway")],
        }),
        json!({ "apiVersion": version, "kind": "Role", "metadata": named, "rules": [rule] }),
        json!({
            "apiVersion": version, "kind": "RoleBinding", "metadata": named,
            "roleRef": to("Role", "reader"), "subjects": [account],
        }),
    ] {
        cluster.apply(&object).await;
    }
    cluster
}

/// Waits until `reader` is let in, as [`reviewing`] says.
async fn until_rbac_counts(reader: Listen) {
    until("RBAC to count", || async {
        let opened = reader.try_open().await.expect("an answer");
        opened.map(drop).map_err(|answer| answer.text())
    })
    .await;
}

fn cookie(listen: Listen, token: &str) -> Listen {
    listen.header(
        "Cookie",
        &format!("theme=dark; siar_token={token}; lang=en"),
    )
}

#[tokio::test]
async fn a_token_may_stand_in_the_header_the_cookie_or_the_query() {
    let gateway = serving(&guarded()).await;
    let listen = || gateway.listen("c");
    let mut listeners = [
        listen().token(ANA).await,
        cookie(listen(), BEN).await,
        listen().query("access_token", ANA).await,
    ];
    let post = gateway.post(&[("channel", "c")], "hello");
    let _ = post.token(BEN).send().await.expect(200);
    for listener in &mut listeners {
        assert_eq!(listener.next().await.data, "hello");
    }
}

#[tokio::test]
async fn the_scheme_of_the_header_may_be_written_in_any_case() {
    let gateway = serving(&guarded()).await;
    let listen = gateway.listen("c");
    drop(
        listen
            .header("Authorization", &format!("bearer {ANA}"))
            .await,
    );
    let basic = gateway.listen("c").header("Authorization", "Basic YTpi");
    check(&basic.refused().await, 401, "no-token");
}

#[tokio::test]
async fn the_same_token_in_all_places_is_one_and_two_that_differ_are_refused() {
    let gateway = serving(&guarded()).await;
    let twice = |other: &str| cookie(gateway.listen("c").token(ANA), other);
    drop(twice(ANA).query("access_token", ANA).await);
    check(&twice(BEN).refused().await, 400, "two-tokens");
    let query = gateway.listen("c").token(ANA).query("access_token", BEN);
    check(&query.refused().await, 400, "two-tokens");
    let post = gateway.post(&[("channel", "c"), ("access_token", BEN)], "x");
    check(&post.token(ANA).send().await, 400, "two-tokens");
}

#[tokio::test]
async fn without_a_token_the_answer_asks_for_one() {
    let gateway = serving(&guarded()).await;
    let post = gateway.post(&[("channel", "c")], "x").send().await;
    let empty = gateway.listen("c").query("access_token", "");
    for answer in [
        gateway.listen("c").refused().await,
        empty.refused().await,
        post,
    ] {
        check(&answer, 401, "no-token");
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer realm=\"siar\"")
        );
    }
    gateway
        .until_metric("siar_refusals_total", &[("refusal", "no-token")], 3.0)
        .await;
}

#[tokio::test]
async fn a_token_of_nobody_is_refused_as_such() {
    let gateway = serving(&guarded()).await;
    let long = "x".repeat(4000);
    for token in ["nobody", &ANA[1..], &ANA.to_uppercase(), &long] {
        let answer = gateway.listen("c").token(token).refused().await;
        check(&answer, 401, "bad-token");
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer realm=\"siar\", error=\"invalid_token\"")
        );
    }
    let post = gateway.post(&[("channel", "c")], "x").token("nobody");
    check(&post.send().await, 401, "bad-token");
}

#[tokio::test]
async fn a_bad_token_is_refused_even_beside_a_rule_for_anybody() {
    let rules = json!([{ "anonymous": {} }, { "tokens": { "secretRef": { "name": "readers" } } }]);
    let channel = Channel::closed("c").with("access", json!({ "subscribe": rules }));
    let gateway = serving(&channel).await;
    drop(gateway.listen("c").await);
    drop(gateway.listen("c").token(ANA).await);
    let answer = gateway.listen("c").token("nobody").refused().await;
    check(&answer, 401, "bad-token");
}

#[tokio::test]
async fn where_anybody_may_come_in_a_token_is_not_even_read() {
    let gateway = serving(&Channel::open("c")).await;
    let bad = cookie(gateway.listen("c"), "nobody").token("another");
    let mut listener = bad.await;
    let post = gateway.post(&[("channel", "c"), ("access_token", "nobody")], "x");
    let _ = post.token("another").send().await.expect(200);
    assert_eq!(listener.next().await.data, "x");
}

#[tokio::test]
async fn the_right_to_listen_is_not_the_right_to_publish() {
    let channel = Channel::closed("c").tokens("subscribe", "readers");
    let gateway = serving(&channel).await;
    drop(gateway.listen("c").token(ANA).await);
    let post = gateway.post(&[("channel", "c")], "x").token(ANA);
    check(&post.send().await, 403, "not-admitted");
    let post = gateway.post(&[("channel", "c")], "x");
    check(&post.send().await, 403, "not-admitted");
}

#[tokio::test]
async fn a_channel_without_rules_admits_nobody() {
    let gateway = serving(&Channel::closed("c")).await;
    let listen = gateway.listen("c").token(ANA);
    check(&listen.refused().await, 403, "not-admitted");
    let history = gateway.get("/history?channel=c").await;
    check(&history, 403, "not-admitted");
}

#[tokio::test]
async fn every_topic_of_a_stream_must_be_admitted() {
    let gateway = GatewaySetup::new()
        .channel(&guarded())
        .channel(&Channel::open("a"))
        .file("readers", vec![readers()])
        .start()
        .await;
    let both = || gateway.listen("c").channel("a");
    let answer = both().refused().await;
    check(&answer, 401, "no-token");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("\"c\""), "{detail}");
    drop(both().token(ANA).await);
}

#[tokio::test]
async fn tokens_stand_neither_in_the_log_nor_in_metrics_nor_in_the_status() {
    const WRONG: &str = "a-wrong-token-that-must-not-be-shown";
    let mut gateway = GatewaySetup::new()
        .channel(&guarded())
        .file("readers", vec![readers()])
        .flag("--log", "trace")
        .start()
        .await;
    let listen = || gateway.listen("c");
    let mut open = [
        listen().token(ANA).await,
        cookie(listen(), ANA).await,
        listen().query("access_token", BEN).await,
    ];
    let post = gateway.post(&[("channel", "c"), ("access_token", BEN)], "x");
    let _ = post.send().await.expect(200);
    for listener in &mut open {
        assert_eq!(listener.next().await.data, "x");
    }
    let _ = listen().token(WRONG).refused().await;
    let _ = cookie(listen(), WRONG).refused().await;
    let _ = listen().query("access_token", WRONG).refused().await;
    let _ = listen()
        .token(ANA)
        .query("access_token", WRONG)
        .refused()
        .await;
    drop(open);
    gateway.until_metric("siar_streams", &[], 0.0).await;
    let metrics = Ask::get(gateway.admin(), "/metrics").send().await.text();
    let status = gateway.status().await.to_string();
    let log = gateway.process().log();
    assert!(
        log.contains("bad-token"),
        "the log tells of refusals: {log}"
    );
    for token in [ANA, BEN, WRONG] {
        for (place, text) in [("metrics", &metrics), ("status", &status), ("log", &log)] {
            assert!(!text.contains(token), "{token} stands in the {place}");
        }
    }
}
