//! Accepts connections and serves them until they close or become a stream.
//!
//! Owns: the time limits of heads, the choice between HTTP/1 and HTTP/2, TLS handshakes. Never: routes a
//! request itself, the router does. Used by: `worker`.

use super::early::Early;
use super::handover::{http1, http2};
use super::opening::Peer;
use super::ready::Ready;
use crate::limits::{ConnectionPermit, Limits};
use crate::readiness::Phase;
use crate::tasks;
use arc_swap::ArcSwap;
pub use axum::Router;
pub use axum::body::Body;
pub use axum::response::Response;
use rustls::ServerConfig;
use socket2::Socket;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// The first request of a connection has this long for its head, TLS handshake included.
pub const FIRST_HEAD: Duration = Duration::from_secs(10);
/// A peer that acknowledges nothing for this long is gone.
pub const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// Pause after the process ran out of descriptors; accepting at once would burn a core.
const EXHAUSTED: Duration = Duration::from_secs(1);
/// What every connection of a worker needs.
#[derive(Clone)]
pub struct Serving {
    pub router: Router,
    pub ready: Arc<Ready>,
    pub limits: Arc<Limits>,
    pub phase: watch::Receiver<Phase>,
}

/// Certificates that may change while the port is open.
pub type TlsMaterial = Arc<ArcSwap<ServerConfig>>;

/// Accepts connections for ever.
pub async fn accept(listener: TcpListener, tls: Option<TlsMaterial>, serving: Serving) {
    loop {
        match listener.accept().await {
            Ok((socket, addr)) => {
                let Some((permit, full)) = serving.limits.connection() else {
                    continue;
                };
                let peer = Peer {
                    addr,
                    tls: tls.is_some(),
                    full,
                };
                let (tls, serving) = (tls.clone(), serving.clone());
                tasks::background(serve(socket, peer, tls, permit, serving));
            }
            Err(error) => {
                tracing::warn!(?error, "cannot accept a connection");
                tokio::time::sleep(EXHAUSTED).await;
            }
        }
    }
}

async fn serve(
    socket: TcpStream,
    peer: Peer,
    tls: Option<TlsMaterial>,
    permit: ConnectionPermit,
    serving: Serving,
) {
    match tls {
        None => plain(socket, peer, permit, serving).await,
        // Boxed, as HTTP/2 below: the task of each cleartext stream would be allocated with their size.
        Some(material) => Box::pin(encrypted(socket, peer, &material, permit, serving)).await,
    }
}

async fn plain(socket: TcpStream, peer: Peer, permit: ConnectionPermit, serving: Serving) {
    match tokio::time::timeout(FIRST_HEAD, Early::hear(socket)).await {
        Ok(Some(early)) if early.is_h2() => Box::pin(http2(early, peer, permit, serving)).await,
        Ok(Some(early)) => http1(early, peer, permit, serving).await,
        Ok(None) => tracing::debug!(peer = ?peer.addr, "left before its first bytes"),
        Err(_late) => tracing::debug!(peer = ?peer.addr, "silent for too long"),
    }
}

async fn encrypted(
    socket: TcpStream,
    peer: Peer,
    material: &TlsMaterial,
    permit: ConnectionPermit,
    serving: Serving,
) {
    let acceptor = TlsAcceptor::from(material.load_full());
    match tokio::time::timeout(FIRST_HEAD, acceptor.accept(socket)).await {
        Ok(Ok(session)) if session.get_ref().1.alpn_protocol() == Some(b"h2") => {
            http2(session, peer, permit, serving).await
        }
        Ok(Ok(session)) => http1(Box::new(session), peer, permit, serving).await,
        Ok(Err(error)) => tracing::debug!(peer = ?peer.addr, %error, "TLS handshake failed"),
        Err(_late) => tracing::debug!(peer = ?peer.addr, "TLS handshake took too long"),
    }
}

/// Sets on a socket, before it listens, what those that it accepts inherit (Linux copies it), so that an
/// accepted connection costs no calls: small writes go out at once, and a peer that acknowledges nothing for
/// [`UNACKNOWLEDGED`] is given up, heartbeats included. Set later, whoever connected before would lack it.
pub fn prepare(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))
}
