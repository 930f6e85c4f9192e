//! The API server is gone for half a minute.

use super::*;
use tests::wait::DEADLINE;

/// How long it is gone.
const OUTAGE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn half_a_minute_without_api_server_withdraws_nothing_and_restarts_nothing() {
    let mut world = world(Cluster::start().await, None, None).await;
    world.apply_secret("readers", &[("ana", "a")]).await;
    let guarded = Channel::closed("guarded").namespace(SHOP);
    world.apply(&guarded.tokens("subscribe", "readers")).await;
    world.serve("orders").await;
    world
        .until_condition("guarded", "Ready", "True", "Ready")
        .await;
    let pod = world.pod();
    let mut ana = listen(&pod, "guarded").token("a").await;
    let mut listener = listen(&pod, "orders").await;
    let operator = world.operator.process().pid();
    world.cluster.kill9();
    let alive = async {
        loop {
            let (status, why) = world.operator.probe("/livez").await;
            assert_eq!(status, 200, "{why}");
            publish(&pod, "orders", "it goes on").await;
            assert_eq!(listener.next().await.data, "it goes on");
            drop(listen(&pod, "guarded").token("a").await);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let quiet = async {
        let quiet = ana.silent_for(OUTAGE).await;
        assert_eq!(quiet, Ok(()));
    };
    tokio::select! {
        () = alive => unreachable!("it has no end"),
        () = quiet => {}
    }
    world.cluster.start_again().await;
    world.apply(&open("late")).await;
    world.apply_secret("readers", &[("ben", "b")]).await;
    world.until_gateway_serves("late", DEADLINE).await;
    assert_eq!(ana.end().await.reason, "revoked");
    drop(listen(&pod, "guarded").token("b").await);
    world.goes_on("orders", &mut listener).await;
    for name in ["late", "orders", "guarded"] {
        world.until_condition(name, "Ready", "True", "Ready").await;
    }
    let process = world.operator.process();
    process.must_run();
    assert_eq!(process.pid(), operator);
    assert_eq!(world.pod().public, pod.public, "no other Pod was made");
}
