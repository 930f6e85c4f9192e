//! The operator's own Secret, which gateways read, deleted or overwritten by somebody.

use super::*;
use serde_json::{Value, json};
use tests::issuer::base64;
use tests::published::KEY;
use tests::wait::DEADLINE;

const PATH: &str = "/api/v1/namespaces/siar/secrets/siar-default";

/// Waits until the Secret holds that again, and answers its version.
async fn until_restored(world: &World, before: &Value) {
    until("the Secret to be written anew", || async {
        let now = world.fleet.secret().await.ok_or("it is not there")?;
        if now["data"][KEY] != before["data"][KEY] {
            return Err("it holds something else".into());
        }
        for name in ["annotations", "ownerReferences"] {
            if now["metadata"][name] != before["metadata"][name] {
                return Err(format!("{name}: {}", now["metadata"]));
            }
        }
        Ok(())
    })
    .await;
}

/// A Channel whose last good form names a Secret that its new one does not; `orders` is older, or of the same second and first by name.
async fn last_good(world: &World) -> Listener {
    world.apply_secret("readers", &[("ana", "a")]).await;
    let zone = Channel::closed("zone").namespace(SHOP);
    world
        .apply(&zone.clone().tokens("subscribe", "readers"))
        .await;
    world
        .until_condition("zone", "Ready", "True", "Ready")
        .await;
    let listener = listen(&world.pod(), "zone").token("a").await;
    world.apply(&zone.topics(&["orders"])).await;
    let why = world
        .until_condition("zone", "Accepted", "False", "TopicConflict")
        .await;
    assert!(why.contains("generation 1 is served"), "{why}");
    listener
}

#[tokio::test]
async fn it_is_written_anew_when_it_is_deleted_and_gateways_serve_meanwhile() {
    let world = world(Cluster::start().await, None, None).await;
    world.serve("orders").await;
    let mut ana = last_good(&world).await;
    let mut listener = listen(&world.pod(), "orders").await;
    let before = world.fleet.secret().await.expect("it was published");
    for _ in 0..3 {
        let _ = world.cluster.delete(PATH).await.expect(200);
        until_restored(&world, &before).await;
    }
    world.serve("late").await;
    world.goes_on("orders", &mut listener).await;
    drop(listen(&world.pod(), "zone").token("a").await);
    let quiet = ana.silent_for(Duration::from_millis(100)).await;
    assert_eq!(quiet, Ok(()));
}

#[tokio::test]
async fn it_is_written_anew_when_somebody_overwrites_it() {
    let world = world(Cluster::start().await, None, None).await;
    let empty = world.fleet.secret().await.expect("it was published");
    world.serve("orders").await;
    let mut ana = last_good(&world).await;
    let mut listener = listen(&world.pod(), "orders").await;
    let before = world.fleet.secret().await.expect("it was published");
    for data in [
        json!({ KEY: base64(b"rubbish") }),
        json!({ KEY: "" }),
        json!({ KEY: null, "other": base64(b"rubbish") }),
    ] {
        let change = json!({ "data": data });
        let _ = world.cluster.merge(PATH, &change).await.expect(200);
        until_restored(&world, &before).await;
        world.goes_on("orders", &mut listener).await;
        drop(listen(&world.pod(), "zone").token("a").await);
    }
    let quiet = ana.silent_for(Duration::from_millis(100)).await;
    assert_eq!(quiet, Ok(()));
    // An older one that can be read is a different matter: gateways apply it until the operator has noticed.
    let change = json!({ "data": empty["data"] });
    let _ = world.cluster.merge(PATH, &change).await.expect(200);
    world.until_gateway_serves("orders", DEADLINE).await;
    world.serve("late").await;
    world
        .until_condition("orders", "Ready", "True", "Ready")
        .await;
}
