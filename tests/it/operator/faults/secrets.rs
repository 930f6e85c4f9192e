//! Secrets of the team that go, come back, or cannot be read.

use super::*;
use tests::front::{Fault, Front};
use tests::wait::DEADLINE;

const READERS: &str = "/api/v1/namespaces/shop/secrets/readers";

/// Whoever has a token of the Secret `readers`.
fn readers(name: &str) -> Channel {
    let channel = Channel::closed(name).namespace(SHOP);
    channel.tokens("subscribe", "readers")
}

#[tokio::test]
async fn a_deleted_secret_ends_its_streams_and_no_others_until_it_is_back() {
    let world = world(Cluster::start().await, None, None).await;
    world.apply_secret("readers", &[("ana", "a")]).await;
    let both = readers("both").with(
        "access",
        serde_json::json!({
            "subscribe": [{ "anonymous": {} }, { "tokens": { "secretRef": { "name": "readers" } } }],
        }),
    );
    world.apply(&both).await;
    world.apply(&readers("guarded")).await;
    world.serve("orders").await;
    for name in ["both", "guarded"] {
        world.until_condition(name, "Ready", "True", "Ready").await;
    }
    let pod = world.pod();
    let mut ana = listen(&pod, "guarded").token("a").await;
    let mut anybody = listen(&pod, "both").await;
    let mut neighbour = listen(&pod, "orders").await;
    let _ = world.cluster.delete(READERS).await.expect(200);
    assert_eq!(ana.end().await.reason, "revoked");
    for name in ["both", "guarded"] {
        let why = world
            .until_condition(name, "ResolvedRefs", "False", "SecretMissing")
            .await;
        assert!(why.contains("\"readers\""), "{why}");
        let degraded = world
            .until_condition(name, "Ready", "True", "Degraded")
            .await;
        assert_eq!(why, degraded);
    }
    assert_eq!(
        listen(&pod, "guarded").token("a").refused().await.status,
        401
    );
    drop(listen(&pod, "both").await);
    world.goes_on("orders", &mut neighbour).await;
    world.apply_secret("readers", &[("ana", "a")]).await;
    for name in ["both", "guarded"] {
        world.until_condition(name, "Ready", "True", "Ready").await;
    }
    drop(listen(&pod, "guarded").token("a").await);
    let quiet = anybody.silent_for(Duration::from_millis(100)).await;
    assert_eq!(quiet, Ok(()));
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_keeps_its_last_content_and_its_neighbours_go_on() {
    let cluster = Cluster::start().await;
    let front = Front::of(&cluster).await;
    let mut world = world(cluster, Some(front.via()), None).await;
    world
        .apply_secret("readers", &[("ana", "a"), ("ben", "b")])
        .await;
    world.apply(&readers("guarded")).await;
    world.serve("orders").await;
    world
        .until_condition("guarded", "Ready", "True", "Ready")
        .await;
    let pod = world.pod();
    let mut ana = listen(&pod, "guarded").token("a").await;
    let mut ben = listen(&pod, "guarded").token("b").await;
    let mut neighbour = listen(&pod, "orders").await;
    front.answers(|asked| (asked.path == READERS).then_some(Fault::BROKEN));
    world.apply_secret("readers", &[("ben", "b")]).await;
    let told = ("ResolvedRefs", "False", "SecretUnreadable");
    let why = world
        .until_condition("guarded", told.0, told.1, told.2)
        .await;
    assert!(why.contains("\"readers\""), "{why}");
    world
        .until_condition("guarded", "Ready", "True", "Degraded")
        .await;
    drop(listen(&pod, "guarded").token("a").await);
    world.apply(&open("late")).await;
    world.until_gateway_serves("late", DEADLINE).await;
    // Whoever leads next has never read it.
    world.operator.kill9();
    world.operator.start_again().await;
    world.serve("later").await;
    world
        .until_condition("guarded", told.0, told.1, told.2)
        .await;
    drop(listen(&pod, "guarded").token("a").await);
    let quiet = ana.silent_for(Duration::from_millis(100)).await;
    assert_eq!(quiet, Ok(()));
    world.goes_on("orders", &mut neighbour).await;
    front.passes();
    assert_eq!(ana.end().await.reason, "revoked");
    world
        .until_condition("guarded", "Ready", "True", "Ready")
        .await;
    let quiet = ben.silent_for(Duration::from_millis(100)).await;
    assert_eq!(quiet, Ok(()));
}
