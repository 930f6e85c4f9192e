//! What a test does with the etcd of its cluster.
//!
//! Owns: compaction. Never: reads or writes what the API server keeps. Used by: tests of watches that come too late.

use super::Cluster;
use crate::http::{Answer, Ask};
use serde_json::{Value, json};

impl Cluster {
    /// Makes etcd forget all but what is and its last change, and answers the oldest revision that it still has.
    pub async fn compact(&self) -> i64 {
        let any = json!({ "key": "AA==", "limit": 1 });
        let now = self.etcd("/v3/kv/range", &any).await.expect(200).json();
        let now = &now["header"]["revision"];
        let revision = now.as_str().and_then(|text| text.parse().ok());
        let revision = revision.unwrap_or_else(|| panic!("no revision: {now}"));
        let all = json!({ "revision": revision, "physical": true });
        let _ = self.etcd("/v3/kv/compaction", &all).await.expect(200);
        revision
    }

    async fn etcd(&self, path: &str, request: &Value) -> Answer {
        let ask = Ask::post(self.servers.etcd(), path, request.to_string());
        ask.header("Content-Type", "application/json").send().await
    }
}
