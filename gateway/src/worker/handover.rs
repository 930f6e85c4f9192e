//! Serves one connection; where the stream route takes it over, its socket goes to the worker.
//!
//! Owns: what hyper and `h2` are told, and the moment when a connection changes hands. Never: decides about
//! access. Used by: `worker::accept`.

use super::accept::{Body, FIRST_HEAD, Response, Serving};
use super::early::Early;
use super::h2::H2Stream;
use super::opening::{Handover, Peer};
use super::ready::Handed;
use super::socket::Socket;
use super::stream::Framing;
use crate::limits::ConnectionPermit;
use crate::readiness::Phase;
use crate::tasks;
use bytes::Bytes;
use futures_util::stream;
use h2::server::{self, SendResponse};
use h2::{Ping, PingPong, Reason, RecvStream, SendStream};
use http::{Request, Version, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

/// Later heads, and the pause between requests: above the usual 60 s of balancers, which would otherwise
/// race with us and answer 502.
const LATER_HEAD: Duration = Duration::from_secs(75);
/// Bytes of a request head.
const HEAD_BYTES: usize = 16 * 1024;
const MOST_H2_STREAMS: u32 = 1000;
const H2_SEND_BUFFER: usize = 64 * 1024;
/// A silent HTTP/2 connection is asked after this time, and has half of it to answer.
const H2_PING: Duration = Duration::from_secs(20);
const H2_PONG: Duration = Duration::from_secs(10);

/// A transport that can become a [`Socket`].
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    fn into_socket(self) -> Socket;
}

impl Transport for Early {
    fn into_socket(self) -> Socket {
        Socket::Tcp(self.into_inner())
    }
}

impl Transport for Box<TlsStream<TcpStream>> {
    fn into_socket(self) -> Socket {
        Socket::Tls(self)
    }
}

/// Serves HTTP/1.1 until the connection closes or becomes a stream.
pub async fn http1<T: Transport>(
    transport: T,
    peer: Peer,
    permit: ConnectionPermit,
    serving: Serving,
) {
    let began = Arc::new(AtomicBool::new(false));
    let (handover, opened) = Handover::new();
    let Serving {
        router,
        ready,
        mut phase,
        ..
    } = serving;
    let service = {
        let began = began.clone();
        service_fn(move |mut request: Request<Incoming>| {
            began.store(true, Ordering::Relaxed);
            let http10 = request.version() == Version::HTTP_10;
            request.extensions_mut().insert(handover.at(http10));
            request.extensions_mut().insert(peer);
            router.clone().oneshot(request)
        })
    };
    let mut connection = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(LATER_HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(transport), service);
    let mut first_head = pin!(tokio::time::sleep(FIRST_HEAD));
    let mut opened = pin!(async {
        match opened.await {
            Ok(handed) => handed,
            Err(_closed) => std::future::pending().await,
        }
    });
    let mut closing = pin!(phase.wait_for(|phase| matches!(phase, Phase::Closing { .. })));
    let (mut waiting, mut staying) = (true, true);
    loop {
        // Looked at before and after: a head that has come already opens its stream in the first poll, before
        // any timer is set.
        let served = poll_fn(|context| {
            if let Poll::Ready(handed) = opened.as_mut().poll(context) {
                return Poll::Ready(Ok(handed));
            }
            match Pin::new(&mut connection).poll(context) {
                Poll::Ready(ended) => Poll::Ready(Err(ended)),
                Poll::Pending => opened.as_mut().poll(context).map(Ok),
            }
        });
        tokio::select! {
            biased;
            served = served => {
                match served {
                    Ok((opening, http10)) => {
                        let socket = connection.into_parts().io.into_inner().into_socket();
                        let framing = if http10 { Framing::Bare } else { Framing::Chunked };
                        ready.hand(Handed { socket, framing, http10, opening, connection: Some(permit) });
                    }
                    Err(ended) => tracing::debug!(peer = ?peer.addr, ?ended, "connection ended"),
                }
                return;
            }
            () = &mut first_head, if waiting => {
                waiting = false;
                if !began.load(Ordering::Relaxed) {
                    tracing::debug!(peer = ?peer.addr, "no request head in time");
                    return;
                }
            }
            _ = &mut closing, if staying => {
                staying = false;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    }
}

/// Serves HTTP/2 until the connection closes; each of its streams may become a stream of ours.
pub async fn http2<T>(transport: T, peer: Peer, permit: ConnectionPermit, serving: Serving)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let _counted = permit;
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(MOST_H2_STREAMS)
        .max_send_buffer_size(H2_SEND_BUFFER);
    builder.max_header_list_size(HEAD_BYTES as u32);
    let handshake = tokio::time::timeout(FIRST_HEAD, builder.handshake::<_, Bytes>(transport));
    let Ok(Ok(mut connection)) = handshake.await else {
        tracing::debug!(peer = ?peer.addr, "no HTTP/2 handshake in time");
        return;
    };
    let pings = connection.ping_pong();
    let mut silent = pin!(peer_silent(pings));
    let mut phase = serving.phase.clone();
    let mut closing = pin!(phase.wait_for(|phase| matches!(phase, Phase::Closing { .. })));
    let mut staying = true;
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => tasks::background(answer(request, respond, peer, serving.clone())),
                Some(Err(error)) => {
                    tracing::debug!(peer = ?peer.addr, %error, "connection ended");
                    return;
                }
                None => return,
            },
            () = &mut silent => {
                tracing::debug!(peer = ?peer.addr, "no answer to a ping");
                return;
            }
            _ = &mut closing, if staying => {
                staying = false;
                connection.graceful_shutdown();
            }
        }
    }
}

/// Returns when the peer does not answer pings; without them HTTP/2 has no sign of life.
async fn peer_silent(pings: Option<PingPong>) {
    let Some(mut pings) = pings else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(H2_PING).await;
        let answer = tokio::time::timeout(H2_PONG, pings.ping(Ping::opaque()));
        if !matches!(answer.await, Ok(Ok(_))) {
            return;
        }
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    peer: Peer,
    serving: Serving,
) {
    let (handover, opened) = Handover::new();
    let mut request = request.map(|body| Body::from_stream(stream::unfold(body, next_data)));
    request.extensions_mut().insert(handover);
    request.extensions_mut().insert(peer);
    let response = tokio::select! {
        biased;
        Ok((opening, _)) = opened => {
            let head = super::head::h2(&opening.head);
            match respond.send_response(head, false) {
                Ok(send) => {
                    let socket = Socket::H2(Box::new(H2Stream::new(send)));
                    let framing = Framing::Bare;
                    serving.ready.hand(Handed { socket, framing, http10: false, opening, connection: None });
                }
                Err(error) => tracing::debug!(peer = ?peer.addr, %error, "the client reset its stream"),
            }
            return;
        }
        // The client may reset its stream while access is decided; then nobody waits for an answer.
        _ = poll_fn(|context| respond.poll_reset(context)) => return,
        Ok(response) = serving.router.oneshot(request) => response,
    };
    if let Err(error) = respond_whole(response, respond).await {
        tracing::debug!(peer = ?peer.addr, %error, "an answer was not taken");
    }
}

async fn next_data(mut body: RecvStream) -> Option<(Result<Bytes, h2::Error>, RecvStream)> {
    let data = body.data().await?;
    if let Ok(data) = &data {
        // A failure here means that the stream is gone, which the next read says, too.
        drop(body.flow_control().release_capacity(data.len()));
    }
    Some((data, body))
}

/// Sends an answer that is not a stream.
async fn respond_whole(
    response: Response,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let (mut head, body) = response.into_parts();
    head.headers.remove(header::CONNECTION);
    let Ok(body) = body.collect().await else {
        respond.send_reset(Reason::INTERNAL_ERROR);
        return Ok(());
    };
    let mut body = body.to_bytes();
    let mut send = respond.send_response(http::Response::from_parts(head, ()), body.is_empty())?;
    let sent = tokio::time::timeout(LATER_HEAD, async {
        while !body.is_empty() {
            let part = body.split_to(capacity(&mut send, body.len()).await?.min(body.len()));
            send.send_data(part, body.is_empty())?;
        }
        Ok(())
    });
    sent.await.unwrap_or(Ok(()))
}

async fn capacity(send: &mut SendStream<Bytes>, wanted: usize) -> Result<usize, h2::Error> {
    send.reserve_capacity(wanted);
    while send.capacity() == 0 {
        match poll_fn(|context| send.poll_capacity(context)).await {
            Some(granted) => drop(granted?),
            None => return Err(Reason::CANCEL.into()),
        }
    }
    Ok(send.capacity())
}
