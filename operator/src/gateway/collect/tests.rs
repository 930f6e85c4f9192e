//! Facts and Pods as Kubernetes writes them.

use super::*;
use serde_json::json;

#[track_caller]
fn facts(annotations: &serde_json::Value, spec: &serde_json::Value) -> Facts {
    let metadata = json!({"name": "siar-gateway", "uid": "d-1", "annotations": annotations});
    let deployment = json!({"metadata": metadata, "spec": spec});
    let deployment: Deployment = serde_json::from_value(deployment).unwrap();
    Facts::of(&deployment, "edge", "siar", &Targets::cluster([]))
}

fn spec(replicas: i32) -> serde_json::Value {
    json!({"replicas": replicas, "selector": {}, "template": {}})
}

#[test]
fn annotations_say_what_the_fleet_is() {
    let said = facts(
        &json!({"siar.dev/default-namespace": "shop", "siar.dev/broker": "redis", "siar.dev/reviews": "false",
            "siar.dev/url": "https://events.example.com/"}),
        &spec(3),
    );
    let Fleet {
        gateway,
        default_namespace,
        broker,
        reviews,
        ..
    } = said.fleet;
    assert_eq!((&*gateway, &*default_namespace), ("edge", "shop"));
    assert_eq!((broker, reviews), (BrokerKind::Redis, false));
    assert_eq!(said.url.as_deref(), Some("https://events.example.com"));
    assert_eq!((&*said.owner.uid, said.replicas), ("d-1", 3));
}

#[test]
fn without_annotations_it_is_a_fleet_of_its_home_without_redis() {
    let said = facts(&json!({}), &json!({"selector": {}, "template": {}}));
    assert_eq!(&*said.fleet.default_namespace, "siar");
    assert_eq!(
        (said.fleet.broker, said.fleet.reviews),
        (BrokerKind::Memory, true)
    );
    assert_eq!((said.url, said.replicas), (None, 1));
}

#[track_caller]
fn pod(status: &serde_json::Value, leaving: Option<&str>) -> Pod {
    let port =
        json!([{"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 9191}]);
    let pod = json!({
        "metadata": {"name": "a", "uid": "p-1", "deletionTimestamp": leaving},
        "spec": {"containers": [{"name": "side"}, {"name": "gateway", "ports": port}]},
        "status": status,
    });
    Pod::of(&serde_json::from_value(pod).unwrap())
}

#[test]
fn a_pod_is_asked_at_its_address_and_the_port_named_admin() {
    let ready = json!([{"type": "Ready", "status": "True"}]);
    let status = json!({"podIP": "127.0.0.7", "conditions": ready});
    let up = pod(&status, None);
    assert_eq!(up.admin, Some(SocketAddr::from(([127, 0, 0, 7], 9191))));
    assert!(up.ready);
    assert!(!pod(&status, Some("2026-01-01T00:00:00Z")).ready);
    let starting = pod(
        &json!({"conditions": [{"type": "Ready", "status": "False"}]}),
        None,
    );
    assert_eq!((starting.admin, starting.ready), (None, false));
}
