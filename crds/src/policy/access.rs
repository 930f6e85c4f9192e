//! Checks who may come in: origins and rules.
//!
//! Owns: the one form in which origins are compared, and which rules are served. Never: decides
//! about a request (the gateway's `access` does). Used by: `policy`.

use super::resolve::Resolved;
use super::rule::{Rule, rule};
use super::{Access, Names, Origins, Reads, Rejection};
use crate::channel::{AccessRule, AccessSpec, ORIGINS, RULES};
use crate::pattern::TopicPattern;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The most bytes of an origin.
const ORIGIN_BYTES: usize = 255;

/// Origins and rules of a Channel; nobody comes in where the spec says nothing.
pub fn access(
    spec: Option<&AccessSpec>,
    topics: &[TopicPattern],
    resolved: &Resolved,
) -> Result<Access, Rejection> {
    let Some(spec) = spec else {
        return Ok(Access::default());
    };
    let subscribe = rules("subscribe", &spec.subscribe, topics, resolved)?;
    let mut reads = Reads::default();
    for condition in subscribe.iter().filter_map(|rule| rule.when.as_ref()) {
        reads.extend(condition.reads());
    }
    Ok(Access {
        origins: origins(&spec.origins)?,
        subscribe,
        publish: rules("publish", &spec.publish, topics, resolved)?,
        reads: Arc::new(reads),
    })
}

fn origins(texts: &[String]) -> Result<Origins, Rejection> {
    let mut origins = Origins::default();
    if texts.len() > ORIGINS {
        return Err(Rejection::invalid(format!(
            "spec.access.origins has {} entries; use at most {ORIGINS}.",
            texts.len()
        )));
    }
    for text in texts {
        if text == "*" {
            origins.any = true;
            continue;
        }
        let origin = origin(text).ok_or_else(|| {
            Rejection::invalid(format!(
                "spec.access.origins: {text:?} is not an origin; write scheme://host or scheme://host:port, without a path."
            ))
        })?;
        if !origins.listed.contains(&origin) {
            origins.listed.push(origin);
        }
    }
    Ok(origins)
}

/// An origin as browsers send it: lower-case, without the port that its scheme implies.
fn origin(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let (host, port) = match authority.rfind(']').or_else(|| authority.find(':')) {
        Some(at) if authority[at..].starts_with(']') => authority.split_at(at + 1),
        Some(at) => authority.split_at(at),
        None => (authority, ""),
    };
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        }
    };
    let number = match port {
        "" => None,
        port => {
            let digits = port.strip_prefix(':')?;
            digits.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
            Some(digits.parse::<u16>().ok()?)
        }
    };
    if text.len() > ORIGIN_BYTES || !is_scheme || !is_host {
        return None;
    }
    Some(match (scheme, number) {
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => format!("{scheme}://{host}"),
        (_, Some(number)) => format!("{scheme}://{host}:{number}"),
    })
}

fn rules(
    action: &str,
    rules: &[AccessRule],
    topics: &[TopicPattern],
    resolved: &Resolved,
) -> Result<Vec<Rule>, Rejection> {
    if rules.len() > RULES {
        return Err(Rejection::invalid(format!(
            "spec.access.{action} has {} rules; use at most {RULES}.",
            rules.len()
        )));
    }
    let checked = rules.iter().enumerate().map(|(at, spec)| {
        let field = format!("spec.access.{action}[{at}]");
        let rule = rule(&field, spec, resolved)?;
        match rule.when.as_ref().map(|condition| &condition.reads().topic) {
            Some(Names::These(names)) => check_captures(&field, names, topics)?,
            Some(Names::All) | None => {}
        }
        Ok(rule)
    });
    checked.collect()
}

/// A condition on a capture that no topic has would only ever deny.
fn check_captures(
    field: &str,
    names: &BTreeSet<String>,
    topics: &[TopicPattern],
) -> Result<(), Rejection> {
    let captured = |name: &str| {
        topics
            .iter()
            .any(|pattern| pattern.names().any(|known| known == name))
    };
    match names.iter().find(|name| !captured(name)) {
        None => Ok(()),
        Some(name) => Err(Rejection::invalid(format!(
            "{field}.when names topic.{name}, and no pattern of spec.topics has {{{name}}}."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(origin(text).as_deref(), expected, "{text:?}");
    }

    #[test]
    fn an_origin_is_compared_as_browsers_send_it() {
        check("https://Shop.Example.com", Some("https://shop.example.com"));
        check(
            "https://shop.example.com:443",
            Some("https://shop.example.com"),
        );
        check("http://localhost:8000", Some("http://localhost:8000"));
        check("http://a:080", Some("http://a"));
        check("http://[::1]:8080", Some("http://[::1]:8080"));
        check("capacitor://localhost", Some("capacitor://localhost"));
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        for text in [
            "",
            "null",
            "shop.example.com",
            "https://",
            "https://a/",
            "https://a/b",
            "https://u@a",
            "https://a:",
            "https://a:x",
            "https://a:99999",
            "https://[x]",
            "https://a b",
            "*.a",
            "https://*.a",
            "1a://b",
            "https://ö.se",
            "https://a?",
            "https://[::1]x",
        ] {
            check(text, None);
        }
    }
}
