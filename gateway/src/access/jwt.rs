//! JSON Web Tokens: whose signature is right, and for whom they are.
//!
//! Owns: every check of a token. The algorithm comes from the rule, never from the token alone. Never: keeps
//! a token, only what it claims. Pure but for the memo of signatures that were checked. Used by: `admit`.

use super::claims::Claims;
use super::{Token, TokenHash};
use crate::newest::Newest;
use crds::channel::JwtAlgorithm;
use crds::keys::{Key, KeySet, Thumbprint};
use crds::policy::Jwt;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use std::sync::Arc;

/// The most bytes of a token; heads have 16 KiB.
const TOKEN_BYTES: usize = 8 * 1024;
/// Keys of one set that are tried for one token: those without `kid` all fit.
const MOST_TRIED: usize = 8;
/// Tokens remembered, some 2 KiB each; a publisher shows the same one again and again.
const MOST_REMEMBERED: usize = 1024;
/// Pairs of a token and a key that did not sign it.
const MOST_WRONG: usize = 8192;
/// How far clocks may be apart, in seconds.
pub const LEEWAY: u64 = 5;

/// A token whose signature is right, without the token.
#[derive(Debug, PartialEq, Eq)]
pub struct Verified {
    pub key: Thumbprint,
    pub algorithm: Algorithm,
    pub claims: Claims,
}

/// Why a rule does not take a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// No token of the rule's kind, or signed by somebody else.
    Foreign,
    /// The set has no key that can be told to be the one; a newer set may.
    NoSuchKey,
    /// Rightly signed, and expired, not valid yet, or for others.
    NotForHere,
}

impl Verified {
    /// Whether one of `keys` is the one that signed it, and may still sign so.
    #[must_use]
    pub fn is_by(&self, keys: &KeySet) -> bool {
        keys.fitting(self.algorithm, None)
            .any(|key| key.thumbprint() == self.key)
    }
}

/// Signatures that were checked.
pub struct Memo {
    right: Mutex<Newest<TokenHash, Arc<Verified>>>,
    /// Which keys did not sign which tokens: whoever shows a wrong one to many rules costs one check.
    wrong: Mutex<Newest<(TokenHash, Thumbprint), ()>>,
}

impl Default for Memo {
    fn default() -> Self {
        Self {
            right: Mutex::new(Newest::new(MOST_REMEMBERED)),
            wrong: Mutex::new(Newest::new(MOST_WRONG)),
        }
    }
}

/// Verifies `token` for `rule` with `keys`, which are those of the rule. `unix` is in milliseconds.
pub fn verify(
    token: &Token,
    rule: &Jwt,
    keys: &KeySet,
    memo: &Memo,
    unix: u64,
) -> Result<Arc<Verified>, Unverified> {
    let known = memo.right.lock().find(&token.hash).cloned();
    let verified = match known.filter(|known| known.is_by(keys)) {
        Some(known) => known,
        None => {
            let verified = Arc::new(check_signature(token, rule, keys, memo)?);
            memo.right.lock().put(token.hash, verified.clone());
            verified
        }
    };
    if is_for(&verified, rule, unix) {
        Ok(verified)
    } else {
        Err(Unverified::NotForHere)
    }
}

/// Whether a rightly signed token is one that `rule` takes now.
pub fn is_for(verified: &Verified, rule: &Jwt, unix: u64) -> bool {
    let (claims, seconds) = (&verified.claims, unix / 1000);
    let fresh = match claims.expires {
        Some(expires) => seconds < expires.saturating_add(LEEWAY),
        None => !rule.require_exp,
    };
    let begun = claims
        .not_before
        .is_none_or(|begin| begin <= seconds + LEEWAY);
    let issuer = rule.issuer.as_deref();
    fresh
        && begun
        && takes(rule, verified.algorithm)
        && issuer.is_none_or(|issuer| claims.issuer.as_deref() == Some(issuer))
        && (rule.audiences.is_empty()
            || claims
                .audiences
                .iter()
                .any(|audience| rule.audiences.iter().any(|ours| **ours == **audience)))
}

fn takes(rule: &Jwt, algorithm: Algorithm) -> bool {
    rule.algorithms
        .iter()
        .copied()
        .map(JwtAlgorithm::algorithm)
        .any(|taken| taken == algorithm)
}

fn check_signature(
    token: &Token,
    rule: &Jwt,
    keys: &KeySet,
    memo: &Memo,
) -> Result<Verified, Unverified> {
    let text = token.text.expose();
    if text.len() > TOKEN_BYTES {
        return Err(Unverified::Foreign);
    }
    let header = decode_header(&**text).or(Err(Unverified::Foreign))?;
    // `crit` names what must be understood (RFC 7515, section 4.1.11), and none of it is.
    if header.crit.is_some() || !takes(rule, header.alg) {
        return Err(Unverified::Foreign);
    }
    let kid = header.kid.as_deref();
    let mut named = false;
    for key in keys.fitting(header.alg, kid).take(MOST_TRIED) {
        named |= key.is_named() && kid.is_some();
        let pair = (token.hash, key.thumbprint());
        if memo.wrong.lock().find(&pair).is_some() {
            continue;
        }
        match signed_by(key, text, header.alg) {
            Some(claims) => {
                return Ok(Verified {
                    key: key.thumbprint(),
                    algorithm: header.alg,
                    claims,
                });
            }
            None => memo.wrong.lock().put(pair, ()),
        }
    }
    // Where names do not tell, a newer set may have the key that signed it.
    Err(if named {
        Unverified::Foreign
    } else {
        Unverified::NoSuchKey
    })
}

/// The claims, if `key` signed them. What they say is looked at later, in one place for new and known tokens.
fn signed_by(key: &Key, token: &str, algorithm: Algorithm) -> Option<Claims> {
    let mut signature_only = Validation::new(algorithm);
    signature_only.required_spec_claims.clear();
    signature_only.validate_exp = false;
    signature_only.validate_aud = false;
    let data = decode::<Box<RawValue>>(token, key.decoding(), &signature_only).ok()?;
    Claims::parse(data.claims.get())
}
