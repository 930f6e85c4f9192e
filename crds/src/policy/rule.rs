//! One way to be admitted, checked.
//!
//! Owns: the kinds of rules with their bounds, and what two rules have in common. Never: decides about a
//! request (the gateway's `access` does). Used by: `policy::access`.

use super::condition::Condition;
use super::resolve::Resolved;
use super::{Rejection, TokenHolder, delivery};
use crate::channel::{AccessRule, JwtAlgorithm, JwtRule, ServiceAccountsRule, WebhookRule};
use crate::duration::DurationText;
use crate::keys::KeySet;
use jsonwebtoken::AlgorithmFamily;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of a URL.
const URL_BYTES: usize = 1024;
/// The most entries of `audiences`.
const AUDIENCES: usize = 16;

/// One way to be admitted, and the condition that must hold, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub kind: RuleKind,
    pub when: Option<Condition>,
}

/// What somebody must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// Nothing: everybody is admitted.
    Anonymous,
    /// One of these bearer tokens.
    Tokens(Arc<[TokenHolder]>),
    /// A JSON Web Token.
    Jwt(Arc<Jwt>),
    /// The token of a service account of the cluster with the right in RBAC.
    ServiceAccounts(Arc<ServiceAccounts>),
    /// What a service of the team allows.
    Webhook(Arc<Webhook>),
}

/// Tokens that one issuer signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwt {
    pub issuer: Option<String>,
    /// A token must be for one of these; empty: not looked at.
    pub audiences: Vec<String>,
    pub keys: JwtKeys,
    /// All of one side: shared keys, or public ones.
    pub algorithms: Vec<JwtAlgorithm>,
    pub require_exp: bool,
}

/// Where the keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwtKeys {
    /// A set that the gateway fetches.
    Url(Arc<str>),
    /// From a Secret; empty when it is missing or wrong, so that nobody is admitted.
    Fixed(Arc<KeySet>),
}

/// Service accounts of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccounts {
    /// A token must be for one of these.
    pub audiences: Vec<String>,
    /// How often the cluster is asked again for an open stream.
    pub recheck: Duration,
}

/// A service that decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    pub url: Arc<str>,
    pub timeout: Duration,
    /// How often it is asked again for an open stream.
    pub recheck: Duration,
}

impl Rule {
    /// Whether the rule looks at a presented token.
    #[must_use]
    pub fn reads_tokens(&self) -> bool {
        !matches!(self.kind, RuleKind::Anonymous)
    }
}

/// Checks one rule. `field` is where it stands.
pub fn rule(field: &str, spec: &AccessRule, resolved: &Resolved) -> Result<Rule, Rejection> {
    let kinds = [
        spec.anonymous.is_some(),
        spec.tokens.is_some(),
        spec.jwt.is_some(),
        spec.service_accounts.is_some(),
        spec.webhook.is_some(),
    ];
    let kind = match spec {
        _ if kinds.into_iter().filter(|set| *set).count() != 1 => {
            return Err(Rejection::invalid(format!(
                "{field}: set exactly one of anonymous, tokens, jwt, serviceAccounts, webhook."
            )));
        }
        AccessRule {
            tokens: Some(tokens),
            ..
        } => RuleKind::Tokens(resolved.holders(&tokens.secret_ref)),
        AccessRule {
            jwt: Some(spec), ..
        } => RuleKind::Jwt(jwt(&format!("{field}.jwt"), spec, resolved)?),
        AccessRule {
            service_accounts: Some(spec),
            ..
        } => {
            RuleKind::ServiceAccounts(service_accounts(&format!("{field}.serviceAccounts"), spec)?)
        }
        AccessRule {
            webhook: Some(spec),
            ..
        } => RuleKind::Webhook(webhook(&format!("{field}.webhook"), spec)?),
        _ => RuleKind::Anonymous,
    };
    let when = spec.when.as_deref().map(Condition::compile).transpose();
    let when = when.map_err(|problem| Rejection::invalid(format!("{field}.when {problem}.")))?;
    Ok(Rule { kind, when })
}

fn jwt(field: &str, spec: &JwtRule, resolved: &Resolved) -> Result<Arc<Jwt>, Rejection> {
    let invalid = |problem: String| Err(Rejection::invalid(format!("{field}{problem}")));
    if spec
        .issuer
        .as_ref()
        .is_some_and(|issuer| issuer.is_empty() || issuer.len() > 512)
    {
        return invalid(".issuer has 1 to 512 bytes; leave it out to take any issuer.".to_owned());
    }
    check_audiences(field, &spec.audiences)?;
    let hmac = |algorithm: &JwtAlgorithm| algorithm.algorithm().family() == AlgorithmFamily::Hmac;
    let shared = spec
        .algorithms
        .iter()
        .filter(|algorithm| hmac(algorithm))
        .count();
    if spec.algorithms.is_empty() {
        return invalid(
            ".algorithms is empty; name what the issuer signs with, such as RS256.".to_owned(),
        );
    }
    if shared > 0 && shared < spec.algorithms.len() {
        return invalid(
            ".algorithms names HS algorithms beside others; a shared key and a public key are different things, so use a rule for each.".to_owned(),
        );
    }
    let keys = match (&spec.jwks, &spec.key) {
        (Some(_), None) if shared > 0 => {
            return invalid(
                ".algorithms names HS algorithms, whose key must not be published; name a Secret in key.".to_owned(),
            );
        }
        (Some(jwks), None) => JwtKeys::Url(url(&format!("{field}.jwks.url"), &jwks.url)?),
        (None, Some(key)) => {
            JwtKeys::Fixed(Arc::new(resolved.keys(&key.secret_ref, &spec.algorithms)))
        }
        _ => return invalid(": set exactly one of jwks, key.".to_owned()),
    };
    Ok(Arc::new(Jwt {
        issuer: spec.issuer.clone(),
        audiences: spec.audiences.clone(),
        keys,
        algorithms: spec.algorithms.clone(),
        require_exp: spec.require_exp,
    }))
}

fn service_accounts(
    field: &str,
    spec: &ServiceAccountsRule,
) -> Result<Arc<ServiceAccounts>, Rejection> {
    check_audiences(field, &spec.audiences)?;
    if spec.audiences.is_empty() {
        return Err(Rejection::invalid(format!(
            "{field}.audiences is empty; leave it out for \"siar\"."
        )));
    }
    Ok(Arc::new(ServiceAccounts {
        audiences: spec.audiences.clone(),
        recheck: recheck(field, &spec.recheck)?,
    }))
}

fn webhook(field: &str, spec: &WebhookRule) -> Result<Arc<Webhook>, Rejection> {
    Ok(Arc::new(Webhook {
        url: url(&format!("{field}.url"), &spec.url)?,
        timeout: delivery::time(&format!("{field}.timeout"), &spec.timeout, "100ms", "10s")?,
        recheck: recheck(field, &spec.recheck)?,
    }))
}

fn recheck(field: &str, text: &DurationText) -> Result<Duration, Rejection> {
    delivery::time(&format!("{field}.recheck"), text, "10s", "1h")
}

fn check_audiences(field: &str, audiences: &[String]) -> Result<(), Rejection> {
    let right = |audience: &String| (1..=255).contains(&audience.len());
    if audiences.len() > AUDIENCES || !audiences.iter().all(right) {
        return Err(Rejection::invalid(format!(
            "{field}.audiences takes at most {AUDIENCES} entries of 1 to 255 bytes."
        )));
    }
    Ok(())
}

/// Never repeats the URL in a message, since people put passwords there.
fn url(field: &str, text: &str) -> Result<Arc<str>, Rejection> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    match authority {
        Some(authority) if authority.contains('@') => Err(Rejection::invalid(format!(
            "{field} holds a user name or a password; a Channel is no place for secrets."
        ))),
        Some(authority)
            if !authority.is_empty() && text.len() <= URL_BYTES && !text.contains(odd) =>
        {
            Ok(text.into())
        }
        _ => Err(Rejection::invalid(format!(
            "{field} cannot be read; write https://host/path, at most {URL_BYTES} bytes."
        ))),
    }
}
