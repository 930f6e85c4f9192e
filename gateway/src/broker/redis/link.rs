//! A connection for subscriptions to one server: one for all, kept alive for ever.
//!
//! Owns: connecting, subscribing anew, the loop-back probe, and that every joined address whose subscription was
//! interrupted is told where its server stands now. Never: looks into a message. Used by: `nodes`.

use super::backoff::{Backoff, Complaint};
use super::door::Door;
use super::ears::Ears;
use super::follow::Hints;
use super::history;
use super::joined::Joined;
use super::keys::Keys;
use super::pump::{Inlet, Push};
use super::server::{self, Source};
use super::standing::Standing;
use super::topology::{Place, slot};
use super::wanted::{BATCH, Wanted, Work};
use crate::clock;
use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, RedisError, RedisResult, ServerErrorKind};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// How often the connection hears itself, and how long that may take.
const PROBE: Duration = Duration::from_secs(2);
/// Time for the answer to one command here.
const RESPONSE: Duration = Duration::from_secs(2);
/// How often channels are tried again that the server did not serve.
const REFUSED: Duration = Duration::from_millis(50);

/// What every connection to a Redis needs to know.
#[derive(Clone)]
pub struct Parts {
    pub keys: Keys,
    pub source: Source,
    pub wanted: Arc<Wanted>,
    pub joined: Arc<Joined>,
    pub inlet: Inlet,
    pub standing: Arc<Standing>,
    pub hints: Hints,
}

/// What this one needs besides.
pub struct Link {
    pub parts: Parts,
    pub place: Place,
    /// Commands to the same server.
    pub door: Door,
}

/// What `HGETALL` of a meta answers.
type Meta = HashMap<String, String>;

/// The subscriptions that belong to no topic stand on this connection, for as long as it lives.
struct Plain<'a>(&'a Standing, u64);

impl Drop for Plain<'_> {
    fn drop(&mut self) {
        self.0.plain_ended(self.1);
    }
}

/// One connection.
struct Session<'a> {
    link: &'a Link,
    ears: Arc<Ears>,
    connection: MultiplexedConnection,
    plain: Option<Plain<'a>>,
    fleet: Fleet,
    /// Sharded channels of slots that the server does not serve, or not wholly: they are on their way to or from
    /// another one. At most all.
    refused: Vec<Arc<str>>,
}

/// What became of the channel of the fleet, which stands for all that belongs to no topic, and was not told yet.
#[derive(Default)]
struct Fleet {
    subscribed: bool,
    returned: bool,
}

impl Link {
    /// Keeps the connection. Never ends.
    pub async fn run(self, mut backoff: Backoff) {
        self.parts.standing.set(&self.place, false);
        let mut complaint = Complaint::default();
        loop {
            let ended = match self.session(&mut backoff).await {
                Ok(cause) => cause.to_owned(),
                Err(error) => {
                    self.parts.hints.heed(&error);
                    error.to_string()
                }
            };
            self.parts.wanted.restart(&self.place);
            self.parts.standing.set(&self.place, false);
            if let Some(times) = complaint.due(clock::now().steady) {
                tracing::warn!(server = %self.place.node, times, error = ?ended, "no subscription");
            }
            self.parts.hints.look();
            sleep(backoff.next()).await;
        }
    }

    async fn session(&self, backoff: &mut Backoff) -> RedisResult<&'static str> {
        let probe = self.parts.keys.probe(&self.place);
        let ears = Arc::new(Ears::new(probe, self.parts.inlet.reopened()));
        let hearing = ears.clone();
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(RESPONSE))
            .set_push_sender(move |info| {
                hearing.hear(info);
                Ok::<_, redis::aio::SendError>(())
            });
        let mut changes = self.parts.wanted.changes();
        let mut connection = server::connect(&self.parts.source, &self.place.node, config).await?;
        connection.subscribe(ears.probe()).await?;
        let mut session = Session {
            link: self,
            ears: ears.clone(),
            connection: connection.clone(),
            plain: None,
            fleet: Fleet::default(),
            refused: Vec::new(),
        };
        let serving = async {
            session.catch_up().await?;
            self.parts.standing.set(&self.place, true);
            backoff.reset();
            session.serve(&mut changes).await
        };
        tokio::select! {
            cause = probed(connection, &ears) => cause,
            cause = serving => cause,
            cause = ears.lost() => Ok(cause),
        }
    }
}

impl Session<'_> {
    async fn serve(&mut self, changes: &mut watch::Receiver<u64>) -> RedisResult<&'static str> {
        let mut again = interval(REFUSED);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let refused = !self.refused.is_empty();
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    return Ok("the keeper ends");
                },
                _ = again.tick(), if refused => {
                    let refused = std::mem::take(&mut self.refused);
                    self.link.parts.wanted.refused(&self.link.place, refused);
                }
            }
            self.catch_up().await?;
        }
    }

    /// Does what there is to do.
    async fn catch_up(&mut self) -> RedisResult<()> {
        while let Some(work) = self.link.parts.wanted.work(&self.link.place) {
            self.carry_out(work).await?;
        }
        self.stand().await;
        Ok(())
    }

    async fn carry_out(&mut self, mut work: Work) -> RedisResult<()> {
        let interrupted = self.link.parts.joined.at(&work.returning);
        if !interrupted.is_empty() {
            let interrupted = Push::Interrupted(interrupted);
            self.link.parts.inlet.insert(interrupted).await;
        }
        let connection = &mut self.connection;
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
        self.ears.leave(&work.sunsubscribe);
        if !self
            .sharded("SUNSUBSCRIBE", &work.sunsubscribe)
            .await?
            .is_empty()
        {
            // Sent away in the same moment: answers and commands may be out of step from here on.
            return Err(out_of_step());
        }
        let mut refused = self.sharded("SSUBSCRIBE", &work.ssubscribe).await?;
        work.ssubscribe.retain(|name| !refused.contains(name));
        work.returning.retain(|name| !refused.contains(name));
        self.refused.append(&mut refused);
        self.link.parts.wanted.done(&self.link.place, &work);
        self.resume(&work.returning).await?;
        let control = self.link.parts.keys.control();
        let among = |names: &[Arc<str>]| names.iter().any(|name| **name == *control);
        self.fleet.subscribed |= among(&work.subscribe);
        self.fleet.returned |= among(&work.returning);
        Ok(())
    }

    /// One command for each name, since they may be of different slots. Answers those that this server does not
    /// serve.
    async fn sharded(&self, command: &str, names: &[Arc<str>]) -> RedisResult<Vec<Arc<str>>> {
        let asked = names.iter().map(|name| {
            let mut connection = self.connection.clone();
            let mut command = redis::cmd(command);
            command.arg(&**name);
            async move { command.exec_async(&mut connection).await }
        });
        let mut refused = Vec::new();
        for (name, answer) in names.iter().zip(join_all(asked).await) {
            match answer {
                Ok(()) => {}
                Err(error) if served_elsewhere(&error) => {
                    let meant = error.redirect_node().map(|(_, slot)| slot);
                    if meant.is_some_and(|meant| meant != slot(name)) {
                        return Err(out_of_step());
                    }
                    self.link.parts.hints.heed(&error);
                    refused.push(name.clone());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(refused)
    }

    /// Reads what is remembered of addresses whose subscription was interrupted, so that a lost tail is found
    /// without a next message. What cannot be read here now is subscribed to anew, and read then.
    async fn resume(&mut self, returning: &[Arc<str>]) -> RedisResult<()> {
        let link = self.link;
        for batch in link.parts.joined.active_at(returning).chunks(BATCH) {
            let mut pipe = redis::pipe();
            pipe.ignore_errors();
            for address in batch {
                pipe.hgetall(link.parts.keys.names(address).meta);
            }
            let asked = async {
                let live = link.door.live().await.ok_or_else(too_late)?;
                let metas = pipe.query_async(&mut live.connection.clone()).await;
                metas.inspect_err(|error| link.door.judge(&live, error))
            };
            let asked = timeout(RESPONSE, asked).await;
            let metas: Vec<RedisResult<Meta>> = asked.unwrap_or_else(|_| Err(too_late()))?;
            let mut resumed = Vec::with_capacity(batch.len());
            for (address, meta) in batch.iter().zip(metas) {
                match meta {
                    Ok(meta) => resumed.push((address.clone(), history::lineage(&meta))),
                    Err(error) if served_elsewhere(&error) => {
                        link.parts.hints.heed(&error);
                        let channel = link.parts.keys.channel(address);
                        self.refused.push(channel.into());
                    }
                    Err(error) => return Err(error),
                }
            }
            link.parts.inlet.insert(Push::Resumed(resumed)).await;
        }
        Ok(())
    }

    /// Tells, when all of it was done, whether what belongs to no topic stands now, and whether it was interrupted.
    async fn stand(&mut self) {
        let (parts, fleet) = (&self.link.parts, std::mem::take(&mut self.fleet));
        if fleet.returned {
            parts.inlet.insert(Push::Standing).await;
        }
        if fleet.subscribed {
            self.plain = Some(Plain(&parts.standing, parts.standing.plain_stands()));
        }
    }
}

fn served_elsewhere(error: &RedisError) -> bool {
    let ErrorKind::Server(kind) = error.kind() else {
        return false;
    };
    matches!(
        kind,
        ServerErrorKind::Moved
            | ServerErrorKind::Ask
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
    )
}

fn out_of_step() -> RedisError {
    RedisError::from((ErrorKind::Io, "sent away from a channel"))
}

fn too_late() -> RedisError {
    RedisError::from((ErrorKind::Io, "the metas could not be read in time"))
}

fn texts(names: &[Arc<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

/// Publishes to itself again and again; ends when that does not come back.
async fn probed(mut connection: MultiplexedConnection, ears: &Ears) -> RedisResult<&'static str> {
    let mut heard = ears.heard();
    for nonce in 1_u64.. {
        sleep(PROBE).await;
        let round = async {
            redis::cmd("PUBLISH")
                .arg(ears.probe())
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
