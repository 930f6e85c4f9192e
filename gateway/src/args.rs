//! The command line, which is the environment, too: every flag is also `SIAR_` and its name.
//!
//! Owns: reading both into [`Settings`], checked. Never: prints a value of the environment. Used by:
//! `main`; `app` takes the Settings.

mod settings;
mod smoke;
mod values;

pub use settings::{ChannelsFrom, LogFormat, RedisSettings, SecretSettings, Settings, TlsSettings};
pub use smoke::SmokeSettings;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use crds::redis_url::InvalidRedisUrl;
use crds::targets::{Entry, Targets};
use ipnet::IpNet;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use values::{claim, cookie_name, key_prefix, label, lifetime, network, pause, secret_name};

/// The most worker threads; more than any machine has cores for.
const MOST_WORKERS: i64 = 256;

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Serve until told to stop.
    Serve(Box<Settings>),
    /// Compile manifests and print every verdict.
    Check(CheckSettings),
    /// Mint a token for a first try.
    Token(TokenSettings),
    /// Try whether a gateway does its job.
    Smoke(SmokeSettings),
}

/// What a token is to say, and the shared key that signs it.
#[derive(Args)]
pub struct TokenSettings {
    /// Shared key of the jwt rule, at least 32 bytes
    #[arg(long, value_name = "KEY", env = "SIAR_SECRET", hide_env_values = true)]
    pub secret: Option<String>,
    /// File with that key, so that it stands in no list of processes
    #[arg(long, value_name = "PATH", conflicts_with = "secret")]
    pub secret_file: Option<PathBuf>,
    /// Subject: who the holder is
    #[arg(long, value_name = "NAME")]
    pub sub: Option<String>,
    /// Issuer, if the rule names one
    #[arg(long, value_name = "ISSUER")]
    pub iss: Option<String>,
    /// Audience, if the rule names some; repeat it for several
    #[arg(long, value_name = "AUDIENCE")]
    pub aud: Vec<String>,
    /// How long it is good
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = lifetime)]
    pub expires: Duration,
    /// Further claims as name=JSON, as in roles=[\"editor\"]; what is no JSON is a text
    #[arg(long = "claim", value_name = "NAME=JSON", value_parser = claim)]
    pub claims: Vec<(String, serde_json::Value)>,
}

impl fmt::Debug for TokenSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSettings")
            .field("sub", &self.sub)
            .finish_non_exhaustive()
    }
}

/// What `check` compiles, and for which gateway.
#[derive(Debug, Args)]
pub struct CheckSettings {
    /// Channel and Secret manifests, a file or a folder
    pub path: PathBuf,
    /// Namespace of manifests that name none
    #[arg(long, value_name = "NAMESPACE", default_value = "default", value_parser = label)]
    pub default_namespace: String,
    /// Name of the fleet whose Channels are compiled
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = label)]
    pub gateway: String,
    /// Judge as a gateway with a Redis of its own
    #[arg(long)]
    pub with_redis: bool,
    /// Judge as a gateway with these --allow-targets
    #[arg(long, value_name = "HOST|CIDR,…", value_delimiter = ',', value_parser = Entry::parse)]
    pub allow_targets: Vec<Entry>,
}

impl CheckSettings {
    /// Where the URLs of Channels may lead.
    #[must_use]
    pub fn targets(&self) -> Targets {
        listed(self.allow_targets.clone()).unwrap_or_else(Targets::standalone)
    }
}

/// Why the command line yields nothing to do.
#[derive(Debug, thiserror::Error)]
pub enum NoCommand {
    /// `--help` or `--version`: the text, for standard output.
    #[error("{0}")]
    Told(String),
    /// One sentence, for standard error; the exit code is 2.
    #[error("{0}")]
    Wrong(String),
}

#[derive(Parser)]
#[command(
    name = "siar-gateway",
    version,
    about = "Serves server-sent event streams of Channels",
    after_help = "Every flag is also an environment variable: SIAR_ and its name, as in SIAR_LISTEN.",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Sub {
    /// Compile manifests, print every verdict; exit code 1 when a Channel is rejected
    Check(CheckSettings),
    /// Mint a JSON Web Token (HS256) for a first try and print it
    Token(TokenSettings),
    /// Publish to a gateway, receive and resume; exit code 1 and one sentence when that fails
    Smoke(SmokeSettings),
}

#[derive(Args)]
struct Serve {
    /// Channel and Secret manifests, a file or a folder, reloaded when they change
    #[arg(
        long,
        value_name = "PATH",
        env = "SIAR_CHANNELS",
        hide_env_values = true
    )]
    channels: Option<PathBuf>,
    /// Instead of --channels: the Secret with the configuration that the operator compiled, followed on the API server
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = secret_name, env = "SIAR_CONFIG_SECRET", hide_env_values = true)]
    config_secret: Option<(String, String)>,
    /// Key snapshot.json.gz of that Secret as it is mounted, for a start without API server
    #[arg(
        long,
        value_name = "PATH",
        requires = "config_secret",
        env = "SIAR_CONFIG_FILE",
        hide_env_values = true
    )]
    config_file: Option<PathBuf>,
    /// Name of this fleet: Channels with another spec.gateway are not served
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = label, env = "SIAR_GATEWAY", hide_env_values = true)]
    gateway: String,
    /// Namespace of URLs and manifests that name none
    #[arg(long, value_name = "NAMESPACE", default_value = "default", value_parser = label, env = "SIAR_DEFAULT_NAMESPACE", hide_env_values = true)]
    default_namespace: String,
    /// Public address, HTTP/1.1 and h2c; port 0 takes a free one
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:8080",
        env = "SIAR_LISTEN",
        hide_env_values = true
    )]
    listen: SocketAddr,
    /// Public address with TLS
    #[arg(
        long,
        value_name = "ADDR",
        requires = "tls_dir",
        env = "SIAR_LISTEN_TLS",
        hide_env_values = true
    )]
    listen_tls: Option<SocketAddr>,
    /// Folder with tls.crt and tls.key, reloaded when they change
    #[arg(
        long,
        value_name = "PATH",
        requires = "listen_tls",
        env = "SIAR_TLS_DIR",
        hide_env_values = true
    )]
    tls_dir: Option<PathBuf>,
    /// Address of metrics, probes and status; never make it public
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:9090",
        env = "SIAR_ADMIN",
        hide_env_values = true
    )]
    admin: SocketAddr,
    /// The gateway's own Redis without a password: redis://, redis+sentinel:// or redis+cluster://, each with rediss for TLS; omitted: memory
    #[arg(long, value_name = "URL", env = "SIAR_REDIS", hide_env_values = true)]
    redis: Option<String>,
    /// Folder with username, password, ca.crt, tls.crt, tls.key, sentinel-username, sentinel-password for it, each if needed
    #[arg(
        long,
        value_name = "PATH",
        requires = "redis",
        env = "SIAR_REDIS_SECRET_DIR",
        hide_env_values = true
    )]
    redis_secret_dir: Option<PathBuf>,
    /// Begins every key and pub/sub channel in Redis
    #[arg(long, value_name = "PREFIX", default_value = "siar", value_parser = key_prefix, env = "SIAR_REDIS_KEY_PREFIX", hide_env_values = true)]
    redis_key_prefix: String,
    /// Where jwks.url, webhook.url and redis.url of Channels may lead, as auth.shop,*.example.com,10.0.0.0/8; omitted: anywhere but to link-local, multicast and unspecified addresses, with --config-secret neither to loopback and the API server
    #[arg(long, value_name = "HOST|CIDR,…", value_delimiter = ',', value_parser = Entry::parse, env = "SIAR_ALLOW_TARGETS", hide_env_values = true)]
    allow_targets: Vec<Entry>,
    /// Networks whose X-Forwarded-For and X-Forwarded-Proto are believed, as 10.0.0.0/8,fd00::/8
    #[arg(long, value_name = "CIDR,…", value_delimiter = ',', value_parser = network, env = "SIAR_TRUSTED_PROXIES", hide_env_values = true)]
    trusted_proxies: Vec<IpNet>,
    /// Name of the cookie that may carry a token
    #[arg(long, value_name = "NAME", default_value = "siar_token", value_parser = cookie_name, env = "SIAR_COOKIE", hide_env_values = true)]
    cookie: String,
    /// Worker threads; omitted: one for each core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST_WORKERS), env = "SIAR_WORKERS", hide_env_values = true)]
    workers: Option<u16>,
    /// How long balancers get to notice a shutdown
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = pause, env = "SIAR_ENDPOINT_DELAY", hide_env_values = true)]
    endpoint_delay: Duration,
    /// Over how long the streams are then closed
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = pause, env = "SIAR_DRAIN", hide_env_values = true)]
    drain: Duration,
    /// Log lines to write: error, warn, info, debug, trace, also per module as info,gateway::worker=debug
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "info",
        env = "SIAR_LOG",
        hide_env_values = true
    )]
    log: String,
    /// How log lines look
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        value_enum,
        env = "SIAR_LOG_FORMAT",
        hide_env_values = true
    )]
    log_format: LogFormat,
    /// Gets the bound addresses as JSON when the gateway is ready
    #[arg(
        long,
        value_name = "PATH",
        env = "SIAR_READY_FILE",
        hide_env_values = true
    )]
    ready_file: Option<PathBuf>,
}

/// Reads the command line and the environment.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, NoCommand> {
    let cli = Cli::try_parse_from(args).map_err(|error| no_command(&error))?;
    match cli.command {
        Some(Sub::Check(check)) => Ok(Command::Check(check)),
        Some(Sub::Token(token)) => Ok(Command::Token(token)),
        Some(Sub::Smoke(smoke)) => Ok(Command::Smoke(smoke)),
        None => settings(cli.serve).map(|settings| Command::Serve(Box::new(settings))),
    }
}

fn settings(serve: Serve) -> Result<Settings, NoCommand> {
    let channels = channels(serve.channels, serve.config_secret, serve.config_file)?;
    // Not read by clap, which would repeat the value: it may hold a password.
    let redis = serve.redis.as_deref().map(str::parse).transpose();
    let redis = redis.map_err(|error: InvalidRedisUrl| {
        NoCommand::Wrong(format!("The value of --redis {error}."))
    })?;
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok(Settings {
        channels,
        gateway: serve.gateway,
        default_namespace: serve.default_namespace,
        listen: serve.listen,
        tls: serve
            .listen_tls
            .zip(serve.tls_dir)
            .map(|(listen, dir)| TlsSettings { listen, dir }),
        admin: serve.admin,
        redis: redis.map(|url| RedisSettings {
            url,
            secret_dir: serve.redis_secret_dir,
        }),
        redis_key_prefix: serve.redis_key_prefix,
        allow_targets: listed(serve.allow_targets),
        trusted_proxies: serve.trusted_proxies,
        cookie: serve.cookie,
        workers: serve.workers.map_or_else(cores, usize::from),
        endpoint_delay: serve.endpoint_delay,
        drain: serve.drain,
        log: serve.log,
        log_format: serve.log_format,
        ready_file: serve.ready_file,
    })
}

/// Exactly one of both.
fn channels(
    path: Option<PathBuf>,
    secret: Option<(String, String)>,
    file: Option<PathBuf>,
) -> Result<ChannelsFrom, NoCommand> {
    let wrong = |sentence: &str| Err(NoCommand::Wrong(sentence.to_owned()));
    match (path, secret) {
        (None, None) => wrong(
            "Say with --channels where the manifests are, or with --config-secret which Secret the operator writes.",
        ),
        (Some(_), Some(_)) => wrong(
            "Channels come from --channels or from --config-secret, not from both; remove one, also from the environment.",
        ),
        (Some(path), None) if !path.exists() => wrong(&format!(
            "There is no file or folder {}; name one with --channels.",
            path.display()
        )),
        (Some(path), None) => Ok(ChannelsFrom::Files(path)),
        (None, Some((namespace, name))) => Ok(ChannelsFrom::Secret(SecretSettings {
            namespace,
            name,
            file,
        })),
    }
}

/// None when nothing is listed.
fn listed(entries: Vec<Entry>) -> Option<Targets> {
    (!entries.is_empty()).then(|| Targets::listed(entries))
}

/// Help as it is; of an error the first paragraph, as one line.
fn no_command(error: &clap::Error) -> NoCommand {
    let text = error.render().to_string();
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return NoCommand::Told(text);
    }
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    let sentence = words.join(" ");
    let sentence = sentence.strip_prefix("error: ").unwrap_or(&sentence);
    NoCommand::Wrong(format!("{sentence}; siar-gateway --help lists the flags."))
}

#[cfg(test)]
mod tests;
