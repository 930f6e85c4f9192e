//! Manifests of Channels and Secrets, written as JSON, which is YAML too.
//!
//! Owns: short names for what most tests declare. Never: checks anything: the gateway does. Used by: `gateway`, tests.

use serde_json::{Value, json};

/// A Channel in the making, open to anybody unless [`Channel::spec`] says otherwise.
#[derive(Clone)]
pub struct Channel {
    name: String,
    namespace: Option<String>,
    spec: Value,
}

impl Channel {
    /// A Channel that anybody may listen to and publish to.
    #[must_use]
    pub fn open(name: &str) -> Self {
        let anybody = json!([{ "anonymous": {} }]);
        Self::closed(name).with(
            "access",
            json!({ "subscribe": anybody, "publish": anybody }),
        )
    }

    /// A Channel without any rule.
    #[must_use]
    pub fn closed(name: &str) -> Self {
        Self {
            name: name.into(),
            namespace: None,
            spec: json!({}),
        }
    }

    /// Sets a section of the spec.
    #[must_use]
    pub fn with(mut self, section: &str, value: Value) -> Self {
        self.spec[section] = value;
        self
    }

    /// Sets `access.<action>` to the tokens of a Secret.
    #[must_use]
    pub fn tokens(mut self, action: &str, secret: &str) -> Self {
        self.spec["access"][action] = json!([{ "tokens": { "secretRef": { "name": secret } } }]);
        self
    }

    /// Admits pages of these origins.
    #[must_use]
    pub fn origins(mut self, origins: &[&str]) -> Self {
        self.spec["access"]["origins"] = json!(origins);
        self
    }

    /// Sets its patterns.
    #[must_use]
    pub fn topics(self, patterns: &[&str]) -> Self {
        self.with("topics", json!(patterns))
    }

    /// Keeps `size` messages for an hour.
    #[must_use]
    pub fn history(self, size: u32) -> Self {
        self.with("history", json!({ "size": size, "ttl": "1h" }))
    }

    /// Hears these raw publishers.
    #[must_use]
    pub fn ingest(self, kinds: &[&str]) -> Self {
        self.with("ingest", json!(kinds))
    }

    /// Uses that Redis instead of the gateway's own.
    #[must_use]
    pub fn redis(self, url: &str) -> Self {
        self.with("redis", json!({ "url": url }))
    }

    /// Sets how streams live.
    #[must_use]
    pub fn stream(self, heartbeat: &str, retry: &str, max_age: &str) -> Self {
        self.with(
            "stream",
            json!({ "heartbeat": heartbeat, "retry": retry, "maxAge": max_age }),
        )
    }

    /// Sets one limit.
    #[must_use]
    pub fn limit(mut self, name: &str, value: i64) -> Self {
        self.spec["limits"][name] = json!(value);
        self
    }

    /// Puts it into a namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> Value {
        let mut metadata = json!({ "name": self.name });
        if let Some(namespace) = &self.namespace {
            metadata["namespace"] = json!(namespace);
        }
        json!({ "apiVersion": "siar.dev/v1alpha1", "kind": "Channel", "metadata": metadata, "spec": self.spec })
    }
}

/// A Secret with these keys.
#[must_use]
pub fn secret(name: &str, pairs: &[(&str, &str)]) -> Value {
    let data: serde_json::Map<String, Value> = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect();
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": data })
}
