//! What `smoke` is told.
//!
//! Owns: its flags. Never: shows a token. Used by: `args`; `smoke` takes the settings.

use super::values::{base_url, label, pause};
use clap::Args;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Which gateway is tried, and with which Channel.
#[derive(Args)]
pub struct SmokeSettings {
    /// The gateway, as in http://127.0.0.1:8080
    #[arg(value_name = "URL", value_parser = base_url)]
    pub url: String,
    /// Topic of a Channel with history: it is published to, received from, resumed. Omitted: only whether a gateway answers
    #[arg(long, value_name = "TOPIC")]
    pub channel: Option<String>,
    /// Namespace of that Channel; omitted: the gateway's default one
    #[arg(long, value_name = "NAMESPACE", value_parser = label)]
    pub namespace: Option<String>,
    /// Bearer token, if the Channel asks for one
    #[arg(long, value_name = "TOKEN", env = "SIAR_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// File with that token, so that it stands in no list of processes
    #[arg(long, value_name = "PATH", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,
    /// How long to try again while the gateway starts or the Channel is on its way to it
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = pause)]
    pub wait: Duration,
}

impl fmt::Debug for SmokeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmokeSettings")
            .field("url", &self.url)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}
