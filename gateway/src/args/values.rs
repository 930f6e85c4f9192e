//! What single values of the command line may be.
//!
//! Owns: one function for each kind of value, its error the end of a sentence. Pure. Used by: `args`.

use crds::duration::DurationText;
use ipnet::IpNet;
use serde_json::Value;
use std::net::IpAddr;
use std::time::Duration;

/// The longest endpoint delay and the longest drain; Kubernetes waits as long only when told to.
const LONGEST_DRAIN: Duration = Duration::from_secs(3600);

/// A DNS label, as names of fleets and namespaces are.
pub fn label(text: &str) -> Result<String, &'static str> {
    if text.len() > 63 || !is_part(text) {
        return Err("use 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit");
    }
    Ok(text.to_owned())
}

/// What stands between the dots of a name in Kubernetes.
fn is_part(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !(text.is_empty() || text.starts_with('-') || text.ends_with('-'))
}

/// Namespace and name of a Secret.
pub fn secret_name(text: &str) -> Result<(String, String), &'static str> {
    const WRONG: &str = "write NAMESPACE/NAME, as in siar/siar-default";
    let (namespace, name) = text.split_once('/').ok_or(WRONG)?;
    let namespace = label(namespace).or(Err(WRONG))?;
    if name.len() > 253 || !name.split('.').all(is_part) {
        return Err(WRONG);
    }
    Ok((namespace, name.to_owned()))
}

/// Without braces, which decide the slot in a cluster, and without glob characters.
pub fn key_prefix(text: &str) -> Result<String, &'static str> {
    let within = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte));
    if !within {
        return Err("use 1 to 64 of letters, digits and -_.:/");
    }
    Ok(text.to_owned())
}

/// What may be the name of a cookie without quoting.
pub fn cookie_name(text: &str) -> Result<String, &'static str> {
    let within = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !within {
        return Err("use 1 to 64 of letters, digits and -_.");
    }
    Ok(text.to_owned())
}

/// A network, or an address that stands for itself.
pub fn network(text: &str) -> Result<IpNet, &'static str> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_invalid| "write networks as 10.0.0.0/8 or addresses as 10.1.2.3")
}

/// One claim of a token.
pub fn claim(text: &str) -> Result<(String, Value), &'static str> {
    let (name, value) = text.split_once('=').ok_or("write name=JSON")?;
    if name.is_empty() {
        return Err("write name=JSON");
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok((name.to_owned(), value))
}

/// How long a token is good.
pub fn lifetime(text: &str) -> Result<Duration, &'static str> {
    const WRONG: &str = "use 1s to 8760h, as in 1h";
    let time = DurationText::new(text).read().or(Err(WRONG))?;
    let longest = Duration::from_secs(365 * 24 * 3600);
    (Duration::from_secs(1)..=longest)
        .contains(&time)
        .then_some(time)
        .ok_or(WRONG)
}

/// Up to an hour.
pub fn pause(text: &str) -> Result<Duration, String> {
    let pause = DurationText::new(text)
        .read()
        .map_err(|error| error.to_string())?;
    if pause > LONGEST_DRAIN {
        return Err("use at most 1h".to_owned());
    }
    Ok(pause)
}

/// Where a gateway is: a path may come before its own ones, nothing after.
pub fn base_url(text: &str) -> Result<String, &'static str> {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let good = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    if !good || text.contains(['?', '#', '@']) || text.contains(char::is_whitespace) {
        return Err("write http://HOST:PORT or https://HOST, with no more than a path behind it");
    }
    Ok(text.to_owned())
}
