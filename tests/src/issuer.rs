//! An issuer of tokens: its keys, and the URL where it publishes them.
//!
//! Owns: what is served at `/jwks` and when it was fetched. Never: checks a token.
//! Used by: tests of `jwt` rules.

use crate::scripted::{Asked, Reply, Scripted};
use serde_json::{Value, json};
use std::ops::Deref;
use std::time::Instant;

mod key;
pub use key::{Algorithm, Key, base64, base64url, parts};

/// What is served.
#[derive(Clone, Debug)]
pub enum Jwks {
    /// These keys, as [`Key::jwk`] writes them.
    Keys(Vec<Value>),
    /// A status without a body.
    Status(u16),
    /// Another place to look.
    Redirect(String),
    /// Nothing, until it is told to serve something else; then that, also to those who wait.
    Hangs,
    /// 200 with a page.
    NotJson,
    /// A set without keys, in 100 MiB.
    Endless,
}

/// The running issuer.
pub struct Issuer {
    server: Scripted,
}

impl Issuer {
    /// Starts on 127.0.0.1 without keys.
    pub async fn start() -> Self {
        Self::start_on("127.0.0.1").await
    }

    /// Starts on a loopback address without keys.
    pub async fn start_on(address: &str) -> Self {
        let nothing = Jwks::Keys(Vec::new());
        Self {
            server: Scripted::start(address, move |asked| reply(asked, &nothing)).await,
        }
    }

    /// Serves this from now on.
    pub fn serve(&self, jwks: Jwks) {
        self.server.script(move |asked| reply(asked, &jwks));
    }

    /// Where the keys are.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/jwks", self.server.address())
    }

    /// When it was asked for its keys, the oldest first.
    #[must_use]
    pub fn fetches(&self) -> Vec<Instant> {
        self.server
            .asked()
            .into_iter()
            .map(|asked| asked.at)
            .collect()
    }
}

/// Where it listens, what it was asked, who waits.
impl Deref for Issuer {
    type Target = Scripted;

    fn deref(&self) -> &Scripted {
        &self.server
    }
}

fn reply(asked: &Asked, jwks: &Jwks) -> Reply {
    if asked.path.split('?').next() != Some("/jwks") {
        return Reply::status(404);
    }
    match jwks {
        Jwks::Keys(keys) => Reply::json(200, &json!({ "keys": keys })),
        Jwks::Status(status) => Reply::status(*status),
        Jwks::Redirect(url) => Reply::redirect(url),
        Jwks::Hangs => Reply::Hangs,
        Jwks::NotJson => Reply::page(),
        Jwks::Endless => Reply::Endless {
            begin: "{\"keys\":[",
            end: "]}",
        },
    }
}
