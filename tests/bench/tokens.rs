//! Tokens as issuers write them, and the rule that takes them.

use crate::seen::now_nanos;
use serde_json::{Value, json};
use tests::issuer::{Algorithm, Key};
use tests::manifest::secret;

/// Bytes of the claims of a token.
const CLAIMS: usize = 1024;
/// Who issues them.
const ISSUER: &str = "https://id.example.com/realms/shop";

/// Who listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listeners {
    Anonymous,
    /// Each with a token of its own; the rule reads one claim, which is what a stream keeps.
    Signed,
    /// The same, but the rule reads all claims.
    SignedAll,
}

impl Listeners {
    /// What the rule asks of their tokens; none when they have none.
    pub fn condition(self) -> Option<&'static str> {
        match self {
            Self::Anonymous => None,
            Self::Signed => Some("'listener' in claims.realm_access.roles"),
            Self::SignedAll => Some("claims == claims"),
        }
    }
}

/// Signs with one key.
pub struct Issuer {
    key: Key,
}

impl Issuer {
    pub fn new() -> Self {
        Self {
            key: Key::new(Algorithm::Es256),
        }
    }

    /// A token of somebody in `team`: 1 KiB of claims, some of them nested.
    pub fn token(&self, number: usize, team: &str) -> String {
        let mut claims = json!({
            "iss": ISSUER,
            "aud": ["siar", "account"],
            "sub": format!("f3b0c4d2-6a51-4e7f-9c1d-{number:012}"),
            "exp": now_nanos() / 1_000_000_000 + 3600,
            "team": team,
            "email": format!("user-{number}@example.com"),
            "realm_access": {"roles": ["listener", "editor", "offline_access"]},
            "resource_access": {
                "shop": {"roles": ["buyer"]},
                "account": {"roles": ["manage-account", "manage-account-links", "view-profile"]},
            },
            "address": {"locality": "Berlin", "country": "DE"},
        });
        let rest = CLAIMS.saturating_sub(claims.to_string().len() + r#","note":"""#.len());
        claims["note"] = "x".repeat(rest).into();
        self.key.token("bench", &claims)
    }

    /// The Secret that [`Self::rule`] names.
    pub fn secret(&self) -> Value {
        secret("issuer", &[("key", &self.key.public_pem())])
    }

    /// Takes its tokens if `condition` holds.
    pub fn rule(&self, condition: &str) -> Value {
        json!({
            "jwt": {
                "issuer": ISSUER,
                "audiences": ["siar"],
                "algorithms": ["ES256"],
                "key": {"secretRef": {"name": "issuer", "key": "key"}},
            },
            "when": condition,
        })
    }
}
