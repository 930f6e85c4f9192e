//! Asks Sentinels who the master is.
//!
//! Owns: which Sentinel is asked, and that one which is behind the others is not believed. Never: changes
//! anything there. Used by: `follow`.

use super::{ANSWER, Ended, Follower};
use crate::broker::redis::backoff::Complaint;
use crate::broker::redis::server;
use crate::broker::redis::topology::{Node, Topology};
use redis::RedisResult;
use std::collections::HashMap;
use tokio::time::timeout;

/// What a Sentinel says of a master.
struct Said {
    master: Node,
    /// Rises with every failover.
    epoch: u64,
}

/// The newest that any Sentinel said.
#[derive(Default)]
struct Newest {
    epoch: u64,
    /// Older answers since then, one after the other.
    older: usize,
}

impl Newest {
    /// Whether an answer is to be believed. One that is older than another is not, unless every one of the
    /// `sentinels` says so: then they were set up anew.
    fn takes(&mut self, epoch: u64, sentinels: usize) -> bool {
        self.older = if epoch < self.epoch {
            self.older + 1
        } else {
            0
        };
        if self.older > 0 && self.older < sentinels {
            return false;
        }
        (self.epoch, self.older) = (epoch, 0);
        true
    }
}

/// Asks one Sentinel after the other, each for as long as it is of use. Never ends.
pub async fn follow(follower: &mut Follower, master: &str) {
    let mut complaint = Complaint::default();
    let mut newest = Newest::default();
    for turn in 0.. {
        let sentinels = follower.source.hosts();
        let sentinel = &sentinels[turn % sentinels.len()];
        let asked = session(follower, sentinel, sentinels.len(), master, &mut newest).await;
        let ended = asked.unwrap_or_else(|error| Ended::Useless(error.to_string()));
        follower.pause(sentinel, ended, &mut complaint).await;
    }
}

async fn session(
    follower: &mut Follower,
    sentinel: &Node,
    sentinels: usize,
    master: &str,
    newest: &mut Newest,
) -> RedisResult<Ended> {
    let mut connection = server::connect_sentinel(&follower.source, sentinel).await?;
    loop {
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("MASTER").arg(master);
        let asked = timeout(ANSWER, ask.query_async(&mut connection)).await;
        let Ok(fields) = asked else {
            return Ok(Ended::Useless("no answer in time".into()));
        };
        let Some(said) = read(&fields?) else {
            return Ok(Ended::Useless("an answer that names no master".into()));
        };
        if !newest.takes(said.epoch, sentinels) {
            return Ok(Ended::Useless("it is behind other Sentinels".into()));
        }
        follower.set(Topology::one(said.master));
        if follower.hint().await.is_some() {
            while follower.hints.try_recv().is_ok() {}
            return Ok(Ended::Hinted(None));
        }
    }
}

fn read(fields: &HashMap<String, String>) -> Option<Said> {
    let port = fields.get("port")?.parse().ok()?;
    Some(Said {
        master: Node::new(fields.get("ip")?, port),
        epoch: fields.get("config-epoch")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentinel_that_is_behind_is_not_believed_unless_all_are() {
        let mut newest = Newest::default();
        assert!(newest.takes(4, 3));
        assert!(!newest.takes(3, 3));
        assert!(newest.takes(5, 3));
        assert!(!newest.takes(1, 3) && !newest.takes(1, 3));
        assert!(newest.takes(1, 3), "set up anew");
        assert!(newest.takes(1, 3) && newest.takes(2, 3));
    }

    #[test]
    fn a_lone_sentinel_is_always_believed() {
        let mut newest = Newest::default();
        assert!(newest.takes(4, 1) && newest.takes(0, 1));
    }
}
