//! Where the URLs of tenants may lead: `jwks.url`, `webhook.url`, `redis.url`.
//!
//! Owns: judging a URL before it is in force, and each address before it is connected to. Never:
//! resolves a name; repeats the user info of a URL. Used by: `policy`, the gateway's `outbound` and
//! `broker::redis`.

mod entry;

pub use entry::Entry;

use crate::redis_url::RedisUrl;
use entry::{HOST_BYTES, normal};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// Where URLs of tenants may lead.
///
/// Without a list: everywhere but to loopback, link-local, unspecified and multicast addresses and
/// to those that are forbidden by name of address, such as the API server's. Names do not count.
///
/// A list replaces all of that. Then an address is admitted that stands in one of its networks, and
/// so is every address, of whatever kind, of a host that one of its patterns names: who lists a name
/// trusts whoever answers for it in the DNS. A pattern exempts from nothing else: schemes, user info
/// and redirects are refused as ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets(Scope);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Scope {
    Open {
        loopback: bool,
        forbidden: BTreeSet<IpAddr>,
    },
    Listed(Vec<Entry>),
}

impl Targets {
    /// The default in a cluster; `forbidden` are the addresses of its API server.
    #[must_use]
    pub fn cluster(forbidden: impl IntoIterator<Item = IpAddr>) -> Self {
        Self(Scope::Open {
            loopback: false,
            forbidden: forbidden
                .into_iter()
                .map(|address| address.to_canonical())
                .collect(),
        })
    }

    /// The default of a gateway that reads its manifests from files: loopback is admitted, too.
    #[must_use]
    pub fn standalone() -> Self {
        Self(Scope::Open {
            loopback: true,
            forbidden: BTreeSet::new(),
        })
    }

    /// Only what is listed; with an empty list, nothing.
    #[must_use]
    pub fn listed(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self(Scope::Listed(entries.into_iter().collect()))
    }

    /// Whether a connection to `address` may be made, to which `host` led: a name, or the address itself
    /// where a URL names that.
    #[must_use]
    pub fn admits(&self, host: &str, address: IpAddr) -> bool {
        let host = normal(host);
        match &self.0 {
            Scope::Open { .. } => self.fault(address).is_none(),
            Scope::Listed(entries) => entries
                .iter()
                .any(|entry| entry.names(&host) || entry.holds(address.to_canonical())),
        }
    }

    /// Judges every host that the URL of a Redis names, as [`Targets::judge_url`] does.
    pub fn judge_redis(&self, url: &RedisUrl) -> Result<(), String> {
        url.hosts().iter().try_for_each(|node| {
            match node.host().parse().map(|address: Ipv6Addr| address) {
                Ok(address) => self.judge_address(address.into()),
                Err(_name) => self.judge_host(node.host()),
            }
        })
    }

    /// Judges a URL of the web by what it says, before anybody resolves its host. The error goes on from the name of
    /// a field: "leads to …; name another host …", without a full stop.
    ///
    /// An address is judged as it will be for a connection. A name passes unless it is certain that no
    /// address of it is admitted: `localhost` leads to loopback, and a list without networks admits only
    /// the names in it. What else a name leads to is judged by [`Targets::admits`], address by address.
    pub fn judge_url(&self, url: &str) -> Result<(), String> {
        let url = Url::parse(url).map_err(|_unsaid| unreadable())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(unreadable());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "holds a user name or a password; remove them, they are no secret in a URL"
                    .to_owned(),
            );
        }
        self.judge_host(url.host_str().ok_or_else(unreadable)?)
    }

    /// Reads the host as a resolver does: 127.1 is an address.
    fn judge_host(&self, host: &str) -> Result<(), String> {
        match Host::parse(host).map_err(|_unsaid| unreadable())? {
            Host::Ipv4(address) => self.judge_address(address.into()),
            Host::Ipv6(address) => self.judge_address(address.into()),
            Host::Domain(name) => self.judge_name(&normal(&name)),
        }
    }

    fn judge_address(&self, address: IpAddr) -> Result<(), String> {
        if self.admits(&address.to_string(), address) {
            return Ok(());
        }
        Err(match self.fault(address) {
            Some(fault) => format!("leads to {address}, {fault}; {}", self.mend()),
            None => format!("leads to {address}; {}", self.mend()),
        })
    }

    fn judge_name(&self, name: &str) -> Result<(), String> {
        if name.len() > HOST_BYTES {
            return Err(format!(
                "names a host of more than {HOST_BYTES} bytes; correct it"
            ));
        }
        let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let passes = match &self.0 {
            _ if is_localhost(name) => loopback
                .into_iter()
                .any(|address| self.admits(name, address)),
            Scope::Open { .. } => true,
            Scope::Listed(entries) => entries
                .iter()
                .any(|entry| entry.names(name) || entry.is_network()),
        };
        if passes {
            return Ok(());
        }
        Err(format!("leads to {name:?}; {}", self.mend()))
    }

    fn mend(&self) -> &'static str {
        match self.0 {
            Scope::Open { .. } => {
                "name a host elsewhere, or list what is allowed with --allow-targets"
            }
            Scope::Listed(_) => "name a host that --allow-targets lists, or have this one added",
        }
    }

    /// Why the default refuses an address; none where it does not, and under a list.
    fn fault(&self, address: IpAddr) -> Option<&'static str> {
        let Scope::Open {
            loopback,
            forbidden,
        } = &self.0
        else {
            return None;
        };
        let address = meant(address);
        let (local, unspecified, multicast) = match address {
            IpAddr::V4(four) => (
                four.is_link_local(),
                four.octets()[0] == 0,
                four.is_multicast(),
            ),
            IpAddr::V6(six) => (
                six.is_unicast_link_local(),
                six.is_unspecified(),
                six.is_multicast(),
            ),
        };
        match () {
            () if forbidden.contains(&address) => Some("which is an address of the API server"),
            () if address.is_loopback() && !loopback => Some("which is a loopback address"),
            () if local => Some("which is a link-local address"),
            () if unspecified => Some("which is no address of a host"),
            () if multicast => Some("which is a multicast address"),
            () => None,
        }
    }
}

fn unreadable() -> String {
    "is no URL that can be read; write http:// or https:// and a host".to_owned()
}

/// Names that lead to loopback wherever they are resolved (RFC 6761).
fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// The IPv4 address that a packet to `address` reaches: mapped, compatible and translated (RFC 6052) ones
/// carry it in their last four bytes.
fn meant(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else {
        return address;
    };
    let [a, b, c, d, ..] = six.segments();
    let translated = [a, b, c, d] == [0x64, 0xff9b, 0, 0] && six.segments()[4..6] == [0, 0];
    let own = six.is_loopback() || six.is_unspecified();
    let compatible = six.segments()[..6] == [0; 6] && !own;
    let [.., w, x, y, z] = six.octets();
    if translated || compatible {
        return Ipv4Addr::new(w, x, y, z).into();
    }
    address.to_canonical()
}

#[cfg(test)]
mod tests;
