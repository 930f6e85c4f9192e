//! Connections to a server: TCP or TLS, HTTP/1.1 or HTTP/2, and a response's head and body as they arrive.
//!
//! Owns: the client half of both protocols, written by hand for HTTP/1.1 so that what is odd stays visible; how a body
//! ended. Never: reads ahead of what is asked for, so a test can be a slow client. Used by: `http`, `listen`.

use bytes::{Bytes, BytesMut};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpSocket;

mod framing;
use framing::Framing;

/// The most bytes of a head that a test expects.
const HEAD_BYTES: usize = 64 * 1024;

/// How to reach the server.
#[derive(Clone)]
pub struct Route {
    pub address: SocketAddr,
    pub tls: Option<Arc<ClientConfig>>,
    pub http2: bool,
    /// `SO_RCVBUF`, set before connecting.
    pub receive_buffer: Option<u32>,
    /// The loopback address to come from.
    pub from: Option<IpAddr>,
}

impl Route {
    /// Plain HTTP/1.1.
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            tls: None,
            http2: false,
            receive_buffer: None,
            from: None,
        }
    }
}

/// A request, its headers as they go out.
#[derive(Clone, Default)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A response whose body may go on for ever.
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

/// Anything that carries bytes both ways.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// The rest of a response.
pub struct Body {
    kind: Kind,
    /// The TCP socket below, for tricks.
    pub socket: socket2::Socket,
}

enum Kind {
    Http1 {
        io: Box<dyn Io>,
        buffer: BytesMut,
        framing: Framing,
    },
    Http2 {
        stream: h2::RecvStream,
        connection: tokio::task::JoinHandle<()>,
    },
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Kind::Http2 { connection, .. } = &self.kind {
            connection.abort();
        }
    }
}

/// A connected socket, TLS done, and the TCP socket below it.
pub async fn connect(route: &Route) -> io::Result<(Box<dyn Io>, socket2::Socket)> {
    let socket = if route.address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(bytes) = route.receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(from) = route.from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    let stream = socket.connect(route.address).await?;
    stream.set_nodelay(true)?;
    let below = socket2::Socket::from(stream.as_fd().try_clone_to_owned()?);
    let Some(config) = &route.tls else {
        return Ok((Box::new(stream), below));
    };
    let mut config = ClientConfig::clone(config);
    config.alpn_protocols = vec![if route.http2 {
        b"h2".to_vec()
    } else {
        b"http/1.1".to_vec()
    }];
    let name = ServerName::try_from("localhost").expect("a DNS name");
    let tls = tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    Ok((Box::new(tls), below))
}

/// Sends `request` on a connection of its own and reads the head of the answer.
pub async fn send(route: &Route, request: &Request) -> io::Result<Response> {
    let (io, socket) = connect(route).await?;
    if route.http2 {
        return send_http2(io, socket, route, request).await;
    }
    let mut io = io;
    io.write_all(&head(route, request)).await?;
    io.write_all(&request.body).await?;
    read_http1(io, BytesMut::new(), socket).await
}

/// Sends these very bytes and reads the head of the answer.
pub async fn send_raw(route: &Route, bytes: &[u8]) -> io::Result<Response> {
    let (mut io, socket) = connect(route).await?;
    io.write_all(bytes).await?;
    read_http1(io, BytesMut::new(), socket).await
}

/// Reads the head of a HTTP/1.1 response; `buffer` holds what was read before.
pub async fn read_http1(
    mut io: Box<dyn Io>,
    mut buffer: BytesMut,
    socket: socket2::Socket,
) -> io::Result<Response> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if buffer.len() > HEAD_BYTES {
            return Err(io::Error::other("the head of the response has no end"));
        }
        if io.read_buf(&mut buffer).await? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "closed without a response",
            ));
        }
    };
    let head = String::from_utf8_lossy(&buffer.split_to(end + 4)).into_owned();
    let mut lines = head.trim_end().split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("not a response: {head:?}")))?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().into()))
        .collect();
    let value = |name: &str| {
        headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    let framing = if value("transfer-encoding") == Some("chunked") {
        Framing::Chunked
    } else if let Some(length) = value("content-length") {
        Framing::Length(length.parse().map_err(io::Error::other)?)
    } else if matches!(status, 204 | 304) {
        Framing::Done
    } else {
        Framing::UntilClose
    };
    Ok(Response {
        status,
        headers,
        body: Body {
            kind: Kind::Http1 {
                io,
                buffer,
                framing,
            },
            socket,
        },
    })
}

/// The bytes of a HTTP/1.1 request head.
#[must_use]
pub fn head(route: &Route, request: &Request) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    let has = |name: &str| {
        request
            .headers
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
    };
    if !has("host") {
        head += &format!("Host: {}\r\n", route.address);
    }
    if !has("content-length") && (request.method == "POST" || !request.body.is_empty()) {
        head += &format!("Content-Length: {}\r\n", request.body.len());
    }
    for (name, value) in &request.headers {
        head += &format!("{name}: {value}\r\n");
    }
    (head + "\r\n").into_bytes()
}

async fn send_http2(
    io: Box<dyn Io>,
    socket: socket2::Socket,
    route: &Route,
    request: &Request,
) -> io::Result<Response> {
    let (client, connection) = h2::client::handshake(io).await.map_err(io::Error::other)?;
    let connection = tokio::spawn(async move {
        if let Err(error) = connection.await {
            eprintln!("HTTP/2 connection ended: {error}");
        }
    });
    let scheme = if route.tls.is_some() { "https" } else { "http" };
    let mut head = http::Request::builder()
        .method(request.method.as_str())
        .uri(format!("{scheme}://{}{}", route.address, request.path));
    for (name, value) in &request.headers {
        head = head.header(name, value);
    }
    let head = head.body(()).map_err(io::Error::other)?;
    let mut client = client.ready().await.map_err(io::Error::other)?;
    let (answer, mut body) = client
        .send_request(head, request.body.is_empty())
        .map_err(io::Error::other)?;
    if !request.body.is_empty() {
        body.send_data(request.body.clone().into(), true)
            .map_err(io::Error::other)?;
    }
    let answer = answer.await.map_err(io::Error::other)?;
    let headers = answer.headers().iter().map(|(name, value)| {
        (
            name.as_str().to_owned(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    });
    Ok(Response {
        status: answer.status().as_u16(),
        headers: headers.collect(),
        body: Body {
            kind: Kind::Http2 {
                stream: answer.into_body(),
                connection,
            },
            socket,
        },
    })
}

impl Body {
    /// The next bytes; `None` after an orderly end, an error when the connection was cut before one.
    pub async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        match &mut self.kind {
            Kind::Http2 { stream, .. } => match stream.data().await {
                None => Ok(None),
                Some(Err(error)) => Err(io::Error::other(error)),
                Some(Ok(data)) => {
                    stream
                        .flow_control()
                        .release_capacity(data.len())
                        .map_err(io::Error::other)?;
                    Ok(Some(data))
                }
            },
            Kind::Http1 {
                io,
                buffer,
                framing,
            } => loop {
                if let Some(piece) = framing.step(buffer)? {
                    return Ok(piece);
                }
                if io.read_buf(buffer).await? == 0 {
                    if matches!(framing, Framing::UntilClose) {
                        return Ok(None);
                    }
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "cut within the body",
                    ));
                }
            },
        }
    }

    /// All that is left, up to an orderly end.
    pub async fn whole(&mut self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(piece) = self.chunk().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}
