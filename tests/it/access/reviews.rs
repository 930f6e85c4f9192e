//! Webhooks and service accounts decide: what they are told, what follows from their answers, and that one which
//! does not answer turns nobody away for good.

use super::{check, reviewing, until_rbac_counts};
use crate::{Channel, Gateway, GatewaySetup, Listener};
use serde_json::{Value, json};
use std::time::Duration;
use tests::http::Ask;
use tests::listen::Listen;
use tests::manifest::secret;
use tests::scripted::Asked;
use tests::wait::{unix_ms, until, until_time};
use tests::webhook::{Verdict, Webhook};

const TOKEN: &str = "a-token-that-only-the-webhook-knows";
/// How long a stream that must stay is watched.
const WATCH: Duration = Duration::from_millis(300);

/// The Channel `c` that asks `webhook` about listeners, and about publishers.
fn asking(webhook: &Webhook) -> Channel {
    let rule = json!({"webhook": {"url": webhook.url(), "timeout": "1s", "recheck": "10s"}});
    Channel::closed("c")
        .topics(&["c", "c.{user}"])
        .with("access", json!({"subscribe": [rule], "publish": [rule]}))
}

async fn serving(webhook: &Webhook) -> Gateway {
    GatewaySetup::new()
        .channel(&asking(webhook))
        .channel(&Channel::open("sibling"))
        .start()
        .await
}

/// How the stream ends.
async fn end(mut listener: Listener) -> String {
    listener.end().await.reason
}

/// An EventSource is told to come back, and everybody else, too.
async fn will_pass(gateway: &Gateway, listen: Listen) {
    assert_eq!(end(listen.await).await, "unavailable");
    let answer = Ask::get(gateway.public(), "/stream?channel=c").send().await;
    check(&answer, 503, "unavailable");
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn a_webhook_is_told_what_is_asked_and_names_who_asks() {
    let webhook = Webhook::start().await;
    webhook.answer(Verdict::allow_as("eve"));
    let gateway = serving(&webhook).await;
    let listen = gateway.listen("c").channel("c.7").channel("sibling");
    let _open = listen.token(TOKEN).await;
    let asked = webhook.asked();
    assert_eq!(asked.len(), 1, "one question for both topics");
    let expected = json!({
        "action": "subscribe", "channel": "default/c", "topics": ["c", "c.7"], "token": TOKEN,
        "ip": "127.0.0.1", "origin": "", "path": "/stream",
    });
    assert_eq!(asked[0].json(), expected);
    let presence = gateway.get("/presence?channel=c").await.expect(200).json();
    assert_eq!(presence["identities"], json!(["eve"]));
    let asked = webhook.asked();
    let last = asked.last().unwrap().json();
    assert_eq!(
        (&last["action"], &last["token"]),
        (&json!("publish"), &Value::Null)
    );
    drop(gateway.listen("c").token(TOKEN).await);
    let before = webhook.asked().len();
    drop(gateway.listen("c").token(TOKEN).await);
    assert_eq!(
        webhook.asked().len(),
        before,
        "an answer is good for a few seconds"
    );
}

#[tokio::test]
async fn a_webhook_that_says_no_is_obeyed() {
    let webhook = Webhook::start().await;
    webhook.answer(Verdict::deny("not today"));
    let gateway = serving(&webhook).await;
    check(
        &gateway.listen("c").token(TOKEN).refused().await,
        401,
        "bad-token",
    );
    check(&gateway.listen("c").refused().await, 401, "no-token");
    webhook.answer(Verdict::Body(json!({"allow": false, "identity": "eve"})));
    check(
        &gateway.listen("c.1").token(TOKEN).refused().await,
        403,
        "not-admitted",
    );
    check(
        &gateway
            .post(&[("channel", "c.2")], "x")
            .token(TOKEN)
            .send()
            .await,
        403,
        "not-admitted",
    );
    assert_eq!(webhook.asked().len(), 4);
}

#[tokio::test]
async fn a_webhook_that_gives_no_answer_turns_nobody_away_for_good() {
    let webhook = Webhook::start().await;
    let gateway = serving(&webhook).await;
    for broken in [
        Verdict::Status(500),
        Verdict::Status(204),
        Verdict::NotJson,
        Verdict::Body(json!({"allow": "yes"})),
        Verdict::Redirect("http://127.0.0.1:1/".into()),
        Verdict::Hangs,
    ] {
        webhook.answer(broken);
        will_pass(&gateway, gateway.listen("c").token(TOKEN)).await;
        gateway.listen("sibling").await.cursor().await;
    }
    webhook.answer(Verdict::allow());
    gateway.listen("c").token(TOKEN).await.cursor().await;
}

#[tokio::test]
async fn a_stream_ends_when_the_webhook_says_no_later() {
    let webhook = Webhook::start().await;
    let gateway = serving(&webhook).await;
    let mut stays = gateway.listen("c.stays").token(TOKEN).await;
    stays.cursor().await;
    let ends = gateway.listen("c.ends").token(TOKEN).await;
    let about = |topic: &str| {
        let of = |asked: &Asked| asked.json()["topics"] == json!([topic]);
        webhook.asked().iter().filter(|asked| of(asked)).count()
    };
    assert_eq!((about("c.stays"), about("c.ends")), (1, 1));
    webhook.answer_by(|asked| {
        let ends = asked.json()["topics"] == json!(["c.ends"]);
        if ends {
            Verdict::deny("no more")
        } else {
            Verdict::allow()
        }
    });
    assert_eq!(end(ends).await, "revoked");
    until("a second question about the other", || async {
        let asked = about("c.stays");
        (asked == 2).then_some(()).ok_or(format!("{asked} came"))
    })
    .await;
    assert_eq!(stays.silent_for(WATCH).await, Ok(()));
}

#[tokio::test]
async fn a_webhook_that_is_gone_keeps_its_streams_for_two_further_rechecks() {
    let webhook = Webhook::start().await;
    let rule = json!({"webhook": {"url": webhook.url(), "recheck": "10s"}});
    // Another rule would admit meanwhile, as nobody in particular: that is not for those who are somebody.
    let rules = json!([rule, {"anonymous": {}}]);
    let channel = Channel::closed("c").with("access", json!({"subscribe": rules}));
    let gateway = Gateway::serving(&channel).await;
    webhook.answer(Verdict::allow_as("eve"));
    let listener = gateway.listen("c").token(TOKEN).await;
    webhook.answer(Verdict::Status(500));
    let before = webhook.asked().len();
    until_time(Duration::from_secs(60), "the stream to end", || async {
        let metrics = gateway.metrics().await;
        match metrics.sum("siar_streams_closed_total", &[("reason", "unavailable")]) {
            1.0 => Ok(()),
            other => Err(format!("{other} ended")),
        }
    })
    .await;
    assert_eq!(webhook.asked().len(), before + 3);
    assert_eq!(end(listener).await, "unavailable");
}

#[tokio::test]
async fn a_webhook_may_say_until_when() {
    let webhook = Webhook::start().await;
    webhook.answer_by(|_| Verdict::Allow {
        identity: None,
        expires: Some(json!(unix_ms() / 1000 + 1)),
    });
    let gateway = serving(&webhook).await;
    assert_eq!(end(gateway.listen("c").token(TOKEN).await).await, "expired");
}

/// A gateway whose Channel `a` admits ana by a Secret, while the webhook of Channel `c` may take ten seconds.
async fn beside_a_slow_webhook(webhook: &Webhook) -> Gateway {
    let rule = json!({"webhook": {"url": webhook.url(), "timeout": "10s"}});
    GatewaySetup::new()
        .channel(&Channel::closed("a").tokens("subscribe", "readers"))
        .channel(&Channel::closed("c").with("access", json!({"subscribe": [rule]})))
        .file("readers", vec![secret("readers", &[("ana", TOKEN)])])
        .start()
        .await
}

/// Begins to listen to both, and returns when the webhook is being asked.
async fn opening(gateway: &Gateway, webhook: &Webhook) -> tokio::task::JoinHandle<Listener> {
    webhook.answer(Verdict::Hangs);
    let listen = gateway.listen("a").channel("c").token(TOKEN);
    let opening = tokio::spawn(async move { listen.await });
    webhook.until_waiting(1).await;
    opening
}

#[tokio::test]
async fn a_webhook_has_to_bear_32_requests_at_once_and_more_visitors_wait() {
    let webhook = Webhook::start().await;
    let gateway = beside_a_slow_webhook(&webhook).await;
    webhook.answer(Verdict::Hangs);
    let visits = (0..60).map(|number| {
        let listen = gateway.listen("c").token(&format!("{TOKEN}-{number}"));
        tokio::spawn(async move { listen.await.cursor().await })
    });
    let visits: Vec<_> = visits.collect();
    webhook.until_waiting(32).await;
    // Nothing tells that the others came, too.
    tokio::time::sleep(WATCH).await;
    webhook.answer(Verdict::allow());
    for visit in visits {
        visit.await.unwrap();
    }
    assert_eq!((webhook.asked().len(), webhook.most_waiting()), (60, 32));
}

#[tokio::test]
async fn what_is_revoked_while_a_webhook_is_asked_ends_at_once() {
    let webhook = Webhook::start().await;
    let gateway = beside_a_slow_webhook(&webhook).await;
    let opening = opening(&gateway, &webhook).await;
    gateway
        .apply_file("readers", &[secret("readers", &[("ben", "another")])])
        .await;
    webhook.answer(Verdict::allow());
    assert_eq!(end(opening.await.unwrap()).await, "revoked");
}

#[tokio::test]
async fn what_changes_harmlessly_while_a_webhook_is_asked_leaves_the_stream() {
    let webhook = Webhook::start().await;
    let gateway = beside_a_slow_webhook(&webhook).await;
    let opening = opening(&gateway, &webhook).await;
    let more = secret("readers", &[("ana", TOKEN), ("ben", "another")]);
    gateway.apply_file("readers", &[more]).await;
    webhook.answer(Verdict::allow());
    let mut listener = opening.await.unwrap();
    listener.cursor().await;
    assert_eq!(listener.silent_for(WATCH).await, Ok(()));
    // The change is in force.
    drop(gateway.listen("a").token("another").await);
}

#[tokio::test]
async fn service_accounts_are_admitted_by_rbac() {
    let cluster = reviewing("c").await;
    let rule = json!({"serviceAccounts": {"recheck": "10s"}});
    let access = json!({"subscribe": [rule], "publish": [rule]});
    let gateway = GatewaySetup::new()
        .channel(&Channel::closed("c").with("access", access))
        .env(
            "KUBECONFIG",
            cluster.kubeconfig("gateway").to_str().unwrap(),
        )
        .start()
        .await;
    let account = async |name: &str, audience: &str| {
        cluster
            .service_account_token("shop", name, &[audience])
            .await
    };
    let reader = account("reader", "siar").await;
    let listen = |token: &str| gateway.listen("c").token(token);
    until_rbac_counts(listen(&reader)).await;
    let open = listen(&reader).await;
    let stranger = account("stranger", "siar").await;
    check(&listen(&stranger).refused().await, 403, "not-admitted");
    check(
        &listen(&account("reader", "other").await).refused().await,
        401,
        "bad-token",
    );
    check(
        &listen("no-token-of-this-cluster").refused().await,
        401,
        "bad-token",
    );
    check(&gateway.listen("c").refused().await, 401, "no-token");
    check(
        &gateway
            .post(&[("channel", "c")], "x")
            .token(&reader)
            .send()
            .await,
        403,
        "not-admitted",
    );
    cluster.kubectl(&["delete", "rolebinding", "reader"]).await;
    assert_eq!(end(open).await, "revoked");
    cluster.freeze();
    // A token that it was not asked about before.
    let late = listen(&format!("{reader}x")).await;
    assert_eq!(end(late).await, "unavailable");
    cluster.thaw();
}
