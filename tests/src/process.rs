//! A server process of a test.
//!
//! Owns: the child, its folder and its log; ends it by its own handle on drop, also when the test panics, and then
//! prints the end of its log. Never: touches a process it did not start. Used by: `gateway`, `redis`, `flask`,
//! `browser`, `cluster`, `fleet`, `operator`.

use crate::wait;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// How much of a log is shown when a test fails.
const TAIL_BYTES: usize = 6_000;

/// A running server, killed when dropped.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    helpers: Helpers,
}

/// Whether a server starts processes of its own, which must end with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Helpers {
    None,
    Some,
}

impl Process {
    /// Starts `command`; what it prints is appended to `log`.
    pub fn start(name: &str, helpers: Helpers, mut command: Command, log: &Path) -> Self {
        let output = || -> File {
            let file = OpenOptions::new().create(true).append(true).open(log);
            file.unwrap_or_else(|error| panic!("cannot write {}: {error}", log.display()))
        };
        command
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output());
        Self::spawn(name, helpers, command, log)
    }

    /// Starts `command` with the standard streams that it was given.
    pub fn spawn(name: &str, helpers: Helpers, mut command: Command, log: &Path) -> Self {
        if helpers == Helpers::Some {
            command.process_group(0);
        }
        let child = command.spawn().unwrap_or_else(|error| {
            panic!(
                "cannot start {name} ({:?}): {error}; tests/run installs what is missing",
                command.get_program()
            )
        });
        Self {
            name: name.into(),
            child,
            log: log.into(),
            helpers,
        }
    }

    /// The child, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends `signal`.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal)
            .unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.name));
    }

    /// Ends it as a power cut would, and waits until it is gone.
    pub fn kill9(&mut self) {
        if self.helpers == Helpers::Some && self.ended().is_none() {
            kill_process_group(Pid::from_child(&self.child), Signal::KILL)
                .expect("the group is ours to kill");
        }
        self.child.kill().expect("the child is ours to kill");
        self.child.wait().expect("the child is ours to wait for");
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("the child is ours to wait for")
    }

    /// Waits until it ends by itself.
    pub async fn exit(&mut self) -> ExitStatus {
        let what = format!("{} to exit", self.name);
        wait::until(what, || {
            let ended = self.ended();
            async move { ended.ok_or_else(|| "it runs".into()) }
        })
        .await
    }

    /// Panics with its log if it has ended.
    pub fn must_run(&mut self) {
        if let Some(status) = self.ended() {
            panic!("{} ended with {status}:\n{}", self.name, tail(&self.log));
        }
    }

    /// Waits until one line of what it printed has all these words.
    pub async fn until_logged(&self, words: &[&str]) {
        wait::until(format!("{words:?} in one line of the log"), || async {
            let log = self.log();
            let has_all = |line: &str| words.iter().all(|word| line.contains(word));
            if log.lines().any(has_all) {
                Ok(())
            } else {
                Err(log)
            }
        })
        .await;
    }

    /// All that it printed.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.kill9();
        }
        if std::thread::panicking() {
            eprintln!(
                "--- end of the log of {} ---\n{}",
                self.name,
                tail(&self.log)
            );
        }
    }
}

fn tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]).into_owned()
}

/// Ports below those that the kernel gives to outgoing connections, and to NodePorts: a server that is down for a moment
/// finds its own again, however many connections other tests open meanwhile.
const PORTS: Range<u32> = 10_000..30_000;

/// A loopback port that nobody listened on a moment ago, for servers that cannot choose one themselves. A process is
/// given none twice, until it was given them all.
#[must_use]
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Other test runs on the same machine begin elsewhere.
    let first = std::process::id().wrapping_mul(1_237) % PORTS.len() as u32;
    let next = || (first + GIVEN.fetch_add(1, Ordering::Relaxed)) % PORTS.len() as u32;
    let ports = PORTS.map(|_| u16::try_from(PORTS.start + next()).expect("ports have 16 bits"));
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let mut free = ports.filter(is_free);
    free.next().expect("loopback has free ports")
}

/// A folder of a test, deleted with it.
#[must_use]
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("siar-test-")
        .tempdir()
        .expect("the temporary folder is writable")
}

/// Where `tests/run` keeps what it builds and installs.
#[must_use]
pub fn cache() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache");
    cache.unwrap_or_else(home).join("siar")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_port_is_given_twice() {
        let ask = || std::thread::spawn(|| Vec::from_iter((0..200).map(|_| free_port())));
        let asked = Vec::from_iter((0..8).map(|_| ask()));
        let given = asked.into_iter().flat_map(|asked| asked.join().unwrap());
        let given = Vec::from_iter(given);
        let different: HashSet<u16> = given.iter().copied().collect();
        assert_eq!(different.len(), given.len());
        assert!(given.iter().all(|port| PORTS.contains(&u32::from(*port))));
    }
}
