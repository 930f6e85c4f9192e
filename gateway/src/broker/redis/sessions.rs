//! Tells Juggernaut's apps which sessions joined and left which channels.
//!
//! Owns: the events `juggernaut:subscribe` and `juggernaut:unsubscribe`, in order and each once, and
//! those that a dead gateway owed. Never: waits where a stream opens or closes. Used by: `redis`; `lease`
//! says when dead ones are to be looked for.

use super::backoff::Complaint;
use super::commands::{Commands, Failure};
use super::keys::{ALIVE_TTL, JUGGERNAUT, Keys, SESSIONS_TTL};
use crate::address::Address;
use crate::broker::Target;
use crate::clock;
use crate::message::Session;
use redis::{Script, ScriptInvocation};
use serde::Serialize;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// Events that wait to be told. The second half is for ends, so that whatever was told ends, too.
const MOST_WAITING: usize = 65_536;
/// Events in one pipeline, and ends of a dead gateway in one call.
const BATCH: usize = 100;
/// Time for one pipeline.
const LIMIT: Duration = Duration::from_secs(2);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);
/// How often a gateway says that it lives.
const ALIVE: Duration = Duration::from_secs(3);
/// How long the last events may take when the process ends.
const FLUSH: Duration = Duration::from_secs(1);

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("sessions.lua")));

#[derive(Serialize)]
struct Told<'a> {
    channel: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<&'a str>,
    session_id: String,
}

enum Event {
    Opened(Box<Visit>),
    Closed(Box<Visit>),
    Flush(oneshot::Sender<Infallible>),
}

/// One session on one channel.
struct Visit {
    name: String,
    prefix: String,
    text: String,
}

impl Visit {
    /// None: the target is none that apps are told of.
    fn new(target: &Target, identity: Option<&str>, session: Session) -> Option<Box<Self>> {
        let topic = match &target.address {
            Address::Topic { topic, .. } | Address::Member { topic, .. } => topic.as_str(),
            Address::Feed { .. } => return None,
        };
        if !target.policy.ingest.juggernaut {
            return None;
        }
        let prefix = target.policy.prefix.to_string();
        let told = Told {
            channel: topic,
            meta: identity,
            session_id: session.to_string(),
        };
        Some(Box::new(Self {
            name: format!("{session} {prefix}{topic}"),
            text: serde_json::to_string(&told).unwrap_or_default(),
            prefix,
        }))
    }

    fn channel(&self, event: &str) -> String {
        format!("{}{JUGGERNAUT}:{event}", self.prefix)
    }

    fn call(&self, keys: &Keys, opened: bool) -> ScriptInvocation<'static> {
        let mut call = SCRIPT.prepare_invoke();
        call.key(keys.sessions(keys.id()))
            .arg(if opened { "opened" } else { "closed" })
            .arg(SESSIONS_TTL.as_secs() * 1000)
            .arg(&self.name)
            .arg(self.channel(if opened { "subscribe" } else { "unsubscribe" }))
            .arg(&self.text);
        if opened {
            call.arg(self.channel("unsubscribe"));
        }
        call
    }
}

/// The way in.
pub struct Sessions {
    queue: mpsc::Sender<Event>,
}

impl Sessions {
    /// The way in, and what tells.
    #[must_use]
    pub fn new(keys: Keys, commands: Commands) -> (Self, Teller) {
        let (queue, events) = mpsc::channel(MOST_WAITING);
        let teller = Teller {
            keys,
            commands,
            events,
        };
        (Self { queue }, teller)
    }

    /// A session joined.
    pub fn opened(&self, target: &Target, identity: Option<&str>, session: Session) {
        let Some(visit) = Visit::new(target, identity, session) else {
            return;
        };
        if self.queue.capacity() < MOST_WAITING / 2
            || self.queue.try_send(Event::Opened(visit)).is_err()
        {
            tracing::warn!(channel = %target.policy.channel, "no room to tell of a session");
        }
    }

    /// It left.
    pub fn closed(&self, target: &Target, identity: Option<&str>, session: Session) {
        let Some(visit) = Visit::new(target, identity, session) else {
            return;
        };
        if self.queue.try_send(Event::Closed(visit)).is_err() {
            tracing::warn!(channel = %target.policy.channel, "no room to tell that a session left");
        }
    }

    /// Waits until all that was said is told, at most a second.
    pub async fn flush(&self) {
        let (sender, told) = oneshot::channel();
        let flushed = async {
            if self.queue.send(Event::Flush(sender)).await.is_ok() {
                // The sender is dropped when it is done, or with the task.
                drop(told.await);
            }
        };
        if timeout(FLUSH, flushed).await.is_err() {
            tracing::warn!("sessions that left are told by another gateway");
        }
    }
}

/// What tells.
pub struct Teller {
    keys: Keys,
    commands: Commands,
    events: mpsc::Receiver<Event>,
}

impl Teller {
    /// Works for ever. Nothing is told before the first session, and then that this gateway lives.
    pub async fn run(mut self) {
        let mut events = Vec::with_capacity(BATCH);
        let mut living = false;
        // However many events come meanwhile.
        let mut due = interval(ALIVE);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = due.tick(), if living => self.live().await,
                count = self.events.recv_many(&mut events, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    let calls = self.calls(&events);
                    if !calls.is_empty() {
                        if !living {
                            self.live().await;
                            living = true;
                        }
                        self.tell(&calls).await;
                    }
                    for event in events.drain(..) {
                        if let Event::Flush(told) = event {
                            drop(told);
                        }
                    }
                }
            }
        }
    }

    fn calls(&self, events: &[Event]) -> Vec<ScriptInvocation<'static>> {
        let calls = events.iter().filter_map(|event| match event {
            Event::Opened(visit) => Some(visit.call(&self.keys, true)),
            Event::Closed(visit) => Some(visit.call(&self.keys, false)),
            Event::Flush(_) => None,
        });
        calls.collect()
    }

    /// Says that this gateway lives.
    async fn live(&self) {
        let id = self.keys.id();
        let (alive, tellers) = (self.keys.alive(id), self.keys.tellers());
        let mut pipe = redis::pipe();
        pipe.set_ex(&alive, 1, ALIVE_TTL.as_secs()).ignore();
        self.insist(&alive, &pipe).await;
        let mut pipe = redis::pipe();
        pipe.sadd(&tellers, &**id).ignore();
        self.insist(&tellers, &pipe).await;
    }

    async fn tell(&self, calls: &[ScriptInvocation<'static>]) {
        let mut pipe = redis::pipe();
        pipe.load_script(&SCRIPT).ignore();
        for call in calls {
            pipe.invoke_script(call).ignore();
        }
        let sessions = self.keys.sessions(self.keys.id());
        self.insist(&sessions, &pipe).await;
    }

    /// Repeats what may be repeated, until it is done.
    async fn insist(&self, key: &str, pipe: &redis::Pipeline) {
        loop {
            let asked = self.commands.call(key, LIMIT, async |mut connection| {
                pipe.exec_async(&mut connection).await
            });
            match asked.await {
                Ok(()) => return,
                Err(failure) => tracing::debug!(%failure, "sessions wait to be told"),
            }
            sleep(PAUSE).await;
        }
    }
}

/// Tells what gateways owed that are gone. A task of its own: it may take long, and the lease that calls for it must
/// not wait.
pub struct Sweep {
    pub keys: Keys,
    pub commands: Commands,
    /// The holder of the lease wants a round.
    pub due: Arc<Notify>,
}

impl Sweep {
    /// Works for ever.
    pub async fn run(self) {
        let mut complaint = Complaint::default();
        loop {
            self.due.notified().await;
            let Err(failure) = self.round().await else {
                continue;
            };
            if let Some(times) = complaint.due(clock::now().steady) {
                tracing::warn!(%failure, times, "what gateways owed that are gone could not be told");
            }
        }
    }

    /// One round, with the last failure; what fails is tried again in the next.
    async fn round(&self) -> Result<(), Failure> {
        let tellers = self.keys.tellers();
        let ask = redis::Cmd::smembers(&tellers);
        let ids: Vec<String> = self
            .commands
            .call(&tellers, LIMIT, async |mut connection| {
                ask.query_async(&mut connection).await
            })
            .await?;
        let mut all = Ok(());
        for id in ids.iter().filter(|id| ***id != **self.keys.id()) {
            // Their sessions may be kept by different servers.
            all = self.look_at(id).await.and(all);
        }
        all
    }

    async fn look_at(&self, id: &str) -> Result<(), Failure> {
        let alive = self.keys.alive(id);
        let ask = redis::Cmd::exists(&alive);
        let asked = self.commands.call(&alive, LIMIT, async |mut connection| {
            ask.query_async::<bool>(&mut connection).await
        });
        if asked.await? {
            return Ok(());
        }
        self.tell_for(id).await
    }

    async fn tell_for(&self, id: &str) -> Result<(), Failure> {
        let (sessions, tellers) = (self.keys.sessions(id), self.keys.tellers());
        let mut call = SCRIPT.prepare_invoke();
        call.key(&sessions)
            .arg("owed")
            .arg(SESSIONS_TTL.as_secs() * 1000)
            .arg(BATCH);
        let mut all = 0;
        loop {
            let told: usize = self
                .commands
                .call(&sessions, LIMIT, async |mut connection| {
                    call.invoke_async(&mut connection).await
                })
                .await?;
            all += told;
            if told < BATCH {
                break;
            }
        }
        let forget = redis::Cmd::srem(&tellers, id);
        self.commands
            .call(&tellers, LIMIT, async |mut connection| {
                forget.exec_async(&mut connection).await
            })
            .await?;
        tracing::info!(
            gateway = id,
            sessions = all,
            "told what a gateway owed that is gone"
        );
        Ok(())
    }
}
