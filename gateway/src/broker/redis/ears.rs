//! What a connection for subscriptions does with each push.
//!
//! Owns: which push is the probe's, which one says that the connection is of no use any more. Never: waits, as
//! it is called inside the connection. Used by: `link`.

use super::pump::{Inlet, Push};
use parking_lot::Mutex;
use redis::{PushInfo, PushKind, Value};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// Hears one connection.
pub struct Ears {
    probe: String,
    heard: watch::Sender<u64>,
    inlet: Inlet,
    /// Sharded channels that we give up ourselves.
    leaving: Mutex<HashSet<Arc<str>>>,
    lost: Notify,
}

impl Ears {
    /// Hands on to `inlet` whatever is not for `probe`.
    #[must_use]
    pub fn new(probe: String, inlet: Inlet) -> Self {
        Self {
            probe,
            heard: watch::Sender::new(0),
            inlet,
            leaving: Mutex::default(),
            lost: Notify::new(),
        }
    }

    /// Where the connection publishes to itself.
    #[must_use]
    pub fn probe(&self) -> &str {
        &self.probe
    }

    /// The newest number that came back by the probe.
    #[must_use]
    pub fn heard(&self) -> watch::Receiver<u64> {
        self.heard.subscribe()
    }

    /// Waits until the connection is of no use.
    pub async fn lost(&self) -> &'static str {
        self.lost.notified().await;
        "disconnected, sent away, or more arrived than there was room for"
    }

    /// These sharded channels are about to be given up.
    pub fn leave(&self, names: &[Arc<str>]) {
        self.leaving.lock().extend(names.iter().cloned());
    }

    /// Called inside the connection: must not wait.
    pub fn hear(&self, info: PushInfo) {
        match info.kind {
            PushKind::Disconnection => self.lost.notify_one(),
            // The server sends us away, since another one serves the slot; and the client takes this for the
            // answer to whatever it asked.
            PushKind::SUnsubscribe if !self.is_leaving(&info.data) => self.lost.notify_one(),
            PushKind::Message if self.is_probe(&info.data) => {
                if let Some(Value::BulkString(nonce)) = info.data.get(1) {
                    let nonce = std::str::from_utf8(nonce).ok();
                    let nonce = nonce.and_then(|nonce| nonce.parse().ok());
                    self.heard.send_replace(nonce.unwrap_or_default());
                }
            }
            _ if self.is_probe(&info.data) => {}
            kind => {
                let push = Push::read(&kind, info.data);
                // What finds no room is a hole in no matter what: everything is looked at anew.
                if push.is_some_and(|push| !self.inlet.offer(push)) {
                    self.lost.notify_one();
                }
            }
        }
    }

    fn is_probe(&self, data: &[Value]) -> bool {
        matches!(data.first(), Some(Value::BulkString(name)) if *name == self.probe.as_bytes())
    }

    fn is_leaving(&self, data: &[Value]) -> bool {
        let Some(Value::BulkString(name)) = data.first() else {
            return false;
        };
        std::str::from_utf8(name).is_ok_and(|name| self.leaving.lock().remove(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn push(kind: PushKind, words: &[&str]) -> PushInfo {
        let data = words
            .iter()
            .map(|word| Value::BulkString(word.as_bytes().to_vec()));
        let data = data.collect();
        PushInfo { kind, data }
    }

    #[tokio::test]
    async fn being_sent_away_from_a_channel_ends_the_connection_and_leaving_it_does_not() {
        let ears = Ears::new("probe".into(), Inlet::new().0);
        ears.leave(&["a".into()]);
        ears.hear(push(PushKind::SUnsubscribe, &["a"]));
        assert!(ears.lost().now_or_never().is_none());
        ears.hear(push(PushKind::SUnsubscribe, &["a"]));
        assert!(ears.lost().now_or_never().is_some());
    }

    #[tokio::test]
    async fn the_probe_is_heard_and_not_handed_on() {
        let ears = Ears::new("probe".into(), Inlet::new().0);
        let heard = ears.heard();
        ears.hear(push(PushKind::Subscribe, &["probe"]));
        ears.hear(push(PushKind::Message, &["probe", "7"]));
        assert_eq!(*heard.borrow(), 7);
        assert!(ears.lost().now_or_never().is_none());
    }
}
