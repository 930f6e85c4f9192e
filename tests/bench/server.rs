//! The servers that are compared, each a process of its own on loopback.

use crate::client::Transport;
use crate::measure::{cpu_nanos, pss_bytes};
use crate::round::Work;
use crate::tokens::Issuer;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Resource, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tests::certs::Certs;
use tests::manifest::Channel;

/// How long a server may take to start.
const START: Duration = Duration::from_secs(20);
/// Open files of one process, at most.
const FILES: u64 = 20_000;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The bare loop with so many threads.
    Bare(usize),
    Siar,
    Ordinary,
}

/// A running server; ended when dropped.
pub struct Server {
    child: Child,
    pub addr: SocketAddr,
    pub tls: Option<SocketAddr>,
    pub certs: Option<Certs>,
    /// One for each stream.
    pub tokens: Option<PathBuf>,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts it for that work and waits until it answers. TLS and tokens only for Siar.
    pub fn start(kind: Kind, work: Work) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let ready = folder.path().join("ready");
        let certs = (work.transport == Transport::Tls).then(Certs::new);
        let condition = work.listeners.condition();
        let tokens = condition.map(|_| folder.path().join("tokens"));
        let command = match kind {
            Kind::Bare(threads) => own("serve-bare", &["--threads", &threads.to_string()], &ready)?,
            Kind::Ordinary => own("serve-ordinary", &[], &ready)?,
            Kind::Siar => {
                let channels = folder.path().join("channels.yaml");
                std::fs::write(&channels, manifests(work, tokens.as_deref())?)?;
                siar(&channels, &ready, certs.as_ref())?
            }
        };
        let mut server = Self::launch(command, folder)?;
        (server.certs, server.tokens) = (certs, tokens);
        Ok(server)
    }

    /// Siar with the Channels of a file of somebody else.
    pub fn serving(channels: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let command = siar(channels, &folder.path().join("ready"), None)?;
        Self::launch(command, folder)
    }

    /// Runs `command`, which tells its addresses in the file `ready` of `folder`.
    fn launch(mut command: Command, folder: tempfile::TempDir) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start a server")?;
        let mut server = Self {
            child,
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            certs: None,
            tokens: None,
            folder,
        };
        let ready = server.folder.path().join("ready");
        let started = Instant::now();
        let text = loop {
            match std::fs::read_to_string(&ready) {
                Ok(text) if !text.is_empty() => break text,
                _ if started.elapsed() > START => bail!("a server did not start"),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let bound: serde_json::Value = serde_json::from_str(&text)?;
        let addr = |name: &str| bound[name].as_str().and_then(|text| text.parse().ok());
        server.addr = addr("public").context("no address in the ready file")?;
        server.tls = addr("tls");
        Ok(server)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn cpu_nanos(&self) -> u64 {
        cpu_nanos(self.pid())
    }

    /// Which part of a core it takes while nothing is asked of it, looked at for `time`.
    pub fn idle_share(&self, time: Duration) -> f64 {
        let (before, begin) = (self.cpu_nanos(), Instant::now());
        std::thread::sleep(time);
        (self.cpu_nanos() - before) as f64 / begin.elapsed().as_nanos() as f64
    }

    pub fn pss_bytes(&self) -> u64 {
        pss_bytes(self.pid())
    }

    /// Where clients of this transport connect.
    pub fn addr_for(&self, transport: Transport) -> SocketAddr {
        match transport {
            Transport::Tls => self.tls.unwrap_or(self.addr),
            Transport::Plain | Transport::H2 => self.addr,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// This very program as a server.
fn own(name: &str, arguments: &[&str], ready: &Path) -> Result<Command> {
    let mut command = bound(&std::env::current_exe()?)?;
    command
        .arg(name)
        .args(arguments)
        .arg("--ready-file")
        .arg(ready);
    Ok(command)
}

fn siar(channels: &Path, ready: &Path, certs: Option<&Certs>) -> Result<Command> {
    let mut command = bound(&binary()?)?;
    command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command
        .arg("--channels")
        .arg(channels)
        .arg("--ready-file")
        .arg(ready);
    if let Some(certs) = certs {
        command
            .args(["--listen-tls", "127.0.0.1:0", "--tls-dir"])
            .arg(certs.folder());
    }
    Ok(command)
}

/// Lets this process and those that it starts open enough files: many topics take one for each of 10,000 streams.
pub fn allow_files() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < FILES) {
        limit.current = Some(limit.maximum.map_or(FILES, |maximum| maximum.min(FILES)));
        setrlimit(Resource::Nofile, limit)?;
    }
    Ok(())
}

/// Builds the gateway as cargo built this program; not when one is named, nor when cargo does not run this.
pub fn build() -> Result<()> {
    let named = std::env::var_os("GATEWAY_BIN").is_some();
    let (false, Some(cargo), Some(package)) = (
        named,
        std::env::var_os("CARGO"),
        std::env::var_os("CARGO_MANIFEST_DIR"),
    ) else {
        return Ok(());
    };
    let mut command = Command::new(cargo);
    command.args([
        "build", "--locked", "-p", "gateway", "-p", "operator", "--bins",
    ]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command.current_dir(package).status()?;
    ensure!(status.success(), "gateway and operator could not be built");
    Ok(())
}

/// The gateway beside this program, or the one that is named.
fn binary() -> Result<PathBuf> {
    match std::env::var_os("GATEWAY_BIN") {
        Some(named) => Ok(named.into()),
        None => beside("siar-gateway"),
    }
}

/// A program of the gateway's crate beside this one.
pub fn beside(name: &str) -> Result<PathBuf> {
    let beside = std::env::current_exe()?.with_file_name(name);
    ensure!(
        beside.exists(),
        "{} is missing; build it: cargo build --release -p gateway --bins",
        beside.display()
    );
    Ok(beside)
}

/// Becomes the program of `words`; it ends together with the process that started this one.
pub fn become_program(words: &[OsString]) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let (program, arguments) = words.split_first().context("no program")?;
    Err(Command::new(program).args(arguments).exec().into())
}

/// `program` as a process that does not outlive this one.
pub fn bound(program: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bound").arg("--").arg(program);
    Ok(command)
}

/// What the gateway serves for `work`; writes the tokens of its streams.
fn manifests(work: Work, tokens: Option<&Path>) -> Result<String> {
    let bench = |rule: Value| channel("bench", &["bench", "t{n}"], &json!([rule]));
    let (Some(condition), Some(tokens)) = (work.listeners.condition(), tokens) else {
        return Ok(bench(json!({"anonymous": {}})).to_string());
    };
    let issuer = Issuer::new();
    let lines: Vec<String> = (0..work.streams)
        .map(|stream| issuer.token(stream, "red"))
        .collect();
    std::fs::write(tokens, lines.join("\n"))?;
    Ok(documents(&[bench(issuer.rule(condition)), issuer.secret()]))
}

/// The text of a file of manifests.
pub fn documents(documents: &[Value]) -> String {
    let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
    texts.join("\n---\n")
}

/// Live only, as fast as the server answers, and no heartbeat in between.
pub fn channel(name: &str, topics: &[&str], subscribe: &Value) -> Value {
    Channel::closed(name)
        .topics(topics)
        .with("stream", json!({"heartbeat": "5m", "maxAge": "0s"}))
        .with(
            "limits",
            json!({"streams": 100_000, "publishPerSecond": 1_000_000, "topics": 10_000}),
        )
        .with(
            "access",
            json!({"subscribe": subscribe, "publish": [{"anonymous": {}}]}),
        )
        .manifest()
}
