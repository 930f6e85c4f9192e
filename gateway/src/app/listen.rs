//! The sockets that listen.
//!
//! Owns: binding, and the options that accepted sockets inherit. Never: accepts. Used by: `app`.

use super::announce::Addresses;
use crate::args::Settings;
use crate::worker::accept::{self, TlsMaterial};
use crate::worker::tls::{self, CertificateError, Watcher};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// The send buffer of every stream: what a slow client costs the kernel, and no more.
const SEND_BUFFER: usize = 64 * 1024;
/// Connections that wait to be accepted, for each worker; the kernel's own bound is below it as a rule.
const BACKLOG: i32 = 4096;

/// Everything that listens, bound before anything else starts so that a wrong address fails at once.
pub struct Sockets {
    pub addresses: Addresses,
    /// One for each worker.
    pub workers: Vec<Ports>,
    pub admin: TcpListener,
    /// Keeps the certificate of the TLS port new.
    pub certificate: Option<Watcher>,
}

/// What one worker listens on.
pub struct Ports {
    pub public: TcpListener,
    pub tls: Option<(TcpListener, TlsMaterial)>,
}

/// Why the gateway cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot listen on {addr}, as {flag} says: {cause}")]
    Bind {
        addr: SocketAddr,
        flag: &'static str,
        cause: io::Error,
    },
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl Sockets {
    /// Binds what `settings` names, in the order public, TLS, admin.
    pub fn bind(settings: &Settings) -> Result<Self, ListenError> {
        let public = shared(settings.listen, settings.workers, "--listen")?;
        let mut certificate = None;
        let mut tls = Vec::new();
        if let Some(wanted) = &settings.tls {
            let (material, watcher) = tls::load(&wanted.dir)?;
            certificate = Some(watcher);
            let listeners = shared(wanted.listen, settings.workers, "--listen-tls")?;
            tls.extend(listeners.into_iter().map(|one| (one, material.clone())));
        }
        let admin = single(settings.admin, "--admin")?;
        let addresses = Addresses {
            public: bound(&public[0], "--listen")?,
            tls: match tls.first() {
                None => None,
                Some((listener, _)) => Some(bound(listener, "--listen-tls")?),
            },
            admin: bound(&admin, "--admin")?,
        };
        let mut tls = tls.into_iter();
        let workers = public.into_iter().map(|public| Ports {
            public,
            tls: tls.next(),
        });
        Ok(Self {
            addresses,
            workers: workers.collect(),
            admin,
            certificate,
        })
    }
}

fn bound(listener: &TcpListener, flag: &'static str) -> Result<SocketAddr, ListenError> {
    let addr = SocketAddr::from(([0, 0, 0, 0], 0));
    let error = |cause| ListenError::Bind { addr, flag, cause };
    listener.local_addr().map_err(error)
}

/// One listener for each of `count` workers on the same address. With port 0 the kernel picks one.
fn shared(
    addr: SocketAddr,
    count: usize,
    flag: &'static str,
) -> Result<Vec<TcpListener>, ListenError> {
    let error = |cause| ListenError::Bind { addr, flag, cause };
    if addr.port() != 0 {
        // Listeners that share a port do not notice another process that does, so this one asks first.
        drop(bind(addr, Share::No).map_err(error)?);
    }
    let first = listen(addr, Share::Yes).map_err(error)?;
    let bound = first.local_addr().map_err(error)?;
    let mut listeners = vec![first];
    for _ in 1..count {
        listeners.push(listen(bound, Share::Yes).map_err(error)?);
    }
    Ok(listeners)
}

/// The only listener on `addr`.
fn single(addr: SocketAddr, flag: &'static str) -> Result<TcpListener, ListenError> {
    listen(addr, Share::No).map_err(|cause| ListenError::Bind { addr, flag, cause })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    Yes,
    No,
}

fn listen(addr: SocketAddr, share: Share) -> io::Result<TcpListener> {
    let socket = bind(addr, share)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bind(addr: SocketAddr, share: Share) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // Without it a restart after kill -9 meets its own connections in TIME_WAIT and fails.
    socket.set_reuse_address(true)?;
    if share == Share::Yes {
        socket.set_reuse_port(true)?;
    }
    socket.set_send_buffer_size(SEND_BUFFER)?;
    accept::prepare(&socket)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;
    use std::net::TcpStream;

    const ANY: &str = "127.0.0.1:0";

    fn addr(listener: &TcpListener) -> SocketAddr {
        listener.local_addr().unwrap()
    }

    #[test]
    fn all_workers_share_the_port_that_the_kernel_picked() {
        let listeners = shared(ANY.parse().unwrap(), 3, "--listen").unwrap();
        assert_eq!(listeners.len(), 3);
        for listener in &listeners {
            assert_eq!(addr(listener), addr(&listeners[0]));
        }
    }

    #[test]
    fn who_connects_before_the_workers_run_has_all_options() {
        let listener = listen(ANY.parse().unwrap(), Share::Yes).unwrap();
        listener.set_nonblocking(false).unwrap();
        let peer = TcpStream::connect(addr(&listener)).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let socket = SockRef::from(&accepted);
        assert!(socket.tcp_nodelay().unwrap());
        let timeout = socket.tcp_user_timeout().unwrap();
        assert_eq!(timeout, Some(accept::UNACKNOWLEDGED));
        drop(peer);
    }

    #[test]
    fn a_second_gateway_is_told_that_the_address_is_in_use() {
        let first = shared(ANY.parse().unwrap(), 2, "--listen").unwrap();
        let error = shared(addr(&first[0]), 2, "--listen").unwrap_err();
        assert!(error.to_string().contains("--listen"), "{error}");
        let ListenError::Bind { cause, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(cause.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn the_address_is_free_again_when_its_listeners_are_gone() {
        let first = shared(ANY.parse().unwrap(), 2, "--listen").unwrap();
        let taken = addr(&first[0]);
        drop(first);
        assert_eq!(addr(&shared(taken, 2, "--listen").unwrap()[0]), taken);
        assert_eq!(
            addr(
                &single(taken, "--admin").unwrap_or_else(|_| single(
                    ANY.parse().unwrap(),
                    "--admin"
                )
                .unwrap())
            )
            .ip(),
            taken.ip()
        );
    }
}
