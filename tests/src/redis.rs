//! A real redis-server of the test's own, alone, under sentinels or in a cluster.
//!
//! Owns: the server, its folder with the save, and one client for the test itself. Never: is shared by two tests.
//! Used by: tests of the Redis broker and of raw publishers.

use crate::certs::Certs;
use crate::process::Process;
use crate::wait::{until, within};
use futures_util::StreamExt as _;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisResult};
use rustix::process::Signal;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::timeout;

mod cluster;
mod older;
mod sentinels;
mod start;
pub use cluster::RedisCluster;
pub use older::Older;
pub use sentinels::Sentinels;
use start::Ports;
pub use start::Setup;

/// What the test's own connections are called, so that they are not counted.
const OWN_NAME: &str = "siar-test";
const ANSWER: Duration = Duration::from_secs(10);
/// How long a server may take that may be dead or frozen.
const SOON: Duration = Duration::from_secs(1);

/// The running server.
pub struct Redis {
    setup: Setup,
    ports: Ports,
    process: Process,
    folder: tempfile::TempDir,
    own: Option<MultiplexedConnection>,
}

impl Redis {
    /// A server without password, TLS or automatic saves.
    pub async fn start() -> Self {
        Setup::default().start().await
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.ports.clients).into()
    }

    /// Its URL without password.
    #[must_use]
    pub fn url(&self) -> String {
        self.setup.url(self.ports, false)
    }

    /// Its URL with the password, as Flask-SSE takes it.
    #[must_use]
    pub fn url_with_password(&self) -> String {
        self.setup.url(self.ports, true)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.clients
    }

    /// Its working folder, where it saves.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The certificates it was started with.
    #[must_use]
    pub fn certs(&self) -> &Certs {
        self.setup
            .certs
            .as_deref()
            .expect("this Redis was started with TLS")
    }

    /// Sends a command and waits for its answer.
    pub async fn run<T: FromRedisValue>(&mut self, command: &mut Cmd) -> T {
        let what = format!(
            "Redis to answer {:?}",
            String::from_utf8_lossy(&command.get_packed_command())
        );
        let answer = within(&what, async {
            match command.query_async::<T>(&mut self.own().await).await {
                // Whoever cut this connection, it was not what the test asked about.
                Err(error) if error.is_connection_dropped() => {
                    self.own = None;
                    command.query_async::<T>(&mut self.own().await).await
                }
                answer => answer,
            }
        });
        answer
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// The test's own connection, which any number of commands may share.
    pub(super) async fn own(&mut self) -> MultiplexedConnection {
        if self.own.is_none() {
            self.own = Some(self.connect().await);
        }
        self.own.clone().expect("connected above")
    }

    /// What it answers within a second on a new connection, if it does: it may be dead, frozen or busy.
    pub async fn soon<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        let asked = async {
            let client = self.client();
            let mut connection = client.get_multiplexed_async_connection().await?;
            command.query_async(&mut connection).await
        };
        let answer: RedisResult<T> = timeout(SOON, asked).await.ok()?;
        answer.ok()
    }

    /// Whether it answers PING and is a master.
    pub async fn is_master(&self) -> bool {
        let pong: Option<String> = self.soon(&redis::cmd("PING")).await;
        let role: Option<Vec<redis::Value>> = self.soon(&redis::cmd("ROLE")).await;
        let role = role.and_then(|role| role.into_iter().next());
        let role = role.and_then(|role| redis::from_redis_value::<String>(role).ok());
        pong.is_some() && role.as_deref() == Some("master")
    }

    /// Waits until it answers PING as a master, and tells when it did.
    pub async fn until_master(&self) -> Instant {
        let what = format!("{} to answer as a master", self.address());
        until(what, || async {
            let ready = self.is_master().await;
            ready.then(Instant::now).ok_or_else(|| "not yet".into())
        })
        .await
    }

    /// `PUBLISH`es raw, and returns how many received it.
    pub async fn publish(&mut self, channel: &str, payload: impl AsRef<[u8]>) -> i64 {
        self.run(redis::cmd("PUBLISH").arg(channel).arg(payload.as_ref()))
            .await
    }

    /// How many subscriptions a channel has.
    pub async fn subscribers(&mut self, channel: &str) -> i64 {
        let (_, count): (String, i64) = self
            .run(redis::cmd("PUBSUB").arg("NUMSUB").arg(channel))
            .await;
        count
    }

    /// Waits until a channel has `count` subscriptions.
    pub async fn until_subscribers(&mut self, channel: &str, count: i64) {
        let end = std::time::Instant::now() + crate::wait::DEADLINE;
        loop {
            let seen = self.subscribers(channel).await;
            if seen == count {
                return;
            }
            assert!(
                std::time::Instant::now() < end,
                "{channel} has {seen} subscriptions, not {count}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Everything that a plain subscriber hears on these channels, from now on.
    pub async fn hear(&self, channels: &[&str]) -> Heard {
        let mut pubsub = self.client().get_async_pubsub().await.expect("Redis runs");
        pubsub
            .subscribe(channels)
            .await
            .expect("Redis takes subscriptions");
        Heard { pubsub }
    }

    /// The connections of others than the test.
    pub async fn connections(&mut self) -> Vec<String> {
        let list: String = self.run(redis::cmd("CLIENT").arg("LIST")).await;
        let own = format!(" name={OWN_NAME} ");
        list.lines()
            .filter(|line| !line.contains(&own))
            .map(str::to_owned)
            .collect()
    }

    /// Cuts connections of a type: `normal`, `pubsub`.
    pub async fn kill_clients(&mut self, kind: &str) {
        let _: i64 = self
            .run(
                redis::cmd("CLIENT")
                    .arg("KILL")
                    .arg("TYPE")
                    .arg(kind)
                    .arg("SKIPME")
                    .arg("yes"),
            )
            .await;
    }

    /// Forgets everything.
    pub async fn flush(&mut self) {
        let () = self.run(&mut redis::cmd("FLUSHALL")).await;
    }

    /// Writes the save that a later start reads.
    pub async fn save(&mut self) {
        let () = self.run(&mut redis::cmd("SAVE")).await;
    }

    /// Ends it as a power cut would.
    pub fn kill9(&mut self) {
        self.own = None;
        self.process.kill9();
    }

    /// Starts it again on the same port, from the last save and with what `CONFIG REWRITE` left.
    pub async fn start_again(&mut self) {
        self.process = self.setup.start_again(self.ports, &self.folder).await;
    }

    /// Ends it as an operator does; with a save if it was told when to save.
    pub async fn shut_down(&mut self) {
        self.own = None;
        self.process.signal(Signal::TERM);
        let _ = self.process.exit().await;
    }

    /// Gives it another password, which open connections do not notice.
    pub async fn change_password(&mut self, password: &str) {
        let mut set = redis::cmd("CONFIG");
        let () = self
            .run(set.arg("SET").arg("requirepass").arg(password))
            .await;
        let () = self.run(redis::cmd("CONFIG").arg("REWRITE")).await;
        self.setup.changed_password(password);
    }

    /// Presents the certificates as they are now to whoever connects from now on.
    pub async fn reload_certs(&mut self) {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET");
        for (name, path) in self.setup.tls_files() {
            set.arg(name).arg(path);
        }
        let () = self.run(&mut set).await;
    }

    /// Starts it again and waits only until it takes connections: it may still read its save.
    pub async fn start_loading(&mut self) {
        self.process = self.setup.spawn(&self.folder);
        until("Redis to take connections", || async {
            let address = ("127.0.0.1", self.port());
            let connected = tokio::net::TcpStream::connect(address).await;
            connected.map(drop).map_err(|error| error.to_string())
        })
        .await;
    }

    /// Stops answering, connections stay.
    pub fn freeze(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Goes on after [`Redis::freeze`].
    pub fn thaw(&self) {
        self.process.signal(Signal::CONT);
    }

    async fn connect(&self) -> MultiplexedConnection {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER))
            .set_response_timeout(Some(ANSWER));
        let mut connection = self
            .client()
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .unwrap_or_else(|error| panic!("cannot connect to Redis: {error}"));
        let name: redis::RedisResult<()> = redis::cmd("CLIENT")
            .arg("SETNAME")
            .arg(OWN_NAME)
            .query_async(&mut connection)
            .await;
        name.expect("Redis takes a name");
        connection
    }

    fn client(&self) -> Client {
        self.setup.client(self.ports)
    }
}

/// What a plain subscriber hears.
pub struct Heard {
    pubsub: redis::aio::PubSub,
}

impl Heard {
    /// The next message: its channel and payload.
    pub async fn next(&mut self) -> (String, String) {
        within("a message of Redis", self.patiently()).await
    }

    /// The next message, however long it takes.
    pub async fn patiently(&mut self) -> (String, String) {
        let message = self.pubsub.on_message().next().await;
        let message = message.expect("the subscription lives");
        (
            message.get_channel_name().into(),
            message.get_payload().expect("text"),
        )
    }
}
