//! The sockets that listen.
//!
//! Owns: binding, and the options that accepted sockets inherit. Never: accepts. Used by: `app`.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// The send buffer of every stream: what a slow client costs the kernel, and no more.
const SEND_BUFFER: usize = 64 * 1024;
/// Connections that wait to be accepted, for each worker; the kernel's own bound is below it as a rule.
const BACKLOG: i32 = 4096;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr} for {flag}: {source}")]
pub struct ListenError {
    pub addr: SocketAddr,
    /// The flag that named it.
    pub flag: &'static str,
    pub source: io::Error,
}

/// One listener for each of `count` workers on the same address. With port 0 the kernel picks one.
pub fn shared(
    addr: SocketAddr,
    count: usize,
    flag: &'static str,
) -> Result<Vec<TcpListener>, ListenError> {
    let error = |source| ListenError { addr, flag, source };
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
pub fn single(addr: SocketAddr, flag: &'static str) -> Result<TcpListener, ListenError> {
    listen(addr, Share::No).map_err(|source| ListenError { addr, flag, source })
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
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_second_gateway_is_told_that_the_address_is_in_use() {
        let first = shared(ANY.parse().unwrap(), 2, "--listen").unwrap();
        let error = shared(addr(&first[0]), 2, "--listen").unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains("--listen"));
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
