//! A real `siar-gateway` of the test's own.
//!
//! Owns: the process, its folder of manifests, its bound addresses. Never: reaches into it other than a user could.
//! Used by: every test of the gateway.

use crate::given::Given;
use crate::http::{Answer, Ask, query};
use crate::listen::Listen;
use crate::manifest::Channel;
use crate::metrics::Metrics;
use crate::process::{Process, folder, free_port};
use crate::wait::{until, until_time};
use rustix::process::Signal;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

mod spawn;
pub use spawn::binary;
use spawn::spawn;

/// How long a changed manifest may take to be in force: the promise is 1 s, the rest is for a busy machine.
const APPLY: Duration = Duration::from_secs(10);

/// How a gateway is started.
#[derive(Clone, Default)]
pub struct Setup {
    files: Vec<(String, Vec<Value>)>,
    given: Given,
    tls: bool,
    open_files: Option<u32>,
}

/// A running gateway.
pub struct Gateway {
    setup: Setup,
    process: Process,
    folder: tempfile::TempDir,
    public: SocketAddr,
    tls: Option<SocketAddr>,
    admin: SocketAddr,
}

/// What `POST /publish` answers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Published {
    pub channel: String,
    pub id: String,
    pub position: String,
}

impl Setup {
    /// A gateway with two workers and a short drain, without Channels.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves a Channel, in a file of its own.
    #[must_use]
    pub fn channel(self, channel: &Channel) -> Self {
        self.file(channel.name(), vec![channel.manifest()])
    }

    /// Reads these documents from the file `name`.yaml.
    #[must_use]
    pub fn file(mut self, name: &str, documents: Vec<Value>) -> Self {
        self.files.push((name.into(), documents));
        self
    }

    /// Adds a flag with its value; it wins over the harness's own.
    #[must_use]
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.given.flag(name, value);
        self
    }

    /// Uses that Redis as its own.
    #[must_use]
    pub fn redis(self, url: &str) -> Self {
        self.flag("--redis", url)
    }

    /// Opens the TLS port with the certificate in that folder.
    #[must_use]
    pub fn tls(mut self, folder: &Path) -> Self {
        self.tls = true;
        self.flag("--tls-dir", &folder.display().to_string())
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.given.env(name, value);
        self
    }

    /// Lets it open no more files than that.
    #[must_use]
    pub fn open_files(mut self, most: u32) -> Self {
        self.open_files = Some(most);
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Gateway {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut gateway = self.begin(any, any);
        gateway.until_ready().await;
        gateway
    }

    /// Starts it, and waits only until its admin port answers: something that it needs is missing yet.
    pub async fn start_unready(self) -> Gateway {
        let [public, admin] =
            [free_port(), free_port()].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let gateway = self.begin(public, admin);
        let lives = Ask::get(admin, "/livez");
        until("the admin port to answer", || async {
            let answer = lives.try_send().await;
            answer.map_err(|error| error.to_string())
        })
        .await;
        gateway
    }

    fn begin(self, public: SocketAddr, admin: SocketAddr) -> Gateway {
        let folder = folder();
        std::fs::create_dir(folder.path().join("channels")).expect("the folder is ours");
        for (name, documents) in &self.files {
            write(&folder.path().join("channels"), name, &text(documents));
        }
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let process = spawn(&self, folder.path(), public, self.tls.then_some(any), admin);
        Gateway {
            setup: self,
            folder,
            process,
            public,
            tls: None,
            admin,
        }
    }
}

impl Gateway {
    /// A gateway with one Channel and no Redis.
    pub async fn serving(channel: &Channel) -> Self {
        Setup::new().channel(channel).start().await
    }

    /// Where streams and publishes go.
    #[must_use]
    pub fn public(&self) -> SocketAddr {
        self.public
    }

    /// Where they go over TLS.
    #[must_use]
    pub fn tls(&self) -> SocketAddr {
        self.tls.expect("this gateway was started with a TLS port")
    }

    /// Where metrics and probes are.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The folder that `--channels` names.
    #[must_use]
    pub fn channels(&self) -> PathBuf {
        self.folder.path().join("channels")
    }

    /// A stream on one topic, in the making.
    #[must_use]
    pub fn listen(&self, topic: &str) -> Listen {
        Listen::at(self.public).channel(topic)
    }

    /// Publishes data to a topic that anybody may publish to.
    pub async fn publish(&self, topic: &str, data: impl AsRef<[u8]>) -> Published {
        self.publish_with(&[("channel", topic)], data).await
    }

    /// Publishes with these parameters.
    pub async fn publish_with(
        &self,
        parameters: &[(&str, &str)],
        data: impl AsRef<[u8]>,
    ) -> Published {
        let answer = self.post(parameters, data).send().await.expect(200);
        serde_json::from_value(answer.json())
            .unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
    }

    /// `POST /publish` in the making.
    #[must_use]
    pub fn post(&self, parameters: &[(&str, &str)], data: impl AsRef<[u8]>) -> Ask {
        Ask::post(
            self.public,
            &format!("/publish{}", query(parameters)),
            data.as_ref(),
        )
        .header("Content-Type", "text/plain; charset=utf-8")
    }

    /// `POST /publish` with a JSON body and no parameters.
    pub async fn post_json(&self, body: &Value) -> Answer {
        let ask = Ask::post(self.public, "/publish", body.to_string());
        ask.header("Content-Type", "application/json").send().await
    }

    /// `GET` from the public port.
    pub async fn get(&self, path: &str) -> Answer {
        Ask::get(self.public, path).send().await
    }

    /// The metrics now.
    pub async fn metrics(&self) -> Metrics {
        Metrics::of(self.admin).await
    }

    /// `/status` now.
    pub async fn status(&self) -> Value {
        Ask::get(self.admin, "/status")
            .send()
            .await
            .expect(200)
            .json()
    }

    /// Waits until the sum of a metric is `expected`.
    pub async fn until_metric(&self, name: &str, labels: &[(&str, &str)], expected: f64) {
        Metrics::until_sum(self.admin, name, labels, expected).await;
    }

    /// Waits until one line of its log has all these words.
    pub async fn until_logged(&self, words: &[&str]) {
        self.process.until_logged(words).await;
    }

    /// Writes the Channel's file and waits until the gateway has applied it.
    pub async fn apply(&self, channel: &Channel) {
        self.apply_file(channel.name(), &[channel.manifest()]).await;
    }

    /// Writes a file and waits until the gateway has applied it.
    pub async fn apply_file(&self, name: &str, documents: &[Value]) {
        let before = self.applies().await;
        self.write(name, &text(documents));
        self.until_applied(before).await;
    }

    /// Deletes a file and waits until the gateway has noticed.
    pub async fn remove(&self, name: &str) {
        let before = self.applies().await;
        std::fs::remove_file(self.channels().join(format!("{name}.yaml")))
            .expect("it was written before");
        self.until_applied(before).await;
    }

    /// Writes a file, atomically, and does not wait.
    pub fn write(&self, name: &str, text: &str) {
        write(&self.channels(), name, text);
    }

    /// Stops it in the middle of whatever it does.
    pub fn freeze(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Ends it as a power cut would.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Sends SIGTERM and does not wait.
    pub fn term(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Waits until it ends by itself.
    pub async fn exit(&mut self) -> ExitStatus {
        self.process.exit().await
    }

    /// Starts it again on the ports that it had, with the manifests as they are now.
    pub async fn restart_same_port(&mut self) {
        drop(std::fs::remove_file(self.ready_file()));
        self.process = spawn(
            &self.setup,
            self.folder.path(),
            self.public,
            self.tls,
            self.admin,
        );
        self.until_ready().await;
    }

    fn ready_file(&self) -> PathBuf {
        self.folder.path().join("ready.json")
    }

    /// Waits until it is ready.
    pub async fn until_ready(&mut self) {
        let file = self.ready_file();
        let ready = until_time(Duration::from_secs(40), "the gateway to be ready", || {
            self.process.must_run();
            let text = std::fs::read(&file).ok();
            let ready = text.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
            async move { ready.ok_or_else(|| "there is no ready file".into()) }
        })
        .await;
        let address = |name: &str| {
            ready[name]
                .as_str()
                .and_then(|text| text.parse::<SocketAddr>().ok())
        };
        self.public = address("public").expect("the ready file names the public address");
        self.admin = address("admin").expect("the ready file names the admin address");
        self.tls = address("tls");
    }

    async fn applies(&self) -> f64 {
        self.metrics().await.sum("siar_config_applies_total", &[])
    }

    async fn until_applied(&self, before: f64) {
        until_time(APPLY, "the change to be applied", || async {
            if self.applies().await > before {
                Ok(())
            } else {
                Err("nothing was applied".into())
            }
        })
        .await;
    }
}

fn text(documents: &[Value]) -> String {
    let pretty =
        |document: &Value| serde_json::to_string_pretty(document).expect("JSON can be written");
    documents
        .iter()
        .map(pretty)
        .collect::<Vec<_>>()
        .join("\n---\n")
}

fn write(folder: &Path, name: &str, text: &str) {
    let new = folder
        .parent()
        .expect("a folder of the test")
        .join(format!("{name}.new"));
    std::fs::write(&new, text).expect("the folder is ours");
    std::fs::rename(&new, folder.join(format!("{name}.yaml"))).expect("the folder is ours");
}
