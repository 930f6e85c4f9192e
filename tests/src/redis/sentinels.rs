//! A master, two replicas and the three sentinels that watch over them.
//!
//! Owns: who is told to follow whom at the start, and asking the sentinels who the master is. Never: decides that itself
//! afterwards. Used by: tests of failovers.

use super::{Redis, Setup};
use crate::certs::Certs;
use crate::proxy::Proxy;
use crate::wait::{until, until_time};
use redis::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the sentinels call the master.
pub const MASTER: &str = "mymaster";
/// How many of each kind there are.
const SERVERS: usize = 3;
/// How many sentinels decide.
const QUORUM: usize = 2;
/// So long a server may be silent before a sentinel takes it for dead.
const DOWN_AFTER: Duration = Duration::from_millis(1500);
/// After this time a failover that came to nothing is tried again, by the next sentinel.
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(6);
/// How long a new master may take: death noticed, an election, a second one if the first was split.
const FAILOVER: Duration = Duration::from_secs(40);

/// The running servers.
pub struct Sentinels {
    servers: Vec<Redis>,
    sentinels: Vec<Redis>,
    /// The only ways to the servers, and those of the gateways to the sentinels, if there are such.
    wires: Vec<Proxy>,
}

/// How servers and sentinels are reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Direct,
    Wires,
}

impl Sentinels {
    /// Without passwords.
    pub async fn start() -> Self {
        Self::begin(("", ""), None, Way::Direct).await
    }

    /// The same with a wire to each server for clients, replicas and sentinels, and one to each sentinel for clients.
    pub async fn behind_wires() -> Self {
        Self::begin(("", ""), None, Way::Wires).await
    }

    /// Without passwords, with TLS.
    pub async fn tls(certs: &Arc<Certs>) -> Self {
        Self::begin(("", ""), Some(certs), Way::Direct).await
    }

    /// One password for the servers, another for the sentinels; an empty one is none.
    pub async fn protected(servers: &str, sentinels: &str) -> Self {
        Self::begin((servers, sentinels), None, Way::Direct).await
    }

    async fn begin(
        (password, of_sentinels): (&str, &str),
        certs: Option<&Arc<Certs>>,
        way: Way,
    ) -> Self {
        let with_tls = |setup: Setup| match certs {
            Some(certs) => setup.tls(certs.clone()),
            None => setup,
        };
        let mut group = Self {
            servers: Vec::new(),
            sentinels: Vec::new(),
            wires: Vec::new(),
        };
        for index in 0..SERVERS {
            let mut setup = with_password(password)
                .directive("enable-debug-command", "yes")
                // A replica that was away for a moment need not copy everything.
                .directive("repl-backlog-size", "16mb")
                .directive("repl-diskless-sync-delay", "0");
            if !password.is_empty() {
                setup = setup.directive("masterauth", password);
            }
            let server = with_tls(setup).start().await;
            group.wire_to(&server, way).await;
            group.servers.push(server);
            group.enlist(index).await;
        }
        for _ in 0..SERVERS {
            let setup = watching(group.address(0).port(), password, of_sentinels);
            let sentinel = with_tls(setup).start().await;
            group.wire_to(&sentinel, way).await;
            group.sentinels.push(sentinel);
        }
        group.until_known().await;
        group.until_in_sync().await;
        group
    }

    async fn wire_to(&mut self, server: &Redis, way: Way) {
        if way == Way::Wires {
            let seed = self.wires.len() as u64;
            self.wires.push(Proxy::seeded(server.address(), seed).await);
        }
    }

    /// Has a server follow the first one, unless it is that, and tell it how it is reached itself.
    async fn enlist(&mut self, index: usize) {
        let (own, master) = (self.address(index).port(), self.address(0).port());
        let server = &mut self.servers[index];
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("replica-announce-port").arg(own);
        let () = server.run(&mut set).await;
        if index > 0 {
            let mut follow = redis::cmd("REPLICAOF");
            let () = server.run(follow.arg("127.0.0.1").arg(master)).await;
        }
        let () = server.run(redis::cmd("CONFIG").arg("REWRITE")).await;
    }

    /// Where a server is reached, as the sentinels tell.
    fn address(&self, server: usize) -> SocketAddr {
        let wire = self.wires.get(server).map(Proxy::address);
        wire.unwrap_or_else(|| self.servers[server].address())
    }

    /// The URL that names all sentinels.
    #[must_use]
    pub fn url(&self) -> String {
        let wires = self.wires.iter().skip(SERVERS).map(Proxy::address);
        let sentinels = self.sentinels.iter().map(Redis::address);
        // With wires these come first, and there are as many.
        let first = wires.chain(sentinels).take(SERVERS);
        let hosts: Vec<String> = first.map(|address| address.to_string()).collect();
        let scheme = self.sentinels[0].setup.scheme();
        format!("{scheme}+sentinel://{}/0?master={MASTER}", hosts.join(","))
    }

    /// One of the three servers, to be killed, frozen, started again.
    pub fn server(&mut self, index: usize) -> &mut Redis {
        &mut self.servers[index]
    }

    /// All three servers.
    pub fn servers(&mut self) -> &mut [Redis] {
        &mut self.servers
    }

    /// The wires to the servers, then those to the sentinels.
    #[must_use]
    pub fn wires(&self) -> &[Proxy] {
        &self.wires
    }

    /// One of the three sentinels.
    pub fn sentinel(&mut self, index: usize) -> &mut Redis {
        &mut self.sentinels[index]
    }

    /// Which server most sentinels call the master, whether it lives or not.
    pub async fn named(&self) -> Option<usize> {
        let mut votes = [0; SERVERS];
        for sentinel in &self.sentinels {
            let mut ask = redis::cmd("SENTINEL");
            ask.arg("GET-MASTER-ADDR-BY-NAME").arg(MASTER);
            let named: Option<(String, u16)> = sentinel.soon(&ask).await;
            let port = named.map(|(_, port)| port);
            let of = |server: &usize| Some(self.address(*server).port()) == port;
            if let Some(index) = (0..SERVERS).find(of) {
                votes[index] += 1;
            }
        }
        votes.iter().position(|&votes| votes >= QUORUM)
    }

    /// The master that most sentinels name, once it answers.
    pub async fn master(&mut self) -> &mut Redis {
        let (index, _) = self.until_master().await;
        &mut self.servers[index]
    }

    /// Waits until the server that most sentinels name answers PING as a master: which one, and when.
    pub async fn until_master(&self) -> (usize, Instant) {
        self.until_master_if(|_| true).await
    }

    /// Waits until another server than that one is the master.
    pub async fn until_master_other_than(&self, old: usize) -> (usize, Instant) {
        self.until_master_if(|index| index != old).await
    }

    async fn until_master_if(&self, wanted: impl Fn(usize) -> bool) -> (usize, Instant) {
        until_time(FAILOVER, "a master", || async {
            let Some(index) = self.named().await.filter(|&index| wanted(index)) else {
                return Err("the sentinels name no such one".into());
            };
            let ready = self.servers[index].is_master().await;
            let found = ready.then(|| (index, Instant::now()));
            found.ok_or_else(|| format!("server {index} does not answer as a master"))
        })
        .await
    }

    /// Makes a replica the master, as an operator does, and waits until it is: which one, and when.
    pub async fn failover(&mut self) -> (usize, Instant) {
        let (old, _) = self.until_master().await;
        // A sentinel that has just seen one failover refuses the next for a while.
        until_time(FAILOVER, "a sentinel to begin a failover", || async {
            let mut ask = redis::cmd("SENTINEL");
            ask.arg("FAILOVER").arg(MASTER);
            for sentinel in &self.sentinels {
                if sentinel.soon::<String>(&ask).await.is_some() {
                    return Ok(());
                }
            }
            Err("each refuses".into())
        })
        .await;
        self.until_master_other_than(old).await
    }

    /// Waits until each other server that lives is a replica with all that the master has by now.
    pub async fn until_in_sync(&mut self) {
        let (master, _) = self.until_master().await;
        let wanted: i64 = offset(&self.servers[master], "master_repl_offset")
            .await
            .unwrap_or(0);
        for (index, server) in self.servers.iter_mut().enumerate() {
            if index == master || server.process.ended().is_some() {
                continue;
            }
            let server = &*server;
            until_time(FAILOVER, format!("replica {index} to follow"), || async {
                let info = server
                    .soon::<String>(redis::cmd("INFO").arg("replication"))
                    .await;
                let info = info.unwrap_or_default();
                let has = number(&info, "slave_repl_offset").unwrap_or(-1);
                if info.contains("master_link_status:up") && has >= wanted {
                    return Ok(());
                }
                Err(format!("it has {has} of {wanted}: {info}"))
            })
            .await;
        }
    }

    /// Waits until each sentinel knows the others and both replicas: before that none may lead a failover.
    pub async fn until_known(&self) {
        for sentinel in &self.sentinels {
            until("a sentinel to know all others", || async {
                let mut ask = redis::cmd("SENTINEL");
                let state: Option<Value> = sentinel.soon(ask.arg("MASTER").arg(MASTER)).await;
                let state = state.and_then(|state| {
                    redis::from_redis_value::<std::collections::HashMap<String, String>>(state).ok()
                });
                let state = state.unwrap_or_default();
                let of = |name: &str| state.get(name).cloned().unwrap_or_default();
                let seen = (of("num-other-sentinels"), of("num-slaves"), of("flags"));
                if seen == ("2".into(), "2".into(), "master".into()) {
                    return Ok(());
                }
                Err(format!("it knows {seen:?}"))
            })
            .await;
        }
    }
}

fn with_password(password: &str) -> Setup {
    if password.is_empty() {
        Setup::default()
    } else {
        Setup::default().password(password)
    }
}

/// A sentinel that watches over the master on that port.
fn watching(port: u16, password: &str, own: &str) -> Setup {
    let mut setup = with_password(own).sentinel();
    let of_master = |name: &str, value: String| (format!("sentinel {name} {MASTER}"), value);
    let mut lines = vec![
        of_master("monitor", format!("127.0.0.1 {port} {QUORUM}")),
        of_master(
            "down-after-milliseconds",
            DOWN_AFTER.as_millis().to_string(),
        ),
        of_master("failover-timeout", FAILOVER_TIMEOUT.as_millis().to_string()),
        of_master("parallel-syncs", "2".into()),
    ];
    if !password.is_empty() {
        lines.push(of_master("auth-pass", password.into()));
    }
    if !own.is_empty() {
        lines.push(("sentinel sentinel-pass".into(), own.into()));
    }
    for (name, value) in lines {
        setup = setup.directive(&name, &value);
    }
    setup
}

async fn offset(server: &Redis, name: &str) -> Option<i64> {
    let info: Option<String> = server.soon(redis::cmd("INFO").arg("replication")).await;
    number(&info?, name)
}

/// The number behind `name:` in an answer to INFO.
fn number(info: &str, name: &str) -> Option<i64> {
    let value = |line: &str| {
        line.strip_prefix(name)?
            .strip_prefix(':')
            .map(str::to_owned)
    };
    info.lines().find_map(value)?.trim().parse().ok()
}
