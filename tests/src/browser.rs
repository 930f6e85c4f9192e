//! Headless Chromium with a profile of its own, driven over the DevTools protocol on a pipe.
//!
//! Owns: the process, one page, scripts in it. Never: opens a port or talks to the outside: no background networking.
//! Used by: tests of what a page gets through its own `EventSource`.

use crate::process::{Helpers, Process, folder};
use crate::wait::{DEADLINE, within};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

const FLAGS: [&str; 14] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-pings",
    "--remote-debugging-pipe",
];

/// A browser with one page.
pub struct Browser {
    orders: File,
    answers: BufReader<File>,
    session: Value,
    next: u64,
    process: Process,
    /// Holds the profile and the log.
    _folder: tempfile::TempDir,
}

impl Browser {
    /// Starts it with an empty page.
    pub async fn start() -> Self {
        Self::start_by(Command::new("sh")).await
    }

    /// The same by a command that is, or becomes, a shell: one in other namespaces.
    pub async fn start_by(mut command: Command) -> Self {
        let folder = folder();
        // The pipe of the protocol is file descriptors 3 and 4; ours are its standard streams.
        command.args([
            "-c",
            r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#,
            "chromium",
        ]);
        command.args(FLAGS).arg(format!(
            "--user-data-dir={}",
            folder.path().join("profile").display()
        ));
        command.arg("about:blank");
        let log = folder.path().join("log");
        let errors = std::fs::File::create(&log).expect("the folder is ours");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors);
        let mut process = Process::spawn("chromium", Helpers::Some, command, &log);
        let orders = process.child().stdin.take().expect("it is a pipe");
        let answers = process.child().stdout.take().expect("it is a pipe");
        let orders = File::from_std(std::os::fd::OwnedFd::from(orders).into());
        let answers = BufReader::new(File::from_std(std::os::fd::OwnedFd::from(answers).into()));
        let mut browser = Self {
            orders,
            answers,
            session: Value::Null,
            next: 0,
            process,
            _folder: folder,
        };
        let target = browser
            .call("Target.createTarget", json!({ "url": "about:blank" }))
            .await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        browser.session = browser.call("Target.attachToTarget", attach).await["sessionId"].take();
        browser
    }

    /// Opens `url` and waits until it is loaded.
    pub async fn open(&mut self, url: &str) {
        let answer = self.call("Page.navigate", json!({ "url": url })).await;
        assert!(answer.get("errorText").is_none(), "{url}: {answer}");
        let loaded = "document.readyState === 'complete' || new Promise(done => addEventListener('load', () => done(true)))";
        // A script sent while the page changes may be answered by the old one: ask until the address is the new one.
        let end = std::time::Instant::now() + DEADLINE;
        while self.run("location.href").await != json!(url) {
            assert!(
                std::time::Instant::now() < end,
                "the browser stays at the page before {url}"
            );
        }
        self.run(loaded).await;
    }

    /// The value of a script in the page; a promise is awaited.
    pub async fn run(&mut self, script: &str) -> Value {
        let parameters =
            json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", parameters).await;
        assert!(
            answer.get("exceptionDetails").is_none(),
            "{script}: {answer}"
        );
        answer["result"]["value"].take()
    }

    async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.next += 1;
        let mut order = json!({ "id": self.next, "method": method, "params": parameters });
        if self.session.is_string() {
            order["sessionId"] = self.session.clone();
        }
        let mut bytes = order.to_string().into_bytes();
        bytes.push(0);
        self.process.must_run();
        within(
            format!("the browser to answer {method} {parameters}"),
            async {
                self.orders
                    .write_all(&bytes)
                    .await
                    .expect("the browser reads");
                self.orders.flush().await.expect("the browser reads");
                loop {
                    let mut message = Vec::new();
                    self.answers
                        .read_until(0, &mut message)
                        .await
                        .expect("the browser writes");
                    assert_eq!(message.pop(), Some(0), "the browser ended");
                    let mut message: Value =
                        serde_json::from_slice(&message).expect("the protocol is JSON");
                    if message["id"] == json!(self.next) {
                        assert!(message.get("error").is_none(), "{method}: {message}");
                        return message["result"].take();
                    }
                }
            },
        )
        .await
    }
}
