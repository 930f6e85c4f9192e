//! The servers that Channels name, each with its keeper.
//!
//! Owns: which Channels share a keeper, and that changed credentials reach it without a new one, so that
//! its streams stay. Never: connects. Used by: `topics` alone.

use super::hub::Hub;
use crate::broker::{Broker, Sink};
use crds::policy::{Policy, RedisServer, ServerId};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;

/// Makes the keeper for a server, which reads the server's credentials before each connect.
pub type Make =
    Box<dyn Fn(watch::Receiver<Arc<RedisServer>>, Sink) -> Arc<dyn Broker> + Send + Sync>;

/// The same with a hub around it.
pub type MakeHub = Box<dyn Fn(watch::Receiver<Arc<RedisServer>>) -> Arc<Hub> + Send + Sync>;

/// Every server that Channels name now.
pub struct Servers {
    make: MakeHub,
    named: RwLock<HashMap<ServerId, Named>>,
    /// Named no longer, each until its last topic has lingered; so long its streams take to end, and 10 s.
    leaving: Mutex<Vec<Arc<Hub>>>,
}

struct Named {
    hub: Arc<Hub>,
    server: watch::Sender<Arc<RedisServer>>,
}

/// A server with the Channels on it.
struct Wanted {
    server: Arc<RedisServer>,
    policies: Vec<Arc<Policy>>,
}

impl Servers {
    #[must_use]
    pub fn new(make: MakeHub) -> Self {
        Self {
            make,
            named: RwLock::default(),
            leaving: Mutex::default(),
        }
    }

    /// The keeper of a server.
    #[must_use]
    pub fn find(&self, id: &ServerId) -> Option<Arc<Hub>> {
        self.named.read().get(id).map(|named| named.hub.clone())
    }

    /// The keepers of all of them, and those that are still left.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Hub>> {
        let named = self.named.read();
        let named = named.values().map(|named| named.hub.clone());
        named.chain(self.leaving.lock().iter().cloned()).collect()
    }

    /// Drops the keepers that are named no longer and have no topic any more.
    pub fn forget(&self) {
        self.leaving.lock().retain(|hub| !hub.is_empty());
    }

    /// Makes, tells and drops keepers, so that there is one for each server that `policies` name.
    pub fn apply(&self, policies: Vec<Arc<Policy>>) {
        let wanted = wanted(policies);
        let dropped: Vec<Named> = {
            let mut named = self.named.write();
            for (id, Wanted { server, .. }) in &wanted {
                match named.get(id) {
                    Some(known) => known.hand(server),
                    None => {
                        named.insert(id.clone(), self.named(server));
                    }
                }
            }
            let gone = named.extract_if(|id, _| !wanted.contains_key(id));
            gone.map(|(_, named)| named).collect()
        };
        for named in dropped {
            named.hub.apply(Vec::new());
            self.leaving.lock().push(named.hub);
        }
        for (id, Wanted { policies, .. }) in wanted {
            if let Some(hub) = self.find(&id) {
                hub.apply(policies);
            }
        }
    }

    fn named(&self, server: &Arc<RedisServer>) -> Named {
        let server = watch::Sender::new(server.clone());
        let hub = (self.make)(server.subscribe());
        Named { hub, server }
    }
}

impl Named {
    fn hand(&self, server: &Arc<RedisServer>) {
        let changed = self.server.send_if_modified(|current| {
            let changed = current != server;
            current.clone_from(server);
            changed
        });
        if changed {
            let server = server.id.url.label();
            tracing::info!(server, "new credentials, used from the next connect on");
        }
    }
}

/// The servers of the Channels. One whose Secret was missing when it came has no credentials; those of
/// another Channel, which had seen the same Secret, go first.
fn wanted(policies: Vec<Arc<Policy>>) -> HashMap<ServerId, Wanted> {
    let mut wanted: HashMap<ServerId, Wanted> = HashMap::new();
    for policy in policies {
        let Some(server) = policy.redis.clone() else {
            continue;
        };
        let known = wanted.entry(server.id.clone()).or_insert_with(|| Wanted {
            server: server.clone(),
            policies: Vec::new(),
        });
        if !known.server.has_credentials() {
            known.server = server;
        }
        known.policies.push(policy);
    }
    wanted
}
