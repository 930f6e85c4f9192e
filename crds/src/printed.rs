//! The CustomResourceDefinition as it is applied to a cluster.
//!
//! Owns: what the derives leave to be put right. Never: adds a field. Used by: `siar-operator crd`,
//! the test that keeps `channels.siar.dev.yaml` fresh.

use crate::channel::Channel;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

/// The first line of the printed file.
const PRINTED_FROM: &str =
    "# Printed by `siar-operator crd` from the types of the crate crds; do not edit.\n";

/// The CustomResourceDefinition as YAML, with a line that says where it comes from.
#[must_use]
pub fn printed() -> String {
    let mut crd = serde_json::to_value(definition()).expect("a CRD is JSON");
    whole_numbers(&mut crd);
    let yaml = serde_saphyr::to_string(&crd).expect("JSON is YAML");
    format!("{PRINTED_FROM}{yaml}")
}

/// The CustomResourceDefinition of Channels.
#[must_use]
pub fn definition() -> CustomResourceDefinition {
    let mut crd = serde_json::to_value(Channel::crd()).expect("a CRD is JSON");
    put_right(&mut crd);
    serde_json::from_value(crd).expect("the same fields as before")
}

/// Joins the lines that a doc comment was wrapped into, since `kubectl explain` wraps anew, and
/// drops `nullable`, which the derive puts on `status`: the API server would store the null.
fn put_right(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("nullable") == Some(&Value::Bool(true)) {
                fields.remove("nullable");
            }
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = text.replace("\n\n", "\r").replace('\n', " ");
                *text = text.replace('\r', "\n\n");
            }
            fields.values_mut().for_each(put_right);
        }
        Value::Array(items) => items.iter_mut().for_each(put_right),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Bounds are floating-point numbers in the types; `1000` reads better than `1000.0`.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Number(number) => {
            let whole = number.as_f64().filter(|value| value.fract() == 0.0);
            if let Some(whole) = whole.filter(|value| value.abs() < 9e15) {
                *number = serde_json::Number::from(whole as i64);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every schema inside `schema` with its path.
    fn walk(path: &str, schema: &Value, see: &mut impl FnMut(&str, &Value)) {
        see(path, schema);
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            walk(&format!("{path}.{name}"), field, see);
        }
        if schema["items"].is_object() {
            walk(&format!("{path}[]"), &schema["items"], see);
        }
    }

    fn schema() -> Value {
        let crd = serde_json::to_value(definition()).unwrap();
        crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
    }

    #[test]
    fn everything_in_the_schema_is_bounded() {
        walk("", &schema(), &mut |path, schema| {
            let kind = schema["type"].as_str();
            let bound = match kind {
                Some("string") => schema["enum"].is_array() || schema["maxLength"].is_u64(),
                Some("array") => schema["maxItems"].is_u64(),
                Some("integer") => {
                    path.starts_with(".status")
                        || (schema["minimum"].is_number() && schema["maximum"].is_number())
                }
                Some("object") => {
                    schema["additionalProperties"].is_null()
                        && schema["x-kubernetes-preserve-unknown-fields"].is_null()
                }
                Some("boolean") => true,
                _ => false,
            };
            assert!(bound, "{path}: {schema}");
            assert!(schema["nullable"].is_null(), "{path}");
            let format = schema["format"].as_str().unwrap_or_default();
            assert!(!format.starts_with("uint"), "{path}: {format}");
        });
    }

    #[test]
    fn every_field_explains_itself_in_one_paragraph() {
        walk("", &schema(), &mut |path, schema| {
            let text = schema["description"].as_str().unwrap_or_default();
            assert!(!text.is_empty() || path.ends_with("[]"), "{path}");
            assert!(
                !text.contains('\n') && !text.contains("[`"),
                "{path}: {text}"
            );
        });
    }

    #[test]
    fn defaults_stand_in_the_schema_with_their_parents() {
        let schema = schema();
        let spec = &schema["properties"]["spec"]["properties"];
        assert_eq!(spec["gateway"]["default"], "default");
        assert_eq!(spec["limits"]["default"]["streams"], 100_000);
        assert_eq!(spec["stream"]["default"]["maxAge"], "30m");
        let status = &schema["properties"]["status"]["default"];
        assert_eq!(status["conditions"].as_array().map(Vec::len), Some(4));
        assert_eq!(schema["required"], serde_json::json!(["spec"]));
    }
}
