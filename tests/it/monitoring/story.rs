//! A busy minute: streams come and go, servers fail and return, access is refused and withdrawn, while Prometheus looks.
//!
//! Owns: that everything that a panel tells of happens, as far as it can be made to. Never: looks at a panel.

use crate::{Channel, Follower, Redis};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tests::cluster::Cluster;
use tests::fleet::{Fleet, Pod, Setup as FleetSetup};
use tests::http::{Ask, query};
use tests::issuer::{Algorithm, Issuer, Jwks, Key, base64};
use tests::listen::Listen;
use tests::operator::{Operator, Setup as OperatorSetup};
use tests::prometheus::{Prometheus, Target, now};
use tests::wait::{until, until_time};
use tokio::task::JoinHandle;

/// Clients that listen to orders, and to the inbox as ana and as ben.
const ORDERS: usize = 50;
const INBOX: usize = 12;
/// How often something is published.
const PAUSE: Duration = Duration::from_millis(60);
/// How long a fleet may take to shrink, and another operator to lead.
const SETTLE: Duration = Duration::from_secs(60);
/// The page that may listen to orders.
const SHOP: &str = "https://shop.example.com";

/// Real servers, and the time in which things happened to them.
pub struct Story {
    pub prometheus: Prometheus,
    /// From and to, in seconds.
    pub span: (f64, f64),
    fleet: Arc<Fleet>,
    operators: Vec<Operator>,
    /// That of the shop, which is restarted; the other gateways' own.
    redis: [Redis; 2],
    cluster: Cluster,
    load: JoinHandle<()>,
    issuers: [Issuer; 2],
}

/// All of it, with these rules in Prometheus.
pub async fn told(rules: &Value) -> Story {
    let mut story = begin(rules).await;
    let mut crowd = story.arrive().await;
    story.come_back(&crowd).await;
    story.fall_behind().await;
    story.refuse().await;
    story.fail().await;
    story.contest().await;
    story.leave(&mut crowd).await;
    story.hand_over().await;
    story.span.1 = now();
    story
}

async fn begin(rules: &Value) -> Story {
    let issuers = [Issuer::start().await, Issuer::start().await];
    let key = Key::new(Algorithm::Es256);
    issuers[0].serve(Jwks::Keys(vec![key.jwk("k1")]));
    issuers[1].serve(Jwks::Status(500));
    let redis = [Redis::start().await, Redis::start().await];
    let cluster = Cluster::start().await;
    cluster.install_crd().await;
    for namespace in ["shop", "chat"] {
        cluster.kubectl(&["create", "namespace", namespace]).await;
    }
    let fleet = FleetSetup::new("default")
        .redis(&redis[1].url())
        .scaling(2, 4);
    let fleet = fleet
        .fact("url", "https://events.example.com")
        .flag("--allow-targets", "127.0.0.1")
        .flag("--endpoint-delay", "1s")
        .flag("--drain", "3s");
    let fleet = Arc::new(fleet.start(&cluster).await);
    let mut operators = Vec::new();
    for pod in ["siar-operator-0", "siar-operator-1"] {
        let setup = OperatorSetup::new()
            .pod(pod)
            .flag("--allow-targets", "127.0.0.1")
            .flag("--scale-down-after", "3s")
            .flag("--scale-down-every", "2s");
        let operator = setup.start(&cluster).await;
        operator.until_ready().await;
        operators.push(operator);
    }
    let prometheus = Prometheus::start(rules).await;
    let story = Story {
        span: (now(), now()),
        load: tokio::spawn(load(Arc::clone(&fleet))),
        prometheus,
        fleet,
        operators,
        redis,
        cluster,
        issuers,
    };
    story.fleet.until_ready(2).await;
    story.look();
    story.declare().await;
    story
}

/// Publishes more and less, to the first pod that takes it, whatever happens meanwhile.
async fn load(fleet: Arc<Fleet>) {
    for n in 0_u32.. {
        let topics = ["orders", "rooms.1", "rooms.2"];
        let busy = (f64::from(n) / 60.0).sin() > 0.0;
        let many = if busy { &topics[..] } else { &topics[..1] };
        for topic in many {
            let namespace = if *topic == "orders" { "shop" } else { "chat" };
            let path = format!("/{namespace}/publish{}", query(&[("channel", topic)]));
            for pod in fleet.pods().iter().filter(|pod| pod.ready) {
                let ask = Ask::post(pod.public, &path, format!("message {n} for {topic}"));
                if ask.head().await.is_ok_and(|status| status == 200) {
                    break;
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Story {
    /// Prometheus finds what is there now, pods that drain included.
    fn look(&self) {
        let pods = self.fleet.pods();
        let gateways = pods.iter().map(Target::gateway);
        let operators = self.operators.iter().map(Target::operator);
        let all: Vec<Target> = gateways.chain(operators).collect();
        self.prometheus.scrape(&all);
    }

    async fn declare(&self) {
        let readers = |names: &[&str]| {
            let token = |name: &&str| ((*name).to_owned(), json!(base64(token(name).as_bytes())));
            let data: serde_json::Map<_, _> = names.iter().map(token).collect();
            json!({ "apiVersion": "v1", "kind": "Secret", "data": data, "metadata": { "name": "readers", "namespace": "shop" } })
        };
        self.cluster.apply(&readers(&["ana", "ben"])).await;
        let anybody = json!([{ "anonymous": {} }]);
        // Who is nobody has no claims, so the first rule cannot be judged.
        let judged =
            json!([{ "anonymous": {}, "when": "claims.vip == true" }, { "anonymous": {} }]);
        let orders = Channel::closed("orders")
            .namespace("shop")
            .redis(&self.redis[0].url())
            .history(20)
            .ingest(&["FlaskSse"]);
        let orders = orders
            .with(
                "access",
                json!({ "origins": [SHOP], "subscribe": judged, "publish": anybody }),
            )
            .with("scaling", json!({ "streamsPerReplica": 20 }))
            .limit("streams", 60);
        let inbox = Channel::closed("inbox")
            .namespace("shop")
            .tokens("subscribe", "readers");
        let rooms = Channel::open("rooms")
            .namespace("chat")
            .topics(&["rooms.{n}"])
            .history(100);
        let jwt = |issuer: &Issuer| json!({ "jwt": { "jwks": { "url": issuer.url() }, "algorithms": ["ES256"] } });
        let members = Channel::closed("members").namespace("chat");
        let members = members.with(
            "access",
            json!({ "subscribe": [jwt(&self.issuers[0]), jwt(&self.issuers[1])] }),
        );
        for channel in [&orders, &inbox, &rooms, &members] {
            self.cluster.apply(&channel.manifest()).await;
        }
        self.prometheus.until("min(siar_operator_channel_programmed_gateways) == 2 and count(siar_operator_channel_programmed_gateways) == 4").await;
    }

    fn pods(&self) -> Vec<Pod> {
        let pods = self.fleet.pods().into_iter();
        pods.filter(|pod| pod.ready && !pod.terminating).collect()
    }

    /// Clients that listen at one pod after the other, each beginning elsewhere.
    async fn clients(&self, count: usize, listen: impl Fn(&Pod) -> Listen) -> Vec<Follower> {
        let mut clients = Vec::new();
        for n in 0..count {
            let mut places: Vec<Listen> = self.pods().iter().map(&listen).collect();
            let first = n % places.len();
            places.rotate_left(first);
            clients.push(Follower::start(places).await);
        }
        clients
    }

    /// Streams open, and the fleet grows.
    async fn arrive(&self) -> Vec<Follower> {
        let mut crowd = self.clients(ORDERS, orders).await;
        crowd.extend(self.clients(INBOX, |pod| inbox(pod, "ana")).await);
        crowd.extend(self.clients(INBOX, |pod| inbox(pod, "ben")).await);
        let rooms = |pod: &Pod| {
            pod.listen("rooms.1")
                .channel("rooms.2")
                .path("/chat/stream")
        };
        crowd.extend(self.clients(16, rooms).await);
        self.prometheus.until("sum(siar_streams) == 90").await;
        self.fleet.until_ready(3).await;
        self.look();
        self.prometheus.until("count(siar_connections) == 3").await;
        crowd
    }

    /// Some come back in time, some too late, some from nowhere.
    async fn come_back(&self, crowd: &[Follower]) {
        crowd.iter().step_by(5).for_each(Follower::cut);
        let pod = &self.pods()[0];
        let reached = "sum(siar_messages_published_total{channel=\"orders\"}) > 50";
        self.prometheus.until(reached).await;
        let newest = newest(pod).await;
        let (epoch, _) = newest.split_once('-').expect("a position has two parts");
        for place in [format!("{epoch}-1"), "nowhere".into()] {
            for _ in 0..5 {
                let late = orders(pod).last_event_id(&place);
                drop(late.await.gap().await);
            }
        }
        self.prometheus.until("sum(siar_gaps_total{reason=\"too-old\"}) > 0 and on () sum(siar_resumes_total{result=\"complete\"}) > 0").await;
    }

    /// A pod stands still while a Channel changes, and serves its old form for as long.
    async fn fall_behind(&self) {
        let pod = self.pods().pop().expect("there are three");
        // Otherwise the pod is not ready soon, and nothing is expected of it.
        self.fleet.kubelet(false).await;
        self.fleet.freeze(&pod.name);
        let path = "/apis/siar.dev/v1alpha1/namespaces/shop/channels/orders";
        let change = json!({ "spec": { "limits": { "streams": 70 } } });
        let _ = self.cluster.merge(path, &change).await.expect(200);
        let behind = "siar_operator_channel_expected_gateways{channel=\"orders\"} - siar_operator_channel_programmed_gateways";
        // For a while: who looks once a second sees it, too.
        let long = format!("min_over_time(({behind})[3s:1s]) > 0");
        self.prometheus.until(&long).await;
        self.fleet.thaw(&pod.name);
        self.fleet.kubelet(true).await;
        self.prometheus.until(&format!("{behind} == 0")).await;
    }

    /// Who may not come in, what is no message, what is nowhere.
    async fn refuse(&mut self) {
        let pod = self.pods().remove(0);
        for n in 0..40 {
            drop(inbox(&pod, &format!("stranger {n}")).refused().await);
            drop(pod.listen("inbox").path("/shop/stream").refused().await);
            drop(
                orders(&pod)
                    .origin("https://elsewhere.example.com")
                    .refused()
                    .await,
            );
            drop(pod.listen("nowhere").path("/shop/stream").refused().await);
            let said = if n % 2 == 0 {
                "no message"
            } else {
                "{\"data\": \"raw\"}"
            };
            self.redis[0].publish("orders", said).await;
        }
        self.prometheus.until("sum(siar_messages_malformed_total) > 0 and on () sum(siar_messages_published_total{source=\"flask_sse\"}) > 0").await;
    }

    /// Redis is restarted without what it held, the API server is away, a Secret is written by hand.
    async fn fail(&mut self) {
        let pod = self.pods().remove(0);
        let position = newest(&pod).await;
        self.redis[0].kill9();
        self.prometheus.until("min(siar_redis_up) == 0").await;
        self.redis[0].start_again().await;
        self.prometheus.until("min(siar_redis_up) == 1").await;
        // Where it was before means nothing any more.
        until("a lost epoch to be told", async || {
            let mut listener = orders(&pod).last_event_id(&position).await;
            let event = listener.event().await;
            let told = event.kind == "siar.gap" && event.data.contains("epoch");
            told.then_some(()).ok_or(format!("{event:?} came"))
        })
        .await;
        self.cluster.kill9();
        self.prometheus.until("min(siar_config_source_up) == 0 and on () sum(siar_operator_watch_errors_total) > 0").await;
        self.cluster.start_again().await;
        self.prometheus
            .until("min(siar_config_source_up) == 1")
            .await;
        let path = "/api/v1/namespaces/siar/secrets/siar-default";
        let wrong = json!({ "data": { "snapshot.json.gz": base64(b"nonsense") } });
        let _ = self.cluster.merge(path, &wrong).await.expect(200);
        self.prometheus
            .until("sum(siar_config_applies_total{result=\"rejected\"}) > 0")
            .await;
    }

    /// Somebody else writes a status, again and again.
    async fn contest(&self) {
        let path = "/apis/siar.dev/v1alpha1/namespaces/chat/channels/members";
        let theirs = json!({ "status": { "url": "https://elsewhere.example.com" } });
        let contested = "sum(siar_operator_status_contested_total) > 0";
        until("the status to be contested", async || {
            let channel = self.cluster.get(path).await.expect(200).json();
            if channel["status"]["url"] != theirs["status"]["url"] {
                let status = format!("{path}/status");
                let _ = self.cluster.merge(&status, &theirs).await.expect(200);
            }
            let told = self.prometheus.now(contested).await;
            (!told.is_empty()).then_some(()).ok_or("it is not".into())
        })
        .await;
    }

    /// Access is withdrawn, clients leave, and the fleet shrinks.
    async fn leave(&self, crowd: &mut Vec<Follower>) {
        let path = "/api/v1/namespaces/shop/secrets/readers";
        let change = json!({ "data": { "ben": null } });
        let _ = self.cluster.merge(path, &change).await.expect(200);
        self.prometheus
            .until("sum(siar_streams_closed_total{reason=\"revoked\"}) > 0")
            .await;
        // Ben is told to stay away, and does; most of those who wait for orders have seen enough.
        crowd.drain(ORDERS + INBOX..ORDERS + 2 * INBOX);
        crowd.drain(..ORDERS - 10);
        until_time(SETTLE, "a pod to drain", async || {
            self.look();
            let draining = self.prometheus.now("sum(siar_draining) > 0").await;
            if draining.is_empty() {
                Err(format!("{:?}", self.fleet.pods()))
            } else {
                Ok(())
            }
        })
        .await;
        self.fleet.until_ready(2).await;
        self.look();
        self.prometheus.until("count(siar_connections) == 2").await;
    }

    /// The leader of the operators ends, and another leads.
    async fn hand_over(&mut self) {
        let leads = async |operator: &Operator| {
            operator.metrics().await.sum("siar_operator_leader", &[]) == 1.0
        };
        let first = leads(&self.operators[0]).await;
        let mut leader = self.operators.remove(usize::from(!first));
        leader.term();
        leader.exit().await;
        self.look();
        until_time(SETTLE, "the other operator to lead", async || {
            leads(&self.operators[0])
                .await
                .then_some(())
                .ok_or("it waits".into())
        })
        .await;
        self.prometheus
            .until("sum(siar_operator_leader) == 1 and on () sum(siar_operator_replicas) > 0")
            .await;
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        self.load.abort();
    }
}

/// The position of the newest order.
async fn newest(pod: &Pod) -> String {
    let ask = Ask::get(pod.public, "/shop/history?channel=orders&limit=1");
    let history = ask.send().await.expect(200).json();
    history["position"].as_str().unwrap_or_default().to_owned()
}

fn orders(pod: &Pod) -> Listen {
    pod.listen("orders").path("/shop/stream").origin(SHOP)
}

fn inbox(pod: &Pod, name: &str) -> Listen {
    pod.listen("inbox").path("/shop/stream").token(&token(name))
}

fn token(name: &str) -> String {
    format!("token-of-{name}")
}
