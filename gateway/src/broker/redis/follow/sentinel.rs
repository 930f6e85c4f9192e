//! Asks Sentinels who the master is.
//!
//! Owns: which Sentinel is asked, that one which is behind the others is not believed, and the pause between
//! two masters. Never: changes anything there. Used by: `follow`.

use super::{ANSWER, Ended, Follower};
use crate::broker::redis::server;
use crate::broker::redis::topology::{Node, Topology};
use redis::RedisResult;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How often a Sentinel is asked: so long what is published may go to a master that loses it.
const LOOK: Duration = Duration::from_millis(250);
/// In this time every gateway has looked, and Sentinels have told each other.
const LET_GO: Duration = Duration::from_millis(750);

/// The least answers that make Sentinels believed which say something older than before.
const OLDER: usize = 3;

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
    /// Those that said something older since then, and how often they did, one after the other.
    older: Vec<Node>,
    times: usize,
}

impl Newest {
    /// Whether what `sentinel` says is to be believed. What is older than what another one said is not, unless every
    /// one of the `sentinels` says so, three times together at least: then they were set up anew.
    fn takes(&mut self, sentinel: &Node, epoch: u64, sentinels: usize) -> bool {
        if epoch < self.epoch {
            self.times += 1;
            if !self.older.contains(sentinel) {
                self.older.push(sentinel.clone());
            }
            if self.older.len() < sentinels || self.times < OLDER {
                return false;
            }
        }
        *self = Self {
            epoch,
            ..Self::default()
        };
        true
    }
}

/// Asks one Sentinel after the other, each for as long as it is of use. Never ends.
pub async fn follow(follower: &mut Follower, master: &str) {
    let mut newest = Newest::default();
    for turn in 0.. {
        let sentinels = follower.source.hosts();
        let sentinel = &sentinels[turn % sentinels.len()];
        let ended = session(follower, sentinel, sentinels.len(), master, &mut newest).await;
        follower.pause(sentinel, ended).await;
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
        // The epoch first: an address that is newer than its epoch does no harm.
        let mut ask = redis::pipe();
        ask.cmd("SENTINEL").arg("MASTER").arg(master);
        ask.cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(master);
        let asked = timeout(ANSWER, ask.query_async(&mut connection)).await;
        let Ok(answers) = asked else {
            return Ok(Ended::Useless("no answer in time".into()));
        };
        let (fields, address) = answers?;
        let Some(said) = read(&fields, address) else {
            return Ok(Ended::Useless("an answer that names no master".into()));
        };
        if !newest.takes(sentinel, said.epoch, sentinels) {
            return Ok(Ended::Useless("it is behind other Sentinels".into()));
        }
        change(follower, said.master).await;
        if follower.hint(LOOK).await.is_some() {
            while follower.hints.try_recv().is_ok() {}
            return Ok(Ended::Hinted(None));
        }
    }
}

/// Goes over to another master, if it is another one. The old one may still take what is published there, and will lose
/// it: nothing is numbered by the new one, which tells of the loss, before every gateway has let go of the old one.
async fn change(follower: &Follower, master: Node) {
    let next = Topology::one(master);
    let changes = {
        let known = follower.topology.borrow();
        !known.nodes().is_empty() && **known != next
    };
    if changes {
        follower.set(Topology::default());
        sleep(LET_GO).await;
    }
    follower.set(next);
}

/// Takes the epoch from what a Sentinel knows of the master, and not the address that stands beside it: the Sentinel that
/// leads a failover names the old master there until all replicas follow the new one, already with the new epoch.
fn read(fields: &HashMap<String, String>, address: Option<(String, u16)>) -> Option<Said> {
    let (host, port) = address?;
    Some(Said {
        master: Node::new(&host, port),
        epoch: fields.get("config-epoch")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(newest: &mut Newest, sentinels: usize, said: &[(&str, u64, bool)]) {
        for &(host, epoch, taken) in said {
            let sentinel = Node::new(host, 1);
            let takes = newest.takes(&sentinel, epoch, sentinels);
            assert_eq!(takes, taken, "{host} says {epoch}");
        }
    }

    #[test]
    fn a_sentinel_that_is_behind_is_not_believed_unless_all_are() {
        let mut newest = Newest::default();
        check(
            &mut newest,
            3,
            &[("a", 4, true), ("b", 3, false), ("a", 5, true)],
        );
        check(
            &mut newest,
            3,
            &[("b", 1, false), ("b", 1, false), ("b", 1, false)],
        );
        check(
            &mut newest,
            3,
            &[("a", 1, false), ("c", 1, true), ("a", 1, true)],
        );
    }

    #[test]
    fn behind_one_name_may_be_several_sentinels() {
        let mut newest = Newest::default();
        check(
            &mut newest,
            1,
            &[("a", 4, true), ("a", 3, false), ("a", 3, false)],
        );
        check(
            &mut newest,
            1,
            &[("a", 4, true), ("a", 0, false), ("a", 0, false)],
        );
        check(&mut newest, 1, &[("a", 0, true)]);
    }

    #[test]
    fn who_is_promoted_is_the_master_before_all_replicas_follow() {
        let fields = [("ip", "old"), ("port", "6379"), ("config-epoch", "4")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let fields = HashMap::from(fields);
        let said = read(&fields, Some(("new".into(), 6380))).unwrap();
        assert_eq!((said.master, said.epoch), (Node::new("new", 6380), 4));
        assert!(read(&fields, None).is_none());
        assert!(read(&HashMap::new(), Some(("new".into(), 6380))).is_none());
    }
}
