//! What the API server remembers of the last minutes: every version of an object, whoever was too slow to see it.
//!
//! Owns: reading the past by a watch that begins in it. Never: asks while it happens. Used by: tests of who wrote what.

use super::{ADMIN, Cluster};
use serde_json::Value;

impl Cluster {
    /// Where the history of a list begins now.
    pub async fn version(&self, list: &str) -> String {
        let list = self.get(list).await.expect(200).json();
        let version = list["metadata"]["resourceVersion"].as_str();
        version.expect("a list has a version").to_owned()
    }

    /// All that happened to the objects of a list since that version, in order: `{type, object}`.
    pub async fn history(&self, list: &str, since: &str) -> Vec<Value> {
        let path = format!("{list}?watch=true&resourceVersion={since}&timeoutSeconds=1");
        let answer = self.api(ADMIN).get(&path).send().await.expect(200);
        let text = answer.text();
        let changes = text.lines().map(|line| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        });
        let changes: Vec<Value> = changes.collect();
        let error = changes.iter().find(|change| change["type"] == "ERROR");
        assert!(error.is_none(), "{path}: {error:?}");
        changes
    }

    /// The versions of one object of a list since then, in order.
    pub async fn versions(&self, list: &str, name: &str, since: &str) -> Vec<Value> {
        let changes = self.history(list, since).await;
        let mut objects: Vec<Value> = changes
            .into_iter()
            .map(|mut change| change["object"].take())
            .collect();
        objects.retain(|object| object["metadata"]["name"] == name);
        objects
    }
}
