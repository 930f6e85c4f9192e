//! Watches that are silent without an end, or that ask for what is forgotten.

use super::*;
use tests::cluster::Setup;
use tests::front::{Asked, Fault, Front};
use tests::proxy::Proxy;
use tests::wait::DEADLINE;

/// A stall delays a change by 70 s at most; the rest is for a busy machine.
const STALLED: Duration = Duration::from_secs(75);

fn cut_short() -> Setup {
    // With its cache the API server would know what etcd has forgotten.
    Setup::default().flag("watch-cache", "false")
}

/// Whether it lists all of a kind, as a watch does that has lost its place.
fn lists(asked: &Asked) -> bool {
    let one = asked.path.split('/').next_back().unwrap_or_default();
    asked.reads() && !asked.is_watch() && (one == "secrets" || one == "channels")
}

#[tokio::test]
async fn what_etcd_has_forgotten_is_listed_anew_by_operator_and_gateway() {
    let cluster = cut_short().start().await;
    let front = Front::of(&cluster).await;
    let gateways = Front::of(&cluster).await;
    let mut world = world(cluster, Some(front.via()), Some(gateways.via())).await;
    world.serve("orders").await;
    let mut listener = listen(&world.pod(), "orders").await;
    let cluster = &mut world.cluster;
    for name in ["one", "two"] {
        cluster.kubectl(&["create", "configmap", name]).await;
    }
    cluster.kill9();
    let _ = cluster.compact().await;
    drop((front.take_asked(), gateways.take_asked()));
    cluster.start_again().await;
    world.apply(&open("late")).await;
    world.until_gateway_serves("late", DEADLINE).await;
    world.goes_on("orders", &mut listener).await;
    for front in [&front, &gateways] {
        let asked = front.take_asked();
        assert!(asked.iter().any(lists), "nothing was too old: {asked:?}");
    }
    world
        .until_condition("late", "Ready", "True", "Ready")
        .await;
}

#[tokio::test]
async fn a_watch_that_is_refused_as_too_old_is_followed_by_a_list() {
    let cluster = Cluster::start().await;
    let front = Front::of(&cluster).await;
    let world = world(cluster, Some(front.via()), Some(front.via())).await;
    world.serve("orders").await;
    let mut listener = listen(&world.pod(), "orders").await;
    let now = world.revision().await;
    world.apply(&open("late")).await;
    front.answers(move |asked| {
        let version = |pair: &str| pair.strip_prefix("resourceVersion=")?.parse::<u64>().ok();
        let from = asked.query.split('&').find_map(version);
        let old = asked.is_watch() && from.is_some_and(|from| from <= now);
        old.then_some(Fault::GONE)
    });
    front.cut();
    world.until_gateway_serves("late", DEADLINE).await;
    world.apply(&open("later")).await;
    world.until_gateway_serves("later", DEADLINE).await;
    world.goes_on("orders", &mut listener).await;
    for path in ["/api/v1/secrets", "/api/v1/namespaces/siar/secrets"] {
        let met = front.faults(|asked| asked.path == path);
        assert!((1..10).contains(&met), "{path}: {met} times");
    }
}

#[tokio::test]
async fn a_stall_of_the_operator_delays_a_change_by_seventy_seconds_at_most() {
    let cluster = Cluster::start().await;
    let (proxy, via) = proxy(&cluster).await;
    let world = world(cluster, Some(via), None).await;
    stalled(world, &proxy).await;
}

#[tokio::test]
async fn a_stall_of_the_gateway_delays_a_change_by_seventy_seconds_at_most() {
    let cluster = Cluster::start().await;
    let (proxy, via) = proxy(&cluster).await;
    let world = world(cluster, None, Some(via)).await;
    stalled(world, &proxy).await;
}

/// A proxy before the API server, and the way that leads through it.
async fn proxy(cluster: &Cluster) -> (Proxy, Via) {
    let proxy = Proxy::to(cluster.address()).await;
    let via = Via {
        address: proxy.address(),
        ca: cluster.ca_path(),
    };
    (proxy, via)
}

async fn stalled(world: World, proxy: &Proxy) {
    world.serve("orders").await;
    let mut listener = listen(&world.pod(), "orders").await;
    let gone = open("gone");
    world.apply(&gone).await;
    world
        .until_condition("gone", "Ready", "True", "Ready")
        .await;
    let mut ends = listen(&world.pod(), "gone").await;
    proxy.stall();
    world.apply(&open("late")).await;
    let path = format!("/apis/siar.dev/v1alpha1/namespaces/{SHOP}/channels/gone");
    let _ = world.cluster.delete(&path).await.expect(200);
    world.until_gateway_serves("late", STALLED).await;
    assert_eq!(ends.end().await.reason, "deleted");
    world
        .until_condition("late", "Ready", "True", "Ready")
        .await;
    world.goes_on("orders", &mut listener).await;
    let (alive, why) = world.operator.probe("/livez").await;
    assert_eq!(alive, 200, "{why}");
}
