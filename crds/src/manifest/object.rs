//! One document becomes a Channel or a Secret.
//!
//! Owns: apiVersion, kind and metadata; the content of Secrets. Never: repeats a value of a Secret.
//! Used by: `manifest`.

use super::check::{self, wrong};
use super::node::{Node, NodeKind};
use super::{Document, ManifestError, Object};
use crate::channel::Channel;
use crate::secret::Secret;
use crate::secrets::SecretData;
use k8s_openapi::ByteString;
use serde_json::{Value, json};

/// The fields of metadata, those included that `kubectl get -o yaml` adds.
const METADATA: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];
/// The parts of metadata that a Channel from a file keeps.
const KEPT: [&str; 6] = [
    "annotations",
    "creationTimestamp",
    "generation",
    "labels",
    "name",
    "uid",
];

/// Reads one object of a file.
pub fn read(root: Node, default_namespace: &str) -> Result<Document, ManifestError> {
    if !matches!(root.kind, NodeKind::Map(_)) {
        return Err(wrong(&root, "the document", "a map"));
    }
    let word = |key| root.get(key).and_then(Node::as_str).unwrap_or_default();
    let (version, kind) = (word("apiVersion"), word("kind"));
    let line = root.line;
    let (namespace, name) = names(&root, default_namespace)?;
    let object = match (version, kind) {
        ("siar.dev/v1alpha1", "Channel") => Object::Channel(channel(root, &namespace)?),
        ("v1", "Secret") => Object::Secret(secret(&root)?),
        (version, kind) => {
            let shown = |text: &str| text.chars().take(64).collect::<String>();
            return Err(ManifestError::new(
                line,
                format!(
                    "apiVersion {:?}, kind {:?} is not read here, only siar.dev/v1alpha1 Channel and v1 Secret; move it to another file.",
                    shown(version),
                    shown(kind)
                ),
            ));
        }
    };
    Ok(Document {
        line,
        namespace,
        name,
        object,
    })
}

fn names(root: &Node, default_namespace: &str) -> Result<(String, String), ManifestError> {
    let missing = || ManifestError::new(root.line, "metadata.name is missing; add it.");
    let metadata = root.get("metadata").ok_or_else(missing)?;
    check::fields(metadata, &METADATA, "metadata")?;
    let text = |key: &str| match metadata.get(key) {
        None => Ok(""),
        Some(node) if matches!(node.kind, NodeKind::Null) => Ok(""),
        Some(node) => node
            .as_str()
            .ok_or_else(|| wrong(node, &format!("metadata.{key}"), "text")),
    };
    let (namespace, name) = (text("namespace")?, text("name")?);
    if name.is_empty() {
        return Err(missing());
    }
    let namespace = if namespace.is_empty() {
        default_namespace
    } else {
        namespace
    };
    Ok((namespace.to_owned(), name.to_owned()))
}

fn channel(root: Node, namespace: &str) -> Result<Box<Channel>, ManifestError> {
    let line = root.line;
    check::fields(
        &root,
        &["apiVersion", "kind", "metadata", "spec", "status"],
        "",
    )?;
    match root.get("spec") {
        None => return Err(ManifestError::new(line, "spec is missing; write spec: {}.")),
        Some(spec) if matches!(spec.kind, NodeKind::Null) => {
            return Err(ManifestError::new(
                spec.line,
                "spec is empty; write spec: {}.",
            ));
        }
        Some(spec) => check::spec(spec)?,
    }
    let mut value = root.into_value();
    let mut metadata = json!({ "namespace": namespace });
    for key in KEPT {
        match value["metadata"][key].take() {
            Value::Null => {}
            kept => metadata[key] = kept,
        }
    }
    value["metadata"] = metadata;
    value["status"].take();
    serde_json::from_value(value)
        .map_err(|error| ManifestError::new(line, format!("this Channel cannot be read: {error}.")))
}

fn secret(root: &Node) -> Result<SecretData, ManifestError> {
    let fields = [
        "apiVersion",
        "kind",
        "metadata",
        "type",
        "immutable",
        "data",
        "stringData",
    ];
    check::fields(root, &fields, "")?;
    let mut data = SecretData::new();
    for section in ["data", "stringData"] {
        let entries = match root.get(section) {
            None => continue,
            Some(node) => match &node.kind {
                NodeKind::Null => continue,
                NodeKind::Map(entries) => entries,
                _ => return Err(wrong(node, section, "a map")),
            },
        };
        for (key, value) in entries {
            let field = format!("{section}.{}", key.name);
            let text = value.as_str().ok_or_else(|| wrong(value, &field, "text"))?;
            let bytes = if section == "data" {
                decode(text).ok_or_else(|| {
                    ManifestError::new(
                        value.line,
                        format!("{field} is not base64; encode it, or move it to stringData."),
                    )
                })?
            } else {
                text.as_bytes().to_vec()
            };
            data.insert(key.name.clone(), Secret::new(bytes));
        }
    }
    Ok(data)
}

/// Base64; the error of the decoder is dropped, since it repeats the value.
fn decode(text: &str) -> Option<Vec<u8>> {
    let value = Value::String(text.to_owned());
    let bytes: Option<ByteString> = serde_json::from_value(value).ok();
    bytes.map(|bytes| bytes.0)
}
