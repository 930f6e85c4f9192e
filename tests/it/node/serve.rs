//! From `kubectl apply` to a page: through the Service, a port of the node, and a browser.

use super::kept;
use serde_json::json;
use tests::manifest::Channel;
use tests::node::{HOME, Node};
use tests::wait::until;

/// The node's own address.
const NODE: &str = "10.200.0.1";

#[tokio::test]
async fn a_channel_is_served_through_the_service_and_a_port_of_the_node() {
    let mut node = Node::turn().await;
    node.installed_with(&["gateway.service.type=NodePort"])
        .await;
    node.serve(&kept("hello")).await;
    let port = node.node_port().await;
    let ways = [
        format!("siar-gateway.{HOME}.svc.cluster.local:8080"),
        node.service().await,
        format!("{NODE}:{port}"),
    ];
    let smoke = tests::gateway::binary("siar-gateway").display().to_string();
    for way in ways {
        let url = format!("http://{way}");
        let words = [
            &smoke,
            "smoke",
            &url,
            "--namespace",
            HOME,
            "--channel",
            "hello",
        ];
        let told = node.run(&words, "").await;
        assert_eq!(told.lines().count(), 3, "{way}: {told}");
    }
    let channel = node.get(&["channel/hello", "--namespace", HOME]).await;
    let status = &channel["status"];
    assert_eq!(status["programmed"], "2/2", "{status}");
    let url = format!("http://siar-gateway.{HOME}.svc:8080/{HOME}/stream?channel=hello");
    assert_eq!(status["url"], json!(url));
}

#[tokio::test]
async fn a_page_receives_what_publish_sends_to_the_redis_of_the_cluster() {
    let mut node = Node::turn().await;
    node.installed_with(&["gateway.service.type=NodePort"])
        .await;
    let orders = Channel::open("orders").ingest(&["FlaskSse"]);
    node.serve(&orders.history(100)).await;
    let port = node.node_port().await;
    let mut browser = node.browser().await;
    // Any page of the same origin will do.
    let page = format!("http://{NODE}:{port}/{HOME}/history?channel=orders");
    browser.open(&page).await;
    let listen = format!(
        "got = []; source = new EventSource('/{HOME}/stream?channel=orders');
         source.onmessage = (event) => got.push(event.data);
         new Promise((done) => {{ source.onopen = () => done(true); }})"
    );
    assert_eq!(browser.run(&listen).await, json!(true));
    let publish = [
        "exec",
        "siar-redis-0",
        "--",
        "redis-cli",
        "PUBLISH",
        "orders",
        r#"{"data": "two coffees"}"#,
    ];
    // One of the gateways hears it: the one that numbers for all.
    let heard = || async {
        let heard = node.in_home(&[
            "exec",
            "siar-redis-0",
            "--",
            "redis-cli",
            "PUBSUB",
            "NUMSUB",
            "orders",
        ]);
        let heard = heard.await;
        let some = heard.lines().nth(1).is_some_and(|count| count != "0");
        some.then_some(()).ok_or(heard)
    };
    until("a gateway to hear raw messages", heard).await;
    node.in_home(&publish).await;
    let received = "new Promise((done) => {
        const look = () => got.length ? done(got) : setTimeout(look, 50);
        look();
    })";
    assert_eq!(browser.run(received).await, json!(["two coffees"]));
}
