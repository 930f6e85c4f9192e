//! Asks the other gateways of a fleet who listens, and answers them.
//!
//! Owns: questions on their way, bounded in number and time. Never: counts listeners itself. Used by:
//! `redis`, which asks; `pump`, which hears questions and answers.

use super::commands::Commands;
use super::joined::Joined;
use super::keys::Keys;
use super::notes::Note;
use crate::address::Address;
use crate::broker::{LocalPresence, PRESENCE_IDENTITIES, PresencePart};
use crate::tasks;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// Time for the question and all answers.
const LIMIT: Duration = Duration::from_millis(300);
/// Answers that this process sends at once; a question beyond is not answered, and its asker says so.
const MOST_ANSWERS: usize = 64;
/// Answers that wait for one asker; more gateways than this are not expected in one fleet.
const MOST_GATEWAYS: usize = 1024;

/// Questions and answers.
pub struct Presence {
    keys: Keys,
    commands: Commands,
    joined: Arc<Joined>,
    local: RwLock<Option<LocalPresence>>,
    /// Questions without all answers yet; each lives for [`LIMIT`], and the door from the workers bounds
    /// how many are asked at once.
    waiting: Mutex<HashMap<u64, mpsc::Sender<PresencePart>>>,
    last: AtomicU64,
    room: Arc<Semaphore>,
}

/// Takes the question back when its asker stops waiting.
struct Question<'a>(&'a Presence, u64);

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.0.waiting.lock().remove(&self.1);
    }
}

impl Presence {
    /// Nobody is asked yet.
    #[must_use]
    pub fn new(keys: Keys, commands: Commands, joined: Arc<Joined>) -> Self {
        Self {
            keys,
            commands,
            joined,
            local: RwLock::default(),
            waiting: Mutex::default(),
            last: AtomicU64::new(0),
            room: Arc::new(Semaphore::new(MOST_ANSWERS)),
        }
    }

    /// What answers for this process.
    pub fn answer_with(&self, local: LocalPresence) {
        *self.local.write() = Some(local);
    }

    /// One part for each other gateway; none where it did not answer in time.
    pub async fn ask(&self, address: &Address) -> Vec<Option<PresencePart>> {
        let n = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, mut answers) = mpsc::channel(MOST_GATEWAYS);
        self.waiting.lock().insert(n, sender);
        let _question = Question(self, n);
        let text = Note::Ask {
            n,
            from: self.keys.id().to_string(),
            channel: self.keys.channel(address),
        }
        .text();
        let mut parts = Vec::new();
        // Until the server has counted them, at least one other may be there.
        let mut others = 1;
        let gathered = async {
            let home = self.keys.home();
            let asked = self.commands.call(&home, LIMIT, async |mut connection| {
                redis::cmd("PUBLISH")
                    .arg(self.keys.control())
                    .arg(&text)
                    .query_async::<usize>(&mut connection)
                    .await
            });
            let Ok(heard) = asked.await else { return };
            others = heard.saturating_sub(1);
            while parts.len() < others {
                let Some(part) = answers.recv().await else {
                    return;
                };
                parts.push(Some(part));
            }
        };
        if timeout(LIMIT, gathered).await.is_err() {
            tracing::debug!("not every gateway said in time who listens");
        }
        parts.resize(others.max(parts.len()), None);
        parts
    }

    /// A gateway asks, perhaps this one.
    pub fn asked(&self, n: u64, from: &str, channel: &str) {
        let Ok(permit) = self.room.clone().try_acquire_owned() else {
            return;
        };
        if *from == **self.keys.id() {
            return;
        }
        let local = self.local.read().clone();
        let address = self.joined.address(channel);
        let part = local.zip(address).map(|(local, address)| local(&address));
        let part = part.unwrap_or_default();
        let names = part.identities.iter().take(PRESENCE_IDENTITIES);
        let names = names.map(|name| name.to_string()).collect();
        let text = Note::Answer {
            n,
            streams: part.streams,
            names,
        }
        .text();
        let (commands, to) = (self.commands.clone(), self.keys.own_of(from));
        let home = self.keys.home();
        tasks::background(async move {
            let _permit = permit;
            let told = commands.call(&home, LIMIT, async |mut connection| {
                redis::cmd("PUBLISH")
                    .arg(&to)
                    .arg(&text)
                    .exec_async(&mut connection)
                    .await
            });
            if let Err(failure) = told.await {
                tracing::debug!(%failure, "an answer about presence was lost");
            }
        });
    }

    /// A gateway answers.
    pub fn answered(&self, n: u64, part: PresencePart) {
        if let Some(waiting) = self.waiting.lock().get(&n) {
            // The asker says that one is missing.
            drop(waiting.try_send(part));
        }
    }
}
