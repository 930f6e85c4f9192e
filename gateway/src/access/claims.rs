//! What a token claims.
//!
//! Owns: reading claims, the registered ones once and the others when a condition wants them. They are kept
//! as text, since parsed values take five times as much. Pure. Used by: `jwt`, `condition`.

use super::is_identity;
use crds::policy::{LIST_ITEMS, Names};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// The most values in all claims that a condition reads.
const MOST_VALUES: usize = 512;

/// The claims of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub issuer: Option<Box<str>>,
    pub audiences: Box<[Box<str>]>,
    pub subject: Option<Arc<str>>,
    /// Seconds since 1970.
    pub expires: Option<u64>,
    /// Seconds since 1970.
    pub not_before: Option<u64>,
    /// The object as the token has it, or the part of it that is kept.
    text: Box<str>,
}

impl Claims {
    /// Reads an object of claims (RFC 7519, section 4.1); none when one of them is of a wrong kind.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let registered = ["iss", "aud", "sub", "exp", "nbf"];
        let names = Names::These(registered.map(str::to_owned).into());
        let claims = select(text, &names)?;
        let string = |name: &str| match claims.get(name) {
            None => Some(None),
            Some(Value::String(text)) => Some(Some(text.as_str())),
            Some(_) => None,
        };
        Some(Self {
            issuer: string("iss")?.map(Into::into),
            audiences: audiences(claims.get("aud"))?,
            subject: string("sub")?.map(Into::into),
            expires: date(claims.get("exp"))?,
            not_before: date(claims.get("nbf"))?,
            text: text.into(),
        })
    }

    /// Who the token is of: its subject, if that can be a name.
    #[must_use]
    pub fn identity(&self) -> Option<&Arc<str>> {
        self.subject.as_ref().filter(|subject| is_identity(subject))
    }

    /// The claims of these names; none when there is more than a condition may go through.
    #[must_use]
    pub fn select(&self, names: &Names) -> Option<Map<String, Value>> {
        let claims = select(&self.text, names)?;
        let values: usize = claims.values().map(values).sum();
        let short = claims.len() <= LIST_ITEMS && claims.values().all(is_short);
        (short && values <= MOST_VALUES).then_some(claims)
    }

    /// The same token with no more than these claims beside the registered ones.
    #[must_use]
    pub fn keeping(&self, names: &Names) -> Self {
        let text = match names {
            Names::All => self.text.clone(),
            Names::These(_) => {
                let kept = select(&self.text, names).unwrap_or_default();
                Value::Object(kept).to_string().into()
            }
        };
        Self {
            text,
            ..self.clone()
        }
    }
}

fn audiences(value: Option<&Value>) -> Option<Box<[Box<str>]>> {
    match value {
        None => Some(Box::default()),
        Some(Value::String(one)) => Some([one.as_str().into()].into()),
        Some(Value::Array(many)) => many
            .iter()
            .map(|one| one.as_str().map(Into::into))
            .collect(),
        Some(_) => None,
    }
}

/// Seconds, perhaps with a fraction, which is cut.
fn date(value: Option<&Value>) -> Option<Option<u64>> {
    let Some(value) = value else {
        return Some(None);
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it saturates"
    )]
    value.as_f64().map(|seconds| Some(seconds as u64))
}

/// How many values it is made of: comparing it goes through all of them.
fn values(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(values).sum(),
        Value::Object(map) => map.values().map(values).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Whether no list and no map in it is longer than a condition may go through.
fn is_short(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.len() <= LIST_ITEMS && items.iter().all(is_short),
        Value::Object(map) => map.len() <= LIST_ITEMS && map.values().all(is_short),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// The entries of an object in `text` whose names are wanted; the others are skipped unread. None when it is
/// no object, or one of them comes twice.
fn select(text: &str, names: &Names) -> Option<Map<String, Value>> {
    let mut json = serde_json::Deserializer::from_str(text);
    let found = Wanted(names).deserialize(&mut json).ok()?;
    json.end().ok()?;
    Some(found)
}

struct Wanted<'a>(&'a Names);

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut found = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if !self.0.has(&name) {
                entries.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = entries.next_value()?;
            if found.insert(name, value).is_some() {
                return Err(serde::de::Error::custom("a claim comes twice"));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Names {
        Names::These(names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn registered_claims_are_read_once() {
        let claims = Claims::parse(
            r#"{"iss": "i", "aud": ["a", "b"], "sub": "s", "exp": 12.9, "nbf": -3, "x": {"iss": 1}}"#,
        )
        .unwrap();
        assert_eq!(
            (claims.issuer.as_deref(), claims.subject.as_deref()),
            (Some("i"), Some("s"))
        );
        assert_eq!((claims.expires, claims.not_before), (Some(12), Some(0)));
        assert_eq!(claims.audiences, ["a".into(), "b".into()].into());
        assert_eq!(
            Claims::parse(r#"{"aud": "a"}"#).unwrap().audiences,
            ["a".into()].into()
        );
        assert_eq!(Claims::parse("{}").unwrap().expires, None);
        assert_eq!(
            Claims::parse(r#"{"exp": 1e300}"#).unwrap().expires,
            Some(u64::MAX)
        );
    }

    #[test]
    fn a_claim_of_a_wrong_kind_spoils_the_token() {
        for text in [
            "[]",
            "1",
            "",
            "{}{}",
            r#"{"exp": "1"}"#,
            r#"{"exp": null}"#,
            r#"{"aud": 1}"#,
            r#"{"aud": [1]}"#,
            r#"{"iss": ["i"]}"#,
            r#"{"sub": 7}"#,
            r#"{"exp": 1, "exp": 2}"#,
        ] {
            assert_eq!(Claims::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_what_conditions_read_is_kept() {
        let claims = Claims::parse(r#"{"sub": "s", "roles": ["a"], "huge": "…"}"#).unwrap();
        let kept = claims.keeping(&names(&["roles", "absent"]));
        assert_eq!(&*kept.text, r#"{"roles":["a"]}"#);
        assert_eq!(kept.subject.as_deref(), Some("s"));
        assert_eq!(claims.keeping(&Names::All), claims);
        assert_eq!(kept.select(&Names::All).unwrap().len(), 1);
    }

    #[test]
    fn claims_of_too_many_values_are_not_gone_through() {
        let many = |count: usize| {
            let map: Map<String, Value> = (0..8)
                .map(|at| (at.to_string(), vec![1; count].into()))
                .collect();
            Claims::parse(&serde_json::json!({"a": map}).to_string()).unwrap()
        };
        assert!(many(60).select(&names(&["a"])).is_some());
        assert!(many(64).select(&names(&["a"])).is_none());
        assert!(many(64).select(&names(&["b"])).is_some());
    }

    #[test]
    fn lists_that_are_too_long_are_not_gone_through() {
        let long = |count: usize| {
            let roles = vec!["r"; count];
            Claims::parse(&serde_json::json!({"a": {"roles": roles}, "b": 1}).to_string()).unwrap()
        };
        assert!(long(LIST_ITEMS).select(&names(&["a"])).is_some());
        assert!(long(LIST_ITEMS + 1).select(&names(&["a"])).is_none());
        assert!(long(LIST_ITEMS + 1).select(&names(&["b"])).is_some());
    }
}
