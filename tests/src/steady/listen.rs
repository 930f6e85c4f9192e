//! Listeners: each on all topics, over as many streams as that takes.
//!
//! Owns: which topic an event belongs to, and the part of its id that is that topic's position. Never: judges.
//! Used by: `steady`.

use super::account::{Heard, What, name, topic};
use super::{Shared, TOPICS_OF_A_STREAM};
use crate::follow::{Back, Seen, follow};
use crate::listen::Listen;
use crate::position::{Position, positions};
use crate::sse::{Event, Item};
use serde_json::Value;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How long one who wanders stays once it has heard something. Not less, however busy all are: who leaves before anything
/// arrives would never hear anything.
const STAY: Duration = Duration::from_millis(900);

/// Starts all listeners: one at each gateway, and one that wanders between them. Answers how many streams that takes.
pub fn start(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) -> usize {
    let gateways = &shared.gateways;
    let mut streams = 0;
    for listener in 0..=gateways.len() {
        let at = gateways
            .get(listener)
            .map_or(&gateways[..], std::slice::from_ref);
        let first = (0..shared.plan.topics).step_by(TOPICS_OF_A_STREAM);
        for first in first {
            let topics = first..shared.plan.topics.min(first + TOPICS_OF_A_STREAM);
            let open = |&gateway| {
                let name = |listen: Listen, topic| listen.channel(&name(topic));
                topics.clone().fold(Listen::at(gateway), name)
            };
            let places: Vec<Listen> = at.iter().map(open).collect();
            let stream = Stream {
                shared: shared.clone(),
                listener,
                topics,
                opened: false,
                reason: None,
                heard: watch::Sender::new(false),
            };
            let wanders = at.len() > 1;
            tasks.spawn(stream.run(places, wanders));
            streams += 1;
        }
    }
    streams
}

/// One stream of a listener.
struct Stream {
    shared: Arc<Shared>,
    listener: usize,
    topics: Range<usize>,
    opened: bool,
    /// Why it ends, once that was told.
    reason: Option<String>,
    /// Whether a message came since it was opened.
    heard: watch::Sender<bool>,
}

impl Stream {
    async fn run(mut self, places: Vec<Listen>, wanders: bool) {
        let (cut, mut heard) = (Notify::new(), self.heard.subscribe());
        let wander = async {
            while wanders && heard.wait_for(|&heard| heard).await.is_ok() {
                sleep(STAY).await;
                cut.notify_one();
                drop(heard.wait_for(|&heard| !heard).await);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = follow(&places, Back::AsTold, &cut, |seen| self.note(seen)) => {}
            () = wander => {}
        }
    }

    fn note(&mut self, seen: Seen) {
        let at = Instant::now();
        if matches!(seen, Seen::Opened) {
            self.heard.send_replace(false);
        }
        let ended = match seen {
            Seen::Opened if self.opened => return,
            Seen::Opened => {
                self.opened = true;
                return self.shared.open.send_modify(|open| *open += 1);
            }
            Seen::Item(Item::Event(event)) => match self.read(&event) {
                Ok(Some((topic, what))) => {
                    self.heard.send_replace(true);
                    let mut account = self.shared.account.lock();
                    let heard = &mut account.listeners[self.listener].heard[topic];
                    return heard.push(Heard { at, what });
                }
                Ok(None) => return,
                Err(error) => {
                    let error = format!("{error}: {event:?}");
                    return self.shared.account.lock().strange(error);
                }
            },
            Seen::Item(Item::Cursor(_) | Item::Comment(_) | Item::Retry(_)) => return,
            Seen::Ended(ended) => self.reason.take().unwrap_or_else(|| format!("{ended:?}")),
            Seen::Unreached(why) => why,
            Seen::Refused(answer) => {
                // A page would never come back.
                self.shared.account.lock().strange(answer.clone());
                answer
            }
        };
        let mut account = self.shared.account.lock();
        *account.listeners[self.listener]
            .ends
            .entry(ended)
            .or_default() += 1;
    }

    /// The topic that an event is about, and what it says.
    fn read(&mut self, event: &Event) -> Result<Option<(usize, What)>, String> {
        match event.kind.as_str() {
            "message" => {
                let words = event.data.split_once(' ');
                let words = words.ok_or("not one of our messages")?;
                let number = words.1.parse().map_err(|_| "not one of our numbers")?;
                let topic = topic(words.0).ok_or("not one of our topics")?;
                let position = self.position(topic, &event.id)?;
                Ok(Some((topic, What::Message { number, position })))
            }
            "siar.gap" => {
                let data: Value =
                    serde_json::from_str(&event.data).map_err(|error| error.to_string())?;
                let text = |name: &str| data[name].as_str().ok_or("no such field");
                let topic = topic(text("channel")?).ok_or("not one of our topics")?;
                let reason = text("reason")?.into();
                let position = self.position(topic, &event.id)?;
                Ok(Some((topic, What::Gap { reason, position })))
            }
            "siar.end" => {
                self.reason = Some(event.data.clone());
                Ok(None)
            }
            kind => Err(format!("an event {kind}")),
        }
    }

    /// An id joins the positions of all topics of the stream, which are sorted.
    fn position(&self, topic: usize, id: &str) -> Result<Position, String> {
        let places = positions(id);
        if places.len() != self.topics.len() || !self.topics.contains(&topic) {
            return Err(format!("{id:?} is no id for topics {:?}", self.topics));
        }
        Ok(places[topic - self.topics.start])
    }
}
