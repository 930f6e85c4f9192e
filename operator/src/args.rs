//! The command line, which is the environment, too: every flag is also `SIAR_` and its name.
//!
//! Owns: reading both into [`Settings`], checked. Never: prints a value of the environment. Used by:
//! `main`; `app` takes the Settings.

mod values;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use crds::targets::{Entry, Targets};
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use values::{every, identity, label, object_name, while_long};

/// Home when nobody says otherwise: the namespace that the documentation installs into.
const HOME: &str = "siar";

/// Everything that the operator was told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The only namespace whose Channels and Secrets are seen; none means all.
    pub watch_namespace: Option<String>,
    /// Home: where the fleets are, their Secrets and the Lease.
    pub namespace: String,
    /// The name of the Lease.
    pub lease: String,
    /// Who holds the Lease; differs for each process that runs at the same time.
    pub identity: String,
    /// Metrics and probes; never public.
    pub admin: SocketAddr,
    /// What [`Settings::targets`] lists; empty when nothing was.
    pub allow_targets: Vec<Entry>,
    /// For so long fewer streams must be there before a fleet gets smaller.
    pub scale_down_after: Duration,
    /// Between two steps down.
    pub scale_down_every: Duration,
    /// Which log lines are written, like `info` or `info,operator=debug`.
    pub log: String,
    pub log_format: LogFormat,
    /// Gets the bound address as JSON when the operator is ready.
    pub ready_file: Option<PathBuf>,
}

impl Settings {
    /// Where the URLs of Channels may lead; by default not to the addresses of the API server.
    #[must_use]
    pub fn targets(&self, api_server: impl IntoIterator<Item = IpAddr>) -> Targets {
        if self.allow_targets.is_empty() {
            return Targets::cluster(api_server);
        }
        Targets::listed(self.allow_targets.clone())
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Watch and configure until told to stop.
    Run(Box<Settings>),
    /// Print the definition of Channels.
    Crd,
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

/// What the process finds around it, and what makes it differ from others.
pub struct Around<'a> {
    /// A variable of the environment: `POD_NAMESPACE`, `POD_NAME`, `POD_UID`, `HOSTNAME`.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Random in production.
    pub chance: u64,
}

#[derive(Parser)]
#[command(
    name = "siar-operator",
    version,
    about = "Watches Channels and configures the gateways of Siar",
    after_help = "Every flag is also an environment variable: SIAR_ and its name, as in SIAR_ADMIN.",
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    run: Run,
}

#[derive(Subcommand)]
enum Sub {
    /// Print the CustomResourceDefinition of Channels as YAML
    Crd,
}

#[derive(Args)]
struct Run {
    /// The only namespace whose Channels are served; omitted: all
    #[arg(long, value_name = "NAMESPACE", value_parser = label, env = "SIAR_WATCH_NAMESPACE", hide_env_values = true)]
    watch_namespace: Option<String>,
    /// Namespace of the gateways, their Secrets and the Lease; omitted: POD_NAMESPACE, else siar
    #[arg(long, value_name = "NAMESPACE", value_parser = label, env = "SIAR_NAMESPACE", hide_env_values = true)]
    namespace: Option<String>,
    /// Name of the Lease that one replica holds
    #[arg(long, value_name = "NAME", default_value = "siar-operator", value_parser = object_name, env = "SIAR_LEASE", hide_env_values = true)]
    lease: String,
    /// Who holds the Lease, another for each replica; omitted: POD_NAME and POD_UID, else drawn
    #[arg(long, value_name = "NAME", value_parser = identity, env = "SIAR_IDENTITY", hide_env_values = true)]
    identity: Option<String>,
    /// Address of metrics and probes; never make it public
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:9090",
        env = "SIAR_ADMIN",
        hide_env_values = true
    )]
    admin: SocketAddr,
    /// Where jwks.url, webhook.url and redis.url of Channels may lead, as auth.shop,*.example.com,10.0.0.0/8; omitted: anywhere but to loopback, link-local, multicast and unspecified addresses and to the API server
    #[arg(long, value_name = "HOST|CIDR,…", value_delimiter = ',', value_parser = Entry::parse, env = "SIAR_ALLOW_TARGETS", hide_env_values = true)]
    allow_targets: Vec<Entry>,
    /// How long fewer streams must be there before a fleet gets smaller
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = while_long, env = "SIAR_SCALE_DOWN_AFTER", hide_env_values = true)]
    scale_down_after: Duration,
    /// Time between two steps down, of one pod each
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = every, env = "SIAR_SCALE_DOWN_EVERY", hide_env_values = true)]
    scale_down_every: Duration,
    /// Log lines to write: error, warn, info, debug, trace, also per module as info,operator::scale=debug
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
    /// Gets the bound address as JSON when the operator is ready
    #[arg(
        long,
        value_name = "PATH",
        env = "SIAR_READY_FILE",
        hide_env_values = true
    )]
    ready_file: Option<PathBuf>,
}

/// A variable of the process's environment; empty is as good as absent.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the environment is read here")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads the command line and the environment.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    around: &Around<'_>,
) -> Result<Command, NoCommand> {
    let cli = Cli::try_parse_from(args).map_err(|error| no_command(&error))?;
    match cli.command {
        Some(Sub::Crd) => Ok(Command::Crd),
        None => settings(cli.run, around).map(|settings| Command::Run(Box::new(settings))),
    }
}

fn settings(run: Run, around: &Around<'_>) -> Result<Settings, NoCommand> {
    let namespace = match run.namespace {
        Some(namespace) => namespace,
        None => match (around.variable)("POD_NAMESPACE") {
            Some(namespace) => label(&namespace).map_err(|why| {
                NoCommand::Wrong(format!("POD_NAMESPACE is no namespace: {why}."))
            })?,
            None => HOME.to_owned(),
        },
    };
    Ok(Settings {
        watch_namespace: run.watch_namespace,
        namespace,
        lease: run.lease,
        identity: run.identity.unwrap_or_else(|| values::own_identity(around)),
        admin: run.admin,
        allow_targets: run.allow_targets,
        scale_down_after: run.scale_down_after,
        scale_down_every: run.scale_down_every,
        log: run.log,
        log_format: run.log_format,
        ready_file: run.ready_file,
    })
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
    NoCommand::Wrong(format!("{sentence}; siar-operator --help lists the flags."))
}

#[cfg(test)]
mod tests;
