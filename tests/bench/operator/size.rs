//! Many Channels in many namespaces: the operator's memory, and one change among them.

use super::World;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::{Duration, Instant};
use tests::certs::Certs;
use tests::issuer::base64;
use tests::metrics::Metrics;
use tokio::time::{sleep, timeout};

/// Channels of a namespace; the first of them has client TLS to a Redis of its own.
const EACH: usize = 20;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// After a change all of its writes are made within this time.
const SETTLE: Duration = Duration::from_secs(3);
/// When nothing happens for so long, something is broken.
const GIVE_UP: Duration = Duration::from_secs(180);
/// The Channel that is changed.
const CHANGED: &str = "t0/c1";

/// What came of it.
pub struct Size {
    pub channels: usize,
    /// The most memory that the operator had so far.
    pub bytes: u64,
    pub programmed_seconds: f64,
    /// Milliseconds of each change until a gateway applied it.
    pub millis: Vec<f64>,
    /// Writes to the API for each change, that of kubectl left out.
    pub writes: Vec<f64>,
    /// Bytes of the Snapshot in its Secret.
    pub packed: u64,
}

/// Applies all, waits until all are programmed, and changes one again and again.
pub async fn grow(world: &mut World, namespaces: usize, changes: usize) -> Result<Size> {
    let channels = namespaces * EACH;
    eprintln!("operator, {channels} Channels");
    let begin = Instant::now();
    world.cluster.apply_yaml(&manifests(namespaces)).await;
    let programmed = async {
        loop {
            let metrics = world.operator.metrics().await;
            let programmed = metrics.sum("siar_operator_channel_programmed_gateways", &[]) as usize;
            if programmed == channels {
                return begin.elapsed().as_secs_f64();
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    let programmed_seconds = timeout(GIVE_UP, programmed)
        .await
        .context("not all Channels are programmed after three minutes")?;
    let (mut millis, mut writes) = (Vec::new(), Vec::new());
    for number in 1..=changes {
        sleep(SETTLE).await;
        let before = written(world).await;
        millis.push(timeout(GIVE_UP, change(world, number)).await??);
        sleep(SETTLE).await;
        // One of them is ours.
        writes.push(written(world).await - before - 1.0);
    }
    let metrics = world.operator.metrics().await;
    Ok(Size {
        channels,
        bytes: high_water(world.operator.process().pid())?,
        programmed_seconds,
        millis,
        writes,
        packed: metrics.sum("siar_operator_snapshot_bytes", &[]) as u64,
    })
}

/// Milliseconds until the gateway reports the new form.
async fn change(world: &World, number: usize) -> Result<f64> {
    let pod = world.fleet.pods().remove(0);
    let digest = async |status: Value| status["channels"][CHANGED]["digest"].clone();
    let before = digest(pod.status().await).await;
    let size = format!(r#"{{"spec":{{"history":{{"size":{}}}}}}}"#, 100 + number);
    let begin = Instant::now();
    let patch = [
        "patch",
        "channel",
        "c1",
        "--namespace=t0",
        "--type=merge",
        "--patch",
        &size,
    ];
    world.cluster.kubectl(&patch).await;
    while digest(pod.status().await).await == before {
        sleep(LOOK_EVERY).await;
    }
    Ok(begin.elapsed().as_secs_f64() * 1000.0)
}

/// Writes that the API server has answered, to whatever but leases and its own housekeeping.
async fn written(world: &World) -> f64 {
    let metrics = Metrics::parse(&world.cluster.get("/metrics").await.text());
    let count = |verb: &str, resource: &str| {
        metrics.sum(
            "apiserver_request_total",
            &[("verb", verb), ("resource", resource)],
        )
    };
    let verbs = ["POST", "PUT", "PATCH", "APPLY", "DELETE"];
    let resources = ["channels", "secrets", "events", "deployments", "pods"];
    let pairs = verbs
        .iter()
        .flat_map(|verb| resources.iter().map(move |resource| (verb, resource)));
    pairs.map(|(verb, resource)| count(verb, resource)).sum()
}

fn high_water(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    Ok(kib.context("the kernel tells the most memory")? * 1024)
}

fn manifests(namespaces: usize) -> String {
    let certs = Certs::new();
    let redis = ["ca.crt", "tls.crt", "tls.key"].map(|name| (name, certs.pem(name)));
    let mut text = String::new();
    let mut add =
        |object: &Value| writeln!(text, "---\n{object}").expect("a String takes any text");
    for number in 0..namespaces {
        let namespace = format!("t{number}");
        add(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
        add(&secret(&namespace, "redis", &redis));
        let readers = [
            ("ana", format!("token-of-ana-{number}")),
            ("ben", format!("token-of-ben-{number}")),
        ];
        add(&secret(&namespace, "readers", &readers));
        for at in 0..EACH {
            add(&channel(&namespace, at));
        }
    }
    text
}

fn secret(namespace: &str, name: &str, pairs: &[(&str, String)]) -> Value {
    let data = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Value::from(base64(value.as_bytes()))));
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "namespace": namespace, "name": name },
        "data": data.collect::<serde_json::Map<_, _>>(),
    })
}

fn channel(namespace: &str, at: usize) -> Value {
    let jwks = json!({ "url": "https://id.example.com/keys" });
    let jwt = json!({ "issuer": "https://id.example.com", "audiences": ["siar"], "jwks": jwks, "algorithms": ["RS256"] });
    let condition = "claims.sub == topic.user && 'reader' in claims.roles";
    let mut spec = json!({
        "topics": [format!("orders{at}.{{user}}")],
        "history": { "size": 100, "ttl": "1h" },
        "access": {
            "subscribe": [
                { "jwt": jwt, "when": condition },
                { "tokens": { "secretRef": { "name": "readers" } } },
            ],
            "publish": [{ "serviceAccounts": {} }],
        },
    });
    if at == 0 {
        let url = format!("rediss://redis.{namespace}.example:6379");
        spec["redis"] = json!({ "url": url, "secretRef": { "name": "redis" } });
    }
    json!({
        "apiVersion": "siar.dev/v1alpha1",
        "kind": "Channel",
        "metadata": { "namespace": namespace, "name": format!("c{at}") },
        "spec": spec,
    })
}
