//! What kubectl changes is served, and what it takes away ends.

use super::*;

#[tokio::test]
async fn an_applied_channel_is_served_by_every_gateway_until_it_is_deleted() {
    let mut world = World::of(2).await;
    world.apply(&open("orders")).await;
    world
        .until_condition("orders", "Ready", "True", "Ready")
        .await;
    let status = world.channel("orders").await["status"].clone();
    assert_eq!(status["programmed"], "2/2");
    let url = "https://events.example.com/shop/stream?channel=orders";
    assert_eq!(status["url"], url);
    let pods = world.fleet.pods();
    let mut first = listen(&pods[0], "orders").await;
    let mut second = listen(&pods[1], "orders").await;
    publish(&pods[0], "orders", "hello").await;
    assert_eq!(first.next().await.data, "hello");
    assert_eq!(second.next().await.data, "hello");
    world
        .cluster
        .kubectl(&["delete", "channel", "orders", "--namespace", SHOP])
        .await;
    for listener in [&mut first, &mut second] {
        assert_eq!(listener.end().await.reason, "deleted");
    }
    let clients: String = world.redis.run(redis::cmd("CLIENT").arg("LIST")).await;
    assert!(clients.contains("siar"), "both gateways used it: {clients}");
    assert!(
        world
            .operator
            .metrics()
            .await
            .sum("siar_operator_leader", &[])
            > 0.0
    );
}

#[tokio::test]
async fn a_changed_rule_and_a_rotated_secret_end_what_they_forbid_and_nothing_else() {
    let world = World::of(2).await;
    world
        .apply_secret("readers", &[("ana", "a"), ("ben", "b")])
        .await;
    let readers = Channel::closed("orders").namespace(SHOP);
    let readers = readers
        .tokens("subscribe", "readers")
        .tokens("publish", "readers");
    world.apply(&readers).await;
    world
        .until_condition("orders", "Ready", "True", "Ready")
        .await;
    let pods = world.fleet.pods();
    let mut ana = listen(&pods[0], "orders").token("a").await;
    let mut ben = listen(&pods[1], "orders").token("b").await;
    world
        .apply_secret("readers", &[("ben", "b"), ("eve", "e")])
        .await;
    assert_eq!(ana.end().await.reason, "revoked");
    let mut eve = listen(&pods[0], "orders").token("e").await;
    let path = "/shop/publish?channel=orders";
    let published = Ask::post(pods[0].public, path, "still here").token("e");
    let _ = published.send().await.expect(200);
    assert_eq!(ben.next().await.data, "still here");
    assert_eq!(eve.next().await.data, "still here");
    world
        .apply(&Channel::closed("orders").namespace(SHOP))
        .await;
    assert_eq!(ben.end().await.reason, "revoked");
    assert_eq!(eve.end().await.reason, "revoked");
}
