//! Log lines to standard error.
//!
//! Owns: their format and filter. Never: adds to what is logged; tokens and payloads never get here.
//! Used by: `main`, once.

use crate::args::LogFormat;
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// They tell of each retry as an error, and quote answers that they cannot read: a Secret may be in them.
const SILENT: [&str; 2] = ["kube_client=off", "kube_runtime=off"];

/// Why logging did not begin.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(
        "--log {value:?} is no filter; write a level such as info, or info,gateway::worker=debug: {source}"
    )]
    Filter { value: String, source: ParseError },
    #[error("the log was begun before: {0}")]
    Begun(String),
}

/// Begins to log what `filter` lets through.
pub fn start(filter: &str, format: LogFormat) -> Result<(), LogError> {
    let parsed = EnvFilter::builder()
        .parse(filter)
        .map_err(|source| LogError::Filter {
            value: filter.to_owned(),
            source,
        })?;
    let parsed = SILENT.into_iter().fold(parsed, |filter, directive| {
        filter.add_directive(directive.parse().expect("our own filters can be read"))
    });
    let lines = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    }
    .map_err(|error| LogError::Begun(error.to_string()))
}
