//! A rolling update, as a Deployment with `maxSurge: 1` and `maxUnavailable: 0` does it behind a Service: one gateway
//! more, and when it is ready an old one less, until all are new.
//!
//! Owns: what pages, publishers and Flask apps notice of it: ends with a name, spread over the window, and nothing else.

use crate::{Channel, Follower, Gateway, GatewaySetup, Redis};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tests::balancer::Balancer;
use tests::crowd::{self, News, Verdict};
use tests::listen::Listen;
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::task::JoinHandle;

const STREAMS: usize = 600;
/// So many of them listen to raw messages.
const RAW_STREAMS: usize = 5;
const ENDPOINT_DELAY: Duration = Duration::from_secs(3);
const WINDOW: Duration = Duration::from_secs(12);
/// No second has so many times the ends that it has on average.
const CROWDED: usize = 4;
/// Milliseconds between two messages of the crowd.
const EVERY: u64 = 200;

/// A little history: what is published while a page waits to come back, and no more.
fn setup(redis: &Redis) -> GatewaySetup {
    let channel = |name| Channel::open(name).stream("5s", "500ms", "30m");
    GatewaySetup::new()
        .channel(&channel("c").history(100))
        .channel(&channel("raw").history(1_000).ingest(&["FlaskSse"]))
        .redis(&redis.url())
        .flag(
            "--endpoint-delay",
            &format!("{}s", ENDPOINT_DELAY.as_secs()),
        )
        .flag("--drain", &format!("{}s", WINDOW.as_secs()))
}

/// When a stream ended, and the data of its `siar.end`.
type End = (Instant, Option<String>);

/// Streams and a publisher behind the balancer.
struct Pages {
    ends: Arc<Mutex<Vec<End>>>,
    stop: oneshot::Sender<()>,
    verdict: JoinHandle<Verdict>,
}

impl Pages {
    async fn open(balancer: &Balancer) -> Self {
        let settings = crowd::Settings {
            address: balancer.address(),
            namespace: "default".into(),
            topic: "c".into(),
            streams: STREAMS,
            every: EVERY,
        };
        let ends = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let (open, opened) = oneshot::channel();
        let (told, open) = (ends.clone(), Mutex::new(Some(open)));
        let tell = move |news| match news {
            News::Open => drop(open.lock().take().map(|open| open.send(()))),
            News::Published(_) => {}
            News::Ended(how) => told.lock().push((Instant::now(), how)),
        };
        let stop_or_gone = async move { drop(stopped.await) };
        let verdict = tokio::spawn(crowd::run(settings, tell, stop_or_gone));
        let opened =
            tests::wait::within_time(Duration::from_secs(60), "all streams to open", opened);
        opened.await.expect("the crowd opens");
        Self {
            ends,
            stop,
            verdict,
        }
    }

    /// Ends since this was asked last.
    fn take_ends(&self) -> Vec<End> {
        std::mem::take(&mut self.ends.lock())
    }

    async fn verdict(self) -> Verdict {
        self.stop.send(()).expect("the crowd publishes");
        self.verdict.await.expect("the crowd does not panic")
    }
}

/// An app that publishes as Flask-SSE does, a hundred times a second, until it is told to stop; how often it did.
fn app(redis: &Redis) -> (oneshot::Sender<()>, JoinHandle<usize>) {
    let (stop, mut stopped) = oneshot::channel();
    let client = redis::Client::open(redis.url()).expect("a URL of the harness");
    let app = async move {
        let connection = client.get_multiplexed_async_connection().await;
        let mut connection = connection.expect("Redis runs");
        let mut number = 0;
        while stopped.try_recv() == Err(TryRecvError::Empty) {
            let mut command = redis::cmd("PUBLISH");
            command.arg("raw").arg(format!(r#"{{"data": "{number}"}}"#));
            let heard: i64 = command
                .query_async(&mut connection)
                .await
                .expect("Redis runs");
            assert!(heard > 0, "{number} was heard by nobody");
            number += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        number
    };
    (stop, tokio::spawn(app))
}

/// One gateway more, then `old` less.
async fn replace(
    old: Gateway,
    setup: &GatewaySetup,
    balancer: &mut Balancer,
    pages: &Pages,
) -> Gateway {
    let new = setup.clone().start().await;
    balancer.add(&new);
    assert_eq!(pages.take_ends(), [], "before anything was asked to end");
    let held = old.metrics().await.sum("siar_streams", &[]) as usize;
    assert!(held > STREAMS / 4, "the streams are shared out: {held}");
    let mut old = old;
    let begin = Instant::now();
    old.term();
    let closing = begin + ENDPOINT_DELAY;
    let limit = ENDPOINT_DELAY + WINDOW + Duration::from_secs(30);
    let status = tests::wait::within_time(limit, "a gateway to end", async {
        loop {
            if let Some(status) = old.process().ended() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(status.await.success());
    spread(&pages.take_ends(), closing);
    new
}

/// Every end has its word, and no second has too many.
fn spread(ends: &[End], closing: Instant) {
    let mut seconds = vec![0; WINDOW.as_secs() as usize];
    let last = seconds.len() - 1;
    for (at, how) in ends {
        let how = how.as_deref();
        assert_eq!(how, Some(r#"{"reason":"draining"}"#), "{how:?}");
        assert!(*at >= closing, "in the endpoint delay: {:?}", closing - *at);
        let second = (*at - closing).as_secs() as usize;
        seconds[second.min(last)] += 1;
    }
    println!("ends in each second of the drain: {seconds:?}");
    let most = CROWDED * ends.len() / seconds.len();
    assert!(
        seconds.iter().all(|count| *count <= most),
        "more than {most} in a second: {seconds:?}"
    );
}

#[tokio::test]
async fn a_rolling_update_costs_no_message_no_error_and_no_crowd() {
    let redis = Redis::start().await;
    let setup = setup(&redis);
    let mut balancer = Balancer::start().await;
    let gateways = [setup.clone().start().await, setup.clone().start().await];
    for gateway in &gateways {
        balancer.add(gateway);
    }
    let pages = Pages::open(&balancer).await;
    let raw = || Listen::at(balancer.address()).channel("raw");
    let mut followers = Vec::new();
    for _ in 0..RAW_STREAMS {
        followers.push(Follower::start(vec![raw()]).await);
    }
    let (stop, app) = app(&redis);

    let mut new = Vec::new();
    for old in gateways {
        new.push(replace(old, &setup, &mut balancer, &pages).await);
    }

    drop(stop);
    let published = app.await.expect("the app does not panic");
    let verdict = pages.verdict().await;
    println!("{verdict:?}");
    assert_eq!(verdict.complete, STREAMS, "{verdict:?}");
    assert_eq!(verdict.out_of_turn, 0, "{verdict:?}");
    for seen in [
        &verdict.gaps,
        &verdict.refused,
        &verdict.unreached,
        &verdict.repeated,
    ] {
        assert!(seen.is_empty(), "{verdict:?}");
    }
    assert_eq!(balancer.refused(), [""; 0]);
    let expected = Vec::from_iter((0..published).map(|number| number.to_string()));
    for follower in &followers {
        follower.until_data(&(published - 1).to_string()).await;
        let heard = follower.messages().into_iter().map(|event| event.data);
        assert!(
            heard.eq(expected.iter().cloned()),
            "a raw message is missing, or came twice"
        );
        assert_eq!(follower.gaps(), []);
    }
}
