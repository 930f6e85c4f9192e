//! The API as one identity asks it.
//!
//! Owns: paths, tokens and the types of patches. Never: waits for an effect. Used by: `cluster`, and what a harness
//! does beside the test, such as a kubelet's work.

use crate::http::Ask;
use rustls::ClientConfig;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;

/// The API for one identity; it outlives a restart of the server.
#[derive(Clone)]
pub struct Api {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    token: Arc<str>,
}

impl Api {
    pub(super) fn new(address: SocketAddr, tls: Arc<ClientConfig>, token: &str) -> Self {
        Self {
            address,
            tls,
            token: token.into(),
        }
    }

    /// A request in the making.
    #[must_use]
    pub fn ask(&self, method: &str, path: &str) -> Ask {
        let ask = Ask::new(self.address, method, path).token(&self.token);
        ask.by(|route| route.tls = Some(self.tls.clone()))
    }

    /// `GET path`.
    #[must_use]
    pub fn get(&self, path: &str) -> Ask {
        self.ask("GET", path)
    }

    /// `POST object` to `path`.
    #[must_use]
    pub fn create(&self, path: &str, object: &Value) -> Ask {
        self.with("POST", path, "application/json", object)
    }

    /// Changes what `change` names, the rest stays; a null removes.
    #[must_use]
    pub fn merge(&self, path: &str, change: &Value) -> Ask {
        self.with("PATCH", path, "application/merge-patch+json", change)
    }

    /// Deletes with these options: `{}` as `kubectl delete` does.
    #[must_use]
    pub fn delete(&self, path: &str, options: &Value) -> Ask {
        self.with("DELETE", path, "application/json", options)
    }

    fn with(&self, method: &str, path: &str, kind: &str, body: &Value) -> Ask {
        let ask = self.ask(method, path).body(body.to_string());
        ask.header("Content-Type", kind)
    }
}
