//! The whole requests of a step, and what is not sent.

use super::*;
use crate::clock;
use crate::lease::Place;
use http::{Request, Response, StatusCode};
use kube::client::Body;
use prometheus::Registry;
use serde_json::Value;
use std::time::Duration;
use tower_test::mock::{Handle, pair};

type Server = Handle<Request<Body>, Response<Body>>;

const LEASE: &str = "GET /apis/coordination.k8s.io/v1/namespaces/home/leases/siar-operator";
const SCALE: &str = "/apis/apps/v1/namespaces/home/deployments/siar-gateway/scale";
const EVENTS: &str = "POST /apis/events.k8s.io/v1/namespaces/home/events?";

/// One request as it must come, and the answer to it.
struct Exchange {
    request: String,
    body: Option<Value>,
    status: StatusCode,
    answer: Value,
}

fn exchange(request: &str, body: Option<Value>, answer: Value) -> Exchange {
    Exchange {
        request: request.to_owned(),
        body,
        status: StatusCode::OK,
        answer,
    }
}

fn refused(request: &str, body: Option<Value>, status: StatusCode, reason: &str) -> Exchange {
    let answer = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": reason,
        "reason": reason, "code": status.as_u16(),
    });
    Exchange {
        status,
        ..exchange(request, body, answer)
    }
}

fn ask_lease(holder: &str) -> Exchange {
    let renewed = clock::now().timestamp().to_string();
    let lease = json!({
        "metadata": {"name": "siar-operator"},
        "spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 15},
    });
    exchange(LEASE, None, lease)
}

fn read_scale(replicas: i32) -> Exchange {
    let scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {"name": "siar-gateway", "namespace": "home", "uid": "d-1", "resourceVersion": "77"},
        "spec": {"replicas": replicas}, "status": {"replicas": replicas},
    });
    exchange(&format!("GET {SCALE}"), None, scale)
}

fn apply_scale(replicas: i32) -> Exchange {
    let sent = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {"name": "siar-gateway", "namespace": "home", "resourceVersion": "77"},
        "spec": {"replicas": replicas},
    });
    let request = format!("PATCH {SCALE}?&force=true&fieldManager=siar-operator");
    exchange(&request, Some(sent.clone()), sent)
}

fn mark_pod(name: &str, cost: &str) -> Exchange {
    let sent = json!({"metadata": {"uid": format!("uid-of-{name}"), "annotations": {DELETION_COST: cost}}});
    let request = format!("PATCH /api/v1/namespaces/home/pods/{name}?&fieldManager=siar-operator");
    let answer = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": name}});
    exchange(&request, Some(sent), answer)
}

fn tell(reason: &str, note: &str) -> Exchange {
    let sent = json!({
        "kind": "Event", "apiVersion": "events.k8s.io/v1",
        "metadata": {"namespace": "home"},
        "type": "Normal", "reason": reason, "action": "Scale", "note": note,
        "regarding": {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "home", "name": "siar-gateway", "uid": "d-1"},
        "reportingController": "siar-operator", "reportingInstance": "me",
    });
    exchange(EVENTS, Some(sent.clone()), sent)
}

/// Answers what is expected, in its order, and nothing else.
async fn serve(server: &mut Server, expected: Vec<Exchange>) {
    for exchange in expected {
        let (request, reply) = server.next_request().await.unwrap();
        let told = format!("{} {}", request.method(), request.uri());
        let told = told.replace("http://localhost", "");
        assert_eq!(told, exchange.request);
        let body = request.into_body().collect_bytes().await.unwrap();
        let mut sent: Option<Value> = serde_json::from_slice(&body).ok();
        if let Some(event) = sent.as_mut().filter(|_| told == EVENTS) {
            // Both are made of the time.
            event["metadata"].as_object_mut().unwrap().remove("name");
            event.as_object_mut().unwrap().remove("eventTime");
        }
        assert_eq!(sent, exchange.body, "{told}");
        let answer = exchange.answer.to_string().into_bytes();
        let response = Response::builder().status(exchange.status);
        reply.send_response(response.body(answer.into()).unwrap());
    }
}

fn scaler(client: &Client, registry: &Registry) -> Scaler {
    let place = Place {
        namespace: "home".to_owned(),
        name: "siar-operator".to_owned(),
        identity: "me".to_owned(),
    };
    let metrics = Metrics::new(registry).unwrap();
    let leadership = Leadership::believing(client.clone(), place);
    let events = Events::new(client.clone(), leadership.clone(), "me", metrics.clone());
    Scaler::new(client.clone(), "home", leadership, events, metrics)
}

fn pod(name: &str, streams: u64, cost: Option<&str>) -> PodLoad {
    PodLoad {
        name: name.to_owned(),
        uid: format!("uid-of-{name}"),
        streams,
        cost: cost.map(str::to_owned),
    }
}

/// Makes the step against an API server that expects just these requests.
async fn act(
    from: u32,
    to: u32,
    pods: &[PodLoad],
    expected: Vec<Exchange>,
) -> Result<Outcome, ActError> {
    let (service, mut server) = pair();
    let scaler = scaler(&Client::new(service, "home"), &Registry::new());
    let deployment = ObjectReference {
        api_version: Some("apps/v1".to_owned()),
        kind: Some("Deployment".to_owned()),
        namespace: Some("home".to_owned()),
        name: Some("siar-gateway".to_owned()),
        uid: Some("d-1".to_owned()),
        ..ObjectReference::default()
    };
    let order = Order {
        gateway: "edge",
        deployment: &deployment,
        change: Change { from, to },
        wanted: 6,
        streams: 111_000,
        pods,
    };
    let (outcome, ()) = tokio::join!(scaler.act(&order), serve(&mut server, expected));
    drop(scaler);
    assert!(
        server.next_request().await.is_none(),
        "one request too many"
    );
    outcome
}

#[tokio::test]
async fn a_step_up_asks_looks_applies_and_tells() {
    let note = "Scaled from 2 to 4 gateway pods; 111000 streams ask for 6 within the bounds.";
    let expected = vec![
        ask_lease("me"),
        read_scale(2),
        apply_scale(4),
        ask_lease("me"),
        tell("ScaledUp", note),
    ];
    let pods = [pod("a", 60_000, None)];
    assert_eq!(act(2, 4, &pods, expected).await.unwrap(), Outcome::Done);
}

#[tokio::test]
async fn before_a_step_down_pods_cost_what_they_serve() {
    let note = "Scaled from 7 to 6 gateway pods; 111000 streams ask for 6 within the bounds.";
    let expected = vec![
        ask_lease("me"),
        read_scale(7),
        mark_pod("a", "7000"),
        mark_pod("c", "2147483647"),
        ask_lease("me"),
        apply_scale(6),
        ask_lease("me"),
        tell("ScaledDown", note),
    ];
    let pods = [
        pod("a", 7_000, Some("9")),
        pod("b", 12, Some("12")),
        pod("c", u64::MAX, None),
    ];
    assert_eq!(act(7, 6, &pods, expected).await.unwrap(), Outcome::Done);
}

#[tokio::test]
async fn who_does_not_hold_the_lease_does_nothing() {
    let expected = vec![ask_lease("other")];
    assert_eq!(act(2, 4, &[], expected).await.unwrap(), Outcome::NotLeader);
}

#[tokio::test]
async fn who_loses_the_lease_while_marking_does_not_step_down() {
    let expected = vec![
        ask_lease("me"),
        read_scale(7),
        mark_pod("a", "5"),
        ask_lease("other"),
    ];
    let outcome = act(7, 6, &[pod("a", 5, None)], expected).await;
    assert_eq!(outcome.unwrap(), Outcome::NotLeader);
}

#[tokio::test]
async fn a_deployment_that_is_not_as_planned_is_left_alone() {
    let expected = vec![ask_lease("me"), read_scale(4)];
    assert_eq!(act(2, 4, &[], expected).await.unwrap(), Outcome::Outdated);
    let mut another = read_scale(2);
    another.answer["metadata"]["uid"] = json!("d-2");
    let expected = vec![ask_lease("me"), another];
    assert_eq!(act(2, 4, &[], expected).await.unwrap(), Outcome::Outdated);
}

#[tokio::test]
async fn a_deployment_that_changes_meanwhile_is_planned_again() {
    let apply = apply_scale(4);
    let conflict = refused(&apply.request, apply.body, StatusCode::CONFLICT, "Conflict");
    let expected = vec![ask_lease("me"), read_scale(2), conflict];
    assert_eq!(act(2, 4, &[], expected).await.unwrap(), Outcome::Outdated);
}

#[tokio::test]
async fn a_pod_that_is_gone_needs_no_mark_but_one_that_cannot_be_marked_holds_the_step() {
    let mark = mark_pod("a", "5");
    let gone = refused(
        &mark.request,
        mark.body.clone(),
        StatusCode::NOT_FOUND,
        "NotFound",
    );
    let forbidden = refused(&mark.request, mark.body, StatusCode::FORBIDDEN, "Forbidden");
    let expected = vec![ask_lease("me"), read_scale(7), gone, ask_lease("other")];
    let pods = [pod("a", 5, None)];
    let outcome = act(7, 6, &pods, expected).await.unwrap();
    assert_eq!(outcome, Outcome::NotLeader);
    let expected = vec![ask_lease("me"), read_scale(7), forbidden];
    let outcome = act(7, 6, &pods, expected).await;
    assert!(
        matches!(outcome, Err(ActError::MarkPod { .. })),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_event_that_cannot_be_written_undoes_no_step() {
    let note = "Scaled from 2 to 4 gateway pods; 111000 streams ask for 6 within the bounds.";
    let event = tell("ScaledUp", note);
    let forbidden = refused(EVENTS, event.body, StatusCode::FORBIDDEN, "Forbidden");
    let expected = vec![
        ask_lease("me"),
        read_scale(2),
        apply_scale(4),
        ask_lease("me"),
        forbidden,
    ];
    assert_eq!(act(2, 4, &[], expected).await.unwrap(), Outcome::Done);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_hangs_is_not_waited_for() {
    let (service, mut server) = pair();
    let scaler = scaler(&Client::new(service, "home"), &Registry::new());
    let deployment = ObjectReference {
        name: Some("siar-gateway".to_owned()),
        ..ObjectReference::default()
    };
    let order = Order {
        gateway: "edge",
        deployment: &deployment,
        change: Change { from: 2, to: 4 },
        wanted: 4,
        streams: 1,
        pods: &[],
    };
    let hanging = async {
        serve(&mut server, vec![ask_lease("me")]).await;
        let (_request, _reply) = server.next_request().await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    };
    tokio::select! {
        outcome = scaler.act(&order) => {
            assert!(matches!(outcome, Err(ActError::ReadScale { source: CallError::Late, .. })), "{outcome:?}");
        }
        () = hanging => panic!("it was waited for"),
    }
}
