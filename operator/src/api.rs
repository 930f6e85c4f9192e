//! Calls to the API server.
//!
//! Owns: that each has an end, and how its failure reads. Used by: whoever calls.

use kube::{Client, Config};
use std::time::Duration;

/// How long one call may take; kube's own retries of a busy server stay within it.
const CALL_TIME: Duration = Duration::from_secs(10);
/// A watch ends by itself after 60 s; a peer that is silent for longer is dead.
const READ_TIME: Duration = Duration::from_secs(70);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}", word(.0))]
    Kube(#[from] kube::Error),
    #[error("no answer within {CALL_TIME:?}")]
    Late,
}

impl Error {
    /// Somebody else wrote meanwhile.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Kube(kube::Error::Api(status)) if status.code == 409)
    }

    /// It is gone.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Kube(kube::Error::Api(status)) if status.code == 404)
    }
}

/// Waits for an answer, and no longer than it may take.
pub async fn call<T>(answer: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(CALL_TIME, answer).await {
        Ok(answer) => answer.map_err(Error::Kube),
        Err(_late) => Err(Error::Late),
    }
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
    config.connect_timeout = Some(CALL_TIME);
    config.read_timeout = Some(READ_TIME);
    config.reset_reader_on_write = true;
    Ok((Client::try_from(config.clone())?, config))
}
