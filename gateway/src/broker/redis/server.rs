//! From a Channel's Redis server to a client of it.
//!
//! Owns: credentials, certificates and socket settings of a connection, read anew for each. Never: keeps
//! a connection; lets a credential into an error. Used by: `commands`, `link`.

use crds::policy::RedisServer;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, IntoConnectionInfo, ProtocolVersion,
    RedisResult, TlsCertificates,
};
use std::sync::Arc;
use std::time::Duration;

/// Time to reach the server and to be let in.
pub const CONNECT: Duration = Duration::from_secs(1);
/// A connection without traffic is asked for a sign of life by the kernel after this time.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Bytes that the server does not acknowledge for so long end the connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Says where the server is and how to be let in; asked before each connect.
pub type Source = Arc<dyn Fn() -> RedisServer + Send + Sync>;

/// Connects within [`CONNECT`].
pub async fn connect(
    source: &Source,
    config: AsyncConnectionConfig,
) -> RedisResult<MultiplexedConnection> {
    let client = client(&source())?;
    let config = config.set_connection_timeout(Some(CONNECT));
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

/// Host and port, for metrics and logs.
#[must_use]
pub fn label(server: &RedisServer) -> String {
    server
        .url
        .as_str()
        .into_connection_info()
        .map_or_else(|_| "unknown".into(), |info| info.addr().to_string())
}

fn client(server: &RedisServer) -> RedisResult<Client> {
    let info = server.url.as_str().into_connection_info()?;
    let mut settings = info
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP3);
    if let Some(username) = &server.username {
        settings = settings.set_username(username);
    }
    if let Some(password) = &server.password {
        settings = settings.set_password(password.expose());
    }
    let tcp = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(socket2::TcpKeepalive::new().with_time(KEEPALIVE))
        .set_user_timeout(UNACKNOWLEDGED);
    let info = info.set_redis_settings(settings).set_tcp_settings(tcp);
    let encrypted = matches!(info.addr(), redis::ConnectionAddr::TcpTls { .. });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crds::secret::Secret;

    fn server(url: &str) -> RedisServer {
        RedisServer {
            url: url.into(),
            username: Some("ana".into()),
            password: Some(Secret::new("hunter2".into())),
            ca: None,
            client: None,
        }
    }

    #[test]
    fn the_label_is_host_and_port() {
        assert_eq!(label(&server("redis://redis.shop")), "redis.shop:6379");
        assert_eq!(label(&server("rediss://redis.shop:1/0")), "redis.shop:1");
        assert_eq!(label(&server("nonsense")), "unknown");
    }

    #[test]
    fn credentials_come_from_the_secret_and_stay_out_of_texts() {
        let client = client(&server("redis://localhost/3")).unwrap();
        let settings = client.get_connection_info().redis_settings();
        assert_eq!(settings.password(), Some("hunter2"));
        assert_eq!(settings.db(), 3);
        assert!(!format!("{client:?}").contains("hunter2"));
    }

    #[test]
    fn other_shapes_of_servers_are_refused_by_name() {
        assert!(client(&server("redis+cluster://a,b")).is_err());
    }
}
