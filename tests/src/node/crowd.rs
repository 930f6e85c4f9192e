//! The program `crowd` inside the node.
//!
//! Owns: its start, its end, its verdict. Never: judges. Used by: tests of what streams notice.

use super::Node;
use crate::crowd::Verdict;
use crate::gateway::binary;
use crate::wait::within_time;
use futures_util::FutureExt as _;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

/// How long all streams may take to open.
const OPEN: Duration = Duration::from_secs(60);
/// How long the last messages may take, which is longer than the crowd itself waits.
const REST: Duration = Duration::from_secs(90);

/// Listeners and a publisher at work.
pub struct Crowd {
    /// The crowd publishes until this is closed.
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Crowd {
    /// So many streams on a topic of the gateways at `address`, with a message every so many milliseconds; 0 is none.
    pub(super) async fn start(
        node: &Node,
        address: &str,
        namespace: &str,
        topic: &str,
        streams: usize,
        every: u64,
    ) -> Self {
        let mut command = node.command(binary("crowd"));
        command.args(["--address", address, "--namespace", namespace]);
        command.args(["--topic", topic, "--streams", &streams.to_string()]);
        command.args(["--every", &every.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the crowd is built");
        let input = child.stdin.take().expect("it has a pipe");
        let output = child.stdout.take().expect("it has a pipe");
        let mut lines = BufReader::new(output).lines();
        let open = within_time(OPEN, "all streams to open", lines.next_line()).await;
        assert_eq!(open.expect("it prints lines").as_deref(), Some("0"));
        Self {
            input: Some(input),
            lines,
            _child: child,
        }
    }

    /// Stops publishing, waits until every stream has everything, and tells what was seen.
    pub async fn verdict(mut self) -> Verdict {
        self.input.take();
        within_time(REST, "the verdict", async {
            loop {
                let line = self.line().await;
                if line.starts_with('{') {
                    return serde_json::from_str(&line)
                        .unwrap_or_else(|error| panic!("{error}: {line}"));
                }
            }
        })
        .await
    }

    /// Waits until so many further messages are published.
    pub async fn more(&mut self, count: usize) {
        // What was printed up to now is of messages before.
        while self.line().now_or_never().is_some() {}
        let what = format!("{count} further messages");
        within_time(REST, what, async {
            for _ in 0..count {
                self.line().await;
            }
        })
        .await;
    }

    async fn line(&mut self) -> String {
        let line = self.lines.next_line().await;
        line.expect("it prints lines").expect("it does not die")
    }
}
