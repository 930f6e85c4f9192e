//! Log lines to standard error.
//!
//! Owns: their format and filter. Never: adds to what is logged; tokens and payloads never get here.
//! Used by: `main`, once.

use crate::args::LogFormat;
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Why logging did not begin.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(
        "--log {value:?} is no filter; write a level such as info, or info,operator::scale=debug: {source}"
    )]
    Filter { value: String, source: ParseError },
    #[error("the log was begun before: {0}")]
    Begun(String),
}

/// kube says at level error what its caller is told anyway, and may well have expected.
const TOLD_TWICE: &str = "kube_client::client::builder=off";

/// Begins to log what `filter` lets through.
pub fn start(filter: &str, format: LogFormat) -> Result<(), LogError> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(parse(filter)?)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    }
    .map_err(|error| LogError::Begun(error.to_string()))
}

/// Whoever names the target that is silent here hears it all the same.
fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::builder()
        .parse(format!("{TOLD_TWICE},{filter}"))
        .map_err(|source| LogError::Filter {
            value: filter.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(filter: &str, expected: &str) {
        let told = match parse(filter) {
            Ok(filter) => filter.to_string(),
            Err(error) => error.to_string(),
        };
        assert!(told.contains(expected), "{told:?} lacks {expected:?}");
    }

    #[test]
    fn what_is_no_filter_is_told_as_it_was_written() {
        check(
            "info,operator=loud",
            "--log \"info,operator=loud\" is no filter",
        );
        check("=", "--log \"=\" is no filter");
    }

    #[test]
    fn kube_does_not_raise_alarm_unless_it_is_asked() {
        check("info", "kube_client::client::builder=off");
        check("info", "info");
        check(
            "info,kube_client::client::builder=debug",
            "kube_client::client::builder=debug",
        );
    }
}
