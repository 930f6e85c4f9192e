//! What the operator writes and tells: as much as there is to say, and once.

use super::claims::events;
use super::leaders::*;
use super::*;
use std::time::Duration;

/// Every metric that the operator has while it leads.
const METRICS: [&str; 19] = [
    "siar_operator_build_info",
    "siar_operator_channel_expected_gateways",
    "siar_operator_channel_programmed_gateways",
    "siar_operator_events_total",
    "siar_operator_leader",
    "siar_operator_lease_transitions_total",
    "siar_operator_objects_in_backoff",
    "siar_operator_reconcile_seconds_bucket",
    "siar_operator_reconcile_seconds_count",
    "siar_operator_reconcile_seconds_sum",
    "siar_operator_reconciles_total",
    "siar_operator_scale_steps_total",
    "siar_operator_snapshot_bytes",
    "siar_operator_status_contested_total",
    "siar_operator_status_patches_total",
    "siar_operator_store_objects",
    "siar_operator_wanted_replicas",
    "siar_operator_watch_age_seconds",
    "siar_operator_watch_errors_total",
];

#[tokio::test]
async fn a_changed_channel_costs_one_secret_and_few_statuses_and_silence_nothing() {
    let world = World::of(2).await;
    for count in 0..20 {
        world.apply(&open(&format!("other-{count}"))).await;
    }
    world.change("orders", 0).await;
    world.until_served("orders").await;
    world.until_served("other-19").await;
    for count in 1..=3 {
        let (secrets, channels) = (
            world.cluster.version(SECRETS).await,
            world.cluster.version(CHANNELS).await,
        );
        world.change("orders", count).await;
        world.until_served("orders").await;
        let secrets = world
            .cluster
            .versions(SECRETS, "siar-default", &secrets)
            .await;
        assert_eq!(secrets.len(), 1);
        let channels = world.cluster.history(CHANNELS, &channels).await;
        let own = |change: &&Value| change["object"]["metadata"]["name"] == "orders";
        // The change itself, then "not everywhere yet" and "everywhere".
        let writes = channels.iter().filter(own).count();
        assert!((2..=3).contains(&writes), "{writes}");
        assert_eq!(writes, channels.len(), "no other Channel was written");
    }
    let begin = [SECRETS, CHANNELS, LEASES, "/api/v1/namespaces/siar/pods"];
    let mut since = Vec::new();
    for list in begin {
        since.push(world.cluster.version(list).await);
    }
    let told = world
        .operator
        .metrics()
        .await
        .sum("siar_operator_events_total", &[]);
    // That nothing is written is told by time alone.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let mut written = Vec::new();
    for (list, since) in begin.iter().zip(&since) {
        written.push(world.cluster.history(list, since).await.len());
    }
    let [secrets, channels, leases, pods] = written[..] else {
        panic!("{written:?}")
    };
    assert_eq!((secrets, channels, pods), (0, 0, 0));
    assert!((1..=3).contains(&leases), "renewed each 10 s: {leases}");
    let metrics = world.operator.metrics().await;
    assert_eq!(metrics.sum("siar_operator_events_total", &[]), told);
    assert_eq!(metrics.sum("siar_operator_objects_in_backoff", &[]), 0.0);
}

#[tokio::test]
async fn a_rejection_and_its_end_are_events_that_people_can_read_and_told_once() {
    let world = World::of(1).await;
    world.apply(&open("older").topics(&["prices"])).await;
    world.until_served("older").await;
    world.apply(&open("orders")).await;
    world.until_served("orders").await;
    assert_eq!(events(&world.cluster, SHOP, "orders").await, []);
    world.apply(&open("orders").topics(&["prices"])).await;
    world
        .until_condition("orders", "Accepted", "False", "TopicConflict")
        .await;
    let rejected = async || events(&world.cluster, SHOP, "orders").await;
    until("the rejection to be told", || async {
        let told = rejected().await;
        (told.len() == 1).then_some(()).ok_or(format!("{told:?}"))
    })
    .await;
    // Another change that is as wrong says nothing new.
    world
        .apply(&open("orders").topics(&["prices", "more"]))
        .await;
    world
        .until_condition("orders", "Accepted", "False", "TopicConflict")
        .await;
    world.apply(&open("orders").topics(&["more"])).await;
    world.until_served("orders").await;
    until("the end of it to be told", || async {
        let told = rejected().await;
        (told.len() >= 2).then_some(()).ok_or(format!("{told:?}"))
    })
    .await;
    let describe = ["describe", "channel", "orders", "--namespace", SHOP];
    let text = world.cluster.kubectl(&describe).await;
    let lines: Vec<&str> = text.lines().collect();
    let count = |words: [&str; 2]| {
        let lines = lines.iter();
        lines
            .filter(|line| words.iter().all(|word| line.contains(word)))
            .count()
    };
    assert_eq!(count(["Warning", "TopicConflict"]), 1, "{text}");
    assert_eq!(count(["Normal", "Accepted"]), 1, "{text}");
    let told = rejected().await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter().any(|(_, note)| note.contains("older")),
        "{told:?}"
    );
    assert_eq!(events(&world.cluster, SHOP, "older").await, []);
}

#[tokio::test]
async fn people_read_names_numbers_and_urls_and_metrics_say_the_same() {
    let world = World::of(2).await;
    world.apply(&open("orders")).await;
    world.apply(&open("quiet")).await;
    world.until_served("orders").await;
    world.until_served("quiet").await;
    let pods = world.fleet.pods();
    let _streams = [
        listen(&pods[0], "orders").await,
        listen(&pods[1], "orders").await,
        listen(&pods[1], "orders").await,
    ];
    tests::wait::until_time(
        Duration::from_secs(80),
        "all streams to be told",
        || async {
            let status = world.channel("orders").await["status"].clone();
            (status["streams"] == 3)
                .then_some(())
                .ok_or(status.to_string())
        },
    )
    .await;
    assert_eq!(world.channel("quiet").await["status"]["streams"], 0);
    let get = ["get", "sch", "--namespace", SHOP];
    let narrow = world.cluster.kubectl(&get).await;
    let wide = world
        .cluster
        .kubectl(&[&get[..], &["-o", "wide"]].concat())
        .await;
    println!("{narrow}{wide}");
    let line = |text: &str| {
        text.lines()
            .find(|line| line.starts_with("orders "))
            .unwrap()
            .to_owned()
    };
    for word in ["True", "2/2", " 3 "] {
        assert!(line(&narrow).contains(word), "{word}\n{narrow}");
    }
    let url = "https://events.example.com/shop/stream?channel=orders";
    assert_eq!(world.channel("orders").await["status"]["url"], url);
    let words: Vec<String> = line(&wide).split_whitespace().map(str::to_owned).collect();
    assert_eq!(
        words[..6],
        ["orders", "True", "Ready", "default", "3", "2/2"]
    );
    let metrics = world.operator.metrics().await;
    let names = metrics.names();
    for name in METRICS {
        assert!(
            names.iter().any(|known| known == name),
            "{name} is not there"
        );
    }
    let own = names.iter().filter(|name| name.starts_with("siar_"));
    let other: Vec<_> = own
        .filter(|name| !METRICS.contains(&&***name) && *name != "siar_operator_replicas")
        .collect();
    assert!(other.is_empty(), "not in the list: {other:?}");
    let orders = [("channel_namespace", SHOP), ("channel", "orders")];
    assert_eq!(
        metrics.sum("siar_operator_channel_programmed_gateways", &orders),
        2.0
    );
    assert_eq!(
        metrics.sum("siar_operator_channel_expected_gateways", &orders),
        2.0
    );
    assert_eq!(
        metrics.sum("siar_operator_store_objects", &[("kind", "channels")]),
        2.0
    );
}
