//! What is handed over to other gateways when the process ends.
//!
//! Owns: that every keeper gets the chance. Used by: `app`, after the streams are closed.

use super::Topics;
use futures_util::future::join_all;

impl Topics {
    /// Has all keepers hand over what only one gateway does; takes a few seconds at most. Call it on the
    /// control runtime, when the streams are closed and before the process ends.
    pub async fn hand_over(&self) {
        let mut keepers = vec![self.own.broker.clone()];
        keepers.extend(self.servers.all().iter().map(|hub| hub.broker.clone()));
        join_all(keepers.iter().map(|keeper| keeper.hand_over())).await;
    }
}
