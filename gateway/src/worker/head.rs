//! The response head of a stream.
//!
//! Owns: the lines that every stream has, for both versions of HTTP. Pure. Used by: `worker`, `handover`.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response};

/// Proxies neither change, keep nor hold back the stream; the last line is nginx's.
const LINES: [(&str, &str); 4] = [
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-cache, no-transform"),
    ("x-accel-buffering", "no"),
    ("x-content-type-options", "nosniff"),
];

/// The head for HTTP/1. The connection closes after the stream, and says so, lest a proxy use it again.
#[must_use]
pub fn http1(further: &[(HeaderName, HeaderValue)], chunked: bool) -> Bytes {
    let mut head = Vec::with_capacity(320);
    head.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    let mut line = |name: &str, value: &[u8]| {
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    };
    for (name, value) in LINES {
        line(name, value.as_bytes());
    }
    for (name, value) in further {
        line(name.as_str(), value.as_bytes());
    }
    if chunked {
        line("transfer-encoding", b"chunked");
    }
    line("connection", b"close");
    head.extend_from_slice(b"\r\n");
    head.into()
}

/// The head for HTTP/2.
#[must_use]
pub fn h2(further: &[(HeaderName, HeaderValue)]) -> Response<()> {
    let mut response = Response::new(());
    for (name, value) in LINES {
        response.headers_mut().append(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    for (name, value) in further {
        response.headers_mut().append(name.clone(), value.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_http1_head_says_that_the_connection_closes() {
        let vary = (
            HeaderName::from_static("vary"),
            HeaderValue::from_static("Origin"),
        );
        let head = http1(&[vary], true);
        let text = std::str::from_utf8(&head).unwrap();
        assert!(
            text.starts_with(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
            )
        );
        assert!(
            text.ends_with(
                "vary: Origin\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
            )
        );
        assert!(
            !std::str::from_utf8(&http1(&[], false))
                .unwrap()
                .contains("chunked")
        );
    }
}
