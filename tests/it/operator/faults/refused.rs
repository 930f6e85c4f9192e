//! A change that cannot be, beside Channels that can.

use super::*;
use serde_json::json;

#[tokio::test]
async fn a_change_that_is_refused_leaves_the_last_good_form_and_the_neighbours_alone() {
    let world = world(Cluster::start().await, None, None).await;
    world.serve("orders").await;
    world.serve("sales").await;
    let pod = world.pod();
    let mut neighbour = listen(&pod, "orders").await;
    let mut listener = listen(&pod, "sales").await;
    // It has no message that a schema could know.
    let rule = json!([{ "anonymous": {}, "when": "nobody.knows(this)" }]);
    let odd = open("sales").with("access", json!({ "subscribe": rule }));
    let loopback = open("sales").with("redis", json!({ "url": "redis://127.0.0.1:6379" }));
    let conflict = open("sales").topics(&["orders"]);
    let mut generation = 1;
    for (change, reason) in [
        (odd, "InvalidSpec"),
        (loopback, "TargetRefused"),
        (conflict, "TopicConflict"),
    ] {
        world.apply(&change).await;
        generation += 1;
        let why = world
            .until_condition("sales", "Accepted", "False", reason)
            .await;
        assert!(why.contains("generation 1 is served"), "{why}");
        world
            .until_condition("sales", "Ready", "False", reason)
            .await;
        let programmed = world
            .until_condition("sales", "Programmed", "True", "Programmed")
            .await;
        assert!(programmed.contains("form in force"), "{programmed}");
        let status = world.channel("sales").await["status"].clone();
        assert_eq!(status["observedGeneration"], generation);
        assert_eq!(status["programmed"], "1/1");
        world.goes_on("sales", &mut listener).await;
        drop(listen(&pod, "sales").await);
    }
    let never = open("never").topics(&["orders"]);
    world.apply(&never).await;
    let why = world
        .until_condition("never", "Accepted", "False", "TopicConflict")
        .await;
    assert!(
        why.contains("\"orders\"") && why.contains("not served"),
        "{why}"
    );
    world
        .until_condition("never", "Programmed", "False", "NotAccepted")
        .await;
    world.goes_on("orders", &mut neighbour).await;
    world
        .until_condition("orders", "Ready", "True", "Ready")
        .await;
    world.serve("sales").await;
    world.goes_on("sales", &mut listener).await;
    // The topic is free when its owner goes.
    let path = format!("/apis/siar.dev/v1alpha1/namespaces/{SHOP}/channels/orders");
    let _ = world.cluster.delete(&path).await.expect(200);
    world
        .until_condition("never", "Ready", "True", "Ready")
        .await;
}

#[tokio::test]
async fn a_paused_channel_stays_as_it_is_until_it_goes_on() {
    let world = world(Cluster::start().await, None, None).await;
    world.serve("orders").await;
    let mut listener = listen(&world.pod(), "orders").await;
    let path = format!("/apis/siar.dev/v1alpha1/namespaces/{SHOP}/channels/orders");
    let pause = |value| json!({ "metadata": { "annotations": { "siar.dev/paused": value } } });
    let change = pause(json!("true"));
    let _ = world.cluster.merge(&path, &change).await.expect(200);
    until("it to be told that it is paused", || async {
        let why = world
            .until_condition("orders", "Accepted", "True", "Accepted")
            .await;
        if why.contains("paused") {
            Ok(())
        } else {
            Err(why)
        }
    })
    .await;
    let closed = json!({ "spec": { "access": { "subscribe": [] } } });
    let _ = world.cluster.merge(&path, &closed).await.expect(200);
    let why = world
        .until_condition("orders", "Accepted", "True", "Accepted")
        .await;
    assert!(why.contains("paused"), "{why}");
    world.goes_on("orders", &mut listener).await;
    drop(listen(&world.pod(), "orders").await);
    let change = pause(json!(null));
    let _ = world.cluster.merge(&path, &change).await.expect(200);
    assert_eq!(listener.end().await.reason, "revoked");
    world
        .until_condition("orders", "Ready", "True", "Ready")
        .await;
}
