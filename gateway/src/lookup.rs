//! Asking the system for the addresses of a name.
//!
//! Owns: how many ask at once. Each takes a thread until it has its answer, also when nobody waits for it any more, and
//! the threads are shared with all that reads files and unpacks configurations: names of tenants that lead nowhere,
//! tried again and again, must not take them all. Used by: `outbound`, `broker::redis`, `api_server`.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Lookups at once; a quarter of the threads that there are at most. More wait, within the time to connect.
const AT_ONCE: usize = 128;
static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);

/// The addresses of `host`, each with `port`. One that is an address itself is not asked for.
pub async fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let host = host.to_owned();
    let asked = asked(&PLACES, move || {
        (host.as_str(), port)
            .to_socket_addrs()
            .map(Iterator::collect)
    });
    asked.await?
}

/// Asks on a thread when a place is free. The place is taken until there is an answer, whether or not it is waited for.
async fn asked<T: Send + 'static>(
    places: &'static Semaphore,
    ask: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let place = places.acquire().await.map_err(io::Error::other)?;
    let answer = spawn_blocking(move || {
        let _place = place;
        ask()
    });
    answer.await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use parking_lot::{Condvar, Mutex};
    use std::sync::Arc;

    #[tokio::test]
    async fn an_address_leads_to_itself_and_a_name_is_asked_for() {
        let found = lookup("127.0.0.7", 6379).await.unwrap();
        assert_eq!(found, [SocketAddr::from(([127, 0, 0, 7], 6379))]);
        let found = lookup("::1", 1).await.unwrap();
        assert_eq!(found, ["[::1]:1".parse().unwrap()]);
        let found = lookup("localhost", 1).await.unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback()));
        assert!(!found.is_empty());
    }

    #[tokio::test]
    async fn names_that_nobody_answers_for_leave_threads_for_others() {
        static FEW: Semaphore = Semaphore::const_new(3);
        let silent = Arc::new((Mutex::new(true), Condvar::new()));
        let ask = || {
            let silent = silent.clone();
            asked(&FEW, move || {
                let mut waits = silent.0.lock();
                while *waits {
                    silent.1.wait(&mut waits);
                }
            })
        };
        // All give up at once; what they asked for goes on.
        for _ in 0..9 {
            assert!(ask().now_or_never().is_none());
        }
        assert_eq!(FEW.available_permits(), 0);
        let waiting = join_all((0..9).map(|_| ask()));
        assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
        *silent.0.lock() = false;
        silent.1.notify_all();
        assert!(waiting.await.iter().all(Result::is_ok));
        while FEW.available_permits() < 3 {
            tokio::task::yield_now().await;
        }
    }
}
