//! A Redis server of a test's own, and a keeper on it.

use crate::address::Address;
use crate::broker::contract;
use crate::broker::redis::{Redis, Settings, Source};
use crate::broker::{Arrival, Idempotency, Publication, Sink, Target};
use crate::message::Message;
use crate::metrics::Metrics;
use crate::tasks::Essential;
use crds::name::Topic;
use crds::pattern::TopicPattern;
use crds::policy::{IngestSet, Policy, RedisServer};
use crds::redis_url::RedisUrl;
use crds::secret::Secret;
use parking_lot::Mutex;
use prometheus::Registry;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Longer than anything here takes.
pub const DEADLINE: Duration = Duration::from_secs(20);
static LAST: AtomicU64 = AtomicU64::new(1);

/// Killed on drop.
pub struct Server {
    child: Mutex<Option<Child>>,
    folder: PathBuf,
    pub port: u16,
}

impl Server {
    /// Starts one in a folder of its own on a free port.
    pub async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("siar-redis-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let server = Self {
            child: Mutex::default(),
            folder,
            port,
        };
        server.run().await;
        server
    }

    /// Runs it, again after [`Self::kill`], and waits until it answers.
    pub async fn run(&self) {
        let child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--dir", &self.folder.to_string_lossy()])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server must be installed: apt-get install redis-server");
        *self.child.lock() = Some(child);
        tokio::time::timeout(DEADLINE, async {
            while self.try_ask(&["PING"]).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .expect("the server answers");
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Sends it a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let child = self.child.lock();
        let pid = child.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(sent.unwrap().success(), "kill -{name} {pid}");
    }

    async fn try_ask(&self, words: &[&str]) -> redis::RedisResult<redis::Value> {
        self.try_ask_at("", words).await
    }

    async fn try_ask_at(&self, user: &str, words: &[&str]) -> redis::RedisResult<redis::Value> {
        let url = format!("redis://{user}127.0.0.1:{}", self.port);
        let client = redis::Client::open(url)?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        command.query_async(&mut connection).await
    }

    /// One command by a client of the test's own.
    pub async fn ask(&self, words: &[&str]) -> redis::Value {
        self.try_ask(words).await.unwrap()
    }

    /// The same with a password.
    pub async fn ask_with(&self, password: &str, words: &[&str]) -> redis::Value {
        let user = format!(":{password}@");
        self.try_ask_at(&user, words).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// A keeper with what it needs and what it said.
pub struct Gateway {
    pub broker: Arc<Redis>,
    pub arrivals: tokio::sync::Mutex<mpsc::Receiver<Arrival>>,
    pub metrics: Arc<Metrics>,
    pub password: Arc<Mutex<Option<String>>>,
    /// Tells when an essential task ended.
    pub ended: mpsc::Receiver<&'static str>,
}

impl Gateway {
    /// A keeper on `server`.
    pub fn new(server: &Server) -> Self {
        Self::named(
            server,
            &format!("g{}", LAST.fetch_add(1, Ordering::Relaxed)),
        )
    }

    /// The same with a name.
    pub fn named(server: &Server, id: &str) -> Self {
        let (sender, arrivals) = mpsc::channel(10_000);
        let sink = Arc::new(move |arrival| sender.try_send(arrival).unwrap());
        let metrics = Metrics::new(&Registry::new(), "test").unwrap();
        let password = Arc::default();
        let (essential, ended) = Essential::new();
        let broker = keeper(server, id, &password, &metrics, sink, &essential);
        Self {
            broker,
            arrivals: tokio::sync::Mutex::new(arrivals),
            metrics,
            password,
            ended,
        }
    }

    /// Waits until it hears and asks its server.
    pub async fn stands(&self) {
        let stands = async {
            while !self.broker.up() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let stands = tokio::time::timeout(DEADLINE, stands);
        stands.await.expect("connected in time");
    }

    /// What comes next.
    pub async fn next(&self) -> Arrival {
        tokio::time::timeout(DEADLINE, async { self.arrivals.lock().await.recv().await })
            .await
            .expect("an arrival in time")
            .expect("the keeper lives")
    }

    /// The next frame: its position and data. A connection may begin before it.
    pub async fn frame(&self) -> (String, String) {
        loop {
            match self.next().await {
                Arrival::Frame { frame, .. } => {
                    let at = frame.position().map(|at| at.to_string());
                    let data = frame.message().data().to_owned();
                    return (at.unwrap_or_default(), data);
                }
                Arrival::Interrupted { .. } => {}
                other => panic!("not a frame: {other:?}"),
            }
        }
    }

    /// A target on this gateway.
    pub fn target(&self, policy: &Arc<Policy>, topic: &str) -> Target {
        let name = Topic::new(topic).unwrap();
        let address = if policy.wildcard {
            Address::Member {
                channel: policy.channel.clone(),
                topic: name.clone(),
            }
        } else {
            Address::Topic {
                namespace: policy.channel.namespace().clone(),
                topic: name.clone(),
            }
        };
        Target {
            address,
            name,
            policy: policy.clone(),
            metrics: self.metrics.channel(&policy.channel),
        }
    }
}

/// A keeper on `server`.
pub fn keeper(
    server: &Server,
    id: &str,
    password: &Arc<Mutex<Option<String>>>,
    metrics: &Arc<Metrics>,
    sink: Sink,
    essential: &Essential,
) -> Arc<Redis> {
    let url: RedisUrl = format!("redis://127.0.0.1:{}", server.port)
        .parse()
        .expect("a URL");
    let password = password.clone();
    let source = move || RedisServer {
        password: password.lock().clone().map(Secret::new),
        ..RedisServer::open(url.clone())
    };
    let settings = Settings {
        source: Source::own(source),
        key_prefix: "siar".into(),
        gateway: "default".into(),
        id: id.into(),
        seed: LAST
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15),
    };
    Redis::new(settings, metrics.clone(), sink, essential)
}

/// A Channel that keeps `size` messages (0: none).
pub fn policy(name: &str, size: u32) -> Policy {
    contract::policy(name, size, false)
}

/// A Channel of those topics that hears raw publishers.
pub fn ingesting(name: &str, size: u32, topics: &[&str], ingest: IngestSet) -> Arc<Policy> {
    let mut policy = policy(name, size);
    policy.ingest = ingest;
    policy.topics = topics
        .iter()
        .map(|topic| TopicPattern::parse(topic).unwrap())
        .collect();
    Arc::new(policy)
}

pub const FLASK: IngestSet = IngestSet {
    flask_sse: true,
    juggernaut: false,
    raw: false,
};
pub const JUGGERNAUT: IngestSet = IngestSet {
    flask_sse: false,
    juggernaut: true,
    raw: false,
};
pub const PLAIN: IngestSet = IngestSet {
    flask_sse: false,
    juggernaut: false,
    raw: true,
};

/// A publication under a key of its own.
pub fn publication(target: &Target, data: &str) -> Publication {
    let key = format!("k{}", LAST.fetch_add(1, Ordering::Relaxed));
    Publication {
        target: target.clone(),
        message: Message::new(data.to_owned()).unwrap(),
        time: 1000,
        key: Idempotency {
            key,
            content: "c0".into(),
            ttl: Duration::from_secs(30),
        },
    }
}
