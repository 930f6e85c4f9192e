//! What Kubernetes does to a fleet on purpose, under streams.

use super::{QUICK, kept, nothing_noticed};
use serde_json::json;
use tests::node::{HOME, Node, is_ready};

#[tokio::test]
async fn a_rollout_under_500_streams_loses_nothing_and_shows_no_error() {
    let mut node = Node::turn().await;
    node.installed_with(&QUICK).await;
    node.serve(&kept("rollout")).await;
    let mut crowd = node.crowd("rollout", 500).await;
    let old = node.pods("gateway").await;
    let gateways = "deployment/siar-gateway";
    node.in_home(&["rollout", "restart", gateways]).await;
    node.in_home(&["rollout", "status", "--timeout=120s", gateways])
        .await;
    node.until_gone(&old).await;
    node.settled().await;
    crowd.more(20).await;
    let verdict = crowd.verdict().await;
    nothing_noticed(&verdict);
    assert!(verdict.opened >= 1000, "every stream moved: {verdict:?}");
}

/// Asks for the eviction of a Pod; what the API server says when it refuses.
async fn evict(node: &Node, pod: &str) -> Result<(), String> {
    let eviction = json!({
        "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": { "name": pod, "namespace": HOME },
    });
    let path = format!("/api/v1/namespaces/{HOME}/pods/{pod}/eviction");
    let create = ["kubectl", "create", "--raw", &path, "--filename", "-"];
    let output = node.try_run(&create, &eviction.to_string()).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or(said)
}

#[tokio::test]
async fn evictions_under_500_streams_take_one_gateway_at_a_time_and_lose_nothing() {
    let mut node = Node::turn().await;
    node.installed_with(&QUICK).await;
    node.serve(&kept("eviction")).await;
    let mut crowd = node.crowd("eviction", 500).await;
    let pods = node.pods("gateway").await;
    let [one, other] = [0, 1].map(|at| pods[at]["metadata"]["name"].as_str().unwrap());
    evict(&node, one).await.unwrap();
    let refused = evict(&node, other).await.unwrap_err();
    assert!(refused.contains("disruption budget"), "{refused}");
    node.settled().await;
    evict(&node, other).await.unwrap();
    node.settled().await;
    node.until_gone(&pods).await;
    crowd.more(20).await;
    let verdict = crowd.verdict().await;
    nothing_noticed(&verdict);
    assert!(verdict.opened >= 1000, "every stream moved: {verdict:?}");
}

#[tokio::test]
async fn a_fleet_grows_with_its_streams_and_shrinks_when_they_left() {
    let mut node = Node::turn().await;
    node.installed_with(&QUICK).await;
    let size = json!({ "streamsPerReplica": 100, "minReplicas": 2, "maxReplicas": 4 });
    node.serve(&kept("many").with("scaling", size)).await;
    let mut stays = node.crowd("many", 50).await;
    let leaves = node.quiet_crowd("many", 300).await;
    let grown = |count: usize| {
        move |pods: &[serde_json::Value]| pods.len() == count && pods.iter().all(is_ready)
    };
    node.until_pods("gateway", "four gateways", grown(4)).await;
    let left = leaves.verdict().await;
    assert_eq!(left.refused.len() + left.gaps.len(), 0, "{left:?}");
    node.until_pods("gateway", "two gateways", grown(2)).await;
    let events = node
        .in_home(&["get", "events", "--output=jsonpath={.items[*].reason}"])
        .await;
    assert!(events.contains("Scaled"), "{events}");
    stays.more(20).await;
    nothing_noticed(&stays.verdict().await);
}
