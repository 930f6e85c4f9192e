//! The Secret of a Redis server.
//!
//! Owns: which keys it has and what may stand in them. Never: repeats a value. Used by: `resolve`, `redis`.

use super::resolve::trimmed;
use crate::secret::Secret;
use crate::secrets::SecretData;
use serde::{Deserialize, Serialize};

/// What a client shows to a Redis server, and by what it knows the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(default, with = "exposed", skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<String>,
    #[serde(default, with = "exposed", skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentinel_username: Option<String>,
    #[serde(default, with = "exposed", skip_serializing_if = "Option::is_none")]
    pub sentinel_password: Option<Secret<String>>,
}

impl Credentials {
    /// Reads the keys of the Secret `name`; the error says which one is wrong, and what to do.
    pub fn read(name: &str, data: &SecretData) -> Result<Self, String> {
        let text = |key: &str| read_text(name, data, key);
        let credentials = Self {
            username: text("username")?,
            password: text("password")?.map(Secret::new),
            ca: pem(name, "ca.crt", text("ca.crt")?)?,
            cert: pem(name, "tls.crt", text("tls.crt")?)?,
            key: pem(name, "tls.key", text("tls.key")?)?.map(Secret::new),
            sentinel_username: text("sentinel-username")?,
            sentinel_password: text("sentinel-password")?.map(Secret::new),
        };
        if credentials == Self::default() {
            return Err(format!(
                "Secret {name:?} has none of the keys username, password, ca.crt, tls.crt, tls.key, sentinel-username, sentinel-password; add one or remove spec.redis.secretRef."
            ));
        }
        if credentials.cert.is_some() != credentials.key.is_some() {
            return Err(format!(
                "Secret {name:?} has only one of the keys tls.crt and tls.key; add the other or remove both."
            ));
        }
        if credentials.sentinel_username.is_some() && credentials.sentinel_password.is_none() {
            return Err(format!(
                "Secret {name:?} has the key sentinel-username without sentinel-password; add that or remove both."
            ));
        }
        Ok(credentials)
    }
}

/// The text of a key without one newline at its end, which editors and `echo` leave there.
fn read_text(name: &str, data: &SecretData, key: &str) -> Result<Option<String>, String> {
    let Some(value) = data.get(key) else {
        return Ok(None);
    };
    match std::str::from_utf8(trimmed(value.expose())) {
        Ok("") => Err(format!(
            "key {key:?} of Secret {name:?} is empty; fill it or remove it."
        )),
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_not_text) => Err(format!(
            "key {key:?} of Secret {name:?} is not UTF-8 text; write it anew."
        )),
    }
}

fn pem(name: &str, key: &str, text: Option<String>) -> Result<Option<String>, String> {
    match text {
        Some(text) if !text.contains("-----BEGIN ") => Err(format!(
            "key {key:?} of Secret {name:?} is not PEM; it must hold a block that begins with -----BEGIN."
        )),
        text => Ok(text),
    }
}

/// Writes a secret into the Snapshot, which is itself a Secret: the one place where it is allowed.
mod exposed {
    use crate::secret::Secret;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(
        value: &Option<Secret<String>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Secret::expose).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret<String>>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
    }
}
