//! The process of a gateway: its binary and its command line.
//!
//! Owns: the flags that every test needs. Never: waits until it is ready. Used by: `gateway`, tests of the command line.

use super::Setup;
use crate::process::{Helpers, Process};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the binary is: beside the folder of the test binary, unless `GATEWAY_BIN` says otherwise.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let variable = format!("{}_BIN", name.trim_start_matches("siar-").to_uppercase());
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let program = std::env::current_exe().expect("a program knows its own path");
    let folder = program.parent().expect("a program lies in a folder");
    // Tests are built into deps/, the bench beside the servers.
    let folder = folder
        .parent()
        .filter(|_| folder.ends_with("deps"))
        .unwrap_or(folder);
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is missing; build it first, as tests/run does",
        path.display()
    );
    path
}

/// Starts it on these addresses; port 0 takes a free one.
pub(super) fn spawn(
    setup: &Setup,
    folder: &Path,
    public: SocketAddr,
    tls: Option<SocketAddr>,
    admin: SocketAddr,
) -> Process {
    let mut command = match setup.open_files {
        None => Command::new(binary("siar-gateway")),
        Some(most) => {
            // It becomes the gateway, so the process is the same.
            let mut command = Command::new("prlimit");
            command.arg(format!("--nofile={most}:{most}"));
            command.arg(binary("siar-gateway"));
            command
        }
    };
    let mut flags: Vec<String> = Vec::new();
    let mut default = |name: &str, value: String| {
        if !setup.flags.iter().any(|flag| flag == name) {
            flags.extend([name.to_owned(), value]);
        }
    };
    // Channels come from one place only.
    if !setup.flags.iter().any(|flag| flag == "--config-secret") {
        default("--channels", folder.join("channels").display().to_string());
    }
    default(
        "--ready-file",
        folder.join("ready.json").display().to_string(),
    );
    default("--listen", public.to_string());
    default("--admin", admin.to_string());
    default("--workers", "2".into());
    default("--endpoint-delay", "0s".into());
    default("--drain", "1s".into());
    if let Some(tls) = tls {
        default("--listen-tls", tls.to_string());
    }
    command.args(flags).args(&setup.flags);
    command.envs(setup.environment.iter().map(|(name, value)| (name, value)));
    Process::start("siar-gateway", Helpers::None, command, &folder.join("log"))
}
