//! The load client, a process of its own: opens streams, counts what arrives, and checks some of them or all.
//!
//! It says `ready` when every stream has its opening, and prints one line of JSON when every stream has all of
//! its messages or the time is over. It keeps the streams open until its input ends, so that the server's
//! figures have no closing in them.

use crate::seen::{Seen, Summary};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use std::any::Any;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;
use tests::certs;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// Connections that are being opened at once, so that no queue of the server overflows.
const OPENING: usize = 64;
/// All streams must be open within this time.
const OPENING_TIME: Duration = Duration::from_secs(60);
/// Streams of one HTTP/2 connection.
const H2_STREAMS: usize = 50;
/// Bytes of one read.
const READ: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    Plain,
    Tls,
    H2,
}

/// What the streams of one connection have seen, and what keeps them open.
type Followed = (Vec<Seen>, Box<dyn Any + Send>);

/// What the client is to do.
#[derive(Args, Clone, Debug)]
pub struct Load {
    #[arg(long)]
    pub addr: SocketAddr,
    #[arg(long, value_enum, default_value = "plain")]
    pub transport: Transport,
    #[arg(long)]
    pub streams: usize,
    /// With 0 all streams listen to `bench`; else stream i listens to `t` and i modulo this.
    #[arg(long, default_value_t = 0)]
    pub topics: usize,
    /// Messages that each stream gets.
    #[arg(long)]
    pub messages: u64,
    /// Parses every stream, not only fifty of them.
    #[arg(long)]
    pub check_all: bool,
    /// Seconds after which it gives up.
    #[arg(long, default_value_t = 60)]
    pub patience: u64,
    /// The authority of the server's certificate.
    #[arg(long)]
    pub ca: Option<PathBuf>,
    /// A file with a bearer token for each stream, one a line.
    #[arg(long)]
    pub tokens: Option<PathBuf>,
}

impl Load {
    fn path(&self, stream: usize) -> String {
        match self.topics {
            0 => "/stream?channel=bench".to_owned(),
            topics => format!("/stream?channel=t{}", stream % topics),
        }
    }

    /// A line for the head of each stream's request.
    fn credentials(&self) -> Result<Vec<String>> {
        let Some(path) = &self.tokens else {
            return Ok(vec![String::new(); self.streams]);
        };
        let text = std::fs::read_to_string(path)?;
        let header = |token: &str| format!("Authorization: Bearer {token}\r\n");
        Ok(text.lines().map(header).collect())
    }

    /// Fifty streams, spread evenly, are looked at closely.
    fn seen(&self, stream: usize) -> Seen {
        let every = (self.streams / 50).max(1);
        Seen::new(self.check_all || stream.is_multiple_of(every))
    }
}

/// Runs the load and prints what came of it.
pub async fn run(load: Load) -> Result<()> {
    let mut tasks = JoinSet::new();
    let opening = Arc::new(Semaphore::new(OPENING));
    // Each stream returns its permit when it has its opening; all of them together mean ready.
    let ready = Arc::new(Semaphore::new(0));
    let streams = load.streams;
    let all = u32::try_from(streams)?;
    let opened = tokio::time::timeout(OPENING_TIME, async {
        match load.transport {
            Transport::H2 => {
                for first in (0..streams).step_by(H2_STREAMS) {
                    let group = first..(first + H2_STREAMS).min(streams);
                    tasks.spawn(h2_group(load.clone(), group, ready.clone()));
                }
            }
            Transport::Plain | Transport::Tls => {
                for (stream, credentials) in load.credentials()?.into_iter().enumerate() {
                    let permit = opening.clone().acquire_owned().await?;
                    let request = format!(
                        "GET {} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n{credentials}\r\n",
                        load.path(stream)
                    );
                    let seen = load.seen(stream);
                    tasks.spawn(one(load.clone(), request, seen, permit, ready.clone()));
                }
            }
        }
        drop(ready.acquire_many(all).await?);
        anyhow::Ok(())
    });
    opened.await.context("not all streams opened in time")??;
    println!("ready");
    let mut summary = Summary::default();
    let mut open = Vec::with_capacity(streams);
    let collected = tokio::time::timeout(Duration::from_secs(load.patience), async {
        while let Some(seen) = tasks.join_next().await {
            let (seen, connection) = seen??;
            open.push(connection);
            for seen in seen {
                summary.add(seen, load.messages);
            }
        }
        anyhow::Ok(())
    });
    match collected.await {
        Ok(done) => done?,
        Err(_late) => summary.missing(streams),
    }
    println!("{}", summary.json());
    tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0])).await??;
    Ok(())
}

async fn one(
    load: Load,
    request: String,
    seen: Seen,
    permit: tokio::sync::OwnedSemaphorePermit,
    ready: Arc<Semaphore>,
) -> Result<Followed> {
    let tcp = TcpStream::connect(load.addr).await?;
    if load.transport == Transport::Tls {
        let session = tls(&load, tcp).await?;
        return follow(session, &request, seen, load.messages, permit, &ready).await;
    }
    follow(tcp, &request, seen, load.messages, permit, &ready).await
}

async fn tls(load: &Load, tcp: TcpStream) -> Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let ca = load.ca.as_ref().context("TLS needs --ca")?;
    let config = certs::trusting(ca);
    let name = rustls::pki_types::ServerName::try_from("localhost")?;
    Ok(TlsConnector::from(config).connect(name, tcp).await?)
}

async fn follow<T: AsyncRead + AsyncWriteExt + Unpin + Send + 'static>(
    mut socket: T,
    request: &str,
    mut seen: Seen,
    messages: u64,
    permit: tokio::sync::OwnedSemaphorePermit,
    ready: &Semaphore,
) -> Result<Followed> {
    socket.write_all(request.as_bytes()).await?;
    let mut permit = Some(permit);
    while !seen.complete(messages) {
        if !take_in(&mut socket, &mut seen).await? {
            bail!("the stream ended");
        }
        if seen.opened() && permit.take().is_some() {
            ready.add_permits(1);
        }
    }
    Ok((vec![seen], Box::new(socket)))
}

/// Feeds what is there into `seen`; false at the end of the stream. All streams share one buffer: one for each
/// would cost the client, which runs on the server's cores, a page fault and cold caches for each stream.
async fn take_in<T: AsyncRead + Unpin>(socket: &mut T, seen: &mut Seen) -> Result<bool> {
    let read = poll_fn(|context| {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut *socket).poll_read(context, &mut buffer))?;
            seen.feed(buffer.filled());
            Poll::Ready(std::io::Result::Ok(!buffer.filled().is_empty()))
        })
    });
    Ok(read.await?)
}

async fn h2_group(
    load: Load,
    group: std::ops::Range<usize>,
    ready: Arc<Semaphore>,
) -> Result<Followed> {
    let tcp = TcpStream::connect(load.addr).await?;
    tcp.set_nodelay(true)?;
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(1 << 20)
        .initial_connection_window_size(1 << 24);
    let (mut send, connection) = builder.handshake::<_, Bytes>(tcp).await?;
    let driver = tokio::spawn(connection);
    let mut streams = JoinSet::new();
    for stream in group {
        let request = http::Request::get(format!("http://bench{}", load.path(stream)))
            .header("accept", "text/event-stream")
            .body(())?;
        send = send.ready().await?;
        let (response, _) = send.send_request(request, true)?;
        let (mut seen, messages, ready) = (load.seen(stream), load.messages, ready.clone());
        streams.spawn(async move {
            let mut body = response.await?.into_body();
            let mut told = false;
            while !seen.complete(messages) {
                let data = body.data().await.context("the stream ended")??;
                body.flow_control().release_capacity(data.len())?;
                seen.feed(&data);
                if seen.opened() && !told {
                    told = true;
                    ready.add_permits(1);
                }
            }
            anyhow::Ok((seen, body))
        });
    }
    let (mut all, mut bodies) = (Vec::new(), Vec::new());
    while let Some(seen) = streams.join_next().await {
        let (seen, body) = seen??;
        all.push(seen);
        bodies.push(body);
    }
    Ok((all, Box::new((bodies, driver))))
}
