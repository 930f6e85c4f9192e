//! The Redis server of a Channel, with the credentials for it.
//!
//! Owns: how `spec.redis` becomes one. Never: reads a URL itself (`redis_url`); connects. Used by: `policy`.

use super::resolve::Resolved;
use super::{Login, RedisServer, Rejection, ServerId};
use crate::channel::RedisSpec;
use crate::redis_url::RedisUrl;
use crate::secret::Secret;
use std::sync::Arc;

/// The most bytes of a prefix.
const PREFIX_BYTES: usize = 64;

/// The server with its credentials.
pub fn server(
    namespace: &str,
    spec: &RedisSpec,
    resolved: &Resolved,
) -> Result<Arc<RedisServer>, Rejection> {
    let url = url(&spec.url)?;
    let credentials = resolved.redis().cloned().unwrap_or_default();
    let secret = spec.secret_ref.as_ref();
    let client = credentials.cert.zip(credentials.key);
    Ok(Arc::new(RedisServer {
        id: ServerId {
            url,
            secret: secret.map(|secret| (namespace.into(), (*secret.name).into())),
        },
        username: credentials.username,
        password: credentials.password,
        ca: credentials.ca.map(String::into_bytes),
        client: client.map(|(cert, key)| {
            let key = key.expose().clone().into_bytes();
            (cert.into_bytes(), Secret::new(key))
        }),
        sentinel: credentials.sentinel_password.map(|password| Login {
            username: credentials.sentinel_username,
            password,
        }),
    }))
}

fn url(text: &str) -> Result<RedisUrl, Rejection> {
    text.parse()
        .map_err(|wrong| Rejection::invalid(format!("spec.redis.url {wrong}.")))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Reason;

    #[test]
    fn what_is_wrong_with_a_url_is_said_of_the_field_and_not_repeated() {
        for (text, said) in [
            (
                "http://hunter2",
                "spec.redis.url cannot be read; write redis://host",
            ),
            (
                "redis://:hunter2@a",
                "spec.redis.url holds a user name or a password; ",
            ),
        ] {
            let rejection = url(text).unwrap_err();
            assert_eq!(rejection.reason, Reason::InvalidSpec);
            assert!(rejection.message.starts_with(said), "{rejection}");
            assert!(rejection.message.ends_with('.'), "{rejection}");
            assert!(!rejection.message.contains("hunter2"), "{rejection}");
        }
    }
}
