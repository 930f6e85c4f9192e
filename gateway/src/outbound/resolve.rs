//! From a host name to the addresses that may be connected to.
//!
//! Owns: that the client connects to the very addresses that were judged; there is no second lookup whose
//! answer could be another. Never: sees an address that stands in a URL. Used by: `outbound`.

use crate::lookup::lookup;
use crds::targets::Targets;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// The most addresses of a name that are tried; more would divide the time to connect too finely.
const MOST_ADDRESSES: usize = 8;

/// Why a name leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// It has addresses, and none is admitted.
    #[error("no address of the name is admitted")]
    Refused,
    /// It has none, or the DNS did not say.
    #[error("the name was not resolved")]
    Unknown,
}

/// Looks a name up.
pub type Lookup =
    Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// The resolver of the system.
#[must_use]
pub fn system() -> Lookup {
    // Port 0 becomes that of the URL.
    Arc::new(|name| async move { lookup(&name, 0).await }.boxed())
}

/// A resolver whose answers are judged.
pub struct Judge {
    targets: Arc<Targets>,
    lookup: Lookup,
}

impl Judge {
    /// Lets pass what `targets` admit of what `lookup` finds.
    #[must_use]
    pub fn new(targets: Arc<Targets>, lookup: Lookup) -> Self {
        Self { targets, lookup }
    }
}

impl Resolve for Judge {
    fn resolve(&self, name: Name) -> Resolving {
        let targets = self.targets.clone();
        let found = (self.lookup)(name.as_str().to_owned());
        Box::pin(async move {
            let found = found.await.map_err(|_unsaid| Lost::Unknown)?;
            let admitted = admitted(&targets, name.as_str(), found.into_iter())?;
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

/// Of all addresses that were found, those that are admitted.
fn admitted(
    targets: &Targets,
    name: &str,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, Lost> {
    let mut found = found.peekable();
    if found.peek().is_none() {
        return Err(Lost::Unknown);
    }
    let admitted = found.filter(|address| targets.admits(name, address.ip()));
    let admitted: Vec<SocketAddr> = admitted.take(MOST_ADDRESSES).collect();
    if admitted.is_empty() {
        return Err(Lost::Refused);
    }
    Ok(admitted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: &[&str], expected: Result<&[&str], Lost>) {
        let parse = |text: &&str| SocketAddr::new(text.parse().unwrap(), 0);
        let outcome = admitted(&Targets::cluster([]), "a", found.iter().map(parse));
        assert_eq!(
            outcome,
            expected.map(|some| some.iter().map(parse).collect())
        );
    }

    #[test]
    fn of_several_addresses_only_the_admitted_ones_are_tried() {
        check(&["127.0.0.1", "192.0.2.1", "fe80::1"], Ok(&["192.0.2.1"]));
        check(&["127.0.0.1", "::1"], Err(Lost::Refused));
        check(&[], Err(Lost::Unknown));
        check(&["192.0.2.1"; 20], Ok(&["192.0.2.1"; MOST_ADDRESSES]));
    }
}
