//! Where the body of a HTTP/1.1 response ends: chunks, a length, or the close.
//!
//! Owns: reading a chunked body however it was cut. Pure. Used by: `wire`.

use bytes::{Buf, Bytes, BytesMut};
use std::io;

/// What is to come of a body.
#[derive(Clone, Copy)]
pub enum Framing {
    /// At the head of a chunk.
    Chunked,
    /// Bytes left of a chunk, then its line end.
    Chunk(usize),
    Length(usize),
    UntilClose,
    Done,
}

impl Framing {
    /// A piece of the body from `buffer`, `Some(None)` at the end, `None` when more must be read.
    pub fn step(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Option<Bytes>>> {
        loop {
            match *self {
                Self::Done | Self::Length(0) => return Ok(Some(None)),
                Self::UntilClose | Self::Length(_) | Self::Chunk(_) if buffer.is_empty() => {
                    return Ok(None);
                }
                Self::UntilClose => return Ok(Some(Some(buffer.split().freeze()))),
                Self::Length(left) => {
                    let piece = buffer.split_to(left.min(buffer.len())).freeze();
                    *self = Self::Length(left - piece.len());
                    return Ok(Some(Some(piece)));
                }
                Self::Chunk(0) if buffer.len() < 2 => return Ok(None),
                Self::Chunk(0) => {
                    if !buffer.starts_with(b"\r\n") {
                        return Err(io::Error::other("a chunk is longer than it said"));
                    }
                    buffer.advance(2);
                    *self = Self::Chunked;
                }
                Self::Chunk(left) => {
                    let piece = buffer.split_to(left.min(buffer.len())).freeze();
                    *self = Self::Chunk(left - piece.len());
                    return Ok(Some(Some(piece)));
                }
                Self::Chunked => {
                    let Some(end) = buffer.windows(2).position(|two| two == b"\r\n") else {
                        return Ok(None);
                    };
                    let line = String::from_utf8_lossy(&buffer[..end]).into_owned();
                    let length =
                        usize::from_str_radix(line.split(';').next().unwrap_or("").trim(), 16)
                            .map_err(|_| {
                                io::Error::other(format!("not the length of a chunk: {line:?}"))
                            })?;
                    if length == 0 {
                        if buffer.len() < end + 4 {
                            return Ok(None);
                        }
                        buffer.advance(end + 4);
                        *self = Self::Done;
                    } else {
                        buffer.advance(end + 2);
                        *self = Self::Chunk(length);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(input: &[u8], step: usize) -> io::Result<Vec<u8>> {
        let (mut framing, mut buffer, mut out) = (Framing::Chunked, BytesMut::new(), Vec::new());
        for piece in input.chunks(step) {
            buffer.extend_from_slice(piece);
            while let Some(Some(bytes)) = framing.step(&mut buffer)? {
                out.extend_from_slice(&bytes);
            }
        }
        assert!(matches!(framing, Framing::Done), "no last chunk");
        Ok(out)
    }

    #[test]
    fn chunks_are_joined_however_they_are_cut() {
        let input = b"5\r\nhello\r\nA;x=y\r\n, chunks\r\n\r\n0\r\n\r\n";
        for step in 1..input.len() {
            assert_eq!(decode(input, step).unwrap(), b"hello, chunks\r\n", "{step}");
        }
    }

    #[test]
    fn a_chunk_longer_than_it_said_is_an_error() {
        assert!(decode(b"2\r\nhello\r\n0\r\n\r\n", 4).is_err());
    }
}
