//! Who is at the other end, seen through proxies.
//!
//! Owns: whom to believe about it: `X-Forwarded-*` counts only from trusted proxies, from right to left.
//! Pure. Used by: the routes.

use crate::worker::opening::Peer;
use http::HeaderMap;
use ipnet::IpNet;
use std::net::IpAddr;

/// The other end of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// The address that tells visitors apart; none when it may be that of a proxy for all of them.
    pub address: Option<IpAddr>,
    /// Whether the client spoke TLS; none when nobody trusted says so.
    pub https: Option<bool>,
}

/// Reads what `peer` and, if it is trusted, the proxies before it tell.
#[must_use]
pub fn visitor(peer: &Peer, headers: &HeaderMap, trusted: &[IpNet]) -> Visitor {
    let address = peer.addr.ip().to_canonical();
    let trusts = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    if !trusts(&address) {
        return Visitor {
            address: (!is_private(address)).then_some(address),
            https: peer.tls.then_some(true),
        };
    }
    let hops = headers.get_all("x-forwarded-for").iter().rev();
    let hops = hops.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    let mut farthest = None;
    for hop in hops {
        let Some(hop) = parse(hop) else { break };
        farthest = Some(hop);
        if !trusts(&hop) {
            break;
        }
    }
    Visitor {
        address: farthest,
        https: peer
            .tls
            .then_some(true)
            .or_else(|| forwarded_https(headers)),
    }
}

/// An address as proxies write it, with or without a port.
fn parse(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.split(']').next());
    let address: Option<IpAddr> = bare.unwrap_or(text).parse().ok();
    address
        .or_else(|| text.rsplit_once(':')?.0.parse().ok())
        .map(|address| address.to_canonical())
}

/// The first value is the client's side where proxies append.
fn forwarded_https(headers: &HeaderMap) -> Option<bool> {
    let value = headers.get("x-forwarded-proto")?.to_str().ok()?;
    let first = value.split(',').next()?.trim();
    match first {
        _ if first.eq_ignore_ascii_case("https") => Some(true),
        _ if first.eq_ignore_ascii_case("http") => Some(false),
        _ => None,
    }
}

/// Whether an ingress may have it: such an address stands for all visitors.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || (address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64)
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        (peer, tls): (&str, bool),
        lines: &[(&'static str, &str)],
        address: Option<&str>,
        https: Option<bool>,
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let peer = Peer {
            addr: (peer.parse::<IpAddr>().unwrap(), 7).into(),
            tls,
            full: false,
        };
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let expected = Visitor {
            address: address.map(|text| text.parse().unwrap()),
            https,
        };
        assert_eq!(visitor(&peer, &headers, &trusted), expected);
    }

    const FOR: &str = "x-forwarded-for";
    const PROTO: &str = "x-forwarded-proto";

    #[test]
    fn a_stranger_is_believed_nothing() {
        let lines = [(FOR, "198.51.100.9"), (PROTO, "https")];
        check(("203.0.113.7", false), &lines, Some("203.0.113.7"), None);
        check(("203.0.113.7", true), &[], Some("203.0.113.7"), Some(true));
    }

    #[test]
    fn a_private_stranger_may_be_a_proxy_for_all() {
        for peer in ["192.168.1.2", "127.0.0.1", "100.64.3.4", "fe80::1", "::1"] {
            check((peer, false), &[(FOR, "198.51.100.9")], None, None);
        }
    }

    #[test]
    fn hops_are_read_from_the_right_up_to_the_first_stranger() {
        let peer = ("10.1.1.1", false);
        check(peer, &[(FOR, "198.51.100.9")], Some("198.51.100.9"), None);
        let spoofed = [(FOR, "1.1.1.1, 198.51.100.9, 10.2.2.2")];
        check(peer, &spoofed, Some("198.51.100.9"), None);
        let lines = [(FOR, "1.1.1.1"), (FOR, "198.51.100.9:1234")];
        check(peer, &lines, Some("198.51.100.9"), None);
        check(
            peer,
            &[(FOR, "[2001:db8::1]:80")],
            Some("2001:db8::1"),
            None,
        );
        check(peer, &[(FOR, "10.3.3.3, 10.2.2.2")], Some("10.3.3.3"), None);
        check(peer, &[(FOR, "unknown, 10.2.2.2")], Some("10.2.2.2"), None);
        check(peer, &[], None, None);
    }

    #[test]
    fn a_trusted_proxy_tells_the_scheme() {
        let peer = ("fd00::1", false);
        check(peer, &[(PROTO, "HTTPS, http")], None, Some(true));
        check(peer, &[(PROTO, "http")], None, Some(false));
        check(peer, &[(PROTO, "gopher")], None, None);
    }
}
