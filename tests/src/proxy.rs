//! A wire between a client and a server that can go dead without a word.
//!
//! Owns: its connections. Never: looks at what they carry, which may be TLS. Used by: tests of watches that stall.

use crate::cluster::{Cluster, Via};
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The running proxy; its connections end with it.
pub struct Proxy {
    ca: PathBuf,
    address: SocketAddr,
    /// How often it was stalled.
    stalls: watch::Sender<u32>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// One that leads to the API server of `cluster`.
    pub async fn of(cluster: &Cluster) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let stalls = watch::Sender::new(0);
        let task = tokio::spawn(serve(listener, cluster.address(), stalls.clone()));
        Self {
            ca: cluster.ca_path(),
            address,
            stalls,
            task,
        }
    }

    /// The way to the API server that leads through it.
    #[must_use]
    pub fn via(&self) -> Via {
        Via {
            address: self.address,
            ca: self.ca.clone(),
        }
    }

    /// The connections of now carry nothing any more and stay open; new ones work.
    pub fn stall(&self) {
        self.stalls.send_modify(|stalls| *stalls += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, server: SocketAddr, stalls: watch::Sender<u32>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("loopback connects");
        connections.spawn(carry(client, server, stalls.subscribe()));
        while connections.try_join_next().is_some() {}
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, mut stalled: watch::Receiver<u32>) {
    // A server that is gone closes the connection, as it would without anybody in between.
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    tokio::select! {
        biased;
        _ = stalled.changed() => std::future::pending().await,
        _ = copy_bidirectional(&mut client, &mut server) => {}
    }
}
