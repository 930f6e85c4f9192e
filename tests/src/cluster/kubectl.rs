//! `kubectl` against the cluster of a test.
//!
//! Owns: its kubeconfig, its cache, its output. Never: reads or writes what the user of this machine has in `~/.kube`.
//! Used by: `cluster`.

use super::servers::binary;
use super::{ADMIN, Cluster};
use crate::wait::within;
use serde_json::Value;
use std::process::Stdio;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

impl Cluster {
    /// What `kubectl` prints for [`ADMIN`].
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        self.kubectl_stdin(arguments, "").await
    }

    /// The same, with `input` to read: `&["apply", "-f", "-"]`.
    pub async fn kubectl_stdin(&self, arguments: &[&str], input: &str) -> String {
        let output = self.kubectl_as(ADMIN, arguments, input).await;
        output.unwrap_or_else(|error| panic!("kubectl {}: {error}", arguments.join(" ")))
    }

    /// What `kubectl` prints for an identity; what it complains of when it fails.
    pub async fn kubectl_as(
        &self,
        identity: &str,
        arguments: &[&str],
        input: &str,
    ) -> Result<String, String> {
        let mut command = Command::new(binary("kubectl"));
        command
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig(identity))
            // What it knows of the API is kept by host and port, which another cluster may have had before.
            .env("KUBECACHEDIR", self.folder.path().join("kubectl"))
            .env("HOME", self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let what = format!("kubectl {}", arguments.join(" "));
        let output = within(&what, async {
            let mut child = command.spawn().expect("kubectl can be run");
            let mut stdin = child.stdin.take().expect("it has a pipe");
            let writing = async {
                // Who does not read its input closes the pipe.
                drop(stdin.write_all(input.as_bytes()).await);
                drop(stdin);
            };
            let (output, ()) = tokio::join!(child.wait_with_output(), writing);
            output.expect("kubectl can be waited for")
        })
        .await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stdout) + &text(&output.stderr))
        }
    }

    /// Creates an object or makes it equal to this.
    pub async fn apply(&self, object: &Value) {
        self.apply_yaml(&object.to_string()).await;
    }

    /// Creates the objects of a manifest or makes them equal to it.
    pub async fn apply_yaml(&self, yaml: &str) {
        let arguments = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        self.kubectl_stdin(&arguments, yaml).await;
    }
}
