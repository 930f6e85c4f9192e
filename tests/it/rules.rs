//! Rules that cannot be served, and Secrets that are not there: closed, told, and nobody else's problem.

use crate::{Channel, Gateway, GatewaySetup};
use serde_json::{Value, json};
use tests::http::Answer;
use tests::manifest::secret;

fn with_rule(rule: Value) -> Channel {
    let rules = json!([{ "anonymous": {} }, rule]);
    Channel::closed("c").with("access", json!({ "subscribe": rules }))
}

#[track_caller]
fn check(answer: &Answer, status: u16, word: &str) {
    let seen = (answer.status, answer.word());
    assert_eq!(seen, (status, word.to_owned()), "{}", answer.text());
}

#[tokio::test]
async fn a_rule_of_no_known_kind_names_its_line() {
    let manifest = r#"
apiVersion: siar.dev/v1alpha1
kind: Channel
metadata: {name: c}
spec:
  access:
    subscribe:
      - everybody: {}
"#;
    let gateway = Gateway::serving(&Channel::open("sibling")).await;
    gateway.write("c", manifest);
    gateway
        .until_logged(&["c.yaml", "line=8", "everybody"])
        .await;
    check(&gateway.listen("c").refused().await, 404, "unknown-topic");
    gateway.listen("sibling").await.cursor().await;
}

#[tokio::test]
async fn a_channel_that_gets_a_rule_that_cannot_be_served_stays_in_its_last_good_form() {
    let gateway = Gateway::serving(&Channel::open("c")).await;
    let mut listener = gateway.listen("c").await;
    gateway
        .apply(&with_rule(json!({ "anonymous": {}, "when": "topic.no" })))
        .await;
    let field = "spec.access.subscribe[1].when";
    gateway.until_logged(&["InvalidSpec", field]).await;
    gateway.publish("c", "as before").await;
    assert_eq!(listener.next().await.data, "as before");
}

#[tokio::test]
async fn a_missing_secret_admits_nobody_and_its_sibling_rules_go_on() {
    let rules = json!([
        { "tokens": { "secretRef": { "name": "absent" } } },
        { "tokens": { "secretRef": { "name": "readers" } } },
    ]);
    let channel = Channel::closed("c").with("access", json!({ "subscribe": rules }));
    let readers = secret("readers", &[("ana", "token-ana")]);
    let setup = GatewaySetup::new().file("c", vec![channel.manifest(), readers]);
    let gateway = setup.start().await;
    gateway
        .until_logged(&["default/c", "SecretMissing", "absent"])
        .await;
    gateway.listen("c").token("token-ana").await.cursor().await;
    check(&gateway.listen("c").refused().await, 401, "no-token");
    check(
        &gateway.listen("c").token("token-eve").refused().await,
        401,
        "bad-token",
    );
    // It comes, and admits within a second.
    let late = secret("absent", &[("eve", "token-eve")]);
    gateway.apply_file("late", &[late]).await;
    gateway.listen("c").token("token-eve").await.cursor().await;
}

#[tokio::test]
async fn an_empty_token_in_a_secret_admits_nobody() {
    let channel = Channel::closed("c").tokens("subscribe", "readers");
    let readers = secret("readers", &[("nobody", ""), ("ana", "token-ana")]);
    let documents = vec![channel.manifest(), readers];
    let gateway = GatewaySetup::new().file("c", documents).start().await;
    gateway.listen("c").token("token-ana").await.cursor().await;
    for listen in [
        gateway.listen("c"),
        gateway.listen("c").query("access_token", ""),
    ] {
        check(&listen.refused().await, 401, "no-token");
    }
}

#[tokio::test]
async fn secrets_of_another_namespace_are_out_of_reach() {
    let channel = Channel::closed("c").tokens("subscribe", "readers");
    let mut theirs = secret("readers", &[("ana", "token-ana")]);
    theirs["metadata"]["namespace"] = json!("other");
    let setup = GatewaySetup::new().file("c", vec![channel.manifest(), theirs]);
    let gateway = setup.start().await;
    gateway.until_logged(&["SecretMissing", "readers"]).await;
    assert_eq!(
        gateway
            .listen("c")
            .token("token-ana")
            .refused()
            .await
            .status,
        401
    );
}
