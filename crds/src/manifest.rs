//! Channel and Secret manifests as people keep them in files.
//!
//! Owns: telling which line is wrong and how to mend it; unknown fields are errors here, since no
//! API server will drop or refuse them. Never: opens a file, judges a value (`policy` does), repeats
//! what stands in a Secret. Used by: the standalone gateway and `siar-gateway check`.

mod check;
mod node;
mod object;

use crate::channel::Channel;
use crate::secrets::SecretData;
use node::{Node, NodeKind};
use std::fmt;

/// The most bytes of one file.
pub const MANIFEST_BYTES: usize = 4 * 1024 * 1024;
/// The most documents of one file.
pub const DOCUMENTS: usize = 10_000;

/// One object of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// The line of the file on which it begins.
    pub line: u64,
    /// Its namespace; the default one where the manifest names none.
    pub namespace: String,
    pub name: String,
    pub object: Object,
}

/// What a manifest declares.
#[derive(Clone, Debug)]
pub enum Object {
    /// With the defaults of the schema, and with its namespace set.
    Channel(Box<Channel>),
    Secret(SecretData),
}

/// What is wrong with a manifest, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ManifestError {
    /// The line of the file, from 1.
    pub line: u64,
    /// A sentence for people.
    pub message: String,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl ManifestError {
    fn new(line: u64, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { line, message }
    }
}

/// Reads all documents of a file, in order. What is no YAML at all is one error; a document that is
/// wrong does not hurt its neighbours.
#[must_use]
pub fn parse(text: &str, default_namespace: &str) -> Vec<Result<Document, ManifestError>> {
    let roots = match node::read(text) {
        Ok(roots) => roots,
        Err(error) => return vec![Err(error)],
    };
    let mut documents = Vec::new();
    for root in roots {
        match items(root) {
            Ok(items) => documents.extend(
                items
                    .into_iter()
                    .map(|item| object::read(item, default_namespace)),
            ),
            Err(error) => documents.push(Err(error)),
        }
    }
    documents
}

/// The items of a `kind: List`, or the document itself.
fn items(root: Node) -> Result<Vec<Node>, ManifestError> {
    let is_list = root
        .get("kind")
        .is_some_and(|kind| kind.as_str() == Some("List"));
    if !is_list {
        return Ok(vec![root]);
    }
    let line = root.line;
    let NodeKind::Map(entries) = root.kind else {
        return Ok(Vec::new());
    };
    for (key, value) in entries {
        if key.name == "items" {
            return match value.kind {
                NodeKind::List(items) => Ok(items),
                NodeKind::Null => Ok(Vec::new()),
                _ => Err(ManifestError::new(value.line, "items must be a list.")),
            };
        }
    }
    Err(ManifestError::new(line, "a List needs items."))
}

#[cfg(test)]
mod tests;
