//! What the NetworkPolicies let pass: every connection that the system is made of, and no others.
//!
//! Owns: reading policies as a network plugin would. Never: proves that a plugin enforces them: there is none here.

use super::*;

/// Who connects.
struct Client {
    namespace: &'static str,
    labels: Value,
}

/// What is connected to: the Pod by the end of its owner's name, the port by its name.
struct Server(&'static str, &'static str);

const PUBLIC: Server = Server("-gateway", "http");
const SECURE: Server = Server("-gateway", "https");
const GATEWAY_ADMIN: Server = Server("-gateway", "admin");
const OPERATOR_ADMIN: Server = Server("-operator", "admin");
const REDIS: Server = Server("-redis", "redis");

fn somebody(namespace: &'static str) -> Client {
    let labels = json!({ "app": "other" });
    Client { namespace, labels }
}

/// A Pod of the release as a client.
fn own(variant: &Variant, end: &str) -> Client {
    let pods = variant.pods();
    let (_, pod) = pods.iter().find(|(title, _)| title.ends_with(end)).unwrap();
    let labels = pod["metadata"]["labels"].clone();
    let namespace = "siar";
    Client { namespace, labels }
}

fn passes(variant: &Variant, client: &Client, server: &Server) -> bool {
    let pods = variant.pods();
    let found = pods.iter().find(|(title, _)| title.ends_with(server.0));
    let (_, pod) = found.unwrap_or_else(|| panic!("no Pod {}", server.0));
    let ports = list(&pod["spec"]["containers"][0]["ports"]);
    let port = ports.iter().find(|port| port["name"] == server.1);
    let port = port.unwrap_or_else(|| panic!("{} has no port {}", server.0, server.1));
    let policies = variant.kind("NetworkPolicy").into_iter();
    let about = policies.filter(|policy| {
        let ingress = list(&policy["spec"]["policyTypes"]).contains(&json!("Ingress"));
        ingress && fits(&policy["spec"]["podSelector"], &pod["metadata"]["labels"])
    });
    let about: Vec<_> = about.collect();
    let mut rules = about
        .iter()
        .flat_map(|policy| list(&policy["spec"]["ingress"]));
    about.is_empty() || rules.any(|rule| lets(rule, client, port))
}

/// Whether a rule lets a client come to a port.
fn lets(rule: &Value, client: &Client, port: &Value) -> bool {
    let ports = list(&rule["ports"]);
    let at = |one: &Value| one["port"] == port["name"] || one["port"] == port["containerPort"];
    let peers = list(&rule["from"]);
    let from = |peer: &Value| {
        let namespace = json!({ "kubernetes.io/metadata.name": client.namespace });
        let spaces = match peer.get("namespaceSelector") {
            Some(selector) => fits(selector, &namespace),
            None => client.namespace == "siar" && peer.get("podSelector").is_some(),
        };
        spaces
            && peer
                .get("podSelector")
                .is_none_or(|selector| fits(selector, &client.labels))
    };
    (ports.is_empty() || ports.iter().any(at)) && (peers.is_empty() || peers.iter().any(from))
}

fn fits(selector: &Value, labels: &Value) -> bool {
    assert!(selector.get("matchExpressions").is_none(), "{selector}");
    let wanted = selector["matchLabels"].as_object();
    wanted.is_none_or(|wanted| wanted.iter().all(|(name, value)| labels[name] == *value))
}

#[tokio::test]
async fn by_default_all_that_the_system_is_made_of_passes() {
    let variant = rendered(&Options::default()).await;
    assert!(variant.kind("NetworkPolicy").len() >= 3);
    let browser = somebody("ingress-nginx");
    let prometheus = somebody("monitoring");
    let app = somebody("shop");
    assert!(passes(&variant, &browser, &PUBLIC));
    assert!(passes(
        &variant,
        &own(&variant, "-operator"),
        &GATEWAY_ADMIN
    ));
    assert!(passes(&variant, &prometheus, &GATEWAY_ADMIN));
    assert!(passes(&variant, &prometheus, &OPERATOR_ADMIN));
    assert!(passes(&variant, &own(&variant, "-gateway"), &REDIS));
    assert!(passes(&variant, &app, &REDIS), "apps PUBLISH to it");
}

#[tokio::test]
async fn named_namespaces_are_the_only_ones_that_pass() {
    let space = |name: &str| json!([{ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": name } } }]);
    let options = Options::default()
        .set("networkPolicy.metricsFrom", &space("monitoring"))
        .set("redis.allowFrom", &space("shop"));
    let variant = rendered(&options).await;
    let [prometheus, app, other] = ["monitoring", "shop", "other"].map(somebody);
    let operator = own(&variant, "-operator");
    for admin in [GATEWAY_ADMIN, OPERATOR_ADMIN] {
        assert!(passes(&variant, &prometheus, &admin));
        assert!(!passes(&variant, &other, &admin));
    }
    assert!(passes(&variant, &operator, &GATEWAY_ADMIN));
    assert!(passes(&variant, &app, &REDIS));
    assert!(!passes(&variant, &other, &REDIS));
    assert!(passes(&variant, &own(&variant, "-gateway"), &REDIS));
    assert!(passes(&variant, &other, &PUBLIC));
}

#[tokio::test]
async fn releases_of_one_home_know_each_other_by_what_their_pods_are() {
    let closed = |name: &str| {
        Options::default()
            .set("nameOverride", &json!(name))
            .set("networkPolicy.metricsFrom", &json!([]))
            .set("redis.allowFrom", &json!([]))
    };
    let (one, other) = (rendered(&closed("a")).await, rendered(&closed("b")).await);
    assert!(passes(&one, &own(&other, "-operator"), &GATEWAY_ADMIN));
    assert!(passes(&one, &own(&other, "-gateway"), &REDIS));
    for (client, server) in [
        ("-gateway", GATEWAY_ADMIN),
        ("-operator", REDIS),
        ("-smoke", GATEWAY_ADMIN),
        ("-smoke", REDIS),
    ] {
        assert!(!passes(&one, &own(&other, client), &server), "{client}");
    }
    let bare = somebody("siar");
    assert!(!passes(&one, &bare, &GATEWAY_ADMIN) && !passes(&one, &bare, &REDIS));
    assert!(passes(&one, &own(&other, "-smoke"), &PUBLIC));
}

#[tokio::test]
async fn tls_is_open_like_the_plain_port() {
    let options = Options::default().set("gateway.tls.secretName", &json!("events-tls"));
    let variant = rendered(&options).await;
    assert!(passes(&variant, &somebody("shop"), &SECURE));
}

#[tokio::test]
async fn nothing_is_said_of_what_goes_out_and_nothing_at_all_when_switched_off() {
    for variant in variants().await {
        for policy in variant.kind("NetworkPolicy") {
            let types = &policy["spec"]["policyTypes"];
            assert_eq!(*types, json!(["Ingress"]), "{}", variant.name);
            assert!(policy["spec"].get("egress").is_none(), "{}", variant.name);
        }
    }
    let options = Options::default().set("networkPolicy.enabled", &json!(false));
    let bare = rendered(&options).await;
    assert!(bare.kind("NetworkPolicy").is_empty());
}
