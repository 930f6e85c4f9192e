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
    let in_folder = |name: &str| folder.join(name).display().to_string();
    let mut defaults = vec![
        ("--ready-file", in_folder("ready.json")),
        ("--listen", public.to_string()),
        ("--admin", admin.to_string()),
        ("--workers", "2".into()),
        ("--endpoint-delay", "0s".into()),
        ("--drain", "1s".into()),
    ];
    // Channels come from one place only.
    if !setup.given.has("--config-secret") {
        defaults.push(("--channels", in_folder("channels")));
    }
    defaults.extend(tls.map(|tls| ("--listen-tls", tls.to_string())));
    setup.given.give(&mut command, &defaults);
    Process::start("siar-gateway", Helpers::None, command, &folder.join("log"))
}
