//! Several releases in one cluster: further fleets at home, others elsewhere, and two with one name.

use super::*;

/// A release beside another, whose definition it uses.
fn beside(gateway: &str) -> Options {
    Options::default()
        .set("crds.enabled", &json!(false))
        .set("gateway.name", &json!(gateway))
}

/// A Deployment of a team that calls itself the gateway `edge`.
fn namesake() -> Value {
    let labels = json!({ "siar.dev/gateway": "edge" });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "app", "namespace": SHOP, "labels": labels },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "app", "image": "app" }] },
            },
        },
    })
}

#[tokio::test]
async fn releases_with_different_names_live_side_by_side_and_one_name_twice_is_refused() {
    let site = Site::new().await;
    site.make_namespace("edge").await;
    let (home, edge) = (site.helm(), site.helm().namespace("edge"));
    home.install("siar", &Options::default()).await.unwrap();
    let said = edge.install("siar", &beside("default")).await;
    refused(
        said,
        &[
            "siar-gateway",
            "namespace siar",
            "\"default\"",
            "another gateway.name",
        ],
    );
    assert_eq!(
        site.names("edge", "deployments,secrets").await,
        Vec::<String>::new()
    );
    // The definition belongs to one release.
    let both = Options::default().set("gateway.name", &json!("edge"));
    refused(
        edge.install("siar", &both).await,
        &["channels.siar.dev", "ownership"],
    );
    edge.install("siar", &beside("edge")).await.unwrap();
    for namespace in [HOME, "edge"] {
        let deployment = site.get(namespace, "deployment/siar-gateway").await;
        assert_eq!(
            deployment["metadata"]["annotations"]["siar.dev/default-namespace"],
            namespace
        );
    }
    // Each finds its own fleet, and is not refused for it.
    home.upgrade("siar", &Options::default()).await.unwrap();
    edge.upgrade("siar", &beside("edge")).await.unwrap();
    // What others name theirs later is told, and holds up nothing.
    let told = edge.upgrade("siar", &beside("default")).await.unwrap();
    let warning =
        "WARNING: Deployment siar-gateway in namespace siar is the gateway \"default\", too";
    assert!(told.output.contains(warning), "{}", told.output);
    site.cluster.apply(&namesake()).await;
    let told = edge.upgrade("siar", &beside("edge")).await.unwrap();
    let warning = "WARNING: Deployment app in namespace shop is the gateway \"edge\", too";
    assert!(told.output.contains(warning), "{}", told.output);
    let gone = ["delete", "deployment/app", "--namespace", SHOP];
    site.cluster.kubectl(&gone).await;
    let told = edge.upgrade("siar", &beside("edge")).await.unwrap();
    assert!(!told.output.contains("WARNING"), "{}", told.output);
    edge.uninstall("siar").await.unwrap();
    assert!(site.find(HOME, "deployment/siar-gateway").await.is_some());
    let bindings = site.names(HOME, "clusterrolebindings").await;
    let own = |end: &str| {
        bindings
            .iter()
            .filter(|name| name.contains("siar-") && name.ends_with(end))
            .count()
    };
    assert_eq!((own("-siar"), own("-edge")), (2, 0), "{bindings:?}");
}

#[tokio::test]
async fn a_further_fleet_is_a_release_without_operator_that_the_first_one_serves() {
    let site = Site::new().await;
    let helm = site.helm();
    let fleets = Options::default().set("operator.fleets", &json!(["internal"]));
    helm.install("siar", &fleets).await.unwrap();
    let further = Options::default()
        .set("operator.enabled", &json!(false))
        .set("gateway.name", &json!("default"));
    refused(
        helm.install("internal", &further).await,
        &["\"default\"", "another gateway.name"],
    );
    let further = further.set("gateway.name", &json!("internal"));
    let told = helm.install("internal", &further).await.unwrap();
    assert!(told.output.contains("operator.fleets"), "{}", told.output);
    let deployment = site.get(HOME, "deployment/internal-siar-gateway").await;
    assert_eq!(
        deployment["metadata"]["labels"]["siar.dev/gateway"],
        "internal"
    );
    let operators = site.names(HOME, "deployments").await;
    assert_eq!(
        operators
            .iter()
            .filter(|name| name.ends_with("-operator"))
            .count(),
        1
    );
    // Each account reads the Secret of its own fleet; the operator writes both.
    let can = async |account: &str, verb: &str, what: &str| {
        let account = format!("--as=system:serviceaccount:{HOME}:{account}");
        let arguments = ["auth", "can-i", verb, what, "--namespace", HOME, &account];
        site.cluster.kubectl_as(ADMIN, &arguments, "").await.is_ok()
    };
    until("the rights to count", || async {
        let right = can("internal-siar-gateway", "get", "secret/siar-internal").await;
        right.then_some(()).ok_or("they do not".into())
    })
    .await;
    assert!(!can("internal-siar-gateway", "get", "secret/siar-default").await);
    assert!(!can("siar-gateway", "get", "secret/siar-internal").await);
    assert!(can("siar-operator", "patch", "secret/siar-internal").await);
    assert!(can("siar-operator", "patch", "secret/siar-default").await);
    assert!(!can("siar-operator", "patch", "secret/another").await);
    helm.uninstall("internal").await.unwrap();
    assert!(site.find(HOME, "deployment/siar-gateway").await.is_some());
}
