//! The body of one HTTP/2 response, driven by the worker like any other socket.
//!
//! Owns: flow control of a single stream. Never: frames data itself, the crate `h2` does. hyper is not used
//! here because it waits for the peer's window without looking at the body, so a stalled stream could
//! neither end nor be counted out. Used by: `worker::socket`.

use super::socket::Wrote;
use bytes::Bytes;
use h2::{Reason, SendStream};
use std::io;
use std::task::{Context, Poll};

/// The sending half of a response.
pub struct H2Stream(SendStream<Bytes>);

impl H2Stream {
    #[must_use]
    pub fn new(send: SendStream<Bytes>) -> Self {
        Self(send)
    }

    /// Hands over as much of `pieces` as the peer's window and the send buffer of 64 KiB take.
    pub fn write(&mut self, pieces: &[Bytes], context: &mut Context<'_>) -> io::Result<Wrote> {
        let mut bytes = 0;
        for piece in pieces {
            let mut rest = piece.clone();
            while !rest.is_empty() {
                let room = self.room(rest.len(), context)?;
                if room == 0 {
                    return Ok(Wrote { bytes, full: true });
                }
                let part = rest.split_to(room.min(rest.len()));
                bytes += part.len();
                self.0.send_data(part, false).map_err(io::Error::other)?;
            }
        }
        Ok(Wrote { bytes, full: false })
    }

    /// Bytes that may be sent now; 0: the waker is called when there are some.
    fn room(&mut self, wanted: usize, context: &mut Context<'_>) -> io::Result<usize> {
        self.0.reserve_capacity(wanted);
        loop {
            let room = self.0.capacity();
            if room > 0 {
                return Ok(room);
            }
            match self.0.poll_capacity(context) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => return Err(io::Error::other(error)),
                Poll::Ready(None) => return Err(io::ErrorKind::BrokenPipe.into()),
                Poll::Pending => return Ok(0),
            }
        }
    }

    /// Whether the peer reset the stream or the connection ended.
    pub fn peer_gone(&mut self, context: &mut Context<'_>) -> bool {
        self.0.poll_reset(context).is_ready()
    }

    /// Ends the stream after what was sent.
    pub fn finish(&mut self) {
        if let Err(error) = self.0.send_data(Bytes::new(), true) {
            tracing::trace!(%error, "the connection ended before its stream");
        }
    }

    /// Ends the stream at once.
    pub fn reset(&mut self) {
        self.0.send_reset(Reason::CANCEL);
    }
}
