//! The monitors find the ports that the chart makes, each once.

use super::{list, text};
use serde_json::{Value, json};
use tests::helm::{Helm, Options, objects};

async fn all(monitor: &str) -> Vec<Value> {
    let options = Options::default().set(&format!("monitoring.{monitor}.enabled"), &json!(true));
    let told = Helm::offline().template("siar", &options).await.unwrap();
    objects(&told.output)
}

fn kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let objects = objects.iter();
    objects.filter(|object| object["kind"] == kind).collect()
}

fn name(object: &Value) -> &str {
    text(&object["metadata"]["name"])
}

/// Whether labels have all that a monitor asks for.
fn selects(monitor: &Value, labels: &Value) -> bool {
    let wanted = monitor["spec"]["selector"]["matchLabels"].as_object();
    let wanted = wanted.expect("a monitor selects by labels");
    assert!(wanted.len() > 1, "{wanted:?}");
    wanted.iter().all(|(name, value)| labels[name] == *value)
}

#[tokio::test]
async fn service_monitors_find_the_admin_port_of_gateways_and_operators_once() {
    let objects = all("serviceMonitor").await;
    let monitors = kind(&objects, "ServiceMonitor");
    assert_eq!(monitors.len(), 2);
    for monitor in monitors {
        let endpoints = list(&monitor["spec"]["endpoints"]);
        assert_eq!(endpoints.len(), 1);
        assert_eq!(endpoints[0]["path"], "/metrics");
        let port = |service: &&&Value| {
            let mut ports = list(&service["spec"]["ports"]).iter();
            ports.any(|port| port["name"] == endpoints[0]["port"])
        };
        let services = kind(&objects, "Service");
        let found: Vec<&&Value> = services
            .iter()
            .filter(|service| selects(monitor, &service["metadata"]["labels"]))
            .filter(port)
            .collect();
        assert_eq!(found.len(), 1, "{} finds {found:?}", name(monitor));
        // A gateway that drains is not ready, and tells most just then.
        assert_eq!(
            found[0]["spec"]["publishNotReadyAddresses"],
            true,
            "{}",
            name(found[0])
        );
    }
}

#[tokio::test]
async fn pod_monitors_find_the_admin_port_of_gateways_and_operators() {
    let objects = all("podMonitor").await;
    let monitors = kind(&objects, "PodMonitor");
    assert_eq!(monitors.len(), 2);
    let mut found = Vec::new();
    for monitor in monitors {
        let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
        for deployment in kind(&objects, "Deployment") {
            let template = &deployment["spec"]["template"];
            if selects(monitor, &template["metadata"]["labels"]) {
                let ports = list(&template["spec"]["containers"][0]["ports"]);
                assert!(ports.iter().any(|port| port["name"] == endpoint["port"]));
                found.push(name(deployment));
            }
        }
    }
    found.sort_unstable();
    assert_eq!(found, ["siar-gateway", "siar-operator"]);
}

#[tokio::test]
async fn both_kinds_of_monitors_at_once_are_refused() {
    let both = Options::default()
        .set("monitoring.serviceMonitor.enabled", &json!(true))
        .set("monitoring.podMonitor.enabled", &json!(true));
    let refused = Helm::offline().template("siar", &both).await.unwrap_err();
    assert!(refused.contains("podMonitor"), "{refused}");
}
