//! What single values of the command line may be.
//!
//! Owns: one function for each kind of value, its error the end of a sentence; the identity of a process
//! that was given none. Pure. Used by: `args`.

use super::Around;
use crds::duration::DurationText;
use std::time::Duration;

/// The longest window of scaling: what is remembered stays small, and nobody waits longer on purpose.
const LONGEST_WINDOW: Duration = Duration::from_secs(3600);
/// The most bytes of an identity. The name of a pod of a Deployment has at most 63, its uid 36; with the
/// prefix of the lease crate the field manager stays below the 128 that the API server takes.
const IDENTITY_BYTES: usize = 100;

/// A DNS label, as names of namespaces are.
pub fn label(text: &str) -> Result<String, &'static str> {
    if text.len() > 63 || text.contains('.') || object_name(text).is_err() {
        return Err("use 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit");
    }
    Ok(text.to_owned())
}

/// What objects of Kubernetes may be called.
pub fn object_name(text: &str) -> Result<String, &'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let part = |part: &str| {
        let edge = |byte: Option<u8>| byte.is_some_and(plain);
        edge(part.bytes().next())
            && edge(part.bytes().next_back())
            && part.bytes().all(|byte| plain(byte) || byte == b'-')
    };
    if text.len() > 253 || !text.split('.').all(part) {
        return Err(
            "use 1 to 253 of a-z, 0-9, - and ., its parts beginning and ending with a letter or digit",
        );
    }
    Ok(text.to_owned())
}

/// Who holds a Lease.
pub fn identity(text: &str) -> Result<String, &'static str> {
    let within = (1..=IDENTITY_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !within {
        return Err("use 1 to 100 of letters, digits and -_.");
    }
    Ok(text.to_owned())
}

/// The identity of a process that was given none: of its pod, which a new container in it keeps and so gets
/// its Lease back at once; else of its host and a number that nobody else draws.
pub fn own_identity(around: &Around<'_>) -> String {
    let pod = (around.variable)("POD_NAME").zip((around.variable)("POD_UID"));
    if let Some(pod) = pod.and_then(|(name, uid)| identity(&format!("{name}_{uid}")).ok()) {
        return pod;
    }
    let host = (around.variable)("POD_NAME").or_else(|| (around.variable)("HOSTNAME"));
    let drawn = format!("{:016x}", around.chance);
    host.and_then(|host| identity(&format!("{host}_{drawn}")).ok())
        .unwrap_or_else(|| format!("operator_{drawn}"))
}

/// How long something must have been so: none at all up to an hour.
pub fn while_long(text: &str) -> Result<Duration, String> {
    let time = DurationText::new(text)
        .read()
        .map_err(|error| error.to_string())?;
    if time > LONGEST_WINDOW {
        return Err("use at most 1h".to_owned());
    }
    Ok(time)
}

/// Time between two steps: a second at least, up to an hour.
pub fn every(text: &str) -> Result<Duration, String> {
    let time = while_long(text)?;
    if time < Duration::from_secs(1) {
        return Err("use 1s to 1h".to_owned());
    }
    Ok(time)
}
