//! The servers that are compared, each a process of its own on loopback.

use crate::client::Transport;
use crate::measure::{cpu_nanos, pss_bytes};
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Resource, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tests::certs::Certs;

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
    _folder: tempfile::TempDir,
}

impl Server {
    /// Starts it and waits until it answers. TLS only for Siar.
    pub fn start(kind: Kind, tls: bool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let ready = folder.path().join("ready");
        let certs = tls.then(Certs::new);
        let mut command = match kind {
            Kind::Bare(threads) => own("serve-bare", &["--threads", &threads.to_string()], &ready)?,
            Kind::Ordinary => own("serve-ordinary", &[], &ready)?,
            Kind::Siar => siar(folder.path(), &ready, certs.as_ref())?,
        };
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
            certs,
            _folder: folder,
        };
        let started = Instant::now();
        let text = loop {
            match std::fs::read_to_string(&ready) {
                Ok(text) if !text.is_empty() => break text,
                _ if started.elapsed() > START => bail!("{kind:?} did not start"),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let bound: serde_json::Value = serde_json::from_str(&text)?;
        let addr = |name: &str| bound[name].as_str().and_then(|text| text.parse().ok());
        server.addr = addr("public").context("no address in the ready file")?;
        server.tls = addr("tls");
        Ok(server)
    }

    pub fn cpu_nanos(&self) -> u64 {
        cpu_nanos(self.child.id())
    }

    /// Which part of a core it takes while nothing is asked of it, looked at for `time`.
    pub fn idle_share(&self, time: Duration) -> f64 {
        let (before, begin) = (self.cpu_nanos(), Instant::now());
        std::thread::sleep(time);
        (self.cpu_nanos() - before) as f64 / begin.elapsed().as_nanos() as f64
    }

    pub fn pss_bytes(&self) -> u64 {
        pss_bytes(self.child.id())
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

fn siar(folder: &Path, ready: &Path, certs: Option<&Certs>) -> Result<Command> {
    let channels = folder.join("channels.yaml");
    std::fs::write(&channels, CHANNEL)?;
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
        "build",
        "--locked",
        "-p",
        "gateway",
        "--bin",
        "siar-gateway",
    ]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command.current_dir(package).status()?;
    ensure!(status.success(), "the gateway could not be built");
    Ok(())
}

/// The gateway beside this program, or the one that is named.
fn binary() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("GATEWAY_BIN") {
        return Ok(named.into());
    }
    let beside = std::env::current_exe()?.with_file_name("siar-gateway");
    ensure!(
        beside.exists(),
        "{} is missing; build it: cargo build --release -p gateway",
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

/// Live only, as fast as the server answers, and no heartbeat in between.
const CHANNEL: &str = r#"
apiVersion: siar.dev/v1alpha1
kind: Channel
metadata: {name: bench}
spec:
  topics: ["bench", "t{n}"]
  stream: {heartbeat: 5m, maxAge: 0s}
  limits: {streams: 100000, publishPerSecond: 1000000, topics: 10000}
  access:
    subscribe: [{anonymous: {}}]
    publish: [{anonymous: {}}]
"#;
