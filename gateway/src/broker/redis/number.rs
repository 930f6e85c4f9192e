//! Numbers raw messages, those of a topic or a selector in the order in which they came; but where a server takes the
//! later of two in one pipeline and not the earlier, as it may while it starts or gives a slot away.
//!
//! Owns: batches through the script, repeated until they are through, too old, or the lease is over; what one server
//! does not take is `held`, and others go on. Never: drops one without telling. Used by: `redis`, which runs it.

use super::backoff::Complaint;
use super::commands::{Commands, Failure};
use super::gate::{Gate, Item, Waiting};
use super::keys::Keys;
use super::notes::Note;
use super::publish::{Publisher, Said, said_in_pipeline};
use super::topology::{Topology, slot};
use crate::broker::OWN_KEY_TTL;
use crate::clock;
use held::{Held, Place};
use redis::{RedisResult, ScriptInvocation};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until};

mod held;

/// Messages that are taken out at once: while one server is asked, those of others are not.
const MOST_TAKEN: usize = 1024;
/// Messages in one pipeline.
const BATCH: usize = 64;
/// Time for one pipeline.
const ATTEMPT: Duration = Duration::from_secs(1);
/// The least time between two attempts; otherwise as long as an attempt takes, so that others have half of it.
const PAUSE: Duration = Duration::from_millis(100);
/// Time from hearing a message to the last attempt at numbering it. Redis must still know by then whether an earlier
/// one succeeded: otherwise the message would come twice. A server that numbers it and then hangs until it has
/// forgotten, with an attempt in its hands, still does that.
const LONGEST: Duration = Duration::from_secs(20);
/// The last attempt may be two, as the script may have to be loaded.
const _: () = assert!(LONGEST.as_secs() + 2 * ATTEMPT.as_secs() < OWN_KEY_TTL.as_secs());

/// What numbers.
pub struct Numbering {
    pub gate: Arc<Gate>,
    pub queue: mpsc::Receiver<Item>,
    pub publisher: Arc<Publisher>,
    pub commands: Commands,
    pub keys: Keys,
}

/// What is remembered between two batches.
#[derive(Default)]
struct Memory {
    held: Held,
    complaint: Complaint,
}

/// What came of a batch.
#[derive(Default)]
struct Settled {
    /// Why something of it was lost, or is to be tried again.
    cause: Option<String>,
    unknown_script: bool,
}

impl Numbering {
    /// Works for as long as messages may come.
    pub async fn run(mut self) {
        let mut memory = Memory::default();
        let mut items = Vec::with_capacity(MOST_TAKEN);
        loop {
            let again = memory.held.again();
            tokio::select! {
                received = self.queue.recv_many(&mut items, MOST_TAKEN) => if received == 0 {
                    return;
                },
                () = sleep_until(again.unwrap_or_else(|| clock::now().steady).into()), if again.is_some() => {}
            }
            self.gate.turn().await;
            let mut batch = Vec::with_capacity(items.len());
            for item in items.drain(..) {
                match item {
                    Item::Message(waiting) => self.line_up(*waiting, &mut batch, &mut memory),
                    Item::End(token) => {
                        self.number(mem::take(&mut batch), &mut memory).await;
                        self.finish(&mut memory).await;
                        self.done(token).await;
                    }
                }
            }
            self.number(batch, &mut memory).await;
            if again.is_some_and(|again| again <= clock::now().steady) {
                self.number(memory.held.take(), &mut memory).await;
            }
        }
    }

    /// Puts a message into `batch`, or behind those that it must not overtake.
    fn line_up(&self, waiting: Waiting, batch: &mut Vec<Waiting>, memory: &mut Memory) {
        if memory.held.again().is_none() {
            batch.push(waiting);
            return;
        }
        let place = self.place(&waiting);
        if memory.held.stands_before(&place) {
            self.hold(waiting, place, clock::now().steady, memory);
        } else {
            batch.push(waiting);
        }
    }

    fn hold(&self, waiting: Waiting, place: Place, again: Instant, memory: &mut Memory) {
        if !memory.held.hold(waiting, place, again) {
            self.gate.lose();
        }
    }

    /// Tries what is held until it is through or may not be numbered any more: no longer than the lease is believed.
    async fn finish(&self, memory: &mut Memory) {
        while memory.held.again().is_some() {
            self.number(memory.held.take(), memory).await;
            if memory.held.again().is_some() {
                sleep(PAUSE).await;
            }
        }
    }

    async fn number(&self, mut waiting: Vec<Waiting>, memory: &mut Memory) {
        // One for all, so that what is of one slot stays together.
        let topology = self.commands.topology();
        while !waiting.is_empty() {
            let others = self.apart(&mut waiting, &topology);
            self.number_at_one(waiting, memory).await;
            waiting = others;
        }
    }

    /// Takes out of `batch` what another server numbers than its first message, in the order of `batch`.
    fn apart(&self, batch: &mut Vec<Waiting>, topology: &Topology) -> Vec<Waiting> {
        let server = |waiting: &Waiting| topology.owner(slot(&self.channel(waiting)));
        let first = batch.first().and_then(server);
        batch
            .extract_if(.., |waiting| server(waiting) != first)
            .collect()
    }

    /// Numbers what one server does; what it does not take is held.
    async fn number_at_one(&self, mut waiting: Vec<Waiting>, memory: &mut Memory) {
        loop {
            waiting.retain(|waiting| self.may_still_be(waiting));
            if waiting.is_empty() {
                return;
            }
            let rest = waiting.split_off(waiting.len().min(BATCH));
            let began = clock::now().steady;
            let cause = self.batch(&mut waiting).await;
            let now = clock::now().steady;
            if let Some(cause) = cause
                && let Some(times) = memory.complaint.due(now)
            {
                tracing::warn!(cause, times, "raw messages wait to be numbered");
            }
            if !waiting.is_empty() {
                let again = now + PAUSE.max(now.duration_since(began));
                for waiting in waiting.into_iter().chain(rest) {
                    let place = self.place(&waiting);
                    self.hold(waiting, place, again, memory);
                }
                return;
            }
            waiting = rest;
        }
    }

    /// Whether a message may still be numbered; otherwise it is lost, and that is told.
    fn may_still_be(&self, waiting: &Waiting) -> bool {
        let young = clock::now().steady.duration_since(waiting.heard) < LONGEST;
        let good = young && self.gate.believes(waiting.token);
        if !good {
            self.gate.lose();
        }
        good
    }

    fn place(&self, waiting: &Waiting) -> Place {
        let slot = slot(&self.channel(waiting));
        let server = self.commands.topology().owner(slot).cloned();
        Place { server, slot }
    }

    fn channel(&self, waiting: &Waiting) -> String {
        self.keys.channel(&waiting.publication.target.address)
    }

    /// Keeps in `batch` what is to be tried again, and says why.
    async fn batch(&self, batch: &mut Vec<Waiting>) -> Option<String> {
        let first = batch.first().map(|first| self.channel(first))?;
        // Those of other servers wait for an answer of this one, but not for a connection to it.
        if self.commands.reached(&first).is_none() {
            return Some(Failure::Disconnected.to_string());
        }
        for load in [false, true] {
            let answers = match self.attempt(batch, load).await {
                Ok(answers) => answers,
                Err(failure) => return Some(failure.to_string()),
            };
            let settled = self.settle(batch, answers);
            if !settled.unknown_script {
                return settled.cause;
            }
        }
        Some("the server forgets the script at once".into())
    }

    async fn attempt(
        &self,
        batch: &[Waiting],
        load: bool,
    ) -> Result<Vec<RedisResult<Vec<String>>>, Failure> {
        let calls: Vec<ScriptInvocation<'static>> = batch
            .iter()
            .map(|waiting| {
                self.publisher
                    .invocation(&waiting.publication, Some(waiting.token))
            })
            .collect();
        let mut pipe = redis::pipe();
        pipe.ignore_errors();
        if load {
            pipe.load_script(Publisher::script()).ignore();
        }
        for call in &calls {
            pipe.invoke_script(call);
        }
        let key = batch.first().map(|first| self.channel(first));
        let key = key.unwrap_or_default();
        let asked = self.commands.call(&key, ATTEMPT, async |mut connection| {
            pipe.query_async(&mut connection).await
        });
        asked.await
    }

    /// Keeps in `batch` what is to be tried again.
    fn settle(&self, batch: &mut Vec<Waiting>, answers: Vec<RedisResult<Vec<String>>>) -> Settled {
        let mut settled = Settled::default();
        let mut answers = answers.into_iter();
        batch.retain(|waiting| {
            let Some(answer) = answers.next() else {
                return true;
            };
            match said_in_pipeline(answer) {
                Ok(Said::Published(_)) => {
                    let metrics = &waiting.publication.target.metrics;
                    metrics.published[waiting.source as usize].inc();
                    false
                }
                Ok(Said::Stale | Said::Conflict) => {
                    settled.cause = Some("another gateway holds the ingest lease".to_owned());
                    self.gate.lose();
                    false
                }
                Err(failure) if failure.unknown_script() => {
                    settled.unknown_script = true;
                    true
                }
                Err(failure) => {
                    if let Failure::Redis(error) = &failure {
                        self.commands.heed(error);
                    }
                    let again = failure.passes();
                    settled.cause = Some(failure.to_string());
                    if !again {
                        self.gate.lose();
                    }
                    again
                }
            }
        });
        settled
    }

    async fn done(&self, token: u64) {
        let note = Note::Done { token }.text();
        let home = self.keys.home();
        let told = self.commands.call(&home, ATTEMPT, async |mut connection| {
            redis::cmd("PUBLISH")
                .arg(self.keys.control())
                .arg(&note)
                .exec_async(&mut connection)
                .await
        });
        if let Err(failure) = told.await {
            tracing::debug!(%failure, "the successor waits a second");
        }
        self.gate.reached(token);
    }
}
