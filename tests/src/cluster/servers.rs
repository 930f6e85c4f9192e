//! etcd and kube-apiserver as processes.
//!
//! Owns: where their binaries are, their flags and ports, and that both end. Never: keeps anything beyond its test, or
//! listens elsewhere than on 127.0.0.1. Used by: `cluster`.

use super::{ADMIN, Api, token};
use crate::certs::Certs;
use crate::http::Ask;
use crate::process::{Helpers, Process, cache, free_port};
use crate::wait::DEADLINE;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How often a start is tried when another process took a port meanwhile.
const PORT_TRIES: usize = 5;
/// How often a starting server is asked.
const PERIOD: Duration = Duration::from_millis(50);
/// How long a start may take on a slow, busy machine.
pub const START: Duration = DEADLINE.saturating_mul(4);
/// What tokens of service accounts name as their issuer.
const ISSUER: &str = "https://kubernetes.default.svc";

/// The two running servers; the API server ends first.
pub struct Servers {
    api: Process,
    etcd: Process,
    ports: Ports,
    flags: Vec<String>,
}

#[derive(Clone, Copy)]
struct Ports {
    api: u16,
    etcd: u16,
    peers: u16,
}

impl Servers {
    /// Starts both and waits until the API server is ready.
    pub async fn start(certs: &Certs, folder: &Path, flags: Vec<String>) -> Self {
        for _ in 0..PORT_TRIES {
            let [api, etcd, peers] = [free_port(), free_port(), free_port()];
            let ports = Ports { api, etcd, peers };
            // The API server waits for etcd by itself.
            let etcd = spawn_etcd(ports, folder);
            let mut servers = Self {
                api: spawn_api(ports, certs, folder, &flags),
                etcd,
                ports,
                flags: flags.clone(),
            };
            if servers.ready(certs).await {
                return servers;
            }
        }
        panic!("etcd and kube-apiserver found no free ports {PORT_TRIES} times");
    }

    /// Where the API server listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.api))
    }

    /// Where etcd listens.
    pub fn etcd(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.etcd))
    }

    /// The API server.
    pub fn api(&self) -> &Process {
        &self.api
    }

    /// Ends the API server.
    pub fn kill_api(&mut self) {
        self.api.kill9();
    }

    /// Starts the API server on the port that it had, and waits until it is ready.
    pub async fn start_api(&mut self, certs: &Certs, folder: &Path) {
        for _ in 0..PORT_TRIES {
            self.api = spawn_api(self.ports, certs, folder, &self.flags);
            if self.ready(certs).await {
                return;
            }
        }
        panic!("the port of kube-apiserver was taken meanwhile");
    }

    /// Whether both came up; false when one ended because its port was taken.
    async fn ready(&mut self, certs: &Certs) -> bool {
        let end = Instant::now() + START;
        loop {
            for process in [&mut self.api, &mut self.etcd] {
                if process.ended().is_some() {
                    let log = process.log();
                    assert!(log.contains("address already in use"), "it ended:\n{log}");
                    return false;
                }
            }
            let api = Api::new(self.address(), certs.client(), &token(ADMIN));
            let [readyz, namespace] =
                ["/readyz", "/api/v1/namespaces/default"].map(|path| api.get(path));
            let status = async |ask: Ask| ask.try_send().await.map_or(0, |answer| answer.status);
            if status(readyz).await == 200 && status(namespace).await == 200 {
                return true;
            }
            let log = || self.api.log();
            assert!(
                Instant::now() < end,
                "kube-apiserver is not ready:\n{}",
                log()
            );
            tokio::time::sleep(PERIOD).await;
        }
    }
}

fn spawn_etcd(ports: Ports, folder: &Path) -> Process {
    let (clients, peers) = (url(ports.etcd), url(ports.peers));
    let mut command = Command::new(binary("etcd"));
    command
        .arg("--data-dir")
        .arg(folder.join(format!("etcd-{}", ports.etcd)))
        .args(["--listen-client-urls", &clients])
        .args(["--advertise-client-urls", &clients])
        .args(["--listen-peer-urls", &peers])
        .args(["--initial-advertise-peer-urls", &peers])
        .args(["--initial-cluster", &format!("default={peers}")])
        .args(["--unsafe-no-fsync", "--log-level", "warn"])
        // There is nobody to vote against it.
        .args(["--heartbeat-interval", "10", "--election-timeout", "100"]);
    Process::start("etcd", Helpers::None, command, &folder.join("etcd.log"))
}

fn spawn_api(ports: Ports, certs: &Certs, folder: &Path, flags: &[String]) -> Process {
    let mut command = Command::new(binary("kube-apiserver"));
    let file = |name: &str| certs.path(name).display().to_string();
    let own = [
        ("etcd-servers", url(ports.etcd)),
        ("bind-address", "127.0.0.1".into()),
        ("secure-port", ports.api.to_string()),
        ("tls-cert-file", file("tls.crt")),
        ("tls-private-key-file", file("tls.key")),
        ("cert-dir", folder.display().to_string()),
        ("service-cluster-ip-range", "10.96.0.0/16".into()),
        // Else it looks for a network interface that leads out of this machine.
        ("advertise-address", "127.0.0.1".into()),
        // Services are only names here, so nothing keeps the address of `kubernetes`, which may not be a loopback one.
        ("endpoint-reconciler-type", "none".into()),
        ("authorization-mode", "RBAC".into()),
        ("token-auth-file", file("tokens.csv")),
        ("service-account-issuer", ISSUER.into()),
        ("service-account-key-file", file("service-accounts.key")),
        (
            "service-account-signing-key-file",
            file("service-accounts.key"),
        ),
    ];
    command.args(own.map(|(name, value)| format!("--{name}={value}")));
    command.args(flags);
    let log = folder.join("kube-apiserver.log");
    Process::start("kube-apiserver", Helpers::None, command, &log)
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// A binary of `KUBEBUILDER_ASSETS`, or the one that `tests/run` built.
pub fn binary(name: &str) -> PathBuf {
    let given = std::env::var_os("KUBEBUILDER_ASSETS").map(|folder| Path::new(&folder).join(name));
    let path = match given {
        Some(path) if path.exists() => path,
        _ => cache().join("kubernetes").join(name),
    };
    let missing = format!("{} is missing; tests/run builds it", path.display());
    assert!(path.exists(), "{missing}");
    path
}
