//! The first install, as the chart's README says it: without any value.

use serde_json::Value;
use std::path::Path;
use tests::node::{HOME, Node, images, is_ready};

/// The most bytes that an image of ours may have, unpacked.
const MOST_BYTES: u64 = 25 * 1024 * 1024;

#[tokio::test]
async fn helm_install_without_values_brings_every_pod_to_ready() {
    let mut node = Node::turn().await;
    node.installed().await;
    let pods = node.get(&["pods", "--namespace", HOME]).await;
    let pods = pods["items"].as_array().unwrap();
    assert_eq!(
        pods.len(),
        5,
        "two gateways, two operators, one Redis: {pods:?}"
    );
    for pod in pods {
        assert!(is_ready(pod), "{pod}");
        let restarts = &pod["status"]["containerStatuses"][0]["restartCount"];
        assert_eq!(restarts, 0, "{pod}");
    }
}

/// Fields of `/proc/PID/status`, as they stand after their names.
fn field<'a>(status: &'a str, name: &str) -> Vec<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {status}"))
        .trim_start_matches(':')
        .split_whitespace()
        .collect()
}

/// The process of a Pod's container, as the node sees it.
async fn process(node: &Node, pod: &Value) -> String {
    let id = pod["status"]["containerStatuses"][0]["containerID"].as_str();
    let id = id.and_then(|id| id.strip_prefix("containerd://")).unwrap();
    let tasks = node.run(&["ctr", "task", "list"], "").await;
    let task = tasks.lines().find(|line| line.starts_with(id));
    let pid = task.and_then(|task| task.split_whitespace().nth(1));
    pid.unwrap_or_else(|| panic!("{id} is not in {tasks}"))
        .into()
}

#[tokio::test]
async fn no_container_is_root_or_can_write_to_its_root() {
    let mut node = Node::turn().await;
    node.installed().await;
    for component in ["gateway", "operator", "redis"] {
        for pod in node.pods(component).await {
            let pid = process(&node, &pod).await;
            let status = node.run(&["cat", &format!("/proc/{pid}/status")], "").await;
            assert_eq!(field(&status, "Uid"), ["65532"; 4], "{component}");
            assert_eq!(field(&status, "Gid"), ["65532"; 4], "{component}");
            for capabilities in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                assert_eq!(field(&status, capabilities), ["0000000000000000"]);
            }
            assert_eq!(field(&status, "NoNewPrivs"), ["1"], "{component}");
            assert_eq!(field(&status, "Seccomp"), ["2"], "{component}: a filter");
            let mounts = node.run(&["cat", &format!("/proc/{pid}/mounts")], "").await;
            let root = mounts
                .lines()
                .find(|line| line.split(' ').nth(1) == Some("/"));
            let options = root.and_then(|root| root.split(' ').nth(3)).unwrap();
            assert_eq!(
                options.split(',').next(),
                Some("ro"),
                "{component}: {mounts}"
            );
            let token = "/var/run/secrets/kubernetes.io/serviceaccount";
            let has_token = mounts.contains(token.trim_start_matches("/var"));
            assert_eq!(has_token, component != "redis", "{component}: {mounts}");
        }
    }
}

#[tokio::test]
async fn images_are_what_the_chart_names_and_small() {
    let mut node = Node::turn().await;
    node.installed().await;
    for component in ["gateway", "operator"] {
        let folder = images().join("dist/amd64");
        let size = |path: &Path| path.metadata().unwrap().len();
        let program = size(&folder.join(format!("siar-{component}")));
        let all = program + size(&folder.join("ca-certificates.crt"));
        assert!(all < MOST_BYTES, "{component}: {all} bytes");
        let pods = node.pods(component).await;
        let image = &pods[0]["status"]["containerStatuses"][0]["image"];
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(image, &format!("ghcr.io/siar-dev/{component}:{version}"));
    }
}

#[tokio::test]
async fn helm_test_passes_and_takes_its_channel_away() {
    let mut node = Node::turn().await;
    node.installed().await;
    let told = node.helm(&["test", "siar", "--logs"]).await;
    assert!(told.contains("published to \"siar-smoke\" at "), "{told}");
    assert!(told.contains("resumed after it"), "{told}");
    let left = node
        .in_home(&["get", "channels,pods", "--output", "name"])
        .await;
    assert!(!left.contains("smoke"), "{left}");
}
