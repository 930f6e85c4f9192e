//! Several gateways and one publisher that knows of none: one numbers, and another follows it.

use super::sse;
use crate::{Gateway, GatewaySetup, Redis};
use serde_json::Value;
use std::time::{Duration, Instant};
use tests::wait::within;

/// The gateway that numbers, and one that does not.
async fn two(redis: &Redis) -> (Gateway, Gateway) {
    let setup = GatewaySetup::new()
        .channel(&sse().history(10_000))
        .redis(&redis.url());
    let holder = setup.clone().start().await;
    (holder, setup.start().await)
}

fn number(number: usize) -> String {
    format!(r#"{{"data": "{number}"}}"#)
}

#[tokio::test]
async fn a_killed_gateway_is_followed_within_seconds_and_the_loss_is_told_once() {
    let mut redis = Redis::start().await;
    let (mut holder, other) = two(&redis).await;
    let mut listener = other.listen("sse").await;
    redis.publish("sse", number(0)).await;
    assert_eq!(listener.next().await.data, "0");
    holder.kill9();
    let killed = Instant::now();
    within("another gateway to listen", async {
        while redis.publish("sse", number(1)).await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let took = killed.elapsed();
    // The lease lasts 3 s and is asked for every second; the rest is for a busy machine.
    assert!(took < Duration::from_secs(6), "{took:?}");
    let (mut gaps, mut ended) = (0, false);
    redis.publish("sse", number(2)).await;
    while !(ended && gaps > 0) {
        let event = within("the loss and the end", listener.event()).await;
        match (event.kind.as_str(), event.data.as_str()) {
            ("siar.gap", text) => {
                let gap: Value = serde_json::from_str(text).unwrap();
                assert_eq!(gap["reason"], "ingest");
                gaps += 1;
            }
            (_, "2") => ended = true,
            (_, "1") => {}
            (kind, data) => panic!("{kind} {data}"),
        }
    }
    assert_eq!(gaps, 1);
}

#[tokio::test]
async fn a_gateway_that_leaves_hands_over_and_no_raw_message_is_lost() {
    const ALL: usize = 600;
    let mut redis = Redis::start().await;
    let (mut holder, other) = two(&redis).await;
    let mut listener = other.listen("sse").await;
    for at in 0..ALL {
        if at == ALL / 6 {
            holder.term();
        }
        assert!(redis.publish("sse", number(at)).await > 0, "{at}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(holder.exit().await.success());
    assert_eq!(redis.subscribers("sse").await, 1);
    let expected: Vec<String> = (0..ALL).map(|at| at.to_string()).collect();
    assert_eq!(listener.data(ALL).await, expected);
    assert!(!listener.transcript().contains("siar.gap"));
}

#[tokio::test]
async fn presence_counts_the_streams_of_all_gateways() {
    let redis = Redis::start().await;
    let (one, other) = two(&redis).await;
    let _streams = [
        one.listen("sse").await,
        other.listen("sse").await,
        other.listen("sse").await,
    ];
    for gateway in [&one, &other] {
        let answer = gateway.get("/presence?channel=sse").await.expect(200);
        let presence: Value = serde_json::from_str(answer.text().as_ref()).unwrap();
        assert_eq!(
            (&presence["streams"], &presence["complete"]),
            (&3.into(), &true.into()),
            "{presence}"
        );
    }
}
