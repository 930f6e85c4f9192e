//! Many listeners on one topic and one publisher, who keep account of everything that a page would notice.
//!
//! Owns: what an `EventSource` does when a stream ends, and the [`Verdict`]. Never: looks away: a message that is missing,
//! comes again or out of order, a gap and every HTTP error are counted. Used by: tests of a rolling update, and the program
//! `crowd`, which runs where the harness is not; `node` reads what it prints.

use crate::http::{Ask, encode};
use crate::listen::{Listen, Listener};
use crate::sse::Item;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long a server may take for the head of an answer.
const ANSWER: Duration = Duration::from_secs(15);
/// How long a browser waits before coming back, unless the stream said otherwise.
const RETRY: Duration = Duration::from_secs(1);
/// How long, after the last message was published, all streams may take to have it.
const REST: Duration = Duration::from_secs(60);

/// Who listens where, and how often is published.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// Address of the gateway
    #[arg(long)]
    pub address: SocketAddr,
    #[arg(long)]
    pub namespace: String,
    #[arg(long)]
    pub topic: String,
    #[arg(long)]
    pub streams: usize,
    /// Milliseconds between two messages; 0 publishes none
    #[arg(long, default_value_t = 50)]
    pub every: u64,
}

/// What was seen, from the first stream to the last message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub streams: usize,
    pub published: u64,
    /// Publications that were tried again, by what stood in their way.
    pub repeated: BTreeMap<String, u64>,
    /// Streams that have every message once and in order.
    pub complete: usize,
    /// Messages out of turn: one is missing before them, or they were there already.
    pub out_of_turn: u64,
    /// `siar.gap`, by its data.
    pub gaps: BTreeMap<String, u64>,
    /// Answers that are no stream, at which a browser gives up for good.
    pub refused: BTreeMap<String, u64>,
    /// Tries to connect in vain, after which a browser comes back.
    pub unreached: BTreeMap<String, u64>,
    /// `siar.end`, by its reason, and streams that were cut.
    pub ends: BTreeMap<String, u64>,
    /// Streams that were opened, first ones included.
    pub opened: u64,
}

/// What happens, as it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// All streams are open.
    Open,
    /// The message with this number was acknowledged.
    Published(u64),
    /// A stream ended; the data of `siar.end`, if it had one.
    Ended(Option<String>),
}

type Tell = Box<dyn Fn(News) + Send + Sync>;

struct Crowd {
    settings: Settings,
    tell: Tell,
    verdict: Mutex<Verdict>,
    /// How many streams are open for the first time; how many messages each has.
    begun: watch::Sender<usize>,
    heard: Vec<Mutex<u64>>,
}

/// Opens all streams, publishes until `stop`, waits until everybody has everything, and answers.
pub async fn run(
    settings: Settings,
    tell: impl Fn(News) + Send + Sync + 'static,
    stop: impl Future<Output = ()>,
) -> Verdict {
    let crowd = Arc::new(Crowd {
        heard: (0..settings.streams).map(|_| Mutex::default()).collect(),
        verdict: Mutex::default(),
        begun: watch::Sender::new(0),
        tell: Box::new(tell),
        settings,
    });
    let mut listeners = tokio::task::JoinSet::new();
    for index in 0..crowd.settings.streams {
        listeners.spawn(listen(crowd.clone(), index));
    }
    let mut begun = crowd.begun.subscribe();
    let all = begun
        .wait_for(|&begun| begun >= crowd.settings.streams)
        .await;
    drop(all.expect("the sender is kept"));
    (crowd.tell)(News::Open);
    let published = publish(&crowd, stop).await;
    let end = Instant::now() + REST;
    let complete = || {
        crowd
            .heard
            .iter()
            .filter(|heard| *heard.lock() == published)
            .count()
    };
    while complete() < crowd.settings.streams && Instant::now() < end {
        sleep(Duration::from_millis(50)).await;
    }
    listeners.abort_all();
    let mut verdict = crowd.verdict.lock().clone();
    verdict.streams = crowd.settings.streams;
    verdict.published = published;
    verdict.complete = complete();
    verdict
}

/// Publishes numbers, each until it is acknowledged, and answers the last one.
async fn publish(crowd: &Crowd, stop: impl Future<Output = ()>) -> u64 {
    let mut stop = std::pin::pin!(stop);
    let Settings {
        address,
        namespace,
        topic,
        every,
        ..
    } = &crowd.settings;
    let path = format!("/{namespace}/publish?channel={}", encode(topic));
    let run = std::process::id();
    let mut last = 0;
    loop {
        let pause = match every {
            0 => Duration::MAX,
            every => Duration::from_millis(*every),
        };
        if timeout(pause, &mut stop).await.is_ok() {
            return last;
        }
        last += 1;
        let ask = Ask::post(*address, &path, last.to_string());
        let ask = ask.header("Idempotency-Key", &format!("{run}-{last}"));
        loop {
            let failed = match timeout(ANSWER, ask.try_send()).await {
                Ok(Ok(answer)) if answer.status == 200 => break,
                Ok(Ok(answer)) => format!("{} {}", answer.status, answer.text()),
                Ok(Err(error)) => error.kind().to_string(),
                Err(_) => "no answer".into(),
            };
            *crowd.verdict.lock().repeated.entry(failed).or_default() += 1;
            sleep(Duration::from_millis(200)).await;
        }
        (crowd.tell)(News::Published(last));
    }
}

/// One page: it comes back whenever a stream ends, and gives up at an HTTP error.
async fn listen(crowd: Arc<Crowd>, index: usize) {
    // Not all in one moment: a browser does not open 500 streams at once either.
    sleep(Duration::from_millis(2 * index as u64)).await;
    let Settings {
        address,
        namespace,
        topic,
        ..
    } = &crowd.settings;
    let at = Listen::at(*address).path(&format!("/{namespace}/stream"));
    let at = at.channel(topic);
    let (mut cursor, mut begun) = (String::new(), false);
    loop {
        let mut retry = RETRY;
        let asked = at.clone().last_event_id(&cursor);
        match timeout(ANSWER, asked.try_open()).await {
            Ok(Ok(Ok(mut listener))) => {
                crowd.verdict.lock().opened += 1;
                read(&crowd, index, &mut listener, &mut begun).await;
                cursor = listener.last_event_id();
                retry = listener.retry().map_or(RETRY, Duration::from_millis);
            }
            Ok(Ok(Err(answer))) => {
                let said = format!("{} {}", answer.status, answer.text());
                *crowd.verdict.lock().refused.entry(said).or_default() += 1;
                return;
            }
            Ok(Err(error)) => crowd.unreached(error.kind().to_string()),
            Err(_) => crowd.unreached("no answer".into()),
        }
        sleep(retry).await;
    }
}

/// Reads a stream to its end. It has begun when it told where it is: from then on it gets everything.
async fn read(crowd: &Crowd, index: usize, listener: &mut Listener, begun: &mut bool) {
    let (mut reason, mut told) = ("cut".to_owned(), None);
    loop {
        let silent = Instant::now() + 4 * ANSWER;
        let Ok(item) = timeout_at(silent, listener.read()).await else {
            reason = "silent".into();
            break;
        };
        let Some(item) = item else { break };
        match item {
            Item::Cursor(_) if !*begun => {
                *begun = true;
                crowd.begun.send_modify(|begun| *begun += 1);
            }
            Item::Event(event) if event.kind == "siar.end" => {
                reason.clone_from(&event.data);
                told = Some(event.data);
            }
            Item::Event(event) if event.kind == "siar.gap" => {
                *crowd.verdict.lock().gaps.entry(event.data).or_default() += 1;
            }
            Item::Event(event) if event.kind == "message" => {
                let mut heard = crowd.heard[index].lock();
                match event.data.parse::<u64>() {
                    Ok(number) if number == *heard + 1 => *heard = number,
                    _ => crowd.verdict.lock().out_of_turn += 1,
                }
            }
            Item::Event(_) | Item::Cursor(_) | Item::Comment(_) | Item::Retry(_) => {}
        }
    }
    *crowd.verdict.lock().ends.entry(reason).or_default() += 1;
    (crowd.tell)(News::Ended(told));
}

impl Crowd {
    fn unreached(&self, why: String) {
        *self.verdict.lock().unreached.entry(why).or_default() += 1;
    }
}
