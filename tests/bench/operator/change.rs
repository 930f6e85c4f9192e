//! Cycles of four changes by kubectl, each timed from the start of kubectl until two gateways act on it.

use super::World;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tests::fleet::Pod;
use tests::issuer::base64;
use tests::listen::Listener;
use tokio::time::{sleep, timeout};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// When nothing happens for so long, something is broken.
const GIVE_UP: Duration = Duration::from_secs(60);

/// Milliseconds of each cycle.
#[derive(Default)]
pub struct Took {
    pub served: Vec<f64>,
    pub revoked: Vec<f64>,
    pub rotated: Vec<f64>,
    pub deleted: Vec<f64>,
    /// From the first apply until the status says it.
    pub programmed: Vec<f64>,
}

/// One Channel after the other: made, its rule changed, its Secret rotated, deleted.
pub async fn cycles(world: &World, count: usize) -> Result<Took> {
    let mut took = Took::default();
    let pods = world.fleet.pods();
    for number in 1..=count {
        eprintln!("operator, changes, cycle {number} of {count}");
        let cycle = Cycle {
            world,
            pods: &pods,
            name: format!("c{number}"),
        };
        timeout(GIVE_UP, cycle.run(&mut took))
            .await
            .context("a change is not in force after a minute")??;
    }
    Ok(took)
}

struct Cycle<'a> {
    world: &'a World,
    pods: &'a [Pod],
    name: String,
}

impl Cycle<'_> {
    async fn run(&self, took: &mut Took) -> Result<()> {
        let (first, second) = (
            format!("{}-first", self.name),
            format!("{}-second", self.name),
        );
        self.apply(&secret(&first, &["ana", "ben"])).await;
        self.apply(&secret(&second, &["ben", "eve"])).await;

        let begin = Instant::now();
        self.apply(&channel(&self.name, &first)).await;
        let (mut served, programmed) =
            tokio::join!(self.admitted("ana", begin), self.programmed(begin));
        took.served.push(served.millis);
        took.programmed.push(programmed);
        let mut stays = self.admitted("ben", begin).await;

        let begin = Instant::now();
        self.apply(&channel(&self.name, &second)).await;
        took.revoked.push(served.end("revoked", begin).await?);

        let begin = Instant::now();
        self.apply(&secret(&second, &["ben", "fay"])).await;
        took.rotated.push(self.admitted("fay", begin).await.millis);

        let begin = Instant::now();
        let delete = [
            "delete",
            "channel",
            &self.name,
            "--namespace=default",
            "--wait=false",
        ];
        self.world.cluster.kubectl(&delete).await;
        took.deleted.push(stays.end("deleted", begin).await?);
        Ok(())
    }

    async fn apply(&self, object: &Value) {
        self.world.cluster.apply(object).await;
    }

    /// Waits until both gateways open a stream for a token.
    async fn admitted(&self, token: &str, begin: Instant) -> Streams {
        let mut listeners = Vec::new();
        for pod in self.pods {
            loop {
                let listen = pod.listen(&self.name).path("/default/stream").token(token);
                match listen.try_open().await {
                    Ok(Ok(listener)) => break listeners.push(listener),
                    Ok(Err(_)) | Err(_) => sleep(LOOK_EVERY).await,
                }
            }
        }
        Streams {
            listeners,
            millis: millis(begin),
        }
    }

    async fn programmed(&self, begin: Instant) -> f64 {
        let path = format!(
            "/apis/siar.dev/v1alpha1/namespaces/default/channels/{}",
            self.name
        );
        loop {
            let channel = self.world.cluster.get(&path).await.json();
            let conditions = channel["status"]["conditions"].as_array();
            let programmed = conditions.into_iter().flatten();
            let mut programmed = programmed.filter(|one| one["type"] == "Programmed");
            if programmed.any(|one| {
                one["status"] == "True"
                    && one["observedGeneration"] == channel["metadata"]["generation"]
            }) {
                return millis(begin);
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

/// A stream on each gateway.
struct Streams {
    listeners: Vec<Listener>,
    /// When the last of them was open.
    millis: f64,
}

impl Streams {
    /// Waits until all have ended, for that reason.
    async fn end(&mut self, reason: &str, begin: Instant) -> Result<f64> {
        for listener in &mut self.listeners {
            let end = listener.end().await.reason;
            ensure!(end == reason, "a stream ended with {end}");
        }
        Ok(millis(begin))
    }
}

fn millis(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1000.0
}

fn channel(name: &str, readers: &str) -> Value {
    let rule = json!({ "tokens": { "secretRef": { "name": readers } } });
    json!({
        "apiVersion": "siar.dev/v1alpha1",
        "kind": "Channel",
        "metadata": { "name": name, "namespace": "default" },
        "spec": { "access": { "subscribe": [rule] } },
    })
}

/// Each client's token is its name.
fn secret(name: &str, clients: &[&str]) -> Value {
    let data = clients.iter().map(|client| {
        let token = base64(client.as_bytes());
        ((*client).to_owned(), Value::from(token))
    });
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name, "namespace": "default" },
        "data": data.collect::<serde_json::Map<_, _>>(),
    })
}
