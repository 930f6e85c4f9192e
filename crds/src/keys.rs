//! Keys that verify tokens.
//!
//! Owns: what of a JSON Web Key Set or a Secret can be used, and for which algorithms. Never: verifies a
//! token, the gateway's `access` does. Pure. Used by: `policy`, and the gateway for sets that it fetches.

use crate::channel::JwtAlgorithm;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

/// The most keys of a set that are looked at; the largest issuers publish about ten.
pub const MOST_KEYS: usize = 64;
/// The fewest bytes of a shared key (RFC 7518, section 3.2: as many as the hash of HS256 has).
pub const LEAST_SHARED: usize = 32;

/// The first bytes of the SHA-256 of a key: enough to tell keys apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thumbprint([u8; 16]);

/// One key.
#[derive(Clone)]
pub struct Key {
    /// `kid`; a token that names another is not for this key.
    id: Option<Arc<str>>,
    /// What the set says that it is for; none: any of its family.
    algorithm: Option<Algorithm>,
    curve: Option<EllipticCurve>,
    decoding: DecodingKey,
    thumbprint: Thumbprint,
}

/// The keys of one issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet(Vec<Key>);

/// Why there is no key; the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    #[error("is no JSON Web Key Set: an object with `keys`")]
    NotASet,
    #[error(
        "holds no key that can verify a token: public keys of the kinds RSA, EC and OKP (Ed25519)"
    )]
    NoneUsable,
    #[error("holds a private key; put the public one there")]
    Private,
    #[error("holds no public key in PEM that can be read: RSA, EC (P-256, P-384) or Ed25519")]
    NoPem,
    #[error(
        "holds a public key; HS256, HS384 and HS512 take a shared key, any bytes that only both sides know"
    )]
    PublicAsShared,
    #[error(
        "is shorter than {LEAST_SHARED} bytes; make a longer key, as with `openssl rand -base64 48`"
    )]
    Short,
    #[error("holds a key of another kind than spec's algorithms need")]
    OtherFamily,
}

impl Key {
    fn new(decoding: DecodingKey) -> Self {
        let (family, parts) = match decoding.kind() {
            DecodingKeyKind::SecretOrDer(bytes) => ("bytes", [&**bytes, &[]]),
            DecodingKeyKind::RsaModulusExponent { n, e } => ("n, e", [&**n, &**e]),
        };
        // With their lengths: where one part ends and the next begins tells keys apart, too.
        let mut hash = Sha256::new();
        hash.update(format!("{:?} {family}", decoding.family()));
        for part in parts {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        let mut thumbprint = [0; 16];
        thumbprint.copy_from_slice(&hash.finalize()[..16]);
        Self {
            id: None,
            algorithm: None,
            curve: None,
            decoding,
            thumbprint: Thumbprint(thumbprint),
        }
    }

    /// A key of a set, if it is one that verifies signatures of others. A shared key in a published set would
    /// let everybody sign.
    fn of_jwk(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        if common
            .public_key_use
            .as_ref()
            .is_some_and(|usage| *usage != PublicKeyUse::Signature)
        {
            return None;
        }
        let operations = common.key_operations.as_ref();
        if operations.is_some_and(|operations| !operations.contains(&KeyOperations::Verify)) {
            return None;
        }
        let curve = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => None,
            AlgorithmParameters::EllipticCurve(key) => Some(key.curve.clone()),
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => None,
            _ => return None,
        };
        let algorithm = match &common.key_algorithm {
            Some(named) => Some(named.to_string().parse().ok()?),
            None => None,
        };
        let decoding = DecodingKey::from_jwk(jwk).ok()?;
        Some(Self {
            id: common.key_id.as_deref().map(Into::into),
            algorithm,
            curve,
            ..Self::new(decoding)
        })
    }

    /// Whether it may verify a token signed with `algorithm` that names `kid`.
    #[must_use]
    pub fn fits(&self, algorithm: Algorithm, kid: Option<&str>) -> bool {
        let named = match (&self.id, kid) {
            (Some(id), Some(kid)) => **id == *kid,
            _ => true,
        };
        let curve = match (&self.curve, algorithm) {
            (Some(curve), Algorithm::ES256) => *curve == EllipticCurve::P256,
            (Some(curve), Algorithm::ES384) => *curve == EllipticCurve::P384,
            _ => true,
        };
        named
            && curve
            && self.decoding.family() == algorithm.family()
            && self.algorithm.is_none_or(|only| only == algorithm)
    }

    /// Whether it has a `kid`.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.id.is_some()
    }

    /// What verifies.
    #[must_use]
    pub fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }

    /// What tells it apart.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        let told = |key: &Self| {
            (
                key.id.clone(),
                key.algorithm,
                key.curve.clone(),
                key.thumbprint,
            )
        };
        told(self) == told(other)
    }
}

impl Eq for Key {}

impl KeySet {
    /// Reads a JSON Web Key Set (RFC 7517). Keys of unknown kinds are left out.
    pub fn from_jwks(json: &[u8]) -> Result<Self, NoKey> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(json).or(Err(NoKey::NotASet))?;
        let keys = set.keys.into_iter().take(MOST_KEYS);
        let keys: Vec<Key> = keys
            .filter_map(|value| Key::of_jwk(&serde_json::from_value(value).ok()?))
            .collect();
        if keys.is_empty() {
            return Err(NoKey::NoneUsable);
        }
        Ok(Self(keys))
    }

    /// Reads the value of a Secret: a public key in PEM, or with HS algorithms the bytes of a shared key.
    pub fn from_secret(value: &[u8], algorithms: &[JwtAlgorithm]) -> Result<Self, NoKey> {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let family = |algorithm: &JwtAlgorithm| algorithm.algorithm().family();
        let shared = algorithms
            .iter()
            .all(|algorithm| family(algorithm) == AlgorithmFamily::Hmac);
        if shared {
            return match value {
                _ if text.contains("-----BEGIN ") => Err(NoKey::PublicAsShared),
                _ if value.len() < LEAST_SHARED => Err(NoKey::Short),
                _ => Ok(Self(vec![Key::new(DecodingKey::from_secret(value))])),
            };
        }
        if text.contains("PRIVATE KEY-----") {
            return Err(NoKey::Private);
        }
        let read = DecodingKey::from_rsa_pem(value)
            .or_else(|_| DecodingKey::from_ec_pem(value))
            .or_else(|_| DecodingKey::from_ed_pem(value));
        let decoding = read.or(Err(NoKey::NoPem))?;
        if !algorithms
            .iter()
            .any(|algorithm| family(algorithm) == decoding.family())
        {
            return Err(NoKey::OtherFamily);
        }
        Ok(Self(vec![Key::new(decoding)]))
    }

    /// The keys that may verify a token signed with `algorithm` that names `kid`.
    pub fn fitting<'a>(
        &'a self,
        algorithm: Algorithm,
        kid: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Key> {
        self.0.iter().filter(move |key| key.fits(algorithm, kid))
    }

    /// What tells its keys apart, in their order.
    pub fn thumbprints(&self) -> impl Iterator<Item = Thumbprint> {
        self.0.iter().map(Key::thumbprint)
    }
}

impl JwtAlgorithm {
    /// As the verifying library calls it.
    #[must_use]
    pub fn algorithm(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::Hs384 => Algorithm::HS384,
            Self::Hs512 => Algorithm::HS512,
            Self::Rs256 => Algorithm::RS256,
            Self::Rs384 => Algorithm::RS384,
            Self::Rs512 => Algorithm::RS512,
            Self::Ps256 => Algorithm::PS256,
            Self::Es256 => Algorithm::ES256,
            Self::Es384 => Algorithm::ES384,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

#[cfg(test)]
mod tests;
