//! Many streams and publishes: the connections of Redis stay two, and nobody waits for a worker.

use super::{serve, sse};
use crate::{Channel, Listener};
use tests::wait::within;

#[tokio::test]
async fn e_a_thousand_streams_and_publishes_take_two_connections() {
    const TOPICS: usize = 20;
    let (mut redis, gateway) = serve(&[Channel::open("load")
        .topics(&["load.{n}"])
        .ingest(&["FlaskSse"])])
    .await;
    let mut streams = Vec::new();
    for at in 0..1000 {
        streams.push(gateway.listen(&format!("load.{}", at % TOPICS)).await);
    }
    for at in 0..1000 {
        let topic = format!("load.{}", at % TOPICS);
        if at % 2 == 0 {
            gateway.publish(&topic, at.to_string()).await;
        } else {
            redis
                .publish(&topic, format!(r#"{{"data": "{at}"}}"#))
                .await;
        }
    }
    assert_eq!(
        redis.connections().await.len(),
        2,
        "{:?}",
        redis.connections().await
    );
    for (at, stream) in streams.iter_mut().enumerate() {
        let expected: Vec<String> = (0..1000)
            .skip(at % TOPICS)
            .step_by(TOPICS)
            .map(|n| n.to_string())
            .collect();
        let mut seen = stream.data(expected.len()).await;
        seen.sort_by_key(|data| data.parse::<usize>().unwrap());
        assert_eq!(seen, expected, "stream {at}");
    }
}

#[tokio::test]
async fn h_thousands_of_streams_listen_while_others_open_and_messages_come() {
    let (mut redis, gateway) = serve(&[sse()]).await;
    let mut streams: Vec<(usize, Listener)> = Vec::new();
    for message in 0..20 {
        for _ in 0..100 {
            streams.push((message, gateway.listen("sse").await));
        }
        redis
            .publish("sse", format!(r#"{{"data": "{message}"}}"#))
            .await;
    }
    within("every stream to get what came after it", async {
        for (first, stream) in &mut streams {
            let mut seen = vec![stream.next().await.data];
            while seen.last().is_some_and(|data| data != "19") {
                seen.push(stream.next().await.data);
            }
            // What was on its way when the stream opened may come, too.
            let begin: usize = seen[0].parse().unwrap();
            assert!(begin <= *first && begin + 2 > *first, "{first}: {seen:?}");
            let expected: Vec<String> = (begin..20).map(|n| n.to_string()).collect();
            assert_eq!(seen, expected);
        }
    })
    .await;
    gateway
        .until_metric("siar_streams", &[("channel", "sse")], 2000.0)
        .await;
}
