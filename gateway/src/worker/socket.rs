//! The transport of a stream: a TCP socket, a TLS session over one, or a stream of HTTP/2.
//!
//! Owns: writing pieces until the transport is full, and noticing that the peer left. Never: decides what
//! is written, keeps what was not. Used by: `worker::deliver`. Whenever it answers `Full`, the waker of the
//! context will be woken when there is room.

use super::h2::H2Stream;
use bytes::Bytes;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Pieces in one vectored write.
pub const MOST_SLICES: usize = 64;
/// Bytes that a listener may send after its request; they are thrown away, more in one turn are read later.
const READ_BYTES: usize = 4096;
const MOST_READS: usize = 16;

/// Where the bytes of a stream go.
pub enum Socket {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    H2(Box<H2Stream>),
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrote {
    /// Bytes that the transport took.
    pub bytes: usize,
    /// The transport took all it could and calls when there is room.
    pub full: bool,
}

impl Socket {
    /// Writes `pieces` in order until all are taken or the transport is full.
    pub fn write(&mut self, pieces: &[Bytes], context: &mut Context<'_>) -> io::Result<Wrote> {
        match self {
            Self::Tcp(tcp) => write_tcp(tcp, pieces, context),
            Self::Tls(tls) => write_tls(tls, pieces, context),
            Self::H2(stream) => stream.write(pieces, context),
        }
    }

    /// Writes `slices`, at most [`MOST_SLICES`], in one call of the kernel; only for TCP, and none if it is
    /// another transport.
    pub fn write_slices(&mut self, slices: &[IoSlice<'_>]) -> Option<io::Result<usize>> {
        match self {
            Self::Tcp(tcp) => Some(match slices {
                [one] => tcp.try_write(one),
                more => tcp.try_write_vectored(more),
            }),
            Self::Tls(_) | Self::H2(_) => None,
        }
    }

    /// Reads and drops what the peer sent, until nothing is left and the waker is armed. True when the peer
    /// is gone.
    pub fn peer_gone(&mut self, context: &mut Context<'_>) -> bool {
        match self {
            Self::Tcp(tcp) => tcp_gone(tcp, context),
            Self::Tls(tls) => tls_gone(tls, context),
            Self::H2(stream) => stream.peer_gone(context),
        }
    }

    /// Ends the response; the body's own end was written before. Best effort: the socket closes anyway.
    pub fn finish(&mut self, context: &mut Context<'_>) {
        match self {
            Self::Tcp(_) => {}
            Self::Tls(tls) => {
                if let Poll::Ready(Err(error)) = Pin::new(tls).poll_shutdown(context) {
                    tracing::trace!(%error, "no orderly end of a TLS session");
                }
            }
            Self::H2(stream) => stream.finish(),
        }
    }

    /// Ends the response abruptly, for a peer that did not read to its end.
    pub fn abandon(&mut self) {
        if let Self::H2(stream) = self {
            stream.reset();
        }
    }

    /// Whether the body is framed by HTTP/2 itself.
    #[must_use]
    pub fn is_h2(&self) -> bool {
        matches!(self, Self::H2(_))
    }
}

fn write_tcp(tcp: &TcpStream, pieces: &[Bytes], context: &mut Context<'_>) -> io::Result<Wrote> {
    let mut bytes = 0;
    let mut rest = pieces;
    let mut skip = 0;
    while !rest.is_empty() {
        let mut slices = [IoSlice::new(&[]); MOST_SLICES];
        let count = rest.len().min(MOST_SLICES);
        for (slice, piece) in slices.iter_mut().zip(rest) {
            *slice = IoSlice::new(piece);
        }
        slices[0] = IoSlice::new(&rest[0][skip..]);
        match tcp.try_write_vectored(&slices[..count]) {
            Ok(written) => {
                bytes += written;
                skip += written;
                while let Some(first) = rest.first().filter(|first| skip >= first.len()) {
                    skip -= first.len();
                    rest = &rest[1..];
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                match tcp.poll_write_ready(context) {
                    Poll::Ready(ready) => ready?,
                    Poll::Pending => return Ok(Wrote { bytes, full: true }),
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Wrote { bytes, full: false })
}

fn write_tls(
    tls: &mut TlsStream<TcpStream>,
    pieces: &[Bytes],
    context: &mut Context<'_>,
) -> io::Result<Wrote> {
    let mut bytes = 0;
    for piece in pieces {
        let mut rest = &piece[..];
        while !rest.is_empty() {
            match Pin::new(&mut *tls).poll_write(context, rest) {
                Poll::Ready(Ok(written)) => {
                    bytes += written;
                    rest = &rest[written..];
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(Wrote { bytes, full: true }),
            }
        }
    }
    // What the session encrypted but the socket did not take is its own 64 KiB, flushed at the next call.
    let full = match Pin::new(tls).poll_flush(context) {
        Poll::Ready(flushed) => {
            flushed?;
            false
        }
        Poll::Pending => true,
    };
    Ok(Wrote { bytes, full })
}

fn tcp_gone(tcp: &TcpStream, context: &mut Context<'_>) -> bool {
    let mut thrown = [0; READ_BYTES];
    for _ in 0..MOST_READS {
        match tcp.try_read(&mut thrown) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                match tcp.poll_read_ready(context) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return true,
                    Poll::Pending => return false,
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return true,
        }
    }
    context.waker().wake_by_ref();
    false
}

fn tls_gone(tls: &mut TlsStream<TcpStream>, context: &mut Context<'_>) -> bool {
    fn read(tls: &mut TlsStream<TcpStream>, context: &mut Context<'_>) -> Poll<bool> {
        let mut thrown = [0; READ_BYTES];
        let mut buffer = ReadBuf::new(&mut thrown);
        let read = ready!(Pin::new(tls).poll_read(context, &mut buffer));
        Poll::Ready(read.is_err() || buffer.filled().is_empty())
    }
    for _ in 0..MOST_READS {
        match read(tls, context) {
            Poll::Ready(true) => return true,
            Poll::Ready(false) => {}
            Poll::Pending => return false,
        }
    }
    context.waker().wake_by_ref();
    false
}
