//! The URL of a Redis: one server, servers behind Sentinels, or a cluster.
//!
//! Owns: its only parser, and the sentences for what is wrong with one. Never: repeats the text in a
//! message, since people put passwords there; resolves a name. Used by: `policy`, `targets`, the
//! gateway's `args` and `broker::redis`.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::sync::Arc;

/// The most bytes of a URL.
pub const URL_BYTES: usize = 1024;
/// The most hosts of a URL: the others of a cluster are found through them.
pub const HOSTS: usize = 16;
/// The most bytes of a host, as in the DNS.
const HOST_BYTES: usize = 253;
/// The most bytes of a master's name.
const MASTER_BYTES: usize = 128;
/// The ports where the URL names none.
const SERVER_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Where a Redis is, without user and password. Only parsing makes one, so it is never wrong; cloning
/// is free.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RedisUrl {
    tls: bool,
    hosts: Arc<[Node]>,
    kind: Kind,
}

/// What is found at the hosts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// One server, which is the only host.
    Server { database: u16 },
    /// Sentinels, which know where the server of this name is now.
    Sentinel { master: Arc<str>, database: u16 },
    /// Some nodes of a cluster.
    Cluster,
}

/// A host with its port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// A name in lower case, or an address; one of IPv6 is without brackets.
    host: Box<str>,
    port: u16,
}

/// What is wrong with a URL: goes on from the name of a field, and ends without a full stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedisUrl {
    #[error(
        "cannot be read; write redis://host:6379/0, redis+sentinel://host:26379,host:26379/0?master=NAME or redis+cluster://host:6379,host:6379, each with rediss for TLS"
    )]
    Scheme,
    #[error("has more than {URL_BYTES} bytes; name fewer hosts")]
    TooLong,
    #[error(
        "holds a user name or a password; remove them: they come from the keys username and password of the Secret that spec.redis.secretRef names, those of a gateway's own Redis from --redis-secret-dir"
    )]
    Credentials,
    #[error("names no host that can be read; write host, host:6379 or [::1]:6379 behind ://")]
    Host,
    #[error(
        "names several hosts; name one, or say with redis+sentinel:// or redis+cluster:// what they are"
    )]
    OneHost,
    #[error("names more than {HOSTS} hosts; name the first few, the others are found through them")]
    ManyHosts,
    #[error("names a database that cannot be read; write /0 to /65535 or leave it out")]
    Database,
    #[error("names a database, and a cluster has no other than 0; remove it")]
    ClusterDatabase,
    #[error(
        "names no master that can be read; end it with ?master=NAME, the name in the Sentinels' configuration, of letters, digits, -, _ and ."
    )]
    Master,
    #[error(
        "has a query; remove what begins with ?, since only redis+sentinel:// takes ?master=NAME"
    )]
    Query,
}

impl RedisUrl {
    /// Whether all servers and Sentinels are spoken to with TLS.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// The hosts that it names: one for a server, up to [`HOSTS`] otherwise, never none.
    #[must_use]
    pub fn hosts(&self) -> &[Node] {
        &self.hosts
    }

    /// What is found there.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// For metrics and logs, at most 400 bytes: `host:port`, in a cluster that of its first host, and
    /// `master@host:port` with the first Sentinel.
    #[must_use]
    pub fn label(&self) -> String {
        let first = &self.hosts[0];
        match &self.kind {
            Kind::Server { .. } | Kind::Cluster => first.to_string(),
            Kind::Sentinel { master, .. } => format!("{master}@{first}"),
        }
    }

    fn scheme(&self) -> &'static str {
        match (&self.kind, self.tls) {
            (Kind::Server { .. }, false) => "redis",
            (Kind::Server { .. }, true) => "rediss",
            (Kind::Sentinel { .. }, false) => "redis+sentinel",
            (Kind::Sentinel { .. }, true) => "rediss+sentinel",
            (Kind::Cluster, false) => "redis+cluster",
            (Kind::Cluster, true) => "rediss+cluster",
        }
    }
}

impl Node {
    /// A name in lower case, or an address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`.
    fn parse(text: &str, default: u16) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(text) => {
                let (address, port) = text.split_once(']')?;
                let address: Ipv6Addr = address.parse().ok()?;
                (address.to_string(), port)
            }
            None => {
                let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
                let is_name = !host.is_empty()
                    && host.len() <= HOST_BYTES
                    && host
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
                is_name.then(|| (host.to_ascii_lowercase(), port))?
            }
        };
        let port = match port {
            "" => default,
            port => number(port.strip_prefix(':')?).filter(|port| *port > 0)?,
        };
        Some(Self {
            host: host.into(),
            port,
        })
    }
}

/// Digits and nothing else, so no `+1`.
fn number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

impl FromStr for RedisUrl {
    type Err = InvalidRedisUrl;

    fn from_str(text: &str) -> Result<Self, InvalidRedisUrl> {
        if text.contains('@') {
            return Err(InvalidRedisUrl::Credentials);
        }
        if text.len() > URL_BYTES {
            return Err(InvalidRedisUrl::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(InvalidRedisUrl::Scheme)?;
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let database = || match path {
            "" => Ok(0),
            path => number(path).ok_or(InvalidRedisUrl::Database),
        };
        let (kind, default) = match scheme {
            "redis" | "rediss" => {
                let database = database()?;
                (Kind::Server { database }, SERVER_PORT)
            }
            "redis+sentinel" | "rediss+sentinel" => {
                let (master, database) = (master(query)?, database()?);
                (Kind::Sentinel { master, database }, SENTINEL_PORT)
            }
            "redis+cluster" | "rediss+cluster" => match database()? {
                0 => (Kind::Cluster, SERVER_PORT),
                _ => return Err(InvalidRedisUrl::ClusterDatabase),
            },
            _ => return Err(InvalidRedisUrl::Scheme),
        };
        if query.is_some() && !matches!(kind, Kind::Sentinel { .. }) {
            return Err(InvalidRedisUrl::Query);
        }
        let nodes = hosts.split(',').map(|host| Node::parse(host, default));
        let hosts: Option<Arc<[Node]>> = nodes.collect();
        let hosts = hosts.ok_or(InvalidRedisUrl::Host)?;
        match (&kind, hosts.len()) {
            (Kind::Server { .. }, 2..) => Err(InvalidRedisUrl::OneHost),
            (_, many) if many > HOSTS => Err(InvalidRedisUrl::ManyHosts),
            _ => Ok(Self {
                tls: scheme.starts_with("rediss"),
                hosts,
                kind,
            }),
        }
    }
}

/// The one thing that a query says: `master=NAME`, in the characters that Sentinel takes.
fn master(query: Option<&str>) -> Result<Arc<str>, InvalidRedisUrl> {
    let name = query.and_then(|query| query.strip_prefix("master="));
    name.filter(|name| {
        (1..=MASTER_BYTES).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    })
    .map(Arc::from)
    .ok_or(InvalidRedisUrl::Master)
}

/// The one text among all that mean the same: ports are written, the database 0 is not.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme())?;
        for (at, node) in self.hosts.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{node}")?;
        }
        let (database, master) = match &self.kind {
            Kind::Server { database } => (*database, None),
            Kind::Sentinel { master, database } => (*database, Some(master)),
            Kind::Cluster => (0, None),
        };
        if database > 0 {
            write!(f, "/{database}")?;
        }
        match master {
            Some(master) => write!(f, "?master={master}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

#[cfg(test)]
mod tests;
