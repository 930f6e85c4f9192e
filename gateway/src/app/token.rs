//! `siar-gateway token`: mints a token for a first try.
//!
//! Owns: what such a token says. Never: prints a key. Used by: `main`.

use crate::args::TokenSettings;
use crds::channel::JwtAlgorithm;
use crds::keys::KeySet;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Map, Value, json};

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum NoToken {
    #[error("Say with --secret or --secret-file which key signs the token.")]
    NoKey,
    #[error("The file of --secret-file cannot be read: {0}.")]
    Unreadable(#[from] std::io::Error),
    #[error("The key {0}.")]
    Unusable(#[from] crds::keys::NoKey),
    #[error("The token cannot be made: {0}.")]
    Unsigned(#[from] jsonwebtoken::errors::Error),
}

/// A token as `settings` say, good from `unix` (milliseconds since 1970) on.
pub fn mint(settings: &TokenSettings, unix: u64) -> Result<String, NoToken> {
    let key = match (&settings.secret, &settings.secret_file) {
        (Some(key), _) => key.clone().into_bytes(),
        (None, Some(path)) => {
            let mut key = std::fs::read(path)?;
            // As in a Secret: editors and `echo` end a file with a line ending that is no part of the key.
            while key.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
                key.pop();
            }
            key
        }
        (None, None) => return Err(NoToken::NoKey),
    };
    KeySet::from_secret(&key, &[JwtAlgorithm::Hs256])?;
    let mut claims: Map<String, Value> = settings.claims.iter().cloned().collect();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            claims.insert(name.to_owned(), value);
        }
    };
    set("sub", settings.sub.as_deref().map(Value::from));
    set("iss", settings.iss.as_deref().map(Value::from));
    set(
        "aud",
        match &*settings.aud {
            [] => None,
            [one] => Some(json!(one)),
            many => Some(json!(many)),
        },
    );
    set("iat", Some(json!(unix / 1000)));
    set("exp", Some(json!(unix / 1000 + settings.expires.as_secs())));
    Ok(encode(
        &Header::new(Algorithm::HS256),
        &claims,
        &EncodingKey::from_secret(&key),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, Validation, decode};
    use std::time::Duration;

    const KEY: &str = "a-shared-key-of-at-least-32-bytes";

    fn settings(key: Option<&str>) -> TokenSettings {
        TokenSettings {
            secret: key.map(str::to_owned),
            secret_file: None,
            sub: Some("ana".to_owned()),
            iss: None,
            aud: vec!["siar".to_owned()],
            expires: Duration::from_secs(60),
            claims: vec![("roles".to_owned(), json!(["editor"]))],
        }
    }

    #[test]
    fn a_token_says_what_was_asked_for() {
        let token = mint(&settings(Some(KEY)), 4_000_000_000_000).unwrap();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&["siar"]);
        let key = DecodingKey::from_secret(KEY.as_bytes());
        let claims = decode::<Value>(token, &key, &validation).unwrap().claims;
        let (iat, exp) = (4_000_000_000_u64, 4_000_000_060_u64);
        let expected =
            json!({"sub": "ana", "aud": "siar", "roles": ["editor"], "iat": iat, "exp": exp});
        assert_eq!(claims, expected);
    }

    #[test]
    fn a_key_that_would_not_do_in_a_secret_will_not_do_here() {
        let said = |key| mint(&settings(key), 0).unwrap_err().to_string();
        assert!(said(Some("hunter2")).contains("shorter than 32 bytes"));
        assert!(!said(Some("hunter2")).contains("hunter2"));
        assert!(said(None).contains("--secret"));
    }
}
