//! Many topics with a few streams each: what a delivery costs when no two messages go to the same streams.

use crate::client::Transport;
use crate::round::{Client, Publisher, SETTLE, Watch, Work, growth};
use crate::server::{Kind, Server};
use crate::tokens::Listeners;
use anyhow::{Result, ensure};

/// How many topics, how many streams on each, how many messages to each.
#[derive(Clone, Copy, Debug)]
pub struct Topics {
    pub topics: usize,
    pub each: usize,
    pub messages: u64,
}

/// CPU for each delivery in microseconds, and what other programs used meanwhile, in cores. `batch` messages
/// go in one request; the server's CPU minus what the same requests cost it with as many topics that have no
/// streams.
pub fn many_topics(size: Topics, batch: usize) -> Result<[f64; 2]> {
    let streams = size.topics * size.each;
    let work = Work {
        streams,
        messages: 2 * size.messages,
        per_second: None,
        transport: Transport::Plain,
        listeners: Listeners::Anonymous,
        check_all: false,
    };
    let server = Server::start(Kind::Siar, work)?;
    let mut publisher = Publisher::connect(server.addr)?;
    let mut client = Client::start(&server, work, size.topics)?;
    std::thread::sleep(SETTLE);
    let watch = Watch::start(&[server.pid(), client.pid()]);
    let mut cost = |first: usize, start: u64| -> Result<u64> {
        let before = server.cpu_nanos();
        for message in start..start + size.messages {
            for topic in (0..size.topics).step_by(batch) {
                let numbers = topic..size.topics.min(topic + batch);
                let names = numbers.map(|number| format!("t{}", first + number));
                publisher.post_batch(names, message)?;
            }
        }
        std::thread::sleep(SETTLE);
        Ok(server.cpu_nanos() - before)
    };
    // Once before, so that neither side pays for what is made at first use.
    cost(0, 0)?;
    cost(size.topics, 0)?;
    let (with, without) = (cost(0, size.messages)?, cost(size.topics, size.messages)?);
    let foreign = watch.foreign_cores();
    let summary = client.finish()?;
    ensure!(
        summary.complete,
        "many topics: messages are missing: {summary:?}"
    );
    let deliveries = streams as f64 * size.messages as f64;
    Ok([growth(with, without) / 1000.0 / deliveries, foreign])
}
