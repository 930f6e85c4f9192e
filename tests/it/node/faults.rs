//! What happens to a system without being asked: streams live through it, or resume.

use super::{QUICK, kept, nothing_lost, nothing_noticed};
use std::time::Duration;
use tests::gateway::binary;
use tests::node::{HOME, Node};
use tokio::time::{Instant, sleep, sleep_until};

#[tokio::test]
async fn a_gateway_that_is_killed_costs_no_message() {
    let mut node = Node::turn().await;
    node.installed_with(&QUICK).await;
    node.serve(&kept("killed")).await;
    let mut crowd = node.crowd("killed", 200).await;
    let pods = node.pods("gateway").await;
    crowd.more(20).await;
    node.crash(&pods[0]).await;
    let restarted = |pods: &[serde_json::Value]| {
        let restarts = |pod: &serde_json::Value| {
            let count = pod["status"]["containerStatuses"][0]["restartCount"].as_u64();
            count.unwrap_or(0)
        };
        pods.iter().map(restarts).sum::<u64>() > 0
    };
    node.until_pods("gateway", "kubelet to start it again", restarted)
        .await;
    node.settled().await;
    // The whole Pod, as when its node is gone.
    let pod = format!("pod/{}", pods[1]["metadata"]["name"].as_str().unwrap());
    node.in_home(&["delete", "--force", "--grace-period=0", &pod])
        .await;
    node.settled().await;
    crowd.more(20).await;
    let verdict = crowd.verdict().await;
    nothing_lost(&verdict);
    assert!(verdict.opened > 200, "some were cut: {verdict:?}");
}

#[tokio::test]
async fn without_an_operator_streams_go_on_and_new_ones_open() {
    let mut node = Node::turn().await;
    node.installed_with(&QUICK).await;
    node.serve(&kept("alone")).await;
    let mut before = node.crowd("alone", 200).await;
    node.in_home(&["delete", "deployment/siar-operator", "--cascade=foreground"])
        .await;
    assert_eq!(node.pods("operator").await.len(), 0);
    // Its gateways may be replaced, too: they find the configuration where it was left.
    let pod = &node.pods("gateway").await[0];
    let pod = format!("pod/{}", pod["metadata"]["name"].as_str().unwrap());
    node.in_home(&["delete", &pod]).await;
    let ready =
        |pods: &[serde_json::Value]| pods.len() == 2 && pods.iter().all(tests::node::is_ready);
    node.until_pods("gateway", "two gateways", ready).await;
    let after = node.quiet_crowd("alone", 50).await;
    before.more(20).await;
    nothing_noticed(&before.verdict().await);
    let after = after.verdict().await;
    assert_eq!(after.refused.len() + after.gaps.len(), 0, "{after:?}");
    node.mend().await;
    node.serve(&kept("alone-no-more")).await;
}

#[tokio::test]
async fn a_redis_that_is_killed_ends_no_stream_costs_no_message_and_is_told_once() {
    let mut node = Node::turn().await;
    node.installed_with(&QUICK).await;
    node.serve(&kept("redis")).await;
    let mut crowd = node.crowd("redis", 200).await;
    let pods = node.pods("redis").await;
    crowd.more(20).await;
    node.crash(&pods[0]).await;
    let again = |pods: &[serde_json::Value]| {
        let container = &pods[0]["status"]["containerStatuses"][0];
        container["restartCount"].as_u64() > Some(0) && container["ready"] == true
    };
    node.until_pods("redis", "kubelet to start it again", again)
        .await;
    crowd.more(20).await;
    let mut verdict = crowd.verdict().await;
    let told = std::mem::take(&mut verdict.gaps);
    nothing_lost(&verdict);
    let epoch = r#"{"channel":"redis","reason":"epoch"}"#.to_owned();
    assert_eq!(
        Vec::from_iter(told),
        [(epoch, 200)],
        "nobody can know that nothing was lost"
    );
    assert_eq!(verdict.opened, 200, "every stream stayed: {verdict:?}");
}

/// So long the API server is gone: time is what this is about.
const OUTAGE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn half_a_minute_without_api_server_costs_no_message_even_when_a_gateway_starts_then() {
    let mut node = Node::turn().await;
    node.installed_with(&QUICK).await;
    node.serve(&kept("outage")).await;
    node.serve(&kept("served")).await;
    let mut crowd = node.crowd("outage", 200).await;
    let pods = node.pods("gateway").await;
    crowd.more(20).await;
    node.kill_api_server().await;
    let over = Instant::now() + OUTAGE;
    sleep(OUTAGE / 3).await;
    // Kubelet starts it again by itself, and it finds its configuration in the mounted Secret.
    node.crash(&pods[0]).await;
    let url = format!(
        "http://{}:8080",
        pods[0]["status"]["podIP"].as_str().unwrap()
    );
    let smoke = binary("siar-gateway").display().to_string();
    let serves = [
        "smoke",
        &url,
        "--namespace",
        HOME,
        "--channel",
        "served",
        "--wait=15s",
    ];
    node.run(&[&[smoke.as_str()], &serves[..]].concat(), "")
        .await;
    sleep_until(over).await;
    let late = node.ask_api_server().await;
    assert!(!late.status.success(), "it is gone all the time: {late:?}");
    node.start_api_server().await;
    crowd.more(20).await;
    nothing_lost(&crowd.verdict().await);
    node.settled().await;
    // Everything goes on: operators, gateways and kubelet have found it again.
    node.serve(&kept("after-the-outage")).await;
    let pods = node.get(&["pods", "--namespace", HOME]).await;
    let moved = pods["items"].as_array().unwrap().iter();
    let moved = moved
        .filter(|pod| pod["status"]["phase"] == "Failed")
        .count();
    assert_eq!(moved, 0, "nobody was evicted: {pods}");
}
