//! One call to the API server.
//!
//! Owns: the time limit that every call has; kube has none by default. Used by: whoever asks or writes. Watches
//! have limits of their own.

use std::future::Future;
use std::time::Duration;

/// For one call, retries of the client included.
pub const CALL_LIMIT: Duration = Duration::from_secs(10);

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("no answer from the API server within 10 s")]
    Late,
    #[error(transparent)]
    Api(#[from] kube::Error),
}

impl CallError {
    /// The object is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status)) if status.is_not_found())
    }

    /// The object is another than was thought: changed, or made anew.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists())
    }
}

/// Makes the call within its limit.
pub async fn call<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
    match tokio::time::timeout(CALL_LIMIT, request).await {
        Ok(answer) => Ok(answer?),
        Err(_elapsed) => Err(CallError::Late),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_waited_for_ten_seconds() {
        let begin = tokio::time::sleep(Duration::ZERO).deadline();
        let answer = call(pending::<kube::Result<()>>()).await;
        let end = tokio::time::sleep(Duration::ZERO).deadline();
        assert!(matches!(answer, Err(CallError::Late)), "{answer:?}");
        assert_eq!(end - begin, CALL_LIMIT);
    }
}
