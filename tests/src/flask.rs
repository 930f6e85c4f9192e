//! A real Flask app with the real `flask-sse`, under gunicorn.
//!
//! Owns: the process and its requests. Never: patches either; the app is `tests/flask/app.py`, as its users write it.
//! Used by: `flask_sse`, `browser`.

use crate::http::Ask;
use crate::listen::Listen;
use crate::process::{Helpers, Process, cache, folder, free_port};
use crate::wait::until;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The running app.
pub struct Flask {
    address: SocketAddr,
    _process: Process,
    /// Holds the log.
    _folder: tempfile::TempDir,
}

impl Flask {
    /// Starts the app with `REDIS_URL` as its users set it.
    pub async fn start(redis_url: &str) -> Self {
        let folder = folder();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new(venv().join("bin/gunicorn"));
        command.args([
            "--worker-class",
            "gthread",
            "--threads",
            "16",
            "--graceful-timeout",
            "1",
        ]);
        command.args([
            "--no-control-socket",
            "--bind",
            &address.to_string(),
            "app:app",
        ]);
        command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("flask"));
        command
            .env("REDIS_URL", redis_url)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let mut process =
            Process::start("flask", Helpers::Some, command, &folder.path().join("log"));
        until("the Flask app to answer", || {
            process.must_run();
            let ask = Ask::get(address, "/");
            async move {
                ask.try_send()
                    .await
                    .map(|answer| answer.expect(200))
                    .map_err(|error| error.to_string())
            }
        })
        .await;
        Self {
            address,
            _process: process,
            _folder: folder,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The origin of its pages.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Calls `sse.publish(**arguments)` in the app; returns what it returned.
    pub async fn publish(&self, arguments: &Value) -> i64 {
        let ask = Ask::post(self.address, "/send", arguments.to_string());
        let answer = ask
            .header("Content-Type", "application/json")
            .send()
            .await
            .expect(200);
        answer
            .text()
            .parse()
            .unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
    }

    /// The route `/hello` of its quickstart.
    pub async fn hello(&self) {
        let answer = Ask::get(self.address, "/hello").send().await.expect(200);
        assert_eq!(answer.text(), "Message sent!");
    }

    /// Flask-SSE's own stream, in the making.
    #[must_use]
    pub fn listen(&self) -> Listen {
        Listen::at(self.address)
    }
}

/// The folder of Python packages that `tests/run` installs.
fn venv() -> PathBuf {
    let path = cache().join("flask");
    assert!(
        path.join("bin/gunicorn").exists(),
        "{} is missing; tests/run installs it",
        path.display()
    );
    path
}
