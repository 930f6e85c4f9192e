//! What follows from a value in another place.

use super::*;

async fn with(path: &str, value: Value) -> Variant {
    rendered(&Options::default().set(path, &value)).await
}

fn without(part: &str) -> Options {
    Options::default().set(&format!("{part}.enabled"), &json!(false))
}

fn deployment<'a>(variant: &'a Variant, part: &str) -> &'a Value {
    variant
        .object("Deployment", &format!("siar-{part}"))
        .unwrap()
}

#[tokio::test]
async fn a_fleet_without_a_redis_is_never_two_pods() {
    let surge =
        json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } });
    let options = Options::default().set("gateway.strategy", &surge);
    let variant = rendered(&options).await;
    assert_eq!(deployment(&variant, "gateway")["spec"]["strategy"], surge);
    let memory = options.set("redis.embedded.enabled", &json!(false));
    let variant = rendered(&memory).await;
    let strategy = &deployment(&variant, "gateway")["spec"]["strategy"];
    assert_eq!(*strategy, json!({ "type": "Recreate" }));
    assert_eq!(
        deployment(&variant, "gateway")["metadata"]["annotations"]["siar.dev/broker"],
        "memory"
    );
    assert!(variant.kind("StatefulSet").is_empty());
}

#[tokio::test]
async fn a_redis_of_ones_own_replaces_the_embedded_one() {
    let url = "rediss://redis.example.com:6380/1";
    let variant = with("redis.url", json!(url)).await;
    let gateway = &deployment(&variant, "gateway")["spec"]["template"]["spec"];
    let told = super::told::flag(&gateway["containers"][0], "--redis");
    assert_eq!(told.as_deref(), Some(url));
    let left: Vec<_> = variant.objects.iter().map(title).collect();
    assert!(
        !left.iter().any(|title| title.ends_with("-redis")),
        "{left:?}"
    );
}

#[tokio::test]
async fn a_balancer_keeps_connections_as_long_as_a_pod_has_and_an_hour_at_most() {
    let alb = json!({ "enabled": true, "preset": "alb" });
    let seconds = async |drain: &str| {
        let options = Options::default()
            .set("gateway.ingress", &alb)
            .set("gateway.drain", &json!(drain));
        let variant = rendered(&options).await;
        let ingress = variant.kind("Ingress")[0].clone();
        let name = "alb.ingress.kubernetes.io/target-group-attributes";
        let attributes = ingress["metadata"]["annotations"][name].as_str().unwrap();
        let (_, delay) = attributes
            .split_once("deregistration_delay.timeout_seconds=")
            .unwrap();
        let pod = &deployment(&variant, "gateway")["spec"]["template"]["spec"];
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        (delay.parse::<u64>().unwrap(), grace)
    };
    assert_eq!(seconds("30s").await, (45, 45));
    assert_eq!(seconds("10m").await, (615, 615));
    assert_eq!(seconds("1h").await, (3600, 3615));
    let gke = json!({ "enabled": true, "preset": "gke" });
    let options = Options::default()
        .set("gateway.ingress", &gke)
        .set("gateway.drain", &json!("1h"));
    let variant = rendered(&options).await;
    let draining = &variant.kind("BackendConfig")[0]["spec"]["connectionDraining"];
    assert_eq!(draining["drainingTimeoutSec"], 3600);
}

#[tokio::test]
async fn keda_counts_the_streams_of_its_own_fleet() {
    let options = Options::default()
        .set("gateway.name", &json!("edge"))
        .set("gateway.scaling.mode", &json!("keda"))
        .set(
            "gateway.scaling.keda.serverAddress",
            &json!("http://prometheus:9090"),
        );
    let variant = rendered(&options).await;
    let trigger = &variant.kind("ScaledObject")[0]["spec"]["triggers"][0];
    let query = trigger["metadata"]["query"].as_str().unwrap();
    for word in ["siar_streams", "namespace=\"siar\"", "gateway=\"edge\""] {
        assert!(query.contains(word), "{query}");
    }
    let facts = &deployment(&variant, "gateway")["metadata"]["annotations"];
    assert_eq!(facts["siar.dev/scaling"], "keda");
}

/// Everything that watches, without those parts.
async fn watched(parts: &[&str]) -> Variant {
    let off = parts.iter().fold(Options::default(), |options, part| {
        options.set(&format!("{part}.enabled"), &json!(false))
    });
    let options = off
        .set("operator.fleets", &json!(["edge"]))
        .set("monitoring.serviceMonitor.enabled", &json!(true))
        .set("monitoring.prometheusRule.enabled", &json!(true));
    rendered(&options).await
}

fn groups(variant: &Variant) -> Vec<&str> {
    let rules = variant.kind("PrometheusRule").into_iter();
    let groups = rules.flat_map(|rule| list(&rule["spec"]["groups"]));
    groups
        .map(|group| group["name"].as_str().unwrap())
        .collect()
}

fn monitors(variant: &Variant) -> Vec<String> {
    variant
        .kind("ServiceMonitor")
        .into_iter()
        .map(title)
        .collect()
}

#[tokio::test]
async fn only_what_is_there_is_watched() {
    let all = watched(&[]).await;
    assert_eq!(groups(&all).len(), 3, "{:?}", groups(&all));
    assert_eq!(monitors(&all).len(), 2, "{:?}", monitors(&all));
    let gateways = watched(&["operator"]).await;
    assert!(!groups(&gateways).contains(&"siar-operator"));
    assert_eq!(monitors(&gateways), ["ServiceMonitor/siar-gateway"]);
    let operators = watched(&["gateway"]).await;
    assert_eq!(groups(&operators), ["siar-operator"]);
    assert_eq!(monitors(&operators), ["ServiceMonitor/siar-operator"]);
    let neither = watched(&["gateway", "operator"]).await;
    assert!(groups(&neither).is_empty() && monitors(&neither).is_empty());
}

#[tokio::test]
async fn a_test_leaves_its_log_and_no_open_channel() {
    let variant = rendered(&Options::default()).await;
    let policy = |kind: &str| {
        let object = variant.object(kind, "siar-smoke").unwrap();
        let annotations = &object["metadata"]["annotations"];
        assert_eq!(annotations["helm.sh/hook"], "test", "{kind}");
        annotations["helm.sh/hook-delete-policy"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(policy("Channel").contains("hook-failed"));
    assert!(!policy("Pod").contains("hook-failed"));
    let off = rendered(&without("tests")).await;
    assert!(off.object("Pod", "siar-smoke").is_none());
    assert!(off.object("Channel", "siar-smoke").is_none());
}

#[tokio::test]
async fn what_fits_an_operator_follows_the_gateway_unless_it_is_said_apart() {
    let hosts = json!(["auth.shop", "10.0.0.0/8"]);
    let targets = |variant: &Variant| {
        let pod = &deployment(variant, "operator")["spec"]["template"]["spec"];
        super::told::flag(&pod["containers"][0], "--allow-targets")
    };
    let variant = with("gateway.allowTargets", hosts.clone()).await;
    assert_eq!(targets(&variant).as_deref(), Some("auth.shop,10.0.0.0/8"));
    let options = Options::default()
        .set("gateway.allowTargets", &hosts)
        .set("operator.allowTargets", &json!(["auth.shop"]));
    let apart = rendered(&options).await;
    assert_eq!(targets(&apart).as_deref(), Some("auth.shop"));
    assert_eq!(targets(&rendered(&Options::default()).await), None);
}
