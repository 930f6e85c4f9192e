//! One entry of `--allow-targets`: a host pattern, an address or a network.
//!
//! Owns: how it is written, and what it matches. Never: decides alone (`targets` does). Used by: `targets`.

use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv6Addr};

/// The most bytes of a host name.
pub(super) const HOST_BYTES: usize = 253;
/// The most bytes of a label of it.
const LABEL_BYTES: usize = 63;

/// What may be named: `auth.shop`, `*.example.com` (one or more labels in place of the star),
/// `10.1.2.3`, `10.0.0.0/8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry(pub(super) Kind);

/// The two ways to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Every address of this host, lower-case and without the dot at its end.
    Host(String),
    /// The same for all hosts below; begins with a dot.
    Below(String),
    /// These addresses, whatever name led there.
    Network(IpNet),
}

impl Entry {
    /// Reads one entry; the error is the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(network) = network(text) {
            return Ok(Self(Kind::Network(network)));
        }
        let text = normal(text);
        let (below, host) = match text.strip_prefix("*.") {
            Some(host) => (true, host),
            None => (false, &*text),
        };
        if !is_host(host) {
            return Err(
                "write hosts as auth.shop or *.example.com, addresses as 10.1.2.3, networks as 10.0.0.0/8",
            );
        }
        Ok(Self(if below {
            Kind::Below(format!(".{host}"))
        } else {
            Kind::Host(text)
        }))
    }

    /// Whether it names this host, given in [`normal`] form.
    pub(super) fn names(&self, host: &str) -> bool {
        match &self.0 {
            Kind::Host(name) => host == name,
            Kind::Below(ending) => host.len() > ending.len() && host.ends_with(&**ending),
            Kind::Network(_) => false,
        }
    }

    /// Whether it is a network that holds this address, given in canonical form.
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        matches!(&self.0, Kind::Network(network) if network.contains(&address))
    }

    /// Whether it is a network, so that an unknown name may lead into it.
    pub(super) fn is_network(&self) -> bool {
        matches!(self.0, Kind::Network(_))
    }
}

/// The form in which host names are compared: lower-case, without the dot at the end.
pub(super) fn normal(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// A network, or an address that stands for itself. IPv4 inside IPv6 is the IPv4 that it means.
fn network(text: &str) -> Option<IpNet> {
    let network = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .ok()?
        .trunc();
    let IpNet::V6(six) = network else {
        return Some(network);
    };
    let mapped = Ipv6Addr::to_ipv4_mapped(&six.addr());
    let within = six.prefix_len().checked_sub(96);
    let four = mapped
        .zip(within)
        .and_then(|(four, length)| Ipv4Net::new(four, length).ok());
    Some(four.map_or(network, IpNet::V4))
}

/// Whether it is a name; what ends in a number is an address to browsers, curl and us.
fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_BYTES).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    host.len() <= HOST_BYTES
        && host.split('.').all(is_label)
        && matches!(url::Host::parse(host), Ok(url::Host::Domain(_)))
}
