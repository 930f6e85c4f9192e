//! The binary of the operator: parses the command line and answers.
//!
//! Owns: exit codes. Never: decides anything about a Channel (`crds` does).

use anyhow::Context;
use clap::{Parser, Subcommand};
use std::io::Write;

/// Watches Channels and configures the gateways of Siar.
#[derive(Parser)]
#[command(name = "siar-operator", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prints the CustomResourceDefinition of Channels as YAML.
    Crd,
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Crd => std::io::stdout()
            .write_all(crds::printed().as_bytes())
            .context("write the definition to standard output"),
    }
}
