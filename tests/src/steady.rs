//! Publishers and listeners that go on through whatever happens, and the account of all that they did.
//!
//! Owns: a steady load on any number of topics and gateways, and waiting for it. Never: judges, which `verdict` does; lets
//! a message that was acknowledged go unaccounted. Used by: tests of what a fault of Redis costs.

use crate::gateway::Gateway;
use crate::manifest::Channel;
use crate::wait::until_time;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

mod account;
mod listen;
mod publish;
pub mod trial;
mod verdict;
mod vitals;
pub use account::Account;
pub use verdict::{Pair, Verdict};
pub use vitals::{Seen, Vitals};

/// The most topics of one stream.
const TOPICS_OF_A_STREAM: usize = 32;
/// How long everything may take to be published and heard once a fault is over.
const REST: Duration = Duration::from_secs(60);

/// How much is published.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub topics: usize,
    /// The pause between two messages of a topic.
    pub every: Duration,
}

/// The load, as long as it is kept.
pub struct Steady {
    shared: Arc<Shared>,
    calls: watch::Sender<Calls>,
    publishers: JoinSet<()>,
    _listeners: JoinSet<()>,
}

/// What is called out to all publishers.
#[derive(Clone, Copy, Default)]
struct Calls {
    /// Rises when all should publish now and not only when it is time.
    now: u64,
    /// One last message is published.
    stop: bool,
}

/// What publishers and listeners share.
struct Shared {
    plan: Plan,
    gateways: Vec<SocketAddr>,
    account: Mutex<Account>,
    /// Streams that were opened, each counted once.
    open: watch::Sender<usize>,
}

/// A Channel whose topics are those of the load; it keeps more than any test publishes.
#[must_use]
pub fn channel() -> Channel {
    Channel::open("steady")
        .topics(&["t{number}"])
        .history(1000)
        .stream("1s", "200ms", "30m")
}

impl Steady {
    /// Listens on all topics at each gateway, once more going from one to the next, and publishes when all streams are
    /// open.
    pub async fn start(gateways: &[&Gateway], plan: Plan) -> Self {
        let gateways: Vec<SocketAddr> = gateways.iter().map(|gateway| gateway.public()).collect();
        let mut names: Vec<String> = (0..gateways.len()).map(|at| format!("at {at}")).collect();
        names.push("wandering".into());
        let shared = Arc::new(Shared {
            account: Mutex::new(Account::new(plan.topics, &names)),
            plan,
            gateways,
            open: watch::Sender::new(0),
        });
        let mut listeners = JoinSet::new();
        let streams = listen::start(&shared, &mut listeners);
        let all = async {
            drop(
                shared
                    .open
                    .subscribe()
                    .wait_for(|&open| open >= streams)
                    .await,
            )
        };
        timeout(REST, all).await.expect("all streams to open");
        let calls = watch::Sender::default();
        let publishers = publish::start(&shared, &calls);
        Self {
            shared,
            calls,
            publishers,
            _listeners: listeners,
        }
    }

    /// Looks at the account.
    pub fn look<T>(&self, look: impl FnOnce(&Account) -> T) -> T {
        look(&self.shared.account.lock())
    }

    /// Lets each topic have a message now, unless it has one under way.
    pub fn hurry(&self) {
        self.calls.send_modify(|calls| calls.now += 1);
    }

    /// Waits until of each topic a message that was acknowledged after this call is heard by all.
    pub async fn round(&self) {
        let since = Instant::now();
        until_time(
            REST,
            "a message of each topic to reach everybody",
            || async {
                match self.look(|account| account.late(since)) {
                    None => Ok(()),
                    Some(late) => Err(late),
                }
            },
        )
        .await;
    }

    /// Publishes a last message to each topic, waits until all have heard it, and judges.
    pub async fn finish(mut self) -> (Account, Verdict) {
        self.calls.send_modify(|calls| calls.stop = true);
        let ended = timeout(REST, async {
            while let Some(ended) = self.publishers.join_next().await {
                ended.expect("publishers do not panic");
            }
        });
        if ended.await.is_err() {
            let mut account = self.shared.account.lock();
            account.strange("some last message was not acknowledged within 60 s".into());
        }
        self.publishers.abort_all();
        let end = Instant::now() + REST;
        while self.look(Account::unheard) > 0 && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let account = self.shared.account.lock().clone();
        let verdict = verdict::judge(&account);
        (account, verdict)
    }
}
