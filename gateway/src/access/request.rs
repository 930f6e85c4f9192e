//! What is known of who asks.
//!
//! Owns: the token while a request is decided, and the facts that conditions may read. Never: prints a token.
//! Pure. Used by: `http`, which reads requests; `access`.

use crds::policy::Names;
use crds::secret::Secret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The SHA-256 of a bearer token: all that is kept of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Forgets `token` but for its hash.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Whether it is `other`, in a time that tells nothing about where they differ.
    pub(super) fn is(&self, other: &[u8; 32]) -> bool {
        let pairs = self.0.iter().zip(other);
        let difference = pairs.fold(0, |sum, (a, b)| sum | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A bearer token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub hash: TokenHash,
    pub text: Secret<Box<str>>,
}

impl Token {
    /// The token as it was sent.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            hash: TokenHash::of(text),
            text: Secret::new(text.into()),
        }
    }
}

impl Token {
    /// Whether it has the three parts of a JSON Web Token.
    #[must_use]
    pub fn may_be_signed(&self) -> bool {
        self.text
            .expose()
            .bytes()
            .filter(|byte| *byte == b'.')
            .count()
            == 2
    }
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub token: Option<Token>,
    /// Only read from the request where a condition wants them.
    pub facts: Option<Arc<Facts>>,
}

/// The request as `request` in conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The client's address, through trusted proxies.
    pub ip: Box<str>,
    /// Empty when the request has none.
    pub origin: Box<str>,
    /// Without the query.
    pub path: Box<str>,
    /// By their names in lower case; never `authorization` or `cookie`.
    pub headers: BTreeMap<Box<str>, Box<str>>,
}

impl Facts {
    pub(super) fn to_json(&self) -> Value {
        let headers = self.headers.iter();
        let headers: serde_json::Map<String, Value> = headers
            .map(|(name, value)| (name.to_string(), Value::from(&**value)))
            .collect();
        json!({"ip": self.ip, "origin": self.origin, "path": self.path, "headers": headers})
    }

    /// The same with no more than these headers.
    pub(super) fn keeping(&self, headers: &Names) -> Self {
        let kept = self.headers.iter().filter(|(name, _)| headers.has(name));
        Self {
            headers: kept
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            ..self.clone()
        }
    }
}
