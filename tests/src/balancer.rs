//! A Service of Kubernetes: one address, and behind it whatever gateways are ready.
//!
//! Owns: which of them get new connections; like endpoints it follows `/readyz`, and is late by up to a moment. Never:
//! looks at what a connection carries, moves one, or tries another gateway when one refuses. Used by: tests of rollouts.

use crate::gateway::Gateway;
use crate::http::Ask;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

/// How often each gateway is asked whether it is ready.
const PERIOD: Duration = Duration::from_millis(300);
/// How long one may take to answer; longer is a busy machine and changes nothing.
const ANSWER: Duration = Duration::from_secs(10);

/// The running balancer; its connections end with it.
pub struct Balancer {
    address: SocketAddr,
    inner: Arc<Inner>,
    tasks: JoinSet<()>,
}

#[derive(Default)]
struct Inner {
    ready: Mutex<Vec<SocketAddr>>,
    turn: Mutex<usize>,
    /// Connections that found no gateway, or one that did not take them.
    refused: Mutex<Vec<String>>,
}

impl Balancer {
    /// One with nothing behind it yet.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let inner = Arc::<Inner>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, inner.clone()));
        Self {
            address,
            inner,
            tasks,
        }
    }

    /// Where clients go.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on `gateway` gets connections whenever it is ready.
    pub fn add(&mut self, gateway: &Gateway) {
        self.inner.ready.lock().push(gateway.public());
        let follow = follow(gateway.public(), gateway.admin(), self.inner.clone());
        self.tasks.spawn(follow);
    }

    /// Connections that were not taken, each with the reason.
    #[must_use]
    pub fn refused(&self) -> Vec<String> {
        self.inner.refused.lock().clone()
    }
}

/// Keeps `public` among those that are ready while `admin` says so, and until it says nothing any more.
async fn follow(public: SocketAddr, admin: SocketAddr, inner: Arc<Inner>) {
    let mut period = interval(PERIOD);
    let ready = Ask::get(admin, "/readyz");
    loop {
        period.tick().await;
        let answer = match timeout(ANSWER, ready.try_send()).await {
            Ok(Ok(answer)) => Some(answer.status == 200),
            Ok(Err(_)) => None,
            Err(_) => continue,
        };
        let mut all = inner.ready.lock();
        all.retain(|known| *known != public);
        match answer {
            Some(true) => all.push(public),
            Some(false) => {}
            None => return,
        }
    }
}

async fn serve(listener: TcpListener, inner: Arc<Inner>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("loopback connects");
        connections.spawn(carry(client, inner.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn carry(mut client: TcpStream, inner: Arc<Inner>) {
    let place = inner.next();
    let server = match place {
        Some(address) => TcpStream::connect(address)
            .await
            .map_err(|error| format!("{address}: {error}")),
        None => Err("no gateway is ready".into()),
    };
    match server {
        Ok(mut server) => {
            // As a client that is cut notices itself.
            drop(copy_bidirectional(&mut client, &mut server).await);
        }
        Err(why) => inner.refused.lock().push(why),
    }
}

impl Inner {
    /// The ready ones in turn.
    fn next(&self) -> Option<SocketAddr> {
        let mut ready = self.ready.lock().clone();
        ready.sort();
        let mut turn = self.turn.lock();
        *turn += 1;
        ready.get(*turn % ready.len().max(1)).copied()
    }
}
