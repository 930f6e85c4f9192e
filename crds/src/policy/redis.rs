//! Checks the Redis server of a Channel.
//!
//! Owns: the form of `spec.redis.url`. Never: repeats the URL in a message, since people put
//! passwords there; connects. Used by: `policy`.

use super::resolve::Resolved;
use super::{RedisServer, Rejection};
use crate::channel::RedisSpec;
use crate::reason::Reason;
use crate::secret::Secret;
use std::net::Ipv6Addr;
use std::sync::Arc;

/// The most bytes of a URL.
const URL_BYTES: usize = 1024;
/// The most bytes of a prefix.
const PREFIX_BYTES: usize = 64;

/// The server with its credentials.
pub fn server(spec: &RedisSpec, resolved: &Resolved) -> Result<Arc<RedisServer>, Rejection> {
    check_url(&spec.url)?;
    let credentials = resolved.redis().cloned().unwrap_or_default();
    let client = credentials.cert.zip(credentials.key);
    Ok(Arc::new(RedisServer {
        url: spec.url.clone(),
        username: credentials.username,
        password: credentials.password,
        ca: credentials.ca.map(String::into_bytes),
        client: client.map(|(cert, key)| {
            let key = key.expose().clone().into_bytes();
            (cert.into_bytes(), Secret::new(key))
        }),
    }))
}

/// The prefix of raw publishers.
pub fn prefix(spec: Option<&RedisSpec>) -> Result<Arc<str>, Rejection> {
    let prefix = spec.map_or("", |spec| &spec.prefix);
    if prefix.len() > PREFIX_BYTES || prefix.chars().any(char::is_control) {
        return Err(Rejection::invalid(format!(
            "spec.redis.prefix must have at most {PREFIX_BYTES} bytes and no control characters."
        )));
    }
    Ok(prefix.into())
}

fn check_url(url: &str) -> Result<(), Rejection> {
    let form = || {
        Rejection::invalid(
            "spec.redis.url cannot be read; write redis://host:6379/0, or rediss:// for TLS."
                .to_owned(),
        )
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(form)?;
    if url.len() > URL_BYTES {
        return Err(form());
    }
    if url.contains('@') {
        return Err(Rejection::invalid(
            "spec.redis.url holds a user name or a password; move them into a Secret with the keys username and password and name it in spec.redis.secretRef.".to_owned(),
        ));
    }
    match scheme {
        "redis" | "rediss" => {}
        "redis+sentinel" | "redis+cluster" => {
            return Err(Rejection::new(
                Reason::UnsupportedRedis,
                format!(
                    "spec.redis.url begins with {scheme}://, which is not supported yet; name one server with redis:// or rediss://."
                ),
            ));
        }
        _ => return Err(form()),
    }
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let is_database = database.is_empty() || database.parse::<u16>().is_ok();
    if !is_authority(authority) || !is_database || database.starts_with('+') {
        return Err(form());
    }
    Ok(())
}

/// Whether the text is `host`, `host:port`, `[v6]` or `[v6]:port`.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => (
            "v6",
            port.strip_prefix(':').or(port.is_empty().then_some("6379")),
        ),
        Some(_) => return false,
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("6379")),
        },
    };
    let is_host = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    let is_port = |port: &str| {
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    is_host && port.is_some_and(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Result<(), Reason>) {
        let outcome = check_url(url).map_err(|rejection| rejection.reason);
        assert_eq!(outcome, expected, "{url:?}");
    }

    #[test]
    fn a_server_is_named_by_host_port_and_database() {
        for url in [
            "redis://redis",
            "redis://redis.shop:6379",
            "rediss://redis.shop:6379/0",
            "redis://127.0.0.1:6380/15",
            "redis://[::1]:6379/",
            "redis://[::1]",
        ] {
            check(url, Ok(()));
        }
    }

    #[test]
    fn what_would_not_connect_is_refused() {
        for url in [
            "",
            "redis",
            "http://redis",
            "redis://",
            "redis://:6379",
            "redis://a:0",
            "redis://a:65536",
            "redis://a:+1",
            "redis://a b",
            "redis://a/x",
            "redis://a/+1",
            "redis://a?password=x",
            "redis://[::1",
            "redis://[x]:1",
            "redis://[::1]6379",
        ] {
            check(url, Err(Reason::InvalidSpec));
        }
        check("redis+sentinel://a?master=m", Err(Reason::UnsupportedRedis));
        check("redis+cluster://a,b", Err(Reason::UnsupportedRedis));
    }

    #[test]
    fn a_password_in_the_url_is_refused_and_not_repeated() {
        for url in [
            "redis://:hunter2@a",
            "redis+cluster://u:hunter2@a,b",
            "x://hunter2@a",
        ] {
            let rejection = check_url(url).unwrap_err();
            assert!(rejection.message.contains("secretRef"), "{rejection:?}");
            assert!(!rejection.message.contains("hunter2"), "{rejection:?}");
        }
    }
}
