//! What may stand in front of an API server: it terminates TLS, passes requests on, and answers some of them itself.
//!
//! Owns: its certificate, what it was asked, and which requests it answers itself and how. Never: changes what it
//! passes on. Used by: tests of an API server that is overloaded or broken in one place.

use crate::certs::Certs;
use crate::cluster::{Cluster, Via};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ServerConfig};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::{TlsAcceptor, TlsConnector};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub query: String,
    /// What it answered itself; none when it was passed on.
    pub fault: Option<Fault>,
}

/// An answer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub status: u16,
    /// Seconds in `Retry-After`.
    pub after: Option<u32>,
}

/// Which requests it answers itself.
type Rule = Box<dyn FnMut(&Asked) -> Option<Fault> + Send>;

/// The running front.
pub struct Front {
    address: SocketAddr,
    certs: Certs,
    inner: Arc<Inner>,
    task: JoinHandle<()>,
}

struct Inner {
    server: SocketAddr,
    client: Arc<ClientConfig>,
    rule: Mutex<Option<Rule>>,
    asked: Mutex<Vec<Asked>>,
    /// How often all connections were cut.
    cuts: watch::Sender<u32>,
}

impl Asked {
    /// Whether it begins a watch.
    #[must_use]
    pub fn is_watch(&self) -> bool {
        self.query.split('&').any(|pair| pair == "watch=true")
    }

    /// Whether it only reads.
    #[must_use]
    pub fn reads(&self) -> bool {
        self.method == Method::GET
    }

    /// Whether it is what a watch sends: a list, or the watch itself.
    #[must_use]
    pub fn follows(&self) -> bool {
        let kinds = ["channels", "secrets", "pods", "deployments"];
        let last = self.path.rsplit('/').next().unwrap_or_default();
        self.reads() && kinds.contains(&last)
    }

    /// Whether it writes or reads the status of a Channel.
    #[must_use]
    pub fn is_status(&self) -> bool {
        self.path.contains("/channels/") && self.path.ends_with("/status")
    }

    /// Whether it is about Channels, one or all.
    #[must_use]
    pub fn is_about_channels(&self) -> bool {
        self.path.starts_with("/apis/siar.dev/")
    }
}

impl Fault {
    /// "Ask again in a second."
    pub const BUSY: Self = Self {
        status: 429,
        after: Some(1),
    };
    /// Something is broken.
    pub const BROKEN: Self = Self {
        status: 500,
        after: None,
    };
    /// The version that a watch is to begin with is too old.
    pub const GONE: Self = Self {
        status: 410,
        after: None,
    };

    fn answer(self) -> Response<BoxBody<Bytes, hyper::Error>> {
        let reason = match self.status {
            429 => "TooManyRequests",
            410 => "Expired",
            _ => "InternalError",
        };
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "the front has been told to say so", "reason": reason, "code": self.status,
        });
        let body = Full::new(Bytes::from(status.to_string())).map_err(|never| match never {});
        let mut answer = Response::builder()
            .status(self.status)
            .header("Content-Type", "application/json");
        if let Some(seconds) = self.after {
            answer = answer.header("Retry-After", seconds);
        }
        answer.body(body.boxed()).expect("these headers are right")
    }
}

impl Front {
    /// One before the API server of `cluster`, which passes everything on.
    pub async fn of(cluster: &Cluster) -> Self {
        let (certs, inner) = (Certs::new(), Inner::of(cluster));
        let inner = Arc::new(inner);
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let task = tokio::spawn(serve(listener, acceptor(&certs), inner.clone()));
        Self {
            address,
            certs,
            inner,
            task,
        }
    }

    /// The way to the API server that leads through it.
    #[must_use]
    pub fn via(&self) -> Via {
        Via {
            address: self.address,
            ca: self.certs.path("ca.crt"),
        }
    }

    /// From now on it answers what `rule` says.
    pub fn answers(&self, rule: impl FnMut(&Asked) -> Option<Fault> + Send + 'static) {
        *self.inner.rule.lock() = Some(Box::new(rule));
    }

    /// From now on it passes everything on.
    pub fn passes(&self) {
        *self.inner.rule.lock() = None;
    }

    /// Cuts all connections, watches with them.
    pub fn cut(&self) {
        self.inner.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// What it was asked since it was last asked for that.
    #[must_use]
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.inner.asked.lock())
    }

    /// How many requests of those that `which` picks it has answered itself, and not told yet by `take_asked`.
    #[must_use]
    pub fn faults(&self, which: impl Fn(&Asked) -> bool) -> usize {
        let asked = self.inner.asked.lock();
        let faults = asked.iter().filter(|asked| asked.fault.is_some());
        faults.filter(|asked| which(asked)).count()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn acceptor(certs: &Certs) -> TlsAcceptor {
    let chain = CertificateDer::from_pem_file(certs.path("tls.crt")).expect("a PEM file");
    let key = PrivateKeyDer::from_pem_file(certs.path("tls.key")).expect("a PEM file");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .expect("the key fits the certificate");
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, inner: Arc<Inner>) {
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.expect("loopback connects");
        let (acceptor, inner) = (acceptor.clone(), inner.clone());
        let mut cut = inner.cuts.subscribe();
        connections.spawn(async move {
            // A client that goes away in the middle is no failure of the front.
            tokio::select! {
                biased;
                _ = cut.changed() => {}
                _ = connection(socket, acceptor, inner) => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(
    socket: TcpStream,
    acceptor: TlsAcceptor,
    inner: Arc<Inner>,
) -> Result<(), Error> {
    let tls = acceptor.accept(socket).await?;
    let service = service_fn(|request| inner.answer(request));
    let serving = hyper::server::conn::http1::Builder::new();
    let serving = serving.serve_connection(TokioIo::new(tls), service);
    Ok(serving.await?)
}

impl Inner {
    fn of(cluster: &Cluster) -> Self {
        Self {
            server: cluster.address(),
            client: cluster.tls(),
            rule: Mutex::new(None),
            asked: Mutex::new(Vec::new()),
            cuts: watch::Sender::new(0),
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<BoxBody<Bytes, hyper::Error>>, Error> {
        let mut asked = Asked {
            method: request.method().clone(),
            path: request.uri().path().into(),
            query: request.uri().query().unwrap_or_default().into(),
            fault: None,
        };
        asked.fault = self
            .rule
            .lock()
            .as_mut()
            .and_then(|rule: &mut Rule| rule(&asked));
        let fault = asked.fault;
        self.asked.lock().push(asked);
        match fault {
            Some(fault) => Ok(fault.answer()),
            None => Ok(self.pass(request).await?.map(BodyExt::boxed)),
        }
    }

    /// By a connection of its own, which ends with the answer.
    async fn pass(&self, request: Request<Incoming>) -> Result<Response<Incoming>, Error> {
        let socket = TcpStream::connect(self.server).await?;
        let name = ServerName::try_from("localhost").expect("a DNS name");
        let tls = TlsConnector::from(self.client.clone());
        let tls = tls.connect(name, socket).await?;
        let (mut sender, server) = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await?;
        tokio::spawn(async move { drop(server.await) });
        Ok(sender.send_request(request).await?)
    }
}
