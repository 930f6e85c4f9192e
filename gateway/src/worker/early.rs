//! A connection whose first bytes were read before it was known who serves it.
//!
//! Owns: giving those bytes out first. Used by: `accept`, which reads them to tell HTTP/2 from HTTP/1; a
//! peek would be one more system call for each connection.

use bytes::{Buf, BytesMut};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The first bytes of HTTP/2 with prior knowledge that no method of HTTP/1 begins with.
const PREFACE: &[u8] = b"PRI";
/// Room for the usual head of a browser without cookies; of a longer one the rest is read later.
const FIRST_BYTES: usize = 1024;

/// A cleartext connection that spoke first.
pub struct Early {
    /// Read and not yet given out.
    read: BytesMut,
    socket: TcpStream,
}

impl Early {
    /// Waits for the first bytes; none when the peer left before.
    pub async fn hear(mut socket: TcpStream) -> Option<Self> {
        let mut read = BytesMut::with_capacity(FIRST_BYTES);
        while read.len() < PREFACE.len() && PREFACE.starts_with(&read) {
            if socket.read_buf(&mut read).await.ok()? == 0 {
                return None;
            }
        }
        Some(Self { read, socket })
    }

    /// Whether the peer speaks HTTP/2.
    #[must_use]
    pub fn is_h2(&self) -> bool {
        self.read.starts_with(PREFACE)
    }

    /// The socket, without what was read and not asked for: it belonged to a request that nobody answers.
    #[must_use]
    pub fn into_inner(self) -> TcpStream {
        self.socket
    }
}

impl AsyncRead for Early {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.socket).poll_read(context, into);
        }
        let count = self.read.len().min(into.remaining());
        into.put_slice(&self.read[..count]);
        self.read.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Early {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    /// Sends `parts` one after the other and answers what was heard: HTTP/2 or not, and all bytes.
    async fn heard(parts: &[&str]) -> Option<(bool, String)> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        client.set_nodelay(true).unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        let hears = async {
            let mut early = Early::hear(socket).await?;
            let mut all = String::new();
            let is_h2 = early.is_h2();
            early.read_to_string(&mut all).await.unwrap();
            Some((is_h2, all))
        };
        let speaks = async {
            for part in parts {
                client.write_all(part.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
            client.shutdown().await.unwrap();
        };
        tokio::join!(hears, speaks).0
    }

    #[tokio::test]
    async fn every_byte_is_given_out_whoever_serves() {
        let long = "G".repeat(5000);
        for (parts, expected) in [
            (&["GET / HTTP/1.1\r\n\r\n"][..], false),
            (&["P", "OST / HTTP/1.1\r\n"], false),
            (&["PR", "OPFIND / HTTP/1.1\r\n"], false),
            (&["P", "R", "I", " * HTTP/2.0\r\n\r\nSM\r\n\r\n"], true),
            (&["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], true),
            (&[&long], false),
        ] {
            assert_eq!(heard(parts).await, Some((expected, parts.concat())));
        }
    }

    #[tokio::test]
    async fn who_leaves_before_it_can_be_told_is_not_served() {
        assert_eq!(heard(&[]).await, None);
        assert_eq!(heard(&["PR"]).await, None);
    }
}
