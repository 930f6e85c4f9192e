//! A Kubernetes cluster with one real node: containerd, kubelet and kube-proxy run Pods from the images of the chart.
//!
//! Owns: starting it once for all tests of a run, one test at a time on it, commands and faults inside. Never: leaves
//! anything behind: it ends when the other end of its input is closed, so with this process, however that dies.
//! Used by: tests of what no fake shows.

use crate::process::folder;
use crate::wait::{until_time, within_time};
use serde_json::Value;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::{Mutex, MutexGuard};

mod crowd;
mod outage;
mod page;
mod release;

pub use crowd::Crowd;
use release::Release;
pub use release::{HOME, is_ready};

/// How long it may take until the node is Ready: 10 s on an idle machine.
const START: Duration = Duration::from_secs(180);
/// How long a command may take that waits for something itself.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// The running node.
pub struct Node {
    folder: PathBuf,
    release: Option<Release>,
    /// Holds the input that keeps it alive.
    _starter: Child,
}

/// The one of this process, and whose turn it is.
static NODE: Mutex<Option<Node>> = Mutex::const_new(None);

/// The node while it is a test's own.
pub struct Turn(MutexGuard<'static, Option<Node>>);

impl std::ops::Deref for Turn {
    type Target = Node;

    fn deref(&self) -> &Node {
        self.0.as_ref().expect("it was started")
    }
}

impl std::ops::DerefMut for Turn {
    fn deref_mut(&mut self) -> &mut Node {
        self.0.as_mut().expect("it was started")
    }
}

impl Node {
    /// Waits until no other test uses the node, and starts it if none did before.
    pub async fn turn() -> Turn {
        let mut node = NODE.lock().await;
        if node.is_none() {
            *node = Some(Self::start().await);
        }
        Turn(node)
    }

    async fn start() -> Self {
        let images = images();
        // The script deletes it, when this process cannot any more.
        let folder = folder().keep();
        let log = folder.join("log/start.log");
        fs::create_dir(folder.join("log")).expect("the folder is ours");
        let output = || File::options().create(true).append(true).open(&log);
        let output = || output().expect("the folder is ours");
        let mut command = std::process::Command::new(script("start"));
        command
            .arg(&folder)
            .env("IMAGES", images)
            // What ends the tests by a signal to their group must not end the one who cleans up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(output())
            .stderr(output());
        let starter = command.spawn().expect("the script can be run");
        let mut node = Self {
            folder,
            release: None,
            _starter: starter,
        };
        until_time(START, "the node to be ready", || {
            let ended = node._starter.try_wait().expect("it is our child");
            let failed = node.folder.join("failed").exists() || ended.is_some();
            assert!(!failed, "the node cannot start:\n{}", node.logs());
            let ready = node.folder.join("ready").exists().then_some(());
            let ready = ready.ok_or_else(|| node.logs());
            async move { ready }
        })
        .await;
        node
    }

    /// A command in its namespaces, as admin of the cluster.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(script("enter"));
        command.arg(&self.folder).arg(program).kill_on_drop(true);
        command
    }

    /// What a command in there came to; `input` is what it may read.
    pub async fn try_run(&self, words: &[&str], input: &str) -> Output {
        let mut command = self.command(words[0]);
        command
            .args(&words[1..])
            .current_dir(root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        within_time(PATIENCE, words.join(" "), async {
            let mut child = command.spawn().expect("the script can be run");
            let mut stdin = child.stdin.take().expect("it has a pipe");
            // Who does not read its input closes the pipe.
            drop(stdin.write_all(input.as_bytes()).await);
            drop(stdin);
            child.wait_with_output().await.expect("it is our child")
        })
        .await
    }

    /// What a command in there prints; it must succeed.
    pub async fn run(&self, words: &[&str], input: &str) -> String {
        let output = self.try_run(words, input).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{}: {}{}",
            words.join(" "),
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// What `kubectl` prints.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        self.run(&[&["kubectl"], arguments].concat(), "").await
    }

    /// Objects of the API as JSON: `kubectl get` with these arguments.
    pub async fn get(&self, arguments: &[&str]) -> Value {
        let all = [&["get", "--output", "json"], arguments].concat();
        serde_json::from_str(&self.kubectl(&all).await).expect("kubectl writes JSON")
    }

    /// Creates an object or makes it equal to this.
    pub async fn apply(&self, object: &Value) {
        let apply = ["kubectl", "apply", "--filename", "-"];
        self.run(&apply, &object.to_string()).await;
    }

    async fn component(&self, action: &str, name: &str) {
        let script = script("component").display().to_string();
        let folder = self.folder.display().to_string();
        self.run(&[&script, &folder, action, name], "").await;
    }

    /// The last lines of every server.
    fn logs(&self) -> String {
        let logs = fs::read_dir(self.folder.join("log"));
        let mut all = String::new();
        for entry in logs.into_iter().flatten().flatten() {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().rev().take(8).collect();
            let lines = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
            all += &format!("--- {} ---\n{lines}\n", entry.file_name().display());
        }
        all
    }
}

/// The folder of the repository.
fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the crate lies in the repository")
}

fn script(name: &str) -> PathBuf {
    root().join("tests/cluster").join(name)
}

/// Where `tests/run` put the images: beside the folder of the programs, unless `SIAR_IMAGES` says otherwise.
#[must_use]
pub fn images() -> PathBuf {
    if let Some(folder) = std::env::var_os("SIAR_IMAGES") {
        return folder.into();
    }
    let gateway = crate::gateway::binary("siar-gateway");
    let folder = gateway.parent().and_then(Path::parent);
    let folder = folder.expect("programs lie in target/debug").join("images");
    assert!(
        folder.join("gateway.tar").exists(),
        "{} has no images; tests/run makes them",
        folder.display()
    );
    folder
}
