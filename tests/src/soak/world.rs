//! What all parts of a soak share: where the gateways are, how far it is, what was seen.
//!
//! Owns: the stage and the counts. Never: judges; `account` and `ledger` do. Used by: every other part of the soak.

use super::account::{Account, Fault};
use super::ledger::Ledger;
use super::scene;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tokio::sync::watch;
use tokio::time::Instant;

/// How many broken rules are kept in words; all are counted.
const TEXTS: usize = 60;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Streams open, and everything is published.
    Opening,
    /// Streams come, go and doze.
    Busy,
    /// Every publisher says its last word, and every stream hears it.
    Last,
    /// Streams close for good.
    Over,
}

/// What was seen, by a word for each kind.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Streams that were opened, by why: first, back, anew.
    pub opened: BTreeMap<&'static str, u64>,
    /// `siar.gap`, by its reason.
    pub gaps: BTreeMap<String, u64>,
    /// `siar.end`, by its reason, and streams that ended without one.
    pub ends: BTreeMap<String, u64>,
    /// Answers to streams that are no stream.
    pub refused: BTreeMap<String, u64>,
    /// Tries to connect in vain.
    pub unreached: BTreeMap<String, u64>,
    /// Publications that were tried again, by what stood in their way.
    pub repeated: BTreeMap<String, u64>,
    /// Raw `PUBLISH`es, by what Redis said.
    pub raw: BTreeMap<String, u64>,
    /// What `weather` did.
    pub faults: BTreeMap<String, u64>,
    /// Rules that were broken, and how often in all.
    pub broken: Vec<String>,
    pub broken_count: u64,
}

/// What all parts share.
pub struct World {
    pub seed: u64,
    pub gateways: [SocketAddr; 2],
    pub redis: String,
    pub ledger: Ledger,
    pub accounts: Vec<Mutex<Account>>,
    pub counts: Mutex<Counts>,
    stage: watch::Sender<Stage>,
    begin: Instant,
}

impl World {
    /// At its beginning, with so many pages.
    #[must_use]
    pub fn new(seed: u64, pages: usize, gateways: [SocketAddr; 2], redis: String) -> Self {
        Self {
            seed,
            gateways,
            redis,
            ledger: Ledger::new(scene::topics().map(|(_, topic)| topic)),
            accounts: (0..pages).map(|_| Mutex::default()).collect(),
            counts: Mutex::default(),
            stage: watch::Sender::new(Stage::Opening),
            begin: Instant::now(),
        }
    }

    /// From now on it is at that stage.
    pub fn go(&self, stage: Stage) {
        self.stage.send_replace(stage);
    }

    /// How far it is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Waits until it is at that stage or beyond.
    pub async fn until(&self, stage: Stage) {
        let mut seen = self.stage.subscribe();
        drop(seen.wait_for(|seen| *seen >= stage).await);
    }

    /// Counts a word.
    pub fn count(&self, of: impl FnOnce(&mut Counts) -> &mut BTreeMap<String, u64>, word: &str) {
        let mut counts = self.counts.lock();
        *of(&mut counts).entry(word.into()).or_default() += 1;
    }

    /// Seconds since the beginning.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.begin.elapsed().as_secs_f64()
    }

    /// A rule was broken.
    pub fn broken(&self, who: &str, what: &str) {
        let text = format!("{:8.2} s  {who}: {what}", self.seconds());
        eprintln!("broken: {text}");
        let mut counts = self.counts.lock();
        counts.broken_count += 1;
        if counts.broken.len() < TEXTS {
            counts.broken.push(text);
        }
    }

    /// The faults of a page.
    pub fn faults(&self, who: &str, faults: &[Fault]) {
        for fault in faults {
            self.broken(who, &fault.to_string());
        }
    }

    /// How many pages heard everything.
    #[must_use]
    pub fn complete(&self) -> usize {
        let next = |topic: &str| self.ledger.next(topic);
        let complete = |account: &&Mutex<Account>| account.lock().complete(next);
        self.accounts.iter().filter(complete).count()
    }

    /// Sums over all pages: messages heard, and gaps behind which the very next message came.
    #[must_use]
    pub fn heard(&self) -> (u64, u64) {
        let sums = self.accounts.iter().map(|account| {
            let account = account.lock();
            (account.heard, account.needless)
        });
        sums.fold((0, 0), |(heard, needless), (more, less)| {
            (heard + more, needless + less)
        })
    }
}
