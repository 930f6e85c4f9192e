//! Tells people and scripts where the gateway listens.
//!
//! Owns: the addresses really bound, the ready file, the line to try on a terminal. Used by: `app`.

use crds::pattern::TopicPattern;
use crds::policy::{Policy, Rule, RuleKind};
use crds::snapshot::Snapshot;
use serde::Serialize;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The addresses really bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Addresses {
    pub public: SocketAddr,
    /// None without TLS.
    pub tls: Option<SocketAddr>,
    pub admin: SocketAddr,
}

/// Writes `addresses` as JSON to `path`. Whoever sees the file sees all of it.
pub fn write_ready_file(path: &Path, addresses: &Addresses) -> io::Result<()> {
    let next = beside(path);
    fs::write(&next, serde_json::to_vec(addresses)?)?;
    fs::rename(&next, path)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

/// On a terminal, shows a command to try.
pub fn show_command(public: SocketAddr, default_namespace: &str, snapshot: &Snapshot) {
    let mut terminal = io::stderr();
    if terminal.is_terminal()
        && let Some(command) = command(public, default_namespace, snapshot)
    {
        // A terminal that is gone needs no advice.
        drop(writeln!(terminal, "\n  try: {command}\n"));
    }
}

/// Listens to the first topic that everybody may listen to.
fn command(public: SocketAddr, default_namespace: &str, snapshot: &Snapshot) -> Option<String> {
    let open = |policy: &&Arc<Policy>| {
        let mut rules = policy.access.subscribe.iter();
        let anybody = |rule: &Rule| rule.kind == RuleKind::Anonymous && rule.when.is_none();
        rules.any(anybody) && literal(policy).is_some()
    };
    let policy = snapshot.policies().iter().find(open)?;
    let topic = literal(policy)?;
    let namespace = &**policy.channel.namespace();
    let path = if namespace == default_namespace {
        "/stream".to_owned()
    } else {
        format!("/{namespace}/stream")
    };
    Some(format!(
        "curl -N 'http://{}{path}?channel={topic}'",
        reachable(public)
    ))
}

/// The first topic that needs no quoting in a URL.
fn literal(policy: &Policy) -> Option<&str> {
    let plain = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let mut patterns = policy.topics.iter();
    let found = patterns.find(|pattern| pattern.is_literal() && plain(pattern.as_str()));
    found.map(TopicPattern::as_str)
}

/// "All addresses" is none that one can connect to.
fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_file_is_json_with_the_addresses() {
        let name = format!("siar-ready-{}.json", std::process::id());
        let path = std::env::temp_dir().join(name);
        let addresses = Addresses {
            public: "127.0.0.1:8080".parse().unwrap(),
            tls: None,
            admin: "127.0.0.1:9090".parse().unwrap(),
        };
        write_ready_file(&path, &addresses).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(
            text,
            r#"{"public":"127.0.0.1:8080","tls":null,"admin":"127.0.0.1:9090"}"#
        );
    }

    #[test]
    fn all_addresses_are_tried_on_loopback() {
        let all = "0.0.0.0:8080".parse().unwrap();
        assert_eq!(reachable(all).to_string(), "127.0.0.1:8080");
        let one = "192.0.2.1:8080".parse().unwrap();
        assert_eq!(reachable(one), one);
    }
}
