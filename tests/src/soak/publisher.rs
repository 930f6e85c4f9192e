//! The publisher of one topic: over HTTP until it is acknowledged, or raw and at most once.
//!
//! Owns: that numbers of a topic follow one another, whatever happens to gateways and Redis. Never: gives up a number.
//! Used by: `soak`.

use super::account::{Said, Source};
use super::scene::Kind;
use super::world::{Stage, World};
use crate::http::{Answer, Ask, encode};
use crate::position::Position;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long a gateway may take to answer.
const ANSWER: Duration = Duration::from_secs(15);
/// The pause before a number is tried again, in milliseconds.
const AGAIN_MS: std::ops::Range<u64> = 100..400;
/// Longer than Redis is ever frozen: a raw message whose answer was not waited for could overtake the next.
const RAW_ANSWER: Duration = Duration::from_secs(60);

/// Publishes to `topic` until the last stage, and once more then.
pub async fn http(world: Arc<World>, kind: &'static Kind, topic: String, index: u64) {
    let mut chance = StdRng::seed_from_u64(world.seed ^ (index + 1) << 40);
    loop {
        let pause = kind.pause.mul_f64(chance.random_range(0.0..2.0));
        let last = timeout(pause, world.until(Stage::Last)).await.is_ok();
        let bytes = chance.random_range(kind.bytes[0]..=kind.bytes[1]);
        number(&world, &topic, bytes, &mut chance).await;
        if last {
            return;
        }
    }
}

/// One more message in every topic.
pub async fn round(world: &World) {
    let mut chance = StdRng::seed_from_u64(world.seed);
    for (kind, topic) in super::scene::topics() {
        number(world, &topic, kind.bytes[0], &mut chance).await;
    }
}

/// One number, until it is acknowledged.
async fn number(world: &World, topic: &str, bytes: usize, chance: &mut StdRng) {
    let number = world.ledger.begin(topic);
    let said = Said {
        topic,
        source: Source::Http,
        number,
    };
    let text = said.text(bytes);
    let path = format!("/publish?channel={}", encode(topic));
    loop {
        let address = world.gateways[chance.random_range(0..2)];
        let ask = Ask::post(address, &path, text.as_str());
        let ask = ask.header("Idempotency-Key", &format!("{topic}-{number}"));
        let failed = match timeout(ANSWER, ask.try_send()).await {
            Ok(Ok(answer)) if answer.status == 200 => return acknowledge(world, topic, &answer),
            Ok(Ok(answer)) => {
                let word = format!("{} {}", answer.status, problem(&answer));
                if !matches!(answer.status, 429 | 503) {
                    world.broken("a publisher", &format!("{topic} {number}: {word}"));
                }
                word
            }
            Ok(Err(error)) => error.kind().to_string(),
            Err(_) => "no answer".into(),
        };
        world.count(|counts| &mut counts.repeated, &failed);
        sleep(Duration::from_millis(chance.random_range(AGAIN_MS))).await;
    }
}

fn acknowledge(world: &World, topic: &str, answer: &Answer) {
    let answer = answer.json();
    let at = answer["position"]
        .as_str()
        .and_then(|text| text.parse::<Position>().ok());
    let done = match at {
        Some(at) => world.ledger.acknowledge(topic, at),
        None => Err(format!("{topic}: acknowledged without a place: {answer}")),
    };
    if let Err(text) = done {
        world.broken("a publisher", &text);
    }
}

/// The word at the end of the `type` of a problem.
fn problem(answer: &Answer) -> String {
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let kind = problem["type"].as_str().unwrap_or_default();
    kind.rsplit('/').next().unwrap_or_default().into()
}

/// `PUBLISH`es as Flask-SSE does, until the last stage.
pub async fn raw(world: Arc<World>, mean: Duration, topic: String, index: u64) {
    let mut chance = StdRng::seed_from_u64(world.seed ^ (index + 1) << 50);
    let client = Client::open(world.redis.as_str()).expect("a URL of the harness");
    let mut connection = None;
    let mut number = 0;
    while world.stage() < Stage::Last {
        let pause = mean.mul_f64(chance.random_range(0.0..2.0));
        drop(timeout(pause, world.until(Stage::Last)).await);
        number += 1;
        let said = Said {
            topic: &topic,
            source: Source::Raw,
            number,
        };
        let word = match publish(&client, &mut connection, &topic, &said.text(60)).await {
            Ok(0) => "heard by nobody".into(),
            Ok(_) => "heard".into(),
            Err(error) => {
                connection = None;
                format!("{:?}", error.kind())
            }
        };
        world.count(|counts| &mut counts.raw, &word);
    }
}

async fn publish(
    client: &Client,
    connection: &mut Option<MultiplexedConnection>,
    topic: &str,
    text: &str,
) -> redis::RedisResult<i64> {
    if connection.is_none() {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(RAW_ANSWER))
            .set_response_timeout(Some(RAW_ANSWER));
        let new = client.get_multiplexed_async_connection_with_config(&config);
        *connection = Some(new.await?);
    }
    let connection = connection.as_mut().expect("connected above");
    let payload = serde_json::json!({ "data": text }).to_string();
    let mut command = redis::cmd("PUBLISH");
    command.arg(topic).arg(payload);
    command.query_async(connection).await
}
