//! Asking the system for the addresses of a name.
//!
//! Owns: how many ask at once. Each takes a thread until it has its answer, also when nobody waits for it any more, and
//! the threads are shared with all that reads files and unpacks configurations: names of tenants that lead nowhere,
//! tried again and again, must not take them all. Used by: `outbound`, `broker::redis`.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Lookups at once; a quarter of the threads that there are at most. More wait, within the time to connect.
static PLACES: Semaphore = Semaphore::const_new(128);

/// The addresses of `host`, each with `port`. One that is an address itself is not asked for.
pub async fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let place = PLACES.acquire().await.map_err(io::Error::other)?;
    let host = host.to_owned();
    let asked = spawn_blocking(move || {
        let _place = place;
        (host.as_str(), port)
            .to_socket_addrs()
            .map(Iterator::collect)
    });
    asked.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_leads_to_itself_also_when_no_place_is_free() {
        let all = PLACES.acquire_many(128).await.unwrap();
        let found = lookup("127.0.0.7", 6379).await.unwrap();
        assert_eq!(found, [SocketAddr::from(([127, 0, 0, 7], 6379))]);
        let found = lookup("::1", 1).await.unwrap();
        assert_eq!(found, ["[::1]:1".parse().unwrap()]);
        drop(all);
        let found = lookup("localhost", 1).await.unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback()));
        assert!(!found.is_empty());
    }
}
