//! Every stream ends with a named reason: by a changed configuration, at a limit, on shutdown.

use crate::{Channel, Gateway, GatewaySetup};
use std::time::{Duration, Instant};
use tests::manifest::secret;

/// A Channel that the holders of a Secret listen to, and everybody publishes to.
fn news() -> Channel {
    Channel::open("news").tokens("subscribe", "readers")
}

fn readers(holders: &[(&str, &str)]) -> Vec<serde_json::Value> {
    vec![secret("readers", holders)]
}

const ANA: (&str, &str) = ("ana", "token-of-ana-0123456789");
const BEN: (&str, &str) = ("ben", "token-of-ben-0123456789");

async fn with_readers() -> Gateway {
    GatewaySetup::new()
        .channel(&news())
        .file("readers", readers(&[ANA, BEN]))
        .start()
        .await
}

#[tokio::test]
async fn a_removed_token_ends_its_streams_and_no_others() {
    let gateway = with_readers().await;
    let mut ana = gateway.listen("news").token(ANA.1).await;
    let mut ben = gateway.listen("news").token(BEN.1).await;
    let changed = Instant::now();
    gateway.apply_file("readers", &readers(&[BEN])).await;
    assert_eq!(ana.end().await.reason, "revoked");
    assert!(
        changed.elapsed() < Duration::from_secs(3),
        "{:?}",
        changed.elapsed()
    );
    gateway.publish("news", "still here").await;
    assert_eq!(ben.next().await.data, "still here");
    let refused = gateway
        .listen("news")
        .token(ANA.1)
        .refused()
        .await
        .expect(401);
    assert!(refused.text().contains("bad-token"));
    gateway
        .until_metric("siar_streams_closed_total", &[("reason", "revoked")], 1.0)
        .await;
}

#[tokio::test]
async fn a_deleted_channel_ends_its_streams_and_a_neighbour_goes_on() {
    let (one, other) = (Channel::open("one"), Channel::open("other"));
    let gateway = GatewaySetup::new()
        .channel(&one)
        .channel(&other)
        .start()
        .await;
    let mut ended = gateway.listen("one").await;
    let mut stays = gateway.listen("other").await;
    gateway.remove("one").await;
    assert_eq!(ended.end().await.reason, "deleted");
    gateway.publish("other", "x").await;
    assert_eq!(stays.next().await.data, "x");
    let refused = gateway.listen("one").refused().await.expect(404);
    assert!(refused.text().contains("unknown-topic"));
}

#[tokio::test]
async fn a_channel_that_begins_to_keep_history_is_joined_anew() {
    let gateway = Gateway::serving(&Channel::open("c")).await;
    let mut listener = gateway.listen("c").await;
    gateway.apply(&Channel::open("c").history(10)).await;
    let end = listener.end().await;
    assert_eq!(end.reason, "rotated");
    assert!(listener.retry().is_some());
}

#[tokio::test]
async fn a_change_that_does_not_concern_a_stream_leaves_it_untouched() {
    let gateway = Gateway::serving(&Channel::open("c")).await;
    let mut listener = gateway.listen("c").await;
    gateway
        .apply(&Channel::open("c").limit("messageBytes", 1000))
        .await;
    gateway.publish("c", "x").await;
    assert_eq!(listener.next().await.data, "x");
    assert_eq!(listener.ended(), None);
}

#[tokio::test]
async fn a_client_has_as_many_streams_as_it_may_and_comes_back_later() {
    let limited = news().limit("streamsPerClient", 1);
    let gateway = GatewaySetup::new()
        .channel(&limited)
        .file("readers", readers(&[ANA, BEN]))
        .start()
        .await;
    let held = gateway.listen("news").token(ANA.1).await;
    let mut second = gateway.listen("news").token(ANA.1).await;
    assert_eq!(second.end().await.reason, "client-limit");
    let retry = second.retry().unwrap();
    assert!((15_000..45_000).contains(&retry), "{retry}");
    gateway.listen("news").token(BEN.1).await;
    drop(held);
    gateway
        .until_metric("siar_streams", &[("channel", "news")], 0.0)
        .await;
    gateway.listen("news").token(ANA.1).await;
}

#[tokio::test]
async fn a_shutdown_spreads_the_ends_and_exits_with_0() {
    let setup = GatewaySetup::new()
        .channel(&Channel::open("c"))
        .flag("--endpoint-delay", "1s")
        .flag("--drain", "3s");
    let mut gateway = setup.start().await;
    let mut streams = Vec::new();
    for _ in 0..200 {
        streams.push(gateway.listen("c").await);
    }
    gateway.term();
    gateway.until_metric("siar_draining", &[], 1.0).await;
    let ready = tests::http::Ask::get(gateway.admin(), "/readyz")
        .send()
        .await;
    assert!(ready.expect(503).text().contains("shutting down"));
    // During the endpoint delay all is normal.
    gateway.publish("c", "x").await;
    let begin = Instant::now();
    let mut ends = Vec::new();
    for stream in &mut streams {
        assert_eq!(stream.next().await.data, "x");
        assert_eq!(stream.end().await.reason, "draining");
        assert!(stream.retry().is_some());
        ends.push(begin.elapsed());
    }
    let spread = ends
        .iter()
        .max()
        .unwrap()
        .saturating_sub(*ends.iter().min().unwrap());
    assert!(spread > Duration::from_millis(1500), "{spread:?}");
    assert!(gateway.exit().await.success());
}

#[tokio::test]
async fn a_second_signal_exits_at_once() {
    let mut gateway = Gateway::serving(&Channel::open("c")).await;
    let _listener = gateway.listen("c").await;
    gateway.term();
    gateway.until_metric("siar_draining", &[], 1.0).await;
    gateway.term();
    assert_eq!(gateway.exit().await.code(), Some(1));
}
