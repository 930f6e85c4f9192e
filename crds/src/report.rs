//! What a gateway answers at `/status`, and the operator reads there.
//!
//! Owns: its JSON. Never: counts or compares. Used by: the gateway's admin port, the operator.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one gateway pod serves at this moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The Snapshot formats that it reads.
    pub formats: Vec<u32>,
    /// The revision that it applies; empty before the first.
    pub revision: String,
    /// What carries the messages of Channels without a Redis of their own.
    pub broker: BrokerKind,
    /// Whether it is on its way out.
    pub draining: bool,
    /// Streams open, each once.
    pub streams: u64,
    /// By `namespace/name`.
    pub channels: BTreeMap<String, ChannelReport>,
}

/// What one gateway pod says about a Channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelReport {
    /// `metadata.uid`; empty for a manifest from a file.
    pub uid: String,
    /// The generation in force.
    pub generation: i64,
    /// The digest of the form in force, as the Policy carries it.
    pub digest: String,
    /// Streams that listen to it.
    pub streams: u64,
}

/// What carries messages inside a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BrokerKind {
    /// Each gateway for itself.
    Memory,
    /// One Redis server for all.
    Redis,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_reads_as_it_is_written_and_ignores_what_it_does_not_know() {
        let text = json!({
            "formats": [1], "revision": "ab", "broker": "redis", "draining": false, "streams": 2,
            "channels": {"shop/orders": {"uid": "u", "generation": 3, "digest": "cd", "streams": 2}},
        });
        let report: Report = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(serde_json::to_value(&report).unwrap(), text);
        let mut newer = text;
        newer["later"] = json!(true);
        assert_eq!(serde_json::from_value::<Report>(newer).unwrap(), report);
    }
}
