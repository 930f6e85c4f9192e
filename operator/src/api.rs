//! The client of the API server.
//!
//! Owns: its time limits, and how its failures read in one line. Used by: `app`; `stores`.

use kube::{Client, Config};
use std::time::Duration;

/// How long connecting may take.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// A watch ends by itself after 60 s; a peer that is silent for longer is dead.
const READ_TIME: Duration = Duration::from_secs(70);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum NoClient {
    #[error("neither the account of the pod nor a kubeconfig can be used: {0}")]
    Config(#[from] kube::config::InferConfigError),
    #[error("the configuration of the client is wrong: {0}")]
    Client(#[from] kube::Error),
}

/// The client for watches and writes, on this runtime, and how it finds the API server.
pub async fn client() -> Result<(Client, Config), NoClient> {
    let mut config = Config::infer().await?;
    config.connect_timeout = Some(CONNECT_TIME);
    config.read_timeout = Some(READ_TIME);
    config.reset_reader_on_write = true;
    // Who asks has pauses of its own. Those of the client double up to 1000 s, and a watch would sit them out.
    config.default_retry = false;
    Ok((Client::try_from(config.clone())?, config))
}

/// What went wrong. Of an answer of the API server code, reason and message: none of them repeats a Secret.
#[must_use]
pub fn word(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => {
            format!("{} {}: {}", status.code, status.reason, status.message)
        }
        other => other.to_string(),
    }
}
