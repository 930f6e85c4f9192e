//! How a redis-server is started and found to answer.
//!
//! Owns: its command line and its URL. Used by: `redis` alone.

use super::{ANSWER, Setup};
use crate::process::{Helpers, Process};
use redis::{AsyncConnectionConfig, Client};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub fn url(setup: &Setup, port: u16, with_password: bool) -> String {
    let scheme = if setup.certs.is_some() {
        "rediss"
    } else {
        "redis"
    };
    match &setup.password {
        Some(password) if with_password => format!("{scheme}://:{password}@127.0.0.1:{port}/0"),
        _ => format!("{scheme}://127.0.0.1:{port}/0"),
    }
}

pub fn client(setup: &Setup, port: u16) -> Client {
    let url = url(setup, port, true);
    let client = match &setup.certs {
        None => Client::open(url),
        Some(certs) => {
            // The process-wide provider is only missing the first time.
            drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
            let root_cert = Some(certs.pem("ca.crt").into_bytes());
            Client::build_with_tls(
                url,
                redis::TlsCertificates {
                    client_tls: None,
                    root_cert,
                },
            )
        }
    };
    client.expect("a URL of our own making")
}

pub fn spawn(setup: &Setup, port: u16, folder: &tempfile::TempDir) -> Process {
    let program = setup.program.as_deref();
    let mut command = Command::new(program.unwrap_or(Path::new("redis-server")));
    command.args([
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--daemonize",
        "no",
    ]);
    command.arg("--dir").arg(folder.path());
    match &setup.certs {
        None => {
            command.args(["--port", &port.to_string()]);
        }
        Some(certs) => {
            command.args([
                "--port",
                "0",
                "--tls-auth-clients",
                "no",
                "--tls-port",
                &port.to_string(),
            ]);
            for (flag, file) in [
                ("cert", "tls.crt"),
                ("key", "tls.key"),
                ("ca-cert", "ca.crt"),
            ] {
                command
                    .arg(format!("--tls-{flag}-file"))
                    .arg(certs.path(file));
            }
        }
    }
    if let Some(password) = &setup.password {
        command.args(["--requirepass", password]);
    }
    command.args(&setup.extra);
    Process::start(
        "redis-server",
        Helpers::None,
        command,
        &folder.path().join("log"),
    )
}

/// Whether it came up; false when it ended because the port was taken.
pub async fn answers(setup: &Setup, port: u16, process: &mut Process) -> bool {
    let client = client(setup, port);
    let end = std::time::Instant::now() + crate::wait::DEADLINE;
    loop {
        if process.ended().is_some() {
            assert!(
                process.log().contains("Address already in use"),
                "redis-server ended:\n{}",
                process.log()
            );
            return false;
        }
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(ANSWER));
        if let Ok(mut connection) = client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            && redis::cmd("PING")
                .query_async::<String>(&mut connection)
                .await
                .is_ok()
        {
            return true;
        }
        assert!(
            std::time::Instant::now() < end,
            "redis-server does not answer:\n{}",
            process.log()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
