//! The routes over memory, asked without a socket.

mod pages;
mod publish;

use super::chance::Chance;
use super::*;
use crate::broker::memory::Memory;
use crate::clock;
use crate::fixtures::{open, snapshot, tokens, with};
use crate::tasks::Control;
use crate::topics::{Brokers, Mailbox};
use crate::worker::Worker;
use axum::http::HeaderMap;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tower::ServiceExt;

struct World {
    router: Router,
    metrics: Arc<Metrics>,
    phase: watch::Sender<Phase>,
    limits: Arc<Limits>,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{}: {error}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// The word of the refusal.
    fn word(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let kind = self.json()["type"].as_str().unwrap().to_owned();
        kind.rsplit('/').next().unwrap().to_owned()
    }
}

fn world(channels: Option<Arc<Snapshot>>) -> World {
    let metrics = Metrics::new(&prometheus::Registry::new(), "default").unwrap();
    let limits = Limits::new(metrics.clone(), 10);
    let brokers = Brokers {
        own: Box::new(|sink| Arc::new(Memory::new(sink, 7, Box::new(clock::now)))),
        named: Box::new(|_, _| unreachable!("no Channel names a server")),
    };
    let control = Control::new(Handle::current());
    let targets = Arc::new(crds::targets::Targets::standalone());
    let outbound = crate::outbound::Outbound::new(targets).unwrap();
    let evidence = Source::new(control.clone(), outbound, metrics.clone(), || {});
    let topics = Topics::new(
        control,
        vec![Arc::<Mailbox>::default()],
        metrics.clone(),
        brokers,
    );
    if let Some(channels) = &channels {
        topics.apply(channels);
    }
    let (snapshots, watch) = watch::channel(channels);
    let (phase, phases) = watch::channel(Phase::Serving);
    let router = router(State {
        snapshots: watch,
        phase: phases,
        evidence: Arc::new(evidence),
        door: Worker::new(0, topics.clone()).door(),
        topics,
        limits: limits.clone(),
        metrics: metrics.clone(),
        chance: Chance::seeded([7; 32]),
        settings: Settings {
            default_namespace: "shop".to_owned(),
            trusted_proxies: Vec::new(),
            cookie: "siar_token".to_owned(),
        },
    });
    World {
        router,
        metrics,
        phase,
        limits,
        snapshots,
    }
}

/// Channels `sse` and `open` for everybody, `closed` for tokens, and `listed` for a page.
fn usual() -> World {
    let page = json!({"origins": ["https://page.example"], "subscribe": [{"anonymous": {}}],
        "publish": [{"anonymous": {}}, {"tokens": {"secretRef": {"name": "readers"}}}]});
    let kept =
        json!({"history": {"size": 10}, "limits": {"messageBytes": 100, "publishPerSecond": 4}});
    world(Some(snapshot(&[
        ("sse", open()),
        ("open", with(open(), kept)),
        ("closed", tokens()),
        ("listed", json!({"access": page})),
    ])))
}

impl World {
    async fn ask(&self, line: &str, lines: &[(&str, &str)], body: &str) -> Answer {
        self.ask_with(line, lines, Body::from(body.to_owned()))
            .await
    }

    async fn ask_with(&self, line: &str, lines: &[(&str, &str)], body: Body) -> Answer {
        let (method, uri) = line.split_once(' ').unwrap();
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let request = request.body(body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            text: String::from_utf8(body.collect().await.unwrap().to_bytes().into()).unwrap(),
        }
    }

    async fn refused(&self, line: &str, lines: &[(&str, &str)], status: u16, word: &str) -> Answer {
        let refusals = self.metrics.refusals.with_label_values(&[word]);
        let before = refusals.get();
        let answer = self.ask(line, lines, "x").await;
        assert_eq!((answer.status, &*answer.word()), (status, word), "{line}");
        assert_eq!(refusals.get(), before + 1, "{word} is not counted");
        answer
    }
}

#[tokio::test]
async fn what_is_permanent_is_a_status_with_its_word() {
    let world = usual();
    let bearer = [("authorization", "Bearer old")];
    for (line, lines, status, word) in [
        ("GET /stream?channel=a%00", &[][..], 400, "malformed"),
        ("GET /stream?channel=none", &[], 404, "unknown-topic"),
        ("GET /other/stream?channel=open", &[], 404, "unknown-topic"),
        ("GET /%ff/stream", &[], 404, "unknown-topic"),
        ("GET /streams", &[], 404, "unknown-path"),
        ("HEAD /stream", &[], 405, "method"),
        ("GET /publish", &[], 405, "method"),
        (
            "GET /stream",
            &[("accept", "application/json")],
            406,
            "not-acceptable",
        ),
        ("GET /stream?channel=closed", &bearer, 401, "bad-token"),
        ("GET /history?channel=closed", &[], 401, "no-token"),
        (
            "GET /presence?channel=closed&channel=open",
            &[],
            400,
            "malformed",
        ),
        ("POST /publish?channel=closed", &[], 401, "no-token"),
        ("POST /shop/publish?type=siar.end", &[], 400, "malformed"),
        (
            "POST /publish?access_token=b&channel=closed",
            &bearer,
            400,
            "two-tokens",
        ),
    ] {
        if line.starts_with("HEAD") {
            assert_eq!(world.ask(line, lines, "").await.status, status);
        } else {
            world.refused(line, lines, status, word).await;
        }
    }
    let challenged = world
        .refused("GET /stream?channel=closed", &[], 401, "no-token")
        .await;
    assert_eq!(
        challenged.header("www-authenticate"),
        "Bearer realm=\"siar\""
    );
    let denied = &world
        .metrics
        .channel(&crds::name::ChannelName::new("shop", "closed"))
        .denied;
    assert_eq!(denied[0][Denied::NoToken as usize].get(), 2);
    assert_eq!(denied[1][Denied::NoToken as usize].get(), 1);
}

#[tokio::test]
async fn what_will_pass_ends_an_event_stream_with_a_time_to_come_back() {
    let world = usual();
    let until = clock::now().steady;
    world.phase.send_replace(Phase::Closing { until });
    let events = [
        ("accept", "text/event-stream"),
        ("origin", "https://page.example"),
    ];
    let answer = world.ask("GET /stream?channel=listed", &events, "").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "text/event-stream; charset=utf-8")
    );
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "https://page.example"
    );
    assert_eq!(answer.header("connection"), "close");
    let (retry, end) = answer.text.split_once('\n').unwrap();
    let retry: u64 = retry.strip_prefix("retry: ").unwrap().parse().unwrap();
    assert!((2_000..6_000).contains(&retry), "{retry}");
    assert_eq!(end, "event: siar.end\ndata: {\"reason\":\"draining\"}\n\n");
    let other = world
        .refused("GET /stream?channel=listed", &[], 503, "draining")
        .await;
    assert!((2..=6).contains(&other.header("retry-after").parse::<u64>().unwrap()));
    assert_eq!(
        world
            .ask("POST /publish?channel=open", &events[..1], "x")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_full_channel_asks_for_more_patience() {
    let one = with(open(), json!({"limits": {"streams": 1}}));
    let channels = snapshot(&[("sse", one)]);
    let world = world(Some(channels.clone()));
    let held = world
        .limits
        .stream([(&*channels.policies()[0], None)])
        .unwrap();
    let full = world.refused("GET /stream", &[], 503, "capacity").await;
    assert!((15..=45).contains(&full.header("retry-after").parse::<u64>().unwrap()));
    drop(held);
}

#[tokio::test]
async fn before_the_first_configuration_everybody_may_know_to_come_back() {
    let world = world(None);
    let events = [
        ("accept", "text/event-stream"),
        ("origin", "https://any.example"),
    ];
    let answer = world.ask("GET /stream", &events, "").await;
    assert!(
        answer.text.ends_with("{\"reason\":\"starting\"}\n\n"),
        "{}",
        answer.text
    );
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "https://any.example"
    );
    let preflight = world.ask("OPTIONS /stream", &events, "").await;
    assert_eq!(
        preflight.header("access-control-allow-origin"),
        "https://any.example"
    );
    let post = world.ask("POST /publish", &events[..1], "x").await;
    assert_eq!((post.status, &*post.word()), (503, "starting"));
}

#[tokio::test]
async fn every_word_of_a_refusal_is_a_series_from_the_start() {
    let world = usual();
    let families = prometheus::core::Collector::collect(&world.metrics.refusals);
    assert_eq!(families[0].get_metric().len(), Refusal::WORDS.len());
}
