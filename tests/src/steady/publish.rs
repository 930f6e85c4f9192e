//! Publishers: one for each topic, who says a message again under the same key until it is acknowledged.
//!
//! Owns: the order within a topic, and that an answer other than 200, 429 and 503 is strange. Never: passes over a number.
//! Used by: `steady`.

use super::account::{Acknowledged, name};
use super::{Calls, Plan, Shared};
use crate::gateway::Published;
use crate::http::{Ask, query};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long a gateway may take to answer, which it promises to do within 2 s.
const ANSWER: Duration = Duration::from_secs(5);
/// The pause before a message is said again.
const PAUSE: Duration = Duration::from_millis(200);
/// Requests under way at the same time, so that a thousand topics do not become a flood while all of them are refused.
const AT_ONCE: usize = 128;

/// Starts a publisher for each topic.
pub fn start(shared: &Arc<Shared>, calls: &watch::Sender<Calls>) -> JoinSet<()> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut publishers = JoinSet::new();
    for topic in 0..shared.plan.topics {
        let publisher = Publisher {
            shared: shared.clone(),
            places: places.clone(),
            topic,
            turn: topic,
        };
        publishers.spawn(publisher.run(calls.subscribe()));
    }
    publishers
}

struct Publisher {
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
    topic: usize,
    /// Which gateway is asked next.
    turn: usize,
}

impl Publisher {
    /// Publishes until it is told to stop, and then once more.
    async fn run(mut self, mut calls: watch::Receiver<Calls>) {
        let Plan { topics, every } = self.shared.plan;
        // Not all topics in one moment.
        let mut pause = every.mul_f64(self.topic as f64 / topics as f64);
        for number in 1.. {
            // Called or not, a message is due.
            drop(timeout(pause, calls.changed()).await);
            let last = calls.borrow_and_update().stop;
            self.say(number).await;
            if last {
                return;
            }
            pause = every;
        }
    }

    /// Says one message until it is acknowledged.
    async fn say(&mut self, number: u64) {
        self.shared.account.lock().topics[self.topic].asked = number;
        for tries in 1.. {
            let gateway = self.shared.gateways[self.turn % self.shared.gateways.len()];
            self.turn += 1;
            let place = self.places.acquire().await.expect("it is never closed");
            let asked = self.ask(gateway, number).await;
            drop(place);
            match asked {
                Ok(published) => return self.acknowledged(number, &published, tries),
                Err(refused) => {
                    let mut account = self.shared.account.lock();
                    account.refused(Instant::now(), refused);
                }
            }
            sleep(PAUSE).await;
        }
    }

    fn acknowledged(&self, number: u64, published: &Published, tries: u32) {
        let (at, mut account) = (Instant::now(), self.shared.account.lock());
        match published.position.parse() {
            Err(error) => account.strange(error),
            Ok(position) => account.topics[self.topic].acknowledged.push(Acknowledged {
                number,
                position,
                at,
                tries,
            }),
        }
    }

    async fn ask(&self, gateway: SocketAddr, number: u64) -> Result<Published, String> {
        let topic = name(self.topic);
        let path = format!("/publish{}", query(&[("channel", &topic)]));
        let ask = Ask::post(gateway, &path, format!("{topic} {number}"))
            .header("Content-Type", "text/plain; charset=utf-8")
            .header("Idempotency-Key", &format!("{topic}-{number}"));
        let answer = match timeout(ANSWER, ask.try_send()).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("no answer".into()),
        };
        let said = format!("{} {}", answer.status, answer.text());
        match answer.status {
            200 => serde_json::from_slice(&answer.body).map_err(|error| format!("{error}: {said}")),
            429 | 503 => Err(format!("{} {}", answer.status, answer.word())),
            _ => {
                self.shared.account.lock().strange(said.clone());
                Err(said)
            }
        }
    }
}
