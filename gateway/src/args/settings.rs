//! Everything that the gateway was told at its start.
//!
//! Owns: the fields and what they mean. Made by: `args`. Used by: `app`.

use clap::ValueEnum;
use crds::redis_url::RedisUrl;
use crds::targets::Targets;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that the gateway was told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the Channels come from.
    pub channels: ChannelsFrom,
    /// Which fleet this is: Channels of others are not served.
    pub gateway: String,
    /// The namespace of URLs and manifests that name none.
    pub default_namespace: String,
    /// The public port, HTTP/1.1 and h2c.
    pub listen: SocketAddr,
    /// The public port with TLS.
    pub tls: Option<TlsSettings>,
    /// Metrics, probes and status; never public.
    pub admin: SocketAddr,
    /// The gateway's own Redis; none means memory.
    pub redis: Option<RedisSettings>,
    /// Begins every key and pub/sub channel in Redis.
    pub redis_key_prefix: String,
    /// Where the URLs of Channels may lead; not `redis`, which is the operator's own. None means the default
    /// of where the Channels come from.
    pub allow_targets: Option<Targets>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The cookie that may carry a token.
    pub cookie: String,
    /// Worker threads, 1–256.
    pub workers: usize,
    /// How long balancers get to notice a shutdown.
    pub endpoint_delay: Duration,
    /// Over how long the streams are then closed.
    pub drain: Duration,
    /// Which log lines are written, like `info` or `info,gateway=debug`.
    pub log: String,
    pub log_format: LogFormat,
    /// Gets the bound addresses as JSON when the gateway is ready.
    pub ready_file: Option<PathBuf>,
}

/// What is in force comes from one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelsFrom {
    /// Manifests: a file or a folder.
    Files(PathBuf),
    /// The Secret that the operator writes.
    Secret(SecretSettings),
}

/// The Secret with the compiled configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretSettings {
    pub namespace: String,
    pub name: String,
    /// Where it is mounted, for a start without API server; it need not be there.
    pub file: Option<PathBuf>,
}

/// Where TLS is served and from which files.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    pub listen: SocketAddr,
    /// Holds `tls.crt` and `tls.key`.
    pub dir: PathBuf,
}

/// The gateway's own Redis.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// Without a password; those come from the folder.
    pub url: RedisUrl,
    /// Holds `username`, `password`, `ca.crt`, `tls.crt`, `tls.key`, `sentinel-username` and
    /// `sentinel-password`, each if needed.
    pub secret_dir: Option<PathBuf>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}
