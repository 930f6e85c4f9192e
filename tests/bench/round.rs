//! One measurement: a fresh server, a fresh client, some messages.

use crate::bare::whole;
use crate::client::Transport;
use crate::measure::{cpu_nanos, machine_nanos, slab_bytes, sock_bytes};
use crate::seen::{Summary, now_nanos, text};
use crate::server::{Kind, Server, bound};
use crate::tokens::Listeners;
use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

/// Memory and counters are read after the server had this long to come to rest.
pub const SETTLE: Duration = Duration::from_secs(1);
/// What a server with all its streams costs while nothing comes is measured for this long, and taken off.
const IDLE: Duration = Duration::from_secs(1);
/// A server that does not answer a publisher for this long has failed; more than a busy machine takes.
const ANSWER: Duration = Duration::from_secs(60);
/// Bytes of the data of a message.
pub const MESSAGE: usize = 128;

/// What is done to a server.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub streams: usize,
    pub messages: u64,
    /// None: as fast as the server answers.
    pub per_second: Option<u32>,
    pub transport: Transport,
    pub listeners: Listeners,
    pub check_all: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub delivery_micros: f64,
    /// Bytes on the wire.
    pub delivery_bytes: f64,
    pub connect_micros: f64,
    pub stream_bytes: f64,
    pub sock_bytes: f64,
    pub slab_bytes: f64,
    pub p50_millis: f64,
    pub p99_millis: f64,
    pub per_second: f64,
    /// What other programs of the machine used meanwhile, in cores.
    pub foreign_cores: f64,
}

impl Figures {
    /// The better of two in each figure; memory, the same for both but for noise, is of the first.
    pub fn better(self, other: Self) -> Self {
        Self {
            delivery_micros: self.delivery_micros.min(other.delivery_micros),
            connect_micros: self.connect_micros.min(other.connect_micros),
            p50_millis: self.p50_millis.min(other.p50_millis),
            p99_millis: self.p99_millis.min(other.p99_millis),
            per_second: self.per_second.max(other.per_second),
            foreign_cores: self.foreign_cores.max(other.foreign_cores),
            ..self
        }
    }
}

/// Measures `kind` doing `work`; an error when a message was lost or came out of order.
pub fn measure(kind: Kind, work: Work) -> Result<Figures> {
    attempt(kind, work)?.with_context(|| format!("{kind:?} did not deliver all"))
}

/// As [`measure`], but none when a message was lost or came out of order.
pub fn attempt(kind: Kind, work: Work) -> Result<Option<Figures>> {
    let server = Server::start(kind, work)?;
    std::thread::sleep(SETTLE / 2);
    let (memory, sock, slab, cpu) = (
        server.pss_bytes(),
        sock_bytes(),
        slab_bytes(),
        server.cpu_nanos(),
    );
    let mut client = Client::start(&server, work, 0)?;
    let connected = server.cpu_nanos();
    // Only now: the bare loop reads one head after the other, and this one comes with the first message.
    let mut publisher = Publisher::connect(server.addr)?;
    std::thread::sleep(SETTLE);
    let streams = work.streams as f64;
    let mut figures = Figures {
        connect_micros: (connected - cpu) as f64 / 1000.0 / streams,
        sock_bytes: growth(sock_bytes(), sock) / streams,
        slab_bytes: growth(slab_bytes(), slab) / streams,
        ..Figures::default()
    };
    let idle = server.idle_share(IDLE);
    let (before, started) = (server.cpu_nanos(), now_nanos());
    let watch = Watch::start(&[server.pid(), client.pid()]);
    let begin = Instant::now();
    for number in 0..work.messages {
        if let Some(per_second) = work.per_second {
            let due = begin + Duration::from_secs(1) / per_second * u32::try_from(number)?;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        publisher.post(
            "/publish?channel=bench",
            "text/plain",
            text(number, MESSAGE).as_bytes(),
        )?;
    }
    let summary = client.finish()?;
    let busy = growth(server.cpu_nanos(), before) - idle * begin.elapsed().as_nanos() as f64;
    figures.foreign_cores = watch.foreign_cores();
    // With all streams open, and after their messages: what delivery leaves behind counts, too.
    figures.stream_bytes = growth(server.pss_bytes(), memory) / streams;
    if !summary.complete {
        eprintln!("{kind:?} lost or mixed up messages: {summary:?}");
        return Ok(None);
    }
    let deliveries = streams * work.messages as f64;
    figures.delivery_micros = busy / 1000.0 / deliveries;
    figures.delivery_bytes = summary.bytes as f64 / deliveries;
    figures.p50_millis = summary.p50_nanos as f64 / 1e6;
    figures.p99_millis = summary.p99_nanos as f64 / 1e6;
    figures.per_second = deliveries / (summary.last_nanos.saturating_sub(started) as f64 / 1e9);
    Ok(Some(figures))
}

/// Watches what programs other than ours use of the machine.
pub struct Watch {
    begin: Instant,
    machine: u64,
    own: u64,
    pids: Vec<u32>,
}

impl Watch {
    /// Ours are this one and `others`.
    pub fn start(others: &[u32]) -> Self {
        let pids = [&[std::process::id()], others].concat();
        Self {
            begin: Instant::now(),
            machine: machine_nanos(),
            own: pids.iter().copied().map(cpu_nanos).sum(),
            pids,
        }
    }

    /// Cores that others used since the start.
    pub fn foreign_cores(&self) -> f64 {
        let own = self.pids.iter().copied().map(cpu_nanos).sum();
        let foreign = growth(machine_nanos(), self.machine) - growth(own, self.own);
        foreign / self.begin.elapsed().as_nanos() as f64
    }
}

/// What was added, or taken away when negative.
pub fn growth(after: u64, before: u64) -> f64 {
    after as f64 - before as f64
}

/// The load client as a process.
pub struct Client {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Client {
    /// Starts it and waits until all streams are open.
    pub fn start(server: &Server, work: Work, topics: usize) -> Result<Self> {
        let mut command = bound(&std::env::current_exe()?)?;
        let transport = format!("{:?}", work.transport).to_lowercase();
        command.args(["client", "--transport", &transport]);
        for (name, value) in [
            ("--addr", server.addr_for(work.transport).to_string()),
            ("--streams", work.streams.to_string()),
            ("--topics", topics.to_string()),
            ("--messages", work.messages.to_string()),
        ] {
            command.arg(name).arg(value);
        }
        if work.check_all {
            command.arg("--check-all");
        }
        if let Some(certs) = &server.certs {
            command.arg("--ca").arg(certs.path("ca.crt"));
        }
        if let Some(tokens) = &server.tokens {
            command.arg("--tokens").arg(tokens);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("its output")?;
        let mut client = Self {
            child,
            lines: BufReader::new(output).lines(),
        };
        match client.lines.next() {
            Some(Ok(line)) if line == "ready" => Ok(client),
            _ => bail!("the client could not open its streams"),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until all has arrived; the streams stay open.
    pub fn finish(&mut self) -> Result<Summary> {
        let line = self.lines.next().context("the client ended early")??;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One keep-alive connection that publishes.
pub struct Publisher {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Publisher {
    pub fn connect(addr: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(addr)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(ANSWER))?;
        Ok(Self {
            socket,
            buffer: vec![0; 64 * 1024],
        })
    }

    /// One message for each of `topics`, in one request; a single one as a plain body.
    pub fn post_batch(&mut self, topics: impl Iterator<Item = String>, round: u64) -> Result<()> {
        let data = text(round, MESSAGE);
        let items: Vec<_> = topics
            .map(|topic| serde_json::json!({"channel": topic, "data": data}))
            .collect();
        match items.as_slice() {
            [one] => {
                let path = format!(
                    "/publish?channel={}",
                    one["channel"].as_str().unwrap_or_default()
                );
                self.post(&path, "text/plain", data.as_bytes())
            }
            items => self.post("/publish", "application/json", &serde_json::to_vec(items)?),
        }
    }

    fn post(&mut self, path: &str, kind: &str, body: &[u8]) -> Result<()> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.socket.write_all(&[head.as_bytes(), body].concat())?;
        let mut filled = 0;
        loop {
            let count = self.socket.read(&mut self.buffer[filled..])?;
            ensure!(count > 0, "the server closed the publisher's connection");
            filled += count;
            if let Some(status) = answered(&self.buffer[..filled]) {
                ensure!(status == "200", "the server answered {status}");
                return Ok(());
            }
        }
    }
}

/// The status of an answer, once all of it is there.
fn answered(buffer: &[u8]) -> Option<String> {
    let (body, _) = whole(buffer)?;
    let head = std::str::from_utf8(&buffer[..body]).ok()?;
    Some(head.split(' ').nth(1).unwrap_or_default().to_owned())
}
