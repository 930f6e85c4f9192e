//! Evaluates the condition of a rule.
//!
//! Owns: what the variables of CEL hold. Only `true` admits: an error denies. Pure. Used by: `admit`.

use super::claims::Claims;
use super::request::Facts;
use cel::{Context, Env, Value as Cel, to_value};
use crds::name::Topic;
use crds::policy::{Condition, Policy};
use serde_json::{Map, Value, json};
use std::sync::{Arc, LazyLock};

/// Shared by all evaluations: making one anew takes four times as long as a decision.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// What a condition is asked about.
pub struct About<'a> {
    pub policy: &'a Policy,
    /// None for the feed of a Channel.
    pub topic: Option<&'a Topic>,
    pub claims: Option<&'a Claims>,
    pub identity: Option<&'a str>,
    pub facts: Option<&'a Facts>,
}

/// Whether it holds; the error is for the log of whoever wrote it, and holds no value of a claim.
pub fn holds(condition: &Condition, about: &About<'_>) -> Result<bool, &'static str> {
    let reads = condition.reads();
    let mut context = Context::with_env(ENV.clone());
    let mut set = |name: &str, value: Value| -> Result<(), &'static str> {
        let value = to_value(value).or(Err("a value that CEL does not have"))?;
        context.add_variable_from_value(name, value);
        Ok(())
    };
    if !reads.topic.is_empty() {
        set("topic", captures(about))?;
    }
    if !reads.claims.is_empty() {
        let claims = match about.claims {
            Some(claims) => claims
                .select(&reads.claims)
                .ok_or("there is more in claims than a condition goes through")?,
            None => Map::new(),
        };
        set("claims", Value::Object(claims))?;
    }
    if reads.identity {
        set("identity", json!(about.identity.unwrap_or_default()))?;
    }
    if reads.request {
        set(
            "request",
            about.facts.map_or_else(|| json!({}), Facts::to_json),
        )?;
    }
    match condition.program().execute(&context) {
        Ok(Cel::Bool(holds)) => Ok(holds),
        Ok(_) => Err("its value is neither true nor false"),
        Err(error) => Err(word(&error)),
    }
}

/// The captures of the first pattern that the topic matches.
fn captures(about: &About<'_>) -> Value {
    let topic = about.topic.map(Topic::as_str);
    let found = topic.and_then(|topic| {
        about
            .policy
            .topics
            .iter()
            .find_map(|pattern| pattern.captures(topic))
    });
    let found = found.unwrap_or_default().into_iter();
    found
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect()
}

/// The kind of an error without its values, which may be those of a token.
fn word(error: &cel::ExecutionError) -> &'static str {
    use cel::ExecutionError as E;
    match error {
        E::NoSuchKey(_) => {
            "a claim, capture or header that it names is not there; has(…) asks for it"
        }
        E::NoSuchOverload(_) | E::ValuesNotComparable(..) | E::UnexpectedType { .. } => {
            "values of kinds that do not go together"
        }
        E::Overflow(..) | E::DivisionByZero(_) | E::RemainderByZero(_) => "a number out of range",
        E::IndexOutOfBounds(_) => "an index out of bounds",
        _ => "it cannot be evaluated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{policy, with};

    #[track_caller]
    fn check(text: &str, expected: Result<bool, &str>) {
        let policy = policy(with(
            json!({}),
            json!({"topics": ["orders.{user}", "orders.{user}/{id}"]}),
        ));
        let claims = Claims::parse(
            r#"{"sub": "ana", "level": 3, "ratio": 0.5, "admin": true, "realm": {"roles": ["editor"]}, "none": null}"#,
        );
        let facts = Facts {
            ip: "192.0.2.7".into(),
            origin: "https://a".into(),
            path: "/stream".into(),
            headers: [("x-team".into(), "blue".into())].into(),
        };
        let about = About {
            policy: &policy,
            topic: Some(&Topic::new("orders.ana").unwrap()),
            claims: claims.as_ref(),
            identity: Some("ana"),
            facts: Some(&facts),
        };
        let condition = Condition::compile(text).unwrap();
        let held = holds(&condition, &about);
        match (held, expected) {
            (Ok(held), Ok(expected)) => assert_eq!(held, expected, "{text}"),
            (Err(error), Err(said)) => assert!(error.contains(said), "{text}: {error}"),
            (held, expected) => panic!("{text}: {held:?}, not {expected:?}"),
        }
    }

    #[test]
    fn only_true_admits() {
        for text in [
            "claims.sub == topic.user",
            "claims.level == 3 && claims.level > 2 && claims.ratio < 1.0",
            "claims.admin",
            "!!claims.admin",
            "'editor' in claims.realm.roles",
            "claims.realm.roles.exists(r, r.startsWith('ed'))",
            "has(claims.sub) && !has(claims.absent)",
            "identity == 'ana' && size(identity) == 3",
            "request.headers['x-team'] == 'blue' && request.ip.startsWith('192.0.2.')",
            "request.origin == 'https://a' && request.path == '/stream'",
            "claims.absent == 1 || true",
            "claims.none == null",
            "type(claims.level) == int || type(claims.level) == uint",
            "string(3) == '3' && int('3') == 3 && double('0.5') == 0.5 && uint(3) == 3u && bool('true')",
            "b'a' == bytes('a') && 'ab'.contains('b') && 'ab'.endsWith('b') && dyn(1) == 1",
        ] {
            check(text, Ok(true));
        }
        check("claims.sub == 'ben'", Ok(false));
        check("claims.level == '3'", Ok(false));
        check("claims.absent == 1", Err("is not there"));
        check("request.headers['x-other'] == ''", Err("is not there"));
        check("claims.sub > 3", Err("do not go together"));
        check("claims.level", Err("neither true nor false"));
        check("claims.level / 0 == 1", Err(""));
        check("claims.realm.roles[7] == 'x'", Err(""));
        check("topic.id == '1'", Err("is not there"));
    }
}
