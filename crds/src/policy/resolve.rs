//! Reads what a Channel takes from Secrets, in the form that a Snapshot carries.
//!
//! Owns: the Secrets of a Channel, and what a missing one means: a token rule admits nobody, a Redis server
//! keeps the credentials in use. Never: keeps a bearer token in clear. Used by: `compile`, `snapshot`.

use super::credentials::Credentials;
use super::{Form, Problem, Rejection, TokenHolder};
use crate::channel::{
    AccessRule, ChannelSpec, JwtAlgorithm, RedisSpec, SecretKeyReference, SecretReference,
};
use crate::keys::KeySet;
use crate::name::ChannelName;
use crate::reason::Reason;
use crate::secret::Secret;
use crate::secrets::{Found, SecretData, Secrets};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most keys of a Secret with tokens: 500 hashes take 19 KB of the 1 MiB that a Snapshot has.
pub const TOKEN_KEYS: usize = 500;

/// What a Channel takes from Secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// None when the spec names no Secret for Redis, or none was ever found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    redis: Option<Credentials>,
    /// Secret to client to the SHA-256 of its token, in hex; a missing Secret has no entry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tokens: BTreeMap<String, BTreeMap<String, String>>,
    /// Secret and key, with `/` between, to the value in hex; what is missing or wrong has no entry.
    #[serde(
        default,
        with = "exposed_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    keys: BTreeMap<String, Secret<Vec<u8>>>,
}

impl Resolved {
    /// Reads every Secret that `spec` names. `before` is the form that the same Channel had: what it took
    /// from a Secret that cannot be read now stays, and so do its credentials for the same Redis server.
    pub fn read(
        channel: &ChannelName,
        spec: &ChannelSpec,
        secrets: &Secrets,
        before: Option<&Form>,
    ) -> Result<(Self, Vec<Problem>), Rejection> {
        let reader = Reader {
            channel,
            secrets,
            before: before.map(|before| &before.resolved),
        };
        let mut problems = Vec::new();
        let redis = match reader.redis(spec.redis.as_ref()) {
            Ok(credentials) => credentials,
            Err(problem) => {
                problems.push(problem);
                let same_server = before.filter(|before| before.spec.redis == spec.redis);
                same_server.and_then(|before| before.resolved.redis.clone())
            }
        };
        let mut tokens = BTreeMap::new();
        for name in token_secrets(spec) {
            if let Some(hashes) = reader.tokens(name, &mut problems)? {
                tokens.insert(name.to_owned(), hashes);
            }
        }
        let mut keys = BTreeMap::new();
        for rule in access_rules(spec).filter_map(|rule| rule.jwt.as_ref()) {
            let Some(source) = &rule.key else { continue };
            let value = reader.key(&source.secret_ref, &rule.algorithms, &mut problems);
            keys.extend(value.map(|value| (key_name(&source.secret_ref), value)));
        }
        let resolved = Self {
            redis,
            tokens,
            keys,
        };
        Ok((resolved, problems))
    }

    /// The credentials for the Channel's own Redis server.
    pub fn redis(&self) -> Option<&Credentials> {
        self.redis.as_ref()
    }

    /// The clients of a Secret with tokens, in order of their names; nobody when it is missing.
    pub fn holders(&self, secret: &SecretReference) -> Arc<[TokenHolder]> {
        let clients = self.tokens.get(&secret.name).into_iter().flatten();
        clients
            .filter_map(|(name, hash)| {
                Some(TokenHolder {
                    name: name.as_str().into(),
                    sha256: from_hex(hash)?,
                })
            })
            .collect()
    }

    /// The keys of a jwt rule; none when the Secret does not hold any.
    pub fn keys(&self, reference: &SecretKeyReference, algorithms: &[JwtAlgorithm]) -> KeySet {
        let value = self.keys.get(&key_name(reference));
        value
            .and_then(|value| KeySet::from_secret(value.expose(), algorithms).ok())
            .unwrap_or_default()
    }
}

fn key_name(reference: &SecretKeyReference) -> String {
    format!("{}/{}", reference.name, reference.key)
}

fn access_rules(spec: &ChannelSpec) -> impl Iterator<Item = &AccessRule> {
    let access = spec.access.iter();
    access.flat_map(|access| access.subscribe.iter().chain(&access.publish))
}

/// The Secrets that tokens rules name, each once.
fn token_secrets(spec: &ChannelSpec) -> BTreeSet<&str> {
    access_rules(spec)
        .filter_map(|rule| Some(rule.tokens.as_ref()?.secret_ref.name.as_str()))
        .collect()
}

/// Reads Secrets for one Channel.
struct Reader<'a> {
    channel: &'a ChannelName,
    secrets: &'a Secrets,
    /// What the Channel had before.
    before: Option<&'a Resolved>,
}

impl Reader<'_> {
    /// The content of a Secret. `missing` goes on from "create it".
    fn data(&self, name: &str, missing: &str) -> Result<&SecretData, Problem> {
        match self.secrets.get(self.channel.namespace(), name) {
            Found::Yes(data) => Ok(data),
            Found::Unreadable => Err(Problem {
                reason: Reason::SecretUnreadable,
                message: format!(
                    "Secret {name:?} cannot be read now, so what it held before stays in force; the log of the operator says why."
                ),
            }),
            Found::No => Err(lacking(format!(
                "Secret {name:?} does not exist in namespace {:?}; create it {missing}.",
                self.channel.namespace(),
            ))),
        }
    }

    /// The clients of a Secret with tokens; none when it is missing.
    fn tokens(
        &self,
        name: &str,
        problems: &mut Vec<Problem>,
    ) -> Result<Option<BTreeMap<String, String>>, Rejection> {
        let missing =
            "with a key for each client; until then the tokens rule that names it admits nobody";
        match self.data(name, missing) {
            Ok(data) => read_tokens(name, data, problems).map(Some),
            Err(problem) => {
                let stays = problem.reason == Reason::SecretUnreadable;
                problems.push(problem);
                let before = self.before.filter(|_| stays);
                Ok(before.and_then(|before| before.tokens.get(name).cloned()))
            }
        }
    }

    /// The value of a key, if it can verify what the algorithms sign.
    fn key(
        &self,
        reference: &SecretKeyReference,
        algorithms: &[JwtAlgorithm],
        problems: &mut Vec<Problem>,
    ) -> Option<Secret<Vec<u8>>> {
        let SecretKeyReference { name, key } = reference;
        let until = "until then the jwt rule that names it admits nobody";
        let read = |data: &SecretData| {
            let Some(value) = data.get(key) else {
                return Err(format!(
                    "Secret {name:?} has no key {key:?}; add it; {until}."
                ));
            };
            let value = trimmed(value.expose());
            match KeySet::from_secret(value, algorithms) {
                Ok(_) => Ok(Secret::new(value.to_vec())),
                Err(said) => Err(format!("key {key:?} of Secret {name:?} {said}; {until}.")),
            }
        };
        let missing = format!("with the key {key:?}; {until}");
        let problem = match self.data(name, &missing).map(read) {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(message)) => lacking(message),
            Err(problem) => problem,
        };
        let stays = problem.reason == Reason::SecretUnreadable;
        if !problems.contains(&problem) {
            problems.push(problem);
        }
        let before = self.before.filter(|_| stays)?;
        before.keys.get(&key_name(reference)).cloned()
    }

    fn redis(&self, redis: Option<&RedisSpec>) -> Result<Option<Credentials>, Problem> {
        let Some(reference) = redis.and_then(|redis| redis.secret_ref.as_ref()) else {
            return Ok(None);
        };
        let missing = "or remove spec.redis.secretRef; until then the credentials last known are used, if any";
        let data = self.data(&reference.name, missing)?;
        Credentials::read(&reference.name, data)
            .map(Some)
            .map_err(lacking)
    }
}

fn lacking(message: String) -> Problem {
    Problem {
        reason: Reason::SecretMissing,
        message,
    }
}

fn read_tokens(
    name: &str,
    data: &SecretData,
    problems: &mut Vec<Problem>,
) -> Result<BTreeMap<String, String>, Rejection> {
    if data.len() > TOKEN_KEYS {
        return Err(Rejection::new(
            Reason::TooLarge,
            format!(
                "Secret {name:?} has {} keys and a tokens rule takes at most {TOKEN_KEYS}; split it over several rules.",
                data.len()
            ),
        ));
    }
    if data.is_empty() {
        problems.push(lacking(format!(
            "Secret {name:?} has no keys, so its tokens rule admits nobody; add a key for each client."
        )));
    }
    let mut hashes = BTreeMap::new();
    for (client, token) in data {
        match trimmed(token.expose()) {
            [] => problems.push(lacking(format!(
                "key {client:?} of Secret {name:?} is empty and admits nobody; fill it or remove it."
            ))),
            token => {
                hashes.insert(client.clone(), to_hex(&Sha256::digest(token)));
            }
        }
    }
    Ok(hashes)
}

/// Without one newline at its end, which editors and `echo` leave there.
pub fn trimmed(value: &[u8]) -> &[u8] {
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    value.strip_suffix(b"\r").unwrap_or(value)
}

/// Lower-case hex.
pub fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes any text");
        hex
    })
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    bytes_of(text)?.try_into().ok()
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    if !hex.len().is_multiple_of(2) || !hex.is_ascii() {
        return None;
    }
    let pairs = (0..hex.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok())
        .collect()
}

/// Writes secrets into the Snapshot, in hex: it is itself a Secret.
mod exposed_map {
    use crate::secret::Secret;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::collections::BTreeMap;

    pub fn serialize<S: Serializer>(
        values: &BTreeMap<String, Secret<Vec<u8>>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let hex = values.iter();
        serializer.collect_map(hex.map(|(name, value)| (name, super::to_hex(value.expose()))))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Secret<Vec<u8>>>, D::Error> {
        let texts = BTreeMap::<String, String>::deserialize(deserializer)?;
        let values = texts.into_iter().map(|(name, hex)| {
            let value =
                super::bytes_of(&hex).ok_or_else(|| D::Error::custom("a key is not hex"))?;
            Ok((name, Secret::new(value)))
        });
        values.collect()
    }
}
