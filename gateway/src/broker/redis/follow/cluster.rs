//! Asks the nodes of a Redis Cluster who serves which slots.
//!
//! Owns: which node is asked, and that a node's own word about one slot counts for a while, since others hear
//! of a change later. Never: changes anything there. Used by: `follow`.

use super::{ANSWER, Ended, Follower, Hint, LOOK};
use crate::broker::redis::server;
use crate::broker::redis::topology::{MOST_NODES, Node, SLOTS, Topology};
use crate::clock;
use redis::{AsyncConnectionConfig, RedisResult, Value};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long the word of a node about one slot counts more than what others say of it.
const WORD: Duration = Duration::from_secs(5);

/// Slots of which a node said itself that another one serves them. At most all of them.
#[derive(Default)]
struct Words(HashMap<u16, (Node, Instant)>);

impl Words {
    fn take(&mut self, slot: u16, node: Node, now: Instant) {
        if slot < SLOTS {
            self.0.insert(slot, (node, now));
        }
    }

    /// Forgets what was said long ago, and what was said of a node that `heard`, which others say, does not name
    /// any more: another one has taken its place.
    fn forget(&mut self, heard: &Topology, now: Instant) {
        self.0.retain(|_, (node, said)| {
            let age = now.duration_since(*said);
            age < LOOK || (age < WORD && heard.nodes().contains(node))
        });
    }

    /// Puts what was said over `topology`. False: there are too many nodes.
    fn over(&self, topology: &mut Topology) -> bool {
        self.0
            .iter()
            .all(|(&slot, (node, _))| topology.assign(node, slot, slot))
    }
}

/// Asks one node after the other, each for as long as it is of use. Never ends.
pub async fn follow(follower: &mut Follower) {
    let mut words = Words::default();
    let mut next = None;
    for turn in 0.. {
        let known = follower.topology.borrow().clone();
        let named = follower.source.hosts();
        let seeds: Vec<&Node> = known.nodes().iter().chain(&named).collect();
        let seed = next
            .take()
            .unwrap_or_else(|| seeds[turn % seeds.len()].clone());
        let ended = session(follower, &seed, &mut words).await;
        next = follower.pause(&seed, ended).await;
    }
}

async fn session(follower: &mut Follower, seed: &Node, words: &mut Words) -> RedisResult<Ended> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER));
    let mut connection = server::connect(&follower.source, seed, config).await?;
    loop {
        let mut ask = redis::cmd("CLUSTER");
        ask.arg("SLOTS");
        let asked = timeout(ANSWER, ask.query_async(&mut connection)).await;
        let Ok(value) = asked else {
            return Ok(Ended::Useless("no answer in time".into()));
        };
        let Some(mut topology) = read(&value?, seed) else {
            let cause = format!("an answer without slots, or with more than {MOST_NODES} masters");
            return Ok(Ended::Useless(cause));
        };
        words.forget(&topology, clock::now().steady);
        if words.over(&mut topology) {
            follower.set(topology);
        }
        if let Some(hint) = follower.hint(LOOK).await {
            return Ok(Ended::Hinted(heed(follower, hint, words)));
        }
    }
}

/// Takes all hints at once; names the node that was spoken of last.
fn heed(follower: &mut Follower, first: Hint, words: &mut Words) -> Option<Node> {
    let (mut hint, mut next) = (Some(first), None);
    while let Some(given) = hint {
        if let Hint::Moved { slot, node } = given {
            words.take(slot, node.clone(), clock::now().steady);
            next = Some(node);
        }
        hint = follower.hints.try_recv().ok();
    }
    let mut topology = Topology::clone(&follower.topology.borrow());
    if next.is_some() && words.over(&mut topology) {
        follower.set(topology);
    }
    next
}

/// Reads the answer to `CLUSTER SLOTS`: first and last slot, then the master: address and port. None: it is
/// no such answer, says nothing, or names too many.
fn read(answer: &Value, asked: &Node) -> Option<Topology> {
    let Value::Array(ranges) = answer else {
        return None;
    };
    let mut topology = Topology::cluster();
    for range in ranges {
        let Value::Array(range) = range else {
            return None;
        };
        let [first, last, Value::Array(master), ..] = &range[..] else {
            return None;
        };
        let [host, port, ..] = &master[..] else {
            return None;
        };
        let host = match host {
            Value::BulkString(host) => std::str::from_utf8(host).ok()?,
            Value::Nil => "",
            _ => return None,
        };
        // A node that does not know its own address leaves it out: it is the one that was asked.
        let host = if host.is_empty() || host == "?" {
            &asked.host
        } else {
            host
        };
        let node = Node::new(host, number(port)?);
        if !topology.assign(&node, number(first)?, number(last)?) {
            return None;
        }
    }
    (!topology.nodes().is_empty()).then_some(topology)
}

fn number(value: &Value) -> Option<u16> {
    match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Value {
        redis::parse_redis_value(text.as_bytes()).unwrap()
    }

    #[test]
    fn slots_and_their_masters_are_read_and_replicas_left_out() {
        let text = "*2\r\n*4\r\n:0\r\n:99\r\n*3\r\n$8\r\n10.0.0.1\r\n:6379\r\n$1\r\nx\r\n*3\r\n$8\r\n10.0.0.9\r\n:6379\r\n$1\r\ny\r\n*3\r\n:100\r\n:16383\r\n*3\r\n$0\r\n\r\n:7000\r\n$1\r\nz\r\n";
        let asked = Node::new("here", 1);
        let topology = read(&answer(text), &asked).unwrap();
        assert_eq!(topology.owner(99), Some(&Node::new("10.0.0.1", 6379)));
        assert_eq!(topology.owner(100), Some(&Node::new("here", 7000)));
        assert_eq!(topology.nodes().len(), 2);
    }

    #[test]
    fn what_is_no_answer_is_none() {
        let asked = Node::new("here", 1);
        for text in ["*0\r\n", ":1\r\n", "*1\r\n*1\r\n:0\r\n", "*1\r\n:3\r\n"] {
            assert_eq!(read(&answer(text), &asked), None, "{text:?}");
        }
    }

    #[test]
    fn the_word_of_a_node_counts_for_a_while() {
        let (a, b) = (Node::new("a", 1), Node::new("b", 2));
        let said = |last| {
            let mut topology = Topology::cluster();
            assert!(topology.assign(&a, 0, last) && topology.assign(&b, last + 1, SLOTS - 1));
            topology
        };
        let mut words = Words::default();
        let now = clock::now().steady;
        words.take(7, b.clone(), now);
        words.take(SLOTS, b.clone(), now);
        let mut topology = said(99);
        words.forget(&topology, now + LOOK);
        assert!(words.over(&mut topology));
        assert_eq!((topology.owner(7), topology.owner(8)), (Some(&b), Some(&a)));
        words.forget(&said(99), now + WORD);
        assert!(words.0.is_empty(), "it is long ago");
        words.take(7, Node::new("c", 3), now);
        words.forget(&said(99), now);
        assert_eq!(words.0.len(), 1, "others may not know the node yet");
        words.forget(&said(99), now + LOOK);
        assert!(words.0.is_empty(), "the node is none any more");
    }
}
