//! From a Redis, as its URL and Secret describe it, to a connection to one of its servers.
//!
//! Owns: credentials, certificates and socket settings of a connection, read anew for each, and that a tenant's
//! leads to no address that its targets do not admit, whoever named it. Never: keeps a connection; lets a
//! credential into an error. Used by: `door`, `link`, `follow`.

use super::topology::Node;
use crate::lookup::lookup;
use crds::policy::{Login, RedisServer};
use crds::redis_url::Kind;
use crds::secret::Secret;
use crds::targets::Targets;
use redis::aio::MultiplexedConnection;
use redis::io::AsyncDNSResolver;
use redis::io::tcp::{TcpSettings, socket2};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, RedisConnectionInfo, RedisError, RedisFuture, RedisResult, TlsCertificates,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Time to reach a server and to be let in.
pub const CONNECT: Duration = Duration::from_secs(1);
/// A connection without traffic is asked for a sign of life by the kernel after this time.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Bytes that the server does not acknowledge for so long end the connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Where the server is and how to be let in.
#[derive(Clone)]
pub struct Source {
    read: Arc<dyn Fn() -> RedisServer + Send + Sync>,
    /// What a tenant's URL may lead to; none for the gateway's own server.
    targets: Option<Arc<Targets>>,
}

impl Source {
    /// The gateway's own server, wherever it is; `read` is asked before each connect.
    pub fn own(read: impl Fn() -> RedisServer + Send + Sync + 'static) -> Self {
        Self {
            read: Arc::new(read),
            targets: None,
        }
    }

    /// The server of Channels, with the credentials that it has at each connect: every address that its URL leads
    /// to is judged by `targets`.
    #[must_use]
    pub fn named(server: watch::Receiver<Arc<RedisServer>>, targets: Arc<Targets>) -> Self {
        Self {
            read: Arc::new(move || RedisServer::clone(&server.borrow())),
            targets: Some(targets),
        }
    }

    /// The server as it is now.
    #[must_use]
    pub fn server(&self) -> RedisServer {
        (self.read)()
    }

    /// What its URL names, never nothing: servers or Sentinels.
    #[must_use]
    pub fn hosts(&self) -> Vec<Node> {
        let server = self.server();
        let hosts = server.id.url.hosts().iter();
        hosts
            .map(|host| Node::new(host.host(), host.port()))
            .collect()
    }
}

/// Leads to what the targets admit, and to nothing else: the connection is made to the very address that
/// was judged. Asked for literal addresses, too.
struct Judge(Arc<Targets>);

impl AsyncDNSResolver for Judge {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        host: &'b str,
        port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            let found = lookup(host, port).await?.into_iter();
            let admitted = found.filter(|address| self.0.admits(host, address.ip()));
            let admitted: Vec<SocketAddr> = admitted.collect();
            if admitted.is_empty() {
                return Err(RedisError::from((
                    ErrorKind::InvalidClientConfig,
                    "the URL leads to no address that --allow-targets admits",
                )));
            }
            Ok(Box::new(admitted.into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        })
    }
}

/// Connects within [`CONNECT`]; behind Sentinels only to a master, which takes as long again to ask.
pub async fn connect(
    source: &Source,
    node: &Node,
    config: AsyncConnectionConfig,
) -> RedisResult<MultiplexedConnection> {
    let server = source.server();
    let settings = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
    let (settings, replicated) = match server.id.url.kind() {
        Kind::Server { database } => (settings.set_db(i64::from(*database)), false),
        Kind::Sentinel { database, .. } => (settings.set_db(i64::from(*database)), true),
        Kind::Cluster => (settings, false),
    };
    let (user, password) = (server.username.as_deref(), server.password.as_ref());
    let client = client(&server, node, with_login(settings, user, password))?;
    let mut connection = open(source, &client, config).await?;
    if replicated {
        is_master(&mut connection).await?;
    }
    Ok(connection)
}

/// Connects to a Sentinel, within [`CONNECT`].
pub async fn connect_sentinel(source: &Source, node: &Node) -> RedisResult<MultiplexedConnection> {
    let server = source.server();
    let (user, password) = match &server.sentinel {
        Some(Login { username, password }) => (username.as_deref(), Some(password)),
        None => (None, None),
    };
    let settings = with_login(RedisConnectionInfo::default(), user, password);
    let client = client(&server, node, settings)?;
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(CONNECT));
    open(source, &client, config).await
}

/// A Sentinel may name one that is none any more.
async fn is_master(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut ask = redis::cmd("INFO");
    ask.arg("replication");
    let asked = timeout(CONNECT, ask.query_async::<String>(connection)).await;
    let said = asked.map_err(|late| RedisError::from(std::io::Error::from(late)))??;
    if said.contains("role:master") {
        return Ok(());
    }
    Err(RedisError::from((
        ErrorKind::Io,
        "the server is a replica, not the master",
    )))
}

async fn open(
    source: &Source,
    client: &Client,
    config: AsyncConnectionConfig,
) -> RedisResult<MultiplexedConnection> {
    let mut config = config.set_connection_timeout(Some(CONNECT));
    if let Some(targets) = &source.targets {
        config = config.set_dns_resolver(Judge(targets.clone()));
    }
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

fn with_login(
    settings: RedisConnectionInfo,
    username: Option<&str>,
    password: Option<&Secret<String>>,
) -> RedisConnectionInfo {
    let settings = match username {
        Some(username) => settings.set_username(username),
        None => settings,
    };
    match password {
        Some(password) => settings.set_password(password.expose()),
        None => settings,
    }
}

fn client(server: &RedisServer, node: &Node, settings: RedisConnectionInfo) -> RedisResult<Client> {
    let (host, port) = (node.host.to_string(), node.port);
    let encrypted = server.id.url.tls();
    let address = if encrypted {
        ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        }
    } else {
        ConnectionAddr::Tcp(host, port)
    };
    let tcp = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(socket2::TcpKeepalive::new().with_time(KEEPALIVE))
        .set_user_timeout(UNACKNOWLEDGED);
    let info = address.into_connection_info()?;
    let info = info.set_redis_settings(settings).set_tcp_settings(tcp);
    if !encrypted || (server.ca.is_none() && server.client.is_none()) {
        return Client::open(info);
    }
    let client_tls = server.client.as_ref().map(|(chain, key)| ClientTlsConfig {
        client_cert: chain.clone(),
        client_key: key.expose().clone(),
    });
    let certificates = TlsCertificates {
        client_tls,
        root_cert: server.ca.clone(),
    };
    Client::build_with_tls(info, certificates)
}

/// Of the one server that the URL names.
#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> RedisServer {
        RedisServer {
            username: Some("ana".into()),
            password: Some(Secret::new("hunter2".into())),
            ..RedisServer::open(url.parse().unwrap())
        }
    }

    #[test]
    fn credentials_come_from_the_secret_and_stay_out_of_texts() {
        let server = server("redis://localhost/3");
        let settings = RedisConnectionInfo::default();
        let settings = with_login(settings, Some("ana"), server.password.as_ref());
        let client = client(&server, &Node::new("::1", 7), settings).unwrap();
        let settings = client.get_connection_info().redis_settings();
        assert_eq!(settings.password(), Some("hunter2"));
        assert!(!format!("{client:?}").contains("hunter2"));
    }

    async fn led(targets: Targets, host: &str) -> RedisResult<Vec<SocketAddr>> {
        let judge = Judge(Arc::new(targets));
        let addresses = judge.resolve(host, 6379).await?;
        Ok(addresses.collect())
    }

    #[tokio::test]
    async fn every_address_that_a_tenants_url_leads_to_is_judged() {
        for host in [
            "127.0.0.1",
            "127.1",
            "localhost",
            "0x7f000001",
            "::ffff:127.0.0.1",
        ] {
            let refused = led(Targets::cluster([]), host).await.unwrap_err();
            assert!(refused.to_string().contains("--allow-targets"), "{refused}");
            let admitted = led(Targets::standalone(), host).await.unwrap();
            assert!(!admitted.is_empty(), "{host}");
            assert!(admitted.iter().all(|address| address.port() == 6379));
        }
        let local = led(Targets::cluster([]), "169.254.169.254").await;
        assert!(local.is_err());
    }

    #[tokio::test]
    async fn a_refused_server_is_not_connected_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let (_keep, named) = watch::channel(Arc::new(server(&url)));
        let source = Source::named(named, Arc::new(Targets::cluster([])));
        let hosts = source.hosts();
        let refused = connect(&source, &hosts[0], AsyncConnectionConfig::new()).await;
        let error = refused.expect_err("refused").to_string();
        assert!(error.contains("--allow-targets"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
