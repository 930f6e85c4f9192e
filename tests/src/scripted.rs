//! An HTTP/1.1 server that answers as its test says.
//!
//! Owns: what was asked and when, how many requests waited at once, answers that never come or never end.
//! Never: knows what the answers mean. Used by: `issuer`, `webhook`.

use crate::wait::until;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What an endless answer has between its two ends.
pub const ENDLESS_BYTES: u64 = 100 * 1024 * 1024;
/// A chunk of an endless answer.
static BLANKS: [u8; 64 * 1024] = [b' '; 64 * 1024];

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: Instant,
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What is answered to one request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// This.
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// Nothing, until the script changes; then what the new one says.
    Hangs,
    /// 200 with these two ends of a JSON document and [`ENDLESS_BYTES`] blanks between them.
    Endless {
        begin: &'static str,
        end: &'static str,
    },
}

type Script = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// The running server, gone with all its connections when dropped.
pub struct Scripted {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    script: watch::Sender<Script>,
    asked: Mutex<Vec<Asked>>,
    /// Requests without an answer yet.
    waiting: AtomicUsize,
    most_waiting: AtomicUsize,
    /// Blanks of endless answers that clients took.
    blanks: AtomicU64,
}

impl Reply {
    /// `status` with a JSON body.
    #[must_use]
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::Answer {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body: body.to_string().into_bytes(),
        }
    }

    /// `status` with nothing.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// 302 to `url`.
    #[must_use]
    pub fn redirect(url: &str) -> Self {
        Self::Answer {
            status: 302,
            headers: vec![("location".into(), url.into())],
            body: Vec::new(),
        }
    }

    /// 200 with a page, as a proxy's sign-in form or a mistyped URL gives.
    #[must_use]
    pub fn page() -> Self {
        Self::Answer {
            status: 200,
            headers: vec![("content-type".into(), "text/html".into())],
            body: b"<!doctype html><title>Sign in</title>".to_vec(),
        }
    }
}

impl Asked {
    /// The first header of that name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let header = headers.find(|(known, _)| known == name);
        header.map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

impl Scripted {
    /// Listens on a free port of a loopback address.
    pub async fn start(
        address: &str,
        script: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let address: IpAddr = address.parse().expect("a loopback address");
        let listener = TcpListener::bind((address, 0)).await;
        let listener = listener.expect("loopback has free ports");
        let shared = Arc::new(Shared {
            script: watch::Sender::new(Arc::new(script)),
            asked: Mutex::default(),
            waiting: AtomicUsize::default(),
            most_waiting: AtomicUsize::default(),
            blanks: AtomicU64::default(),
        });
        Self {
            address: listener.local_addr().expect("it is bound"),
            accepting: tokio::spawn(accept(listener, shared.clone())),
            shared,
        }
    }

    /// Answers otherwise from now on, also those who hang.
    pub fn script(&self, script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) {
        self.shared.script.send_replace(Arc::new(script));
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far, the oldest first.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().clone()
    }

    /// How many requests have no answer yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(SeqCst)
    }

    /// Waits until so many requests have no answer.
    #[track_caller]
    pub fn until_waiting(&self, count: usize) -> impl Future<Output = ()> {
        until(format!("{count} requests to wait"), move || {
            let waiting = self.waiting();
            let fits = (waiting == count).then_some(());
            async move { fits.ok_or_else(|| format!("{waiting} wait")) }
        })
    }

    /// The most requests that had no answer at one time.
    #[must_use]
    pub fn most_waiting(&self) -> usize {
        self.shared.most_waiting.load(SeqCst)
    }

    /// How many bytes of endless answers went out.
    #[must_use]
    pub fn endless_bytes(&self) -> u64 {
        self.shared.blanks.load(SeqCst)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Its connections end with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(serve(stream, shared.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request| answer(request, shared.clone()));
    // How a connection ends is the client's affair: it may leave in the middle of an answer.
    drop(
        hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

type Answered = http::Response<UnsyncBoxBody<Bytes, Infallible>>;

async fn answer(
    request: http::Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Answered, hyper::Error> {
    let at = Instant::now();
    let _waits = Waits::new(&shared);
    let (head, body) = request.into_parts();
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.to_string(), value.into_owned())
    };
    let asked = Asked {
        at,
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: head.headers.iter().map(header).collect(),
        body: body.collect().await?.to_bytes().into(),
    };
    shared.asked.lock().push(asked.clone());
    let mut scripts = shared.script.subscribe();
    loop {
        let script = scripts.borrow_and_update().clone();
        match script(&asked) {
            Reply::Answer {
                status,
                headers,
                body,
            } => return Ok(whole(status, &headers, body)),
            Reply::Endless { begin, end } => return Ok(endless(begin, end, shared.clone())),
            // The sender lives as long as `shared`, so this waits for a new script.
            Reply::Hangs => drop(scripts.changed().await),
        }
    }
}

fn whole(status: u16, headers: &[(String, String)], body: Vec<u8>) -> Answered {
    let mut answer = http::Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(name, value);
    }
    let answer = answer.body(Full::from(body).boxed_unsync());
    answer.expect("a script gives a status and headers that HTTP knows")
}

fn endless(begin: &'static str, end: &'static str, shared: Arc<Shared>) -> Answered {
    let body = Blanks {
        begin: Some(begin),
        left: ENDLESS_BYTES,
        end: Some(end),
        shared,
    };
    let mut answer = http::Response::new(body.boxed_unsync());
    answer.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    answer
}

/// Counts a request while it has no answer, also when its client leaves.
struct Waits<'a>(&'a Shared);

impl<'a> Waits<'a> {
    fn new(shared: &'a Shared) -> Self {
        let now = shared.waiting.fetch_add(1, SeqCst) + 1;
        shared.most_waiting.fetch_max(now, SeqCst);
        Self(shared)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, SeqCst);
    }
}

/// The body of an endless answer, made as it is taken.
struct Blanks {
    begin: Option<&'static str>,
    left: u64,
    end: Option<&'static str>,
    shared: Arc<Shared>,
}

impl Body for Blanks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = if let Some(begin) = self.begin.take() {
            begin.as_bytes()
        } else if self.left > 0 {
            let size = BLANKS.len().min(self.left.try_into().unwrap_or(usize::MAX));
            self.left -= size as u64;
            self.shared.blanks.fetch_add(size as u64, SeqCst);
            &BLANKS[..size]
        } else if let Some(end) = self.end.take() {
            end.as_bytes()
        } else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(chunk)))))
    }
}
