//! stub
use std::sync::Arc;
use tokio::sync::watch;
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    pub after: std::time::Duration,
    pub every: std::time::Duration,
}
pub async fn run(
    _c: Arc<crate::fleets::Context>,
    _n: String,
    _o: watch::Receiver<Option<Arc<crate::gateway::Outcome>>>,
    _r: watch::Receiver<crate::gateway::reports::Reports>,
) {
    std::future::pending().await
}
