//! The connection for subscriptions: one for all, kept alive for ever.
//!
//! Owns: connecting, subscribing anew, the loop-back probe, and that after an interruption every joined
//! address is told where its server stands now. Never: looks into a message. Used by: `redis`.

use super::backoff::{Backoff, Complaint};
use super::history;
use super::joined::Joined;
use super::keys::Keys;
use super::pump::{Inlet, Push};
use super::server::{self, Source};
use super::wanted::{BATCH, Name, Wanted, Work};
use crate::clock;
use crate::metrics::Metrics;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, PushInfo, PushKind, RedisError, RedisResult, Value};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

/// How often the connection hears itself, and how long that may take.
const PROBE: Duration = Duration::from_secs(2);
/// Time for the answer to one command here.
const RESPONSE: Duration = Duration::from_secs(2);

/// What the connection needs to know.
pub struct Link {
    pub keys: Keys,
    pub source: Source,
    pub wanted: Arc<Wanted>,
    pub joined: Arc<Joined>,
    pub inlet: Inlet,
    pub metrics: Arc<Metrics>,
    /// Rises each time that all subscriptions stand; 0 is never. Beside it, whether they stand now.
    pub standing: watch::Sender<(u64, bool)>,
}

/// What a push handler may do: note the probe, hand on, or say that all is lost.
struct Ears {
    probe: String,
    heard: watch::Sender<u64>,
    inlet: Inlet,
    lost: Notify,
}

impl Ears {
    /// Called inside the connection: must not wait.
    fn hear(&self, info: PushInfo) {
        match info.kind {
            PushKind::Disconnection => self.lost.notify_one(),
            PushKind::Message if self.is_probe(&info.data) => {
                if let Some(Value::BulkString(nonce)) = info.data.get(1) {
                    let nonce = std::str::from_utf8(nonce).ok();
                    let nonce = nonce.and_then(|nonce| nonce.parse().ok());
                    self.heard.send_replace(nonce.unwrap_or_default());
                }
            }
            kind => {
                let push = Push::read(&kind, info.data);
                // What finds no room is a hole in no matter what: everything is looked at anew.
                if push.is_some_and(|push| !self.inlet.offer(push)) {
                    self.lost.notify_one();
                }
            }
        }
    }

    fn is_probe(&self, data: &[Value]) -> bool {
        matches!(data.first(), Some(Value::BulkString(name)) if *name == self.probe.as_bytes())
    }
}

impl Link {
    /// Keeps the connection. Never ends.
    pub async fn run(self, mut backoff: Backoff) {
        let label = server::label(&self.source.server());
        let up = self.metrics.redis_up.with_label_values(&[&label]);
        let reconnects = self.metrics.redis_reconnects.with_label_values(&[&label]);
        up.set(0);
        let own = [self.keys.probe(), self.keys.control(), self.keys.own()];
        self.wanted.want(&own.map(Name::channel));
        let mut complaint = Complaint::default();
        loop {
            let stood = self.standing.borrow().0;
            let ended = match self.session(&mut backoff).await {
                Ok(cause) => cause.to_owned(),
                Err(error) => error.to_string(),
            };
            self.wanted.restart();
            self.standing.send_modify(|standing| standing.1 = false);
            up.set(0);
            if self.standing.borrow().0 != stood {
                reconnects.inc();
            }
            if let Some(times) = complaint.due(clock::now().steady) {
                tracing::warn!(server = label, times, error = ?ended, "no subscription");
            }
            sleep(backoff.next()).await;
        }
    }

    async fn session(&self, backoff: &mut Backoff) -> RedisResult<&'static str> {
        let ears = Arc::new(Ears {
            probe: self.keys.probe(),
            heard: watch::Sender::new(0),
            inlet: self.inlet.reopened(),
            lost: Notify::new(),
        });
        let hearing = ears.clone();
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(RESPONSE))
            .set_push_sender(move |info| {
                hearing.hear(info);
                Ok::<_, redis::aio::SendError>(())
            });
        let mut connection = server::connect(&self.source, config).await?;
        self.inlet.insert(Push::Restarted).await;
        while let Some(work) = self.wanted.work() {
            self.carry_out(&mut connection, &work).await?;
        }
        self.resume(&mut connection).await?;
        self.standing
            .send_modify(|(times, now)| (*times, *now) = (*times + 1, true));
        backoff.reset();
        let label = server::label(&self.source.server());
        self.metrics.redis_up.with_label_values(&[&label]).set(1);
        tokio::select! {
            cause = probe(connection.clone(), &ears) => cause,
            cause = self.serve(connection) => cause,
            () = ears.lost.notified() => Ok("disconnected, or more arrived than there was room for"),
        }
    }

    async fn serve(&self, mut connection: MultiplexedConnection) -> RedisResult<&'static str> {
        loop {
            self.wanted.changed().await;
            while let Some(work) = self.wanted.work() {
                self.carry_out(&mut connection, &work).await?;
            }
        }
    }

    async fn carry_out(
        &self,
        connection: &mut MultiplexedConnection,
        work: &Work,
    ) -> RedisResult<()> {
        if !work.subscribe.is_empty() {
            connection.subscribe(texts(&work.subscribe)).await?;
        }
        if !work.psubscribe.is_empty() {
            connection.psubscribe(texts(&work.psubscribe)).await?;
        }
        if !work.unsubscribe.is_empty() {
            connection.unsubscribe(texts(&work.unsubscribe)).await?;
        }
        if !work.punsubscribe.is_empty() {
            connection.punsubscribe(texts(&work.punsubscribe)).await?;
        }
        self.wanted.done(work);
        Ok(())
    }

    /// Reads what is remembered of every joined address, so that a lost tail is found without a next
    /// message.
    async fn resume(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let addresses = self.joined.active(|_| true);
        for batch in addresses.chunks(BATCH) {
            let mut pipe = redis::pipe();
            for address in batch {
                pipe.hgetall(self.keys.names(address).meta);
            }
            let metas: Vec<HashMap<String, String>> = pipe.query_async(connection).await?;
            let lineages = metas.iter().map(history::lineage);
            let resumed = batch.iter().cloned().zip(lineages).collect();
            self.inlet.insert(Push::Resumed(resumed)).await;
        }
        self.inlet.insert(Push::Standing).await;
        Ok(())
    }
}

fn texts(names: &[Arc<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

/// Publishes to itself again and again; ends when that does not come back.
async fn probe(
    mut connection: MultiplexedConnection,
    ears: &Ears,
) -> Result<&'static str, RedisError> {
    let mut heard = ears.heard.subscribe();
    for nonce in 1_u64.. {
        sleep(PROBE).await;
        let round = async {
            redis::cmd("PUBLISH")
                .arg(&ears.probe)
                .arg(nonce)
                .exec_async(&mut connection)
                .await?;
            drop(heard.wait_for(|&heard| heard == nonce).await);
            Ok::<_, RedisError>(())
        };
        match timeout(PROBE, round).await {
            Ok(done) => done?,
            Err(_) => return Ok("the probe did not come back"),
        }
    }
    Ok("out of nonces")
}
