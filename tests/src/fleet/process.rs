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
    let mut defaults = vec![
        ("--gateway", setup.name.clone()),
        ("--default-namespace", setup.home.clone()),
        ("--listen", at(setup.ports.http)),
        ("--admin", at(setup.ports.admin)),
        ("--workers", "1".into()),
        ("--endpoint-delay", "0s".into()),
        ("--drain", "1s".into()),
    ];
    if !setup.given.has("--channels") {
        let secret = format!("{}/siar-{}", setup.home, setup.name);
        defaults.push(("--config-secret", secret));
    }
    command
        .env("KUBECONFIG", kubeconfig)
        .env("POD_NAMESPACE", &setup.home)
        .env("POD_NAME", pod);
    setup.given.give(&mut command, &defaults);
    let log = folder.join(format!("{pod}.log"));
    Process::start(pod, Helpers::None, command, &log)
}
