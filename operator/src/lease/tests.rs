//! What counts as holding the Lease, and how it is kept.

use super::*;
use http::{Method, Request, Response, StatusCode};
use kube::client::Body;
use prometheus::Registry;
use serde_json::{Value, json};
use std::future::pending;
use tokio::sync::oneshot;
use tower_test::mock::{Handle, pair};

type Server = Handle<Request<Body>, Response<Body>>;

fn mock() -> (Client, Server) {
    let (service, server) = pair();
    (Client::new(service, "home"), server)
}

fn place() -> Place {
    Place {
        namespace: "home".to_owned(),
        name: "siar-operator".to_owned(),
        identity: "me".to_owned(),
    }
}

fn response(status: StatusCode, body: &Value) -> Response<Body> {
    Response::builder()
        .status(status)
        .body(body.to_string().into_bytes().into())
        .unwrap()
}

fn failure(status: StatusCode, reason: &str) -> Response<Body> {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": reason,
        "reason": reason, "code": status.as_u16(),
    });
    response(status, &body)
}

/// A Lease of 15 s that `holder` renewed so many seconds ago; negative is in the future.
fn lease(holder: &str, ago: i64) -> Value {
    let renewed = clock::now().timestamp() - SignedDuration::from_secs(ago);
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "siar-operator"},
        "spec": {"holderIdentity": holder, "renewTime": renewed.to_string(), "leaseDurationSeconds": 15},
    })
}

#[track_caller]
fn check(lease: &Value, expected: bool) {
    let spec: LeaseSpec = serde_json::from_value(lease["spec"].clone()).unwrap();
    let held = is_held(&spec, "me", clock::now().timestamp());
    assert_eq!(held, expected, "{lease}");
}

#[test]
fn it_is_held_by_its_holder_while_it_is_good_for_five_seconds_more() {
    check(&lease("me", 0), true);
    check(&lease("me", 9), true);
    check(&lease("me", 10), false);
    check(&lease("me", 60), false);
    check(&lease("other", 0), false);
}

#[test]
fn a_clock_that_was_set_back_does_not_end_it() {
    check(&lease("me", -60), true);
}

#[test]
fn what_says_less_than_it_should_is_not_held() {
    for missing in ["holderIdentity", "renewTime", "leaseDurationSeconds"] {
        let mut lease = lease("me", 0);
        lease["spec"].as_object_mut().unwrap().remove(missing);
        check(&lease, false);
    }
    let mut shorter = lease("me", 0);
    shorter["spec"]["leaseDurationSeconds"] = json!(5);
    check(&shorter, false);
}

/// What `holds` answers when the API server answers `response`.
async fn holds(response: Response<Body>) -> bool {
    let (client, mut server) = mock();
    let leadership = Leadership::believing(client, place());
    let serving = async {
        let (request, reply) = server.next_request().await.unwrap();
        assert_eq!(request.method(), Method::GET);
        assert_eq!(
            request.uri().path(),
            "/apis/coordination.k8s.io/v1/namespaces/home/leases/siar-operator"
        );
        reply.send_response(response);
    };
    tokio::join!(leadership.holds(), serving).0
}

#[tokio::test]
async fn only_the_api_server_says_who_holds_it() {
    assert!(holds(response(StatusCode::OK, &lease("me", 0))).await);
    assert!(!holds(response(StatusCode::OK, &lease("me", 11))).await);
    assert!(!holds(response(StatusCode::OK, &lease("other", 0))).await);
    let empty = json!({"metadata": {"name": "siar-operator"}});
    assert!(!holds(response(StatusCode::OK, &empty)).await);
    assert!(!holds(failure(StatusCode::NOT_FOUND, "NotFound")).await);
    assert!(!holds(failure(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")).await);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_hangs_for_three_seconds_says_no() {
    let (client, mut server) = mock();
    let leadership = Leadership::believing(client, place());
    let begin = tokio::time::sleep(Duration::ZERO).deadline();
    let hanging = async {
        let _request = server.next_request().await.unwrap();
        pending::<()>().await;
    };
    let held = tokio::select! {
        held = leadership.holds() => held,
        () = hanging => true,
    };
    assert!(!held);
    let end = tokio::time::sleep(Duration::ZERO).deadline();
    assert_eq!((end - begin).as_secs(), 3);
}

#[tokio::test]
async fn who_does_not_even_believe_to_lead_need_not_ask() {
    let (client, server) = mock();
    let metrics = Metrics::new(&Registry::new()).unwrap();
    let (leadership, _keeper) = new(client, place(), metrics, 7);
    drop(server);
    assert!(!leadership.believes());
    assert!(!leadership.holds().await);
}

/// Keeps one Lease like an API server that merges whatever is patched.
struct Shelf {
    lease: Option<Value>,
    /// What is answered instead while it is so.
    fault: Option<StatusCode>,
}

impl Shelf {
    async fn answer(&mut self, request: Request<Body>) -> Response<Body> {
        if let Some(fault) = self.fault {
            return failure(fault, "InternalError");
        }
        let method = request.method().clone();
        let body = request.into_body().collect_bytes().await.unwrap();
        let mut sent: Value = serde_json::from_slice(&body).unwrap_or_default();
        if method == Method::POST {
            sent["spec"] = json!({});
            self.lease = Some(sent.clone());
        }
        let Some(lease) = &mut self.lease else {
            return failure(StatusCode::NOT_FOUND, "NotFound");
        };
        if method == Method::PATCH {
            for (key, value) in sent["spec"].as_object().unwrap() {
                lease["spec"][key] = value.clone();
            }
        }
        response(StatusCode::OK, lease)
    }
}

/// A keeper at work on a shelf, with the server's clock paused and the lease's own running.
struct Scene {
    shelf: Shelf,
    server: Server,
    metrics: Arc<Metrics>,
    registry: Registry,
}

impl Scene {
    fn new(lease: Option<Value>) -> (Self, Leadership, Keeper) {
        let (client, server) = mock();
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let scene = Self {
            shelf: Shelf { lease, fault: None },
            server,
            metrics: metrics.clone(),
            registry,
        };
        let (leadership, keeper) = new(client, place(), metrics, 7);
        (scene, leadership, keeper)
    }

    /// Answers until `leads` is what the replica believes.
    async fn until(&mut self, leadership: &Leadership, leads: bool) {
        let mut believes = leadership.watch();
        let reached = async {
            believes
                .wait_for(|believed| *believed == leads)
                .await
                .unwrap();
        };
        tokio::select! {
            biased;
            () = reached => {}
            () = self.serve() => {}
        }
    }

    async fn serve(&mut self) {
        while let Some((request, reply)) = self.server.next_request().await {
            reply.send_response(self.shelf.answer(request).await);
        }
    }

    fn count(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families
            .iter()
            .find(|family| family.name() == name)
            .unwrap();
        let metric = &family.get_metric()[0];
        metric.get_counter().get_value() + metric.get_gauge().get_value()
    }
}

#[tokio::test(start_paused = true)]
async fn a_free_lease_is_taken_kept_and_given_back() {
    let (mut scene, leadership, keeper) = Scene::new(None);
    let (stop, stopped) = oneshot::channel::<()>();
    let running = keeper.run(async { drop(stopped.await) });
    let watching = async {
        scene.until(&leadership, true).await;
        let lease = scene.shelf.lease.clone().unwrap();
        assert_eq!(lease["spec"]["holderIdentity"], "me");
        assert_eq!(lease["spec"]["leaseDurationSeconds"], 15);
        assert!((scene.count("siar_operator_leader") - 1.0).abs() < 0.1);
        stop.send(()).unwrap();
        scene.until(&leadership, false).await;
        // The rest of the release.
        tokio::select! { () = scene.serve() => {}, () = tokio::time::sleep(Duration::from_secs(1)) => {} }
    };
    tokio::join!(running, watching);
    let lease = scene.shelf.lease.as_ref().unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], Value::Null);
    assert!((scene.count("siar_operator_lease_transitions_total") - 2.0).abs() < 0.1);
    assert!((scene.count("siar_operator_leader")).abs() < 0.1);
    drop(scene.metrics);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_renew_does_not_lead_until_the_api_server_says_so_again() {
    let (mut scene, leadership, keeper) = Scene::new(None);
    let watching = async {
        scene.until(&leadership, true).await;
        scene.shelf.fault = Some(StatusCode::INTERNAL_SERVER_ERROR);
        scene.until(&leadership, false).await;
        scene.shelf.fault = None;
        scene.until(&leadership, true).await;
    };
    tokio::select! { () = keeper.run(pending()) => panic!("it returned"), () = watching => {} }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_deleted_is_made_again() {
    let (mut scene, leadership, keeper) = Scene::new(None);
    let watching = async {
        scene.until(&leadership, true).await;
        scene.shelf.lease = None;
        scene.until(&leadership, false).await;
        scene.until(&leadership, true).await;
        assert!(scene.shelf.lease.is_some());
    };
    tokio::select! { () = keeper.run(pending()) => panic!("it returned"), () = watching => {} }
}

#[tokio::test(start_paused = true)]
async fn what_another_holds_is_left_to_it_and_not_given_back_for_it() {
    let (mut scene, leadership, keeper) = Scene::new(Some(lease("other", 0)));
    let (stop, stopped) = oneshot::channel::<()>();
    let running = keeper.run(async { drop(stopped.await) });
    let watching = async {
        tokio::select! { () = scene.serve() => {}, () = tokio::time::sleep(Duration::from_secs(10)) => {} }
        assert!(!leadership.believes());
        stop.send(()).unwrap();
        tokio::select! { () = scene.serve() => {}, () = tokio::time::sleep(Duration::from_secs(10)) => {} }
    };
    tokio::join!(running, watching);
    let lease = scene.shelf.lease.as_ref().unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "other");
}
