//! Holds a value against the schema of the CRD: unknown fields, missing ones, wrong types.
//!
//! Owns: naming field and line. Never: checks bounds (`policy` does). Used by: `object`.

use super::ManifestError;
use super::node::{Node, NodeKind};
use serde_json::Value;
use std::sync::LazyLock;

static SPEC: LazyLock<Value> = LazyLock::new(|| {
    let version = crate::definition().spec.versions.swap_remove(0);
    let schema = version.schema.and_then(|schema| schema.open_api_v3_schema);
    let mut schema = serde_json::to_value(schema).expect("a schema is JSON");
    schema["properties"]["spec"].take()
});

/// Holds `spec` against what the CRD says of it.
pub fn spec(spec: &Node) -> Result<(), ManifestError> {
    check(spec, &SPEC, "spec")
}

/// The fields of a map are among `known`.
pub fn fields(node: &Node, known: &[&str], path: &str) -> Result<(), ManifestError> {
    let NodeKind::Map(entries) = &node.kind else {
        return Err(wrong(node, path, "a map"));
    };
    match entries.iter().find(|(key, _)| !known.contains(&&*key.name)) {
        None => Ok(()),
        Some((key, _)) => {
            let field = join(path, &key.name);
            let message = format!("there is no field {field}; known are {}.", known.join(", "));
            Err(ManifestError::new(key.line, message))
        }
    }
}

/// "`path` is X, but must be Y".
pub fn wrong(node: &Node, path: &str, expected: &str) -> ManifestError {
    let quotes = match node.kind {
        NodeKind::Number(_) | NodeKind::Bool(_) if expected == "text" => "; put it in quotes",
        NodeKind::Text(_) if expected != "a map" && expected != "a list" => {
            "; write it without quotes"
        }
        _ => "",
    };
    ManifestError::new(
        node.line,
        format!("{path} is {}, but must be {expected}{quotes}.", node.word()),
    )
}

fn join(path: &str, field: &str) -> String {
    let field: String = field.chars().take(64).collect();
    if path.is_empty() {
        field
    } else {
        format!("{path}.{field}")
    }
}

fn check(node: &Node, schema: &Value, path: &str) -> Result<(), ManifestError> {
    match (schema["type"].as_str().unwrap_or_default(), &node.kind) {
        ("object", NodeKind::Map(_)) => object(node, schema, path),
        ("object", _) => Err(wrong(node, path, "a map")),
        ("array", NodeKind::List(items)) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(at, item)| check(item, &schema["items"], &format!("{path}[{at}]")))
        }
        ("array", _) => Err(wrong(node, path, "a list")),
        ("string", NodeKind::Text(text)) => one_of(node, text, schema, path),
        ("string", _) => Err(wrong(node, path, "text")),
        ("integer", NodeKind::Number(number)) => {
            let fits = number.as_i64().is_some_and(|n| i32::try_from(n).is_ok());
            let expected = "a whole number below 2147483648, without fraction or leading zeros";
            fits.then_some(())
                .ok_or_else(|| wrong(node, path, expected))
        }
        ("integer", _) => Err(wrong(node, path, "a number")),
        ("boolean", NodeKind::Bool(_)) => Ok(()),
        ("boolean", _) => Err(wrong(node, path, "true or false")),
        _ => Ok(()),
    }
}

fn object(node: &Node, schema: &Value, path: &str) -> Result<(), ManifestError> {
    let properties = schema["properties"].as_object();
    let known: Vec<&str> = properties
        .into_iter()
        .flat_map(|properties| properties.keys().map(String::as_str))
        .collect();
    fields(node, &known, path)?;
    for required in schema["required"].as_array().into_iter().flatten() {
        let field = required.as_str().unwrap_or_default();
        let value = node.get(field);
        if value.is_none_or(|value| matches!(value.kind, NodeKind::Null)) {
            let message = format!("{} is missing; add it.", join(path, field));
            return Err(ManifestError::new(node.line, message));
        }
    }
    let NodeKind::Map(entries) = &node.kind else {
        return Ok(());
    };
    for (key, value) in entries {
        if !matches!(value.kind, NodeKind::Null) {
            check(
                value,
                &schema["properties"][&key.name],
                &join(path, &key.name),
            )?;
        }
    }
    Ok(())
}

fn one_of(node: &Node, text: &str, schema: &Value, path: &str) -> Result<(), ManifestError> {
    let Some(allowed) = schema["enum"].as_array() else {
        return Ok(());
    };
    let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
    if allowed.contains(&text) {
        return Ok(());
    }
    let message = format!("{path} must be one of {}.", allowed.join(", "));
    Err(ManifestError::new(node.line, message))
}
