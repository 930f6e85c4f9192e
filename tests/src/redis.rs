//! A real redis-server of the test's own.
//!
//! Owns: the server, its folder with the save, and one client for the test itself. Never: is shared by two tests.
//! Used by: tests of the Redis broker and of raw publishers.

use crate::certs::Certs;
use crate::process::{Helpers, Process, folder, free_port};
use crate::wait::within;
use futures_util::StreamExt as _;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue};
use rustix::process::Signal;
use std::process::Command;
use std::time::Duration;

mod older;
pub use older::Older;

/// What the test's own connections are called, so that they are not counted.
const OWN_NAME: &str = "siar-test";
/// How often a start is tried when another process took the port meanwhile.
const PORT_TRIES: usize = 5;
const ANSWER: Duration = Duration::from_secs(10);

/// How the server is started.
#[derive(Default)]
pub struct Setup {
    password: Option<String>,
    certs: Option<Certs>,
    extra: Vec<String>,
}

/// The running server.
pub struct Redis {
    setup: Setup,
    port: u16,
    process: Process,
    folder: tempfile::TempDir,
    own: Option<MultiplexedConnection>,
}

impl Setup {
    /// Asks clients for a password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Takes TLS only.
    #[must_use]
    pub fn tls(mut self, certs: Certs) -> Self {
        self.certs = Some(certs);
        self
    }

    /// One more directive with its value.
    #[must_use]
    pub fn directive(mut self, name: &str, value: &str) -> Self {
        self.extra.extend([format!("--{name}"), value.into()]);
        self
    }

    /// Starts it.
    pub async fn start(self) -> Redis {
        let folder = folder();
        for _ in 1..PORT_TRIES {
            let port = free_port();
            let mut process = spawn(&self, port, &folder);
            if answers(&self, port, &mut process).await {
                return Redis {
                    setup: self,
                    port,
                    folder,
                    process,
                    own: None,
                };
            }
        }
        panic!("redis-server found no free port {PORT_TRIES} times");
    }
}

impl Redis {
    /// A server without password, TLS or automatic saves.
    pub async fn start() -> Self {
        Setup::default().start().await
    }

    /// Its URL without password.
    #[must_use]
    pub fn url(&self) -> String {
        url(&self.setup, self.port, false)
    }

    /// Its URL with the password, as Flask-SSE takes it.
    #[must_use]
    pub fn url_with_password(&self) -> String {
        url(&self.setup, self.port, true)
    }

    /// The certificates it was started with.
    #[must_use]
    pub fn certs(&self) -> &Certs {
        self.setup
            .certs
            .as_ref()
            .expect("this Redis was started with TLS")
    }

    /// Sends a command and waits for its answer.
    pub async fn run<T: FromRedisValue>(&mut self, command: &mut Cmd) -> T {
        let what = format!(
            "Redis to answer {:?}",
            String::from_utf8_lossy(&command.get_packed_command())
        );
        if self.own.is_none() {
            self.own = Some(self.connect().await);
        }
        let own = self.own.as_mut().expect("connected above");
        let answer = within(&what, command.query_async::<T>(own)).await;
        answer.unwrap_or_else(|error| panic!("{what}: {error}"))
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

    /// Starts it again on the same port, from the last save.
    pub async fn start_again(&mut self) {
        for _ in 0..PORT_TRIES {
            self.process = spawn(&self.setup, self.port, &self.folder);
            if answers(&self.setup, self.port, &mut self.process).await {
                return;
            }
        }
        panic!("the port of redis-server was taken meanwhile");
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
        client(&self.setup, self.port)
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

fn url(setup: &Setup, port: u16, with_password: bool) -> String {
    let scheme = if setup.certs.is_some() {
        "rediss"
    } else {
        "redis"
    };
    match &setup.password {
        Some(password) if with_password => format!("{scheme}://:{password}@127.0.0.1:{port}/0"),
        _ => format!("{scheme}://127.0.0.1:{port}/0"),
    }
}

fn client(setup: &Setup, port: u16) -> Client {
    let url = url(setup, port, true);
    let client = match &setup.certs {
        None => Client::open(url),
        Some(certs) => {
            // The process-wide provider is only missing the first time.
            drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
            let root_cert = Some(certs.pem("ca.crt").into_bytes());
            Client::build_with_tls(
                url,
                redis::TlsCertificates {
                    client_tls: None,
                    root_cert,
                },
            )
        }
    };
    client.expect("a URL of our own making")
}

fn spawn(setup: &Setup, port: u16, folder: &tempfile::TempDir) -> Process {
    let mut command = Command::new("redis-server");
    command.args([
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--daemonize",
        "no",
    ]);
    command.arg("--dir").arg(folder.path());
    match &setup.certs {
        None => {
            command.args(["--port", &port.to_string()]);
        }
        Some(certs) => {
            command.args([
                "--port",
                "0",
                "--tls-auth-clients",
                "no",
                "--tls-port",
                &port.to_string(),
            ]);
            for (flag, file) in [
                ("cert", "tls.crt"),
                ("key", "tls.key"),
                ("ca-cert", "ca.crt"),
            ] {
                command
                    .arg(format!("--tls-{flag}-file"))
                    .arg(certs.path(file));
            }
        }
    }
    if let Some(password) = &setup.password {
        command.args(["--requirepass", password]);
    }
    command.args(&setup.extra);
    Process::start(
        "redis-server",
        Helpers::None,
        command,
        &folder.path().join("log"),
    )
}

/// Whether it came up; false when it ended because the port was taken.
async fn answers(setup: &Setup, port: u16, process: &mut Process) -> bool {
    let client = client(setup, port);
    let end = std::time::Instant::now() + crate::wait::DEADLINE;
    loop {
        if process.ended().is_some() {
            assert!(
                process.log().contains("Address already in use"),
                "redis-server ended:\n{}",
                process.log()
            );
            return false;
        }
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(ANSWER));
        if let Ok(mut connection) = client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            && redis::cmd("PING")
                .query_async::<String>(&mut connection)
                .await
                .is_ok()
        {
            return true;
        }
        assert!(
            std::time::Instant::now() < end,
            "redis-server does not answer:\n{}",
            process.log()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
