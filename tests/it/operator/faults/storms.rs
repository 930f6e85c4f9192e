//! An API server, or what stands before it, that answers 429 or 500 for a while: to some requests or to all.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tests::front::{Asked, Fault, Front};
use tests::wait::DEADLINE;

/// How long a storm lasts; every watch is tried within 5 s.
const STORM: Duration = Duration::from_secs(6);
/// One after which pauses that double would be longer than that.
const LONG_STORM: Duration = Duration::from_secs(24);
/// Requests of operator and gateway together, in a second of a storm; five watches, a lease and one more watch that
/// begin anew after half a second, then after more.
const MOST_A_SECOND: usize = 15;

/// A world behind a front, with a Channel `orders` and a stream on it.
async fn calm() -> (World, Front, Listener) {
    let cluster = Cluster::start().await;
    let front = Front::of(&cluster).await;
    let world = world(cluster, Some(front.via()), Some(front.via())).await;
    world.apply_secret("readers", &[("ana", "a")]).await;
    let orders = Channel::closed("guarded").namespace(SHOP);
    world.apply(&orders.tokens("subscribe", "readers")).await;
    world
        .until_condition("guarded", "Ready", "True", "Ready")
        .await;
    let listener = listen(&world.pod(), "guarded").token("a").await;
    (world, front, listener)
}

/// While `which` are answered with `fault`, a Channel `name` is applied, and the token of a Secret changes.
async fn storm(
    (world, front, listener): &mut (World, Front, Listener),
    name: &str,
    fault: Fault,
    which: impl Fn(&Asked) -> bool + Send + Clone + 'static,
) {
    let pod = world.pod();
    let met = which.clone();
    drop(front.take_asked());
    front.answers(move |asked| which(asked).then_some(fault));
    front.cut();
    world
        .apply_secret("readers", &[("ana", "a"), (name, name)])
        .await;
    world.apply(&open(name)).await;
    assert_eq!(listener.silent_for(STORM).await, Ok(()));
    let asked = front.take_asked();
    let most = MOST_A_SECOND * STORM.as_secs() as usize;
    assert!(asked.len() <= most, "{name}: {} requests", asked.len());
    let faults = asked
        .iter()
        .filter(|asked| asked.fault.is_some() && met(asked));
    assert!(faults.count() > 1, "{name}: the storm hit nothing");
    // What was in force still is.
    drop(listen(&pod, "guarded").token("a").await);
    front.passes();
    world.until_gateway_serves(name, DEADLINE).await;
    until(format!("{name} to be a token"), || async {
        let ask = listen(&pod, "guarded").token(name);
        match ask.respond().await.map(|response| response.status) {
            Ok(200) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    world.until_condition(name, "Ready", "True", "Ready").await;
    assert_eq!(world.pod().public, pod.public);
    assert!(world.pod().ready);
    assert_eq!(world.operator.probe("/livez").await.0, 200);
}

fn is_of_secret(asked: &Asked) -> bool {
    asked.path == format!("/api/v1/namespaces/{SHOP}/secrets/readers")
}

fn publishes(asked: &Asked) -> bool {
    asked.method == "PATCH" && asked.path.ends_with("/secrets/siar-default")
}

#[tokio::test]
async fn lists_and_watches_that_are_refused_withdraw_nothing() {
    let mut calm = calm().await;
    storm(&mut calm, "busy", Fault::BUSY, Asked::follows).await;
    storm(&mut calm, "broken", Fault::BROKEN, Asked::follows).await;
    storm(&mut calm, "blind", Fault::BROKEN, Asked::is_watch).await;
}

#[tokio::test]
async fn secrets_that_are_refused_withdraw_nothing() {
    let mut calm = calm().await;
    storm(&mut calm, "busy", Fault::BUSY, is_of_secret).await;
    storm(&mut calm, "broken", Fault::BROKEN, is_of_secret).await;
}

#[tokio::test]
async fn writes_that_are_refused_are_made_later() {
    let mut calm = calm().await;
    storm(&mut calm, "busy", Fault::BUSY, publishes).await;
    storm(&mut calm, "broken", Fault::BROKEN, publishes).await;
    storm(&mut calm, "mute", Fault::BROKEN, Asked::is_status).await;
    storm(&mut calm, "slow", Fault::BUSY, Asked::is_status).await;
}

#[tokio::test]
async fn an_api_server_that_refuses_everything_withdraws_nothing() {
    let mut calm = calm().await;
    storm(&mut calm, "busy", Fault::BUSY, |_| true).await;
    storm(&mut calm, "broken", Fault::BROKEN, |_| true).await;
}

#[tokio::test]
async fn every_second_request_that_fails_withdraws_nothing() {
    let mut calm = calm().await;
    let count = Arc::new(AtomicUsize::new(0));
    let second = move |_: &Asked| count.fetch_add(1, Relaxed).is_multiple_of(2);
    storm(&mut calm, "half", Fault::BROKEN, second).await;
}

#[tokio::test]
async fn however_long_a_storm_lasts_every_watch_is_tried_within_seconds() {
    let (world, front, mut listener) = calm().await;
    let overloaded = Fault {
        status: 503,
        after: None,
    };
    front.answers(move |asked| asked.follows().then_some(overloaded));
    front.cut();
    world.apply(&open("late")).await;
    assert_eq!(listener.silent_for(LONG_STORM).await, Ok(()));
    drop(front.take_asked());
    assert_eq!(listener.silent_for(STORM).await, Ok(()));
    let asked = front.take_asked();
    for kind in ["/channels", "/api/v1/secrets", "/pods", "/deployments"] {
        let tries = asked.iter().filter(|asked| asked.path.ends_with(kind));
        assert!((1..10).contains(&tries.count()), "{kind}: {asked:?}");
    }
    front.passes();
    world.until_gateway_serves("late", DEADLINE).await;
}
