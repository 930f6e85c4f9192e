//! How a redis-server is started, and what makes a client of it.
//!
//! Owns: its configuration file, which the server may rewrite and reads again at the next start. Never: keeps a
//! connection. Used by: `redis`, `sentinels`, `cluster`.

use super::{ANSWER, Redis};
use crate::certs::Certs;
use crate::process::{Helpers, Process, folder, free_port};
use redis::{AsyncConnectionConfig, Client};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// How long a start may take: a server with much on its disk reads it first, on a busy machine.
const START: Duration = Duration::from_secs(60);
/// How often a start is tried when another process took the port meanwhile.
const PORT_TRIES: usize = 5;

/// How the server is started.
#[derive(Default)]
pub struct Setup {
    password: Option<String>,
    pub(super) certs: Option<Arc<Certs>>,
    kind: Kind,
    program: Option<PathBuf>,
    extra: Vec<String>,
}

/// What a redis-server can be.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Server,
    /// A node of a Redis Cluster.
    Node,
    Sentinel,
}

/// Where it listens.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    pub clients: u16,
    /// For other nodes of a cluster; taken by nobody unless it is one.
    pub bus: u16,
}

impl Setup {
    /// Asks clients for a password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Takes TLS only, from other servers, too.
    #[must_use]
    pub fn tls(mut self, certs: impl Into<Arc<Certs>>) -> Self {
        self.certs = Some(certs.into());
        self
    }

    /// Another server than the `redis-server` of this machine.
    #[must_use]
    pub fn program(mut self, program: PathBuf) -> Self {
        self.program = Some(program);
        self
    }

    /// One more directive with its value, as it stands in redis.conf.
    #[must_use]
    pub fn directive(mut self, name: &str, value: &str) -> Self {
        self.extra.push(format!("{name} {value}"));
        self
    }

    /// Is a node of a Redis Cluster.
    #[must_use]
    pub(super) fn node(mut self) -> Self {
        self.kind = Kind::Node;
        self
    }

    /// Is a sentinel.
    #[must_use]
    pub(super) fn sentinel(mut self) -> Self {
        self.kind = Kind::Sentinel;
        self
    }

    /// From now on clients give that password: the server was told another one.
    pub(super) fn changed_password(&mut self, password: &str) {
        self.password = Some(password.into());
    }

    /// Starts it.
    pub async fn start(self) -> Redis {
        let folder = folder();
        for _ in 1..PORT_TRIES {
            let ports = Ports {
                clients: free_port(),
                bus: free_port(),
            };
            std::fs::write(folder.path().join("redis.conf"), self.text(ports, &folder))
                .expect("the folder is ours");
            let mut process = self.spawn(&folder);
            if self.answers(ports, &mut process).await {
                return Redis {
                    setup: self,
                    ports,
                    folder,
                    process,
                    own: None,
                };
            }
        }
        panic!("redis-server found no free port {PORT_TRIES} times");
    }

    /// Starts it again in its folder, on its ports, as its configuration was left.
    pub(super) async fn start_again(&self, ports: Ports, folder: &tempfile::TempDir) -> Process {
        for _ in 0..PORT_TRIES {
            let mut process = self.spawn(folder);
            if self.answers(ports, &mut process).await {
                return process;
            }
        }
        panic!("the port of redis-server was taken meanwhile");
    }

    /// How its URL begins.
    pub(super) fn scheme(&self) -> &'static str {
        match self.certs {
            Some(_) => "rediss",
            None => "redis",
        }
    }

    pub(super) fn url(&self, ports: Ports, with_password: bool) -> String {
        let scheme = self.scheme();
        let port = ports.clients;
        match &self.password {
            Some(password) if with_password => format!("{scheme}://:{password}@127.0.0.1:{port}/0"),
            _ => format!("{scheme}://127.0.0.1:{port}/0"),
        }
    }

    pub(super) fn client(&self, ports: Ports) -> Client {
        let url = self.url(ports, true);
        let client = match &self.certs {
            None => Client::open(url),
            Some(certs) => {
                // The process-wide provider is only missing the first time.
                drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
                let root_cert = Some(certs.pem("ca.crt").into_bytes());
                Client::build_with_tls(
                    url,
                    redis::TlsCertificates {
                        client_tls: None,
                        root_cert,
                    },
                )
            }
        };
        client.expect("a URL of our own making")
    }

    /// The directives that name files of TLS.
    pub(super) fn tls_files(&self) -> Vec<(&'static str, String)> {
        let files = [
            ("tls-cert-file", "tls.crt"),
            ("tls-key-file", "tls.key"),
            ("tls-ca-cert-file", "ca.crt"),
        ];
        let certs = self.certs.iter();
        let named = certs.flat_map(|certs| {
            files.map(|(name, file)| (name, certs.path(file).display().to_string()))
        });
        named.collect()
    }

    /// Its configuration file.
    fn text(&self, ports: Ports, folder: &tempfile::TempDir) -> String {
        let Ports { clients, bus } = ports;
        let mut lines = vec![
            "bind 127.0.0.1".into(),
            "daemonize no".into(),
            format!("dir {}", folder.path().display()),
        ];
        match &self.certs {
            None => lines.push(format!("port {clients}")),
            Some(_) => lines.extend([
                "port 0".into(),
                "tls-auth-clients no".into(),
                "tls-replication yes".into(),
                format!("tls-port {clients}"),
            ]),
        }
        for (name, path) in self.tls_files() {
            lines.push(format!("{name} {path}"));
        }
        if self.kind != Kind::Sentinel {
            lines.extend(["save \"\"".into(), "appendonly no".into()]);
        }
        if self.kind == Kind::Node {
            // The default is 10,000 above the other port, where a server of another test may be.
            lines.extend(["cluster-enabled yes".into(), format!("cluster-port {bus}")]);
            lines.extend(self.certs.is_some().then(|| "tls-cluster yes".into()));
        }
        if let Some(password) = &self.password {
            lines.push(format!("requirepass {password}"));
        }
        lines.extend(self.extra.iter().cloned());
        lines.join("\n") + "\n"
    }

    pub(super) fn spawn(&self, folder: &tempfile::TempDir) -> Process {
        let program = self.program.as_deref();
        let mut command = Command::new(program.unwrap_or(Path::new("redis-server")));
        command.arg(folder.path().join("redis.conf"));
        if self.kind == Kind::Sentinel {
            command.arg("--sentinel");
        }
        let log = folder.path().join("log");
        Process::start("redis-server", Helpers::None, command, &log)
    }

    /// Whether it came up; false when it ended because the port was taken.
    async fn answers(&self, ports: Ports, process: &mut Process) -> bool {
        let client = self.client(ports);
        let end = std::time::Instant::now() + START;
        loop {
            if process.ended().is_some() {
                assert!(
                    process.log().contains("Address already in use"),
                    "redis-server ended:\n{}",
                    process.log()
                );
                return false;
            }
            let config = AsyncConnectionConfig::new().set_connection_timeout(Some(ANSWER));
            if let Ok(mut connection) = client
                .get_multiplexed_async_connection_with_config(&config)
                .await
                && redis::cmd("PING")
                    .query_async::<String>(&mut connection)
                    .await
                    .is_ok()
            {
                return true;
            }
            assert!(
                std::time::Instant::now() < end,
                "redis-server does not answer:\n{}",
                process.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
