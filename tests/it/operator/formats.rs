//! Versions before and after this one: in one fleet during a rollout, and one after the other when it is set back. There is
//! one format yet, so the newer one is bytes that nobody here can read, and the newer gateway a report.

use super::leaders::*;
use super::*;
use tests::metrics::Metrics;
use tests::published::{KEY, NEWER};
use tests::scripted::{Reply, Scripted};

#[tokio::test]
async fn a_gateway_that_reads_more_formats_is_written_the_one_that_all_read() {
    let world = World::of(1).await;
    world.change("orders", 0).await;
    world.until_served("orders").await;
    let since = world.cluster.version(SECRETS).await;
    // It says what the other says, and that it reads a further format.
    let mut report = world.fleet.pods()[0].status().await;
    assert_eq!(report["formats"], json!([1]));
    report["formats"] = json!([1, 2]);
    world.fleet.kubelet(false).await;
    let newer = Scripted::start("127.0.0.1", move |_| Reply::json(200, &report)).await;
    ready_pod(&world.cluster, "default", "newer", newer.address()).await;
    // The status says it within a minute; this says it at once.
    let orders = [("channel", "orders")];
    let expected = "siar_operator_channel_expected_gateways";
    world.operator.until_metric(expected, &orders, 2.0).await;
    world.change("orders", 1).await;
    let why = world
        .until_condition("orders", "Programmed", "False", "Pending")
        .await;
    assert!(why.contains("newer"), "{why}");
    let written = world
        .cluster
        .versions(SECRETS, "siar-default", &since)
        .await;
    assert_eq!(written.len(), 1, "only for the change");
    assert_eq!(
        written[0]["metadata"]["annotations"]["siar.dev/format"],
        "1"
    );
    assert_eq!(generation_of(&written[0], "orders"), Some(2));
}

#[tokio::test]
async fn an_operator_that_was_set_back_writes_its_format_over_a_newer_one_and_streams_live() {
    let mut world = World::of(2).await;
    world.change("orders", 0).await;
    world.until_served("orders").await;
    let before = world.fleet.secret().await.expect("it was published");
    let pods = world.fleet.pods();
    let mut listener = listen(&pods[0], "orders").await;
    world.operator.term();
    assert_eq!(world.operator.exit().await.code(), Some(0));
    // What an operator of the next version may have written before it was set back.
    let newer = json!({
        "metadata": { "annotations": { "siar.dev/format": "2", "siar.dev/revision": "next" } },
        "data": { KEY: base64(NEWER) },
    });
    let path = format!("{SECRETS}/siar-default");
    let _ = world.cluster.merge(&path, &newer).await.expect(200);
    for pod in &pods {
        let rejected = [("result", "rejected")];
        Metrics::until_sum(pod.admin, "siar_config_applies_total", &rejected, 1.0).await;
    }
    publish(&pods[1], "orders", "while nobody understands").await;
    assert_eq!(listener.next().await.data, "while nobody understands");
    world.operator.start_again().await;
    until_leads(&world.operator, TAKEOVER).await;
    until("the Secret to be written again", || async {
        let now = world.fleet.secret().await.ok_or("it is gone")?;
        let same = now["data"] == before["data"];
        same.then_some(()).ok_or(now["metadata"].to_string())
    })
    .await;
    let now = world.fleet.secret().await.expect("it was just there");
    assert_eq!(
        now["metadata"]["annotations"],
        before["metadata"]["annotations"]
    );
    world.change("orders", 1).await;
    world.until_served("orders").await;
    publish(&pods[1], "orders", "it goes on").await;
    assert_eq!(listener.next().await.data, "it goes on");
}
