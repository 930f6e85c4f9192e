//! A namespace is deleted with all that is in it.

use super::*;
use tests::cluster::Setup;

#[tokio::test]
async fn a_deleted_namespace_goes_with_its_channels_and_ends_their_streams_and_no_others() {
    let cluster = Setup::default().controllers().start().await;
    let world = world(cluster, None, None).await;
    world.apply_secret("readers", &[("ana", "a")]).await;
    let guarded = Channel::closed("guarded").namespace(SHOP);
    world.apply(&guarded.tokens("subscribe", "readers")).await;
    world
        .until_condition("guarded", "Ready", "True", "Ready")
        .await;
    world.serve("orders").await;
    world
        .cluster
        .kubectl(&["create", "namespace", "other"])
        .await;
    world
        .apply(&Channel::open("orders").namespace("other"))
        .await;
    let pod = world.pod();
    until("the other to be served", || async {
        let history = Ask::get(pod.public, "/other/history?channel=orders");
        match history.send().await.status {
            200 => Ok(()),
            status => Err(format!("it answers {status}")),
        }
    })
    .await;
    let mut neighbour = pod.listen("orders").path("/other/stream").await;
    let mut ana = listen(&pod, "guarded").token("a").await;
    let mut listener = listen(&pod, "orders").await;
    let path = format!("/api/v1/namespaces/{SHOP}");
    let _ = world.cluster.delete(&path).await.expect(200);
    assert_eq!(listener.end().await.reason, "deleted");
    // Its Secret may have gone first.
    let end = ana.end().await.reason;
    assert!(["deleted", "revoked"].contains(&&*end), "{end}");
    until_time(Duration::from_secs(60), "the namespace to go", || async {
        let answer = world.cluster.get(&path).await;
        match answer.status {
            404 => Ok(()),
            _ => Err(answer.text()),
        }
    })
    .await;
    assert_eq!(listen(&pod, "orders").refused().await.status, 404);
    let ask = Ask::post(pod.public, "/other/publish?channel=orders", "it goes on");
    let _ = ask.send().await.expect(200);
    assert_eq!(neighbour.next().await.data, "it goes on");
    let log = world.operator.log();
    assert!(!log.contains("ERROR"), "{log}");
}
