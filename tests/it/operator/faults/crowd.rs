//! More than a Snapshot has room for.

use super::*;
use serde_json::{Value, json};
use tests::issuer::base64;

/// Tokens of a Channel; so many are allowed, and take about 20 KB packed.
const TOKENS: usize = 500;
/// Channels with so many tokens that have room for sure.
const FITTING: usize = 30;
/// Channels of which some have none: 50 times 20 KB and their names are more than a megabyte.
const CROWD: usize = 50;

fn name(number: usize) -> String {
    format!("crowd-{number:02}")
}

/// A Channel with tokens of its own, and their Secret.
fn with_tokens(number: usize) -> [Value; 2] {
    let name = name(number);
    let pair = |index: usize| {
        let key = format!("{:x}", rand::random::<u64>());
        (key, json!(base64(format!("{name}-{index}").as_bytes())))
    };
    let data: serde_json::Map<_, _> = (0..TOKENS).map(pair).collect();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": name, "namespace": SHOP },
        "data": data,
    });
    let channel = Channel::closed(&name).namespace(SHOP);
    [secret, channel.tokens("subscribe", &name).manifest()]
}

impl World {
    /// Applies those of the crowd.
    async fn crowd(&self, numbers: std::ops::Range<usize>) {
        // A few at a time: one kubectl has the time that anything has.
        for some in numbers.collect::<Vec<_>>().chunks(5) {
            let all: Vec<Value> = some.iter().copied().flat_map(with_tokens).collect();
            let list = json!({ "apiVersion": "v1", "kind": "List", "items": all });
            self.cluster.apply(&list).await;
        }
    }

    /// How many of the crowd have that reason for their `Accepted`.
    async fn accepted(&self, reason: &str) -> Vec<String> {
        let path = format!("/apis/siar.dev/v1alpha1/namespaces/{SHOP}/channels");
        let list = self.cluster.get(&path).await.expect(200).json();
        let all = list["items"].as_array().cloned().unwrap_or_default();
        let has = |channel: &&Value| {
            let conditions = channel["status"]["conditions"].as_array();
            let current = &channel["metadata"]["generation"];
            conditions.into_iter().flatten().any(|one| {
                one["type"] == "Accepted"
                    && one["reason"] == reason
                    && one["observedGeneration"] == *current
            })
        };
        let name = |channel: &Value| channel["metadata"]["name"].as_str().map(str::to_owned);
        all.iter().filter(has).filter_map(name).collect()
    }

    async fn until_accepted(&self, reason: &str, count: impl Fn(usize) -> bool) -> Vec<String> {
        until_time(
            Duration::from_secs(120),
            format!("many to be {reason}"),
            || async {
                let found = self.accepted(reason).await;
                if count(found.len()) {
                    Ok(found)
                } else {
                    Err(format!("there are {}", found.len()))
                }
            },
        )
        .await
    }
}

#[tokio::test]
async fn a_full_snapshot_keeps_what_is_in_force_and_room_that_is_made_is_taken() {
    let world = world(Cluster::start().await, None, None).await;
    world.serve("orders").await;
    let pod = world.pod();
    let mut listener = listen(&pod, "orders").await;
    world.crowd(0..FITTING).await;
    world
        .until_accepted("Accepted", |count| count == FITTING + 1)
        .await;
    let mut first = listen(&pod, &name(0))
        .token(&format!("{}-0", name(0)))
        .await;
    world.crowd(FITTING..CROWD).await;
    // Every one has been judged.
    until_time(Duration::from_secs(120), "all to be judged", || async {
        let (full, good) = (
            world.accepted("SnapshotFull").await,
            world.accepted("Accepted").await,
        );
        if full.len() + good.len() == CROWD + 1 && !full.is_empty() {
            return Ok(());
        }
        Err(format!("{} are full, {} good", full.len(), good.len()))
    })
    .await;
    let full = world.accepted("SnapshotFull").await;
    assert!((3..CROWD - FITTING).contains(&full.len()), "{full:?}");
    let why = world
        .until_condition(&full[0], "Accepted", "False", "SnapshotFull")
        .await;
    assert!(why.contains("not served"), "{why}");
    world
        .until_condition(&full[0], "Ready", "False", "SnapshotFull")
        .await;
    world
        .until_condition(&full[0], "Programmed", "False", "NotAccepted")
        .await;
    // What is in force may change within its room, and takes part as before.
    world.goes_on("orders", &mut listener).await;
    let quiet = first.silent_for(Duration::from_millis(100)).await;
    assert_eq!(quiet, Ok(()));
    // Room for one.
    let path = format!(
        "/apis/siar.dev/v1alpha1/namespaces/{SHOP}/channels/{}",
        name(1)
    );
    let _ = world.cluster.delete(&path).await.expect(200);
    let left = world
        .until_accepted("SnapshotFull", |count| count < full.len())
        .await;
    let entered = full.iter().find(|name| !left.contains(name)).expect("one");
    world
        .until_condition(entered, "Ready", "True", "Ready")
        .await;
    drop(listen(&pod, entered).token(&format!("{entered}-0")).await);
    world.goes_on("orders", &mut listener).await;
    let quiet = first.silent_for(Duration::from_millis(100)).await;
    assert_eq!(quiet, Ok(()));
}
