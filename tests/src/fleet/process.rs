//! The gateway process of a Pod.
//!
//! Owns: its address and its command line. Never: knows the Pod's state. Used by: `fleet`.

use super::{Ports, Setup};
use crate::gateway::binary;
use crate::process::{Helpers, Process};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

/// How many addresses are tried; nearly all of them are free.
const TRIES: usize = 20;

/// A loopback address on which both ports are free: each Pod has one of its own, so all may have the same ports.
pub fn free_address(ports: Ports) -> Ipv4Addr {
    let free = |address: &Ipv4Addr| {
        [ports.http, ports.admin]
            .iter()
            .all(|&port| TcpListener::bind((*address, port)).is_ok())
    };
    let any = || {
        let [_, b, c, d] = rand::random::<u32>().to_be_bytes();
        // 127.0.0.x is where people and other tests are.
        Ipv4Addr::new(127, b.max(1), c, d.clamp(1, 254))
    };
    let found = (0..TRIES).map(|_| any()).find(free);
    found.expect("loopback has addresses with free ports")
}

/// Starts the gateway of a Pod.
pub fn spawn(
    setup: &Setup,
    pod: &str,
    address: Ipv4Addr,
    kubeconfig: &Path,
    folder: &Path,
) -> Process {
    let at = |port: u16| SocketAddr::from((address, port)).to_string();
    let mut command = Command::new(binary("siar-gateway"));
    let given = |name: &str| setup.flags.iter().any(|flag| flag == name);
    let mut default = |name: &str, value: &str| {
        if !given(name) {
            command.args([name, value]);
        }
    };
    if !given("--channels") {
        default(
            "--config-secret",
            &format!("{}/siar-{}", setup.home, setup.name),
        );
    }
    default("--gateway", &setup.name);
    default("--default-namespace", &setup.home);
    default("--listen", &at(setup.ports.http));
    default("--admin", &at(setup.ports.admin));
    default("--workers", "1");
    default("--endpoint-delay", "0s");
    default("--drain", "1s");
    command
        .args(&setup.flags)
        .env("KUBECONFIG", kubeconfig)
        .env("POD_NAMESPACE", &setup.home)
        .env("POD_NAME", pod)
        .envs(setup.environment.iter().map(|(name, value)| (name, value)));
    let log = folder.join(format!("{pod}.log"));
    Process::start(pod, Helpers::None, command, &log)
}
