//! Numbers raw messages, in the order in which they came.
//!
//! Owns: batches through the script, repeated until they are through or the lease is over. Never: drops
//! one without telling. Used by: `redis`, which runs it.

use super::backoff::Complaint;
use super::commands::{Commands, Failure};
use super::gate::{Gate, Item, Waiting};
use super::keys::Keys;
use super::notes::Note;
use super::publish::{Publisher, Said, said_in_pipeline};
use crate::clock;
use redis::{RedisResult, ScriptInvocation};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// Messages in one pipeline.
const BATCH: usize = 64;
/// Time for one pipeline.
const ATTEMPT: Duration = Duration::from_secs(1);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// What numbers.
pub struct Numbering {
    pub gate: Arc<Gate>,
    pub queue: mpsc::Receiver<Item>,
    pub publisher: Arc<Publisher>,
    pub commands: Commands,
    pub keys: Keys,
}

impl Numbering {
    /// Works for as long as messages may come.
    pub async fn run(mut self) {
        let mut complaint = Complaint::default();
        let mut items = Vec::with_capacity(BATCH);
        while self.queue.recv_many(&mut items, BATCH).await > 0 {
            self.gate.turn().await;
            let mut batch = Vec::with_capacity(items.len());
            for item in items.drain(..) {
                match item {
                    Item::Message(waiting) => {
                        self.gate.release(&waiting);
                        batch.push(*waiting);
                    }
                    Item::End(token) => {
                        self.number(std::mem::take(&mut batch), &mut complaint)
                            .await;
                        self.done(token).await;
                    }
                }
            }
            self.number(batch, &mut complaint).await;
        }
    }

    async fn number(&self, mut batch: Vec<Waiting>, complaint: &mut Complaint) {
        let mut load = false;
        while !batch.is_empty() {
            batch.retain(|waiting| {
                let believed = self.gate.believes(waiting.token);
                if !believed {
                    self.gate.lose();
                }
                believed
            });
            let before = batch.len();
            let others = self.apart(&mut batch);
            let cause = match self.attempt(&batch, load).await {
                Ok(answers) => self.settle(&mut batch, answers, &mut load),
                Err(failure) => Some(failure.to_string()),
            };
            batch.extend(others);
            if let Some(cause) = cause {
                if let Some(times) = complaint.due(clock::now().steady) {
                    tracing::warn!(cause, times, "raw messages wait to be numbered");
                }
                if batch.len() == before {
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Takes out of `batch` what another server numbers than its first message. Those of one topic stay together
    /// and in order.
    fn apart(&self, batch: &mut Vec<Waiting>) -> Vec<Waiting> {
        let server = |waiting: &Waiting| self.commands.server_of(&self.channel(waiting));
        let first = batch.first().map(server);
        batch
            .extract_if(.., |waiting| Some(server(waiting)) != first)
            .collect()
    }

    fn channel(&self, waiting: &Waiting) -> String {
        self.keys.channel(&waiting.publication.target.address)
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

    /// Keeps in `batch` what is to be tried again, and says why.
    fn settle(
        &self,
        batch: &mut Vec<Waiting>,
        answers: Vec<RedisResult<Vec<String>>>,
        load: &mut bool,
    ) -> Option<String> {
        let mut cause = None;
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
                    cause = Some("another gateway holds the ingest lease".to_owned());
                    self.gate.lose();
                    false
                }
                Err(failure) if failure.unknown_script() => {
                    *load = true;
                    true
                }
                Err(failure) => {
                    if let Failure::Redis(error) = &failure {
                        self.commands.heed(error);
                    }
                    let again = failure.passes();
                    cause = Some(failure.to_string());
                    if !again {
                        self.gate.lose();
                    }
                    again
                }
            }
        });
        cause
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
