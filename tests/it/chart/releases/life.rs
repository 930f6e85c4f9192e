//! One release from its first day to its last.

use super::*;

#[tokio::test]
async fn a_release_is_installed_changed_set_back_and_removed_and_channels_stay() {
    let site = Site::of(ClusterSetup::default().controllers()).await;
    let helm = site.helm();
    first_day(&site, &helm).await;
    site.declare("orders").await;
    changes_leave_the_size_alone(&site, &helm).await;
    removal_leaves_what_teams_declared(&site, &helm).await;
    another_name_takes_over(&site, &helm).await;
}

/// With no values all objects are there, the Pods are let in, and the notes say how to go on.
async fn first_day(site: &Site, helm: &Helm) {
    let told = helm.install("siar", &Options::default()).await.unwrap();
    assert_eq!(told.warnings, "");
    for word in [
        "kubectl apply -f -",
        "kind: Channel",
        "curl -N",
        "port-forward service/siar-gateway",
        "not for production",
    ] {
        assert!(told.output.contains(word), "{word}: {}", told.output);
    }
    let (_, manifest) = told.output.split_once("<<EOF\n").unwrap();
    let (manifest, _) = manifest.split_once("   EOF\n").unwrap();
    let apply = ["apply", "--validate=strict", "--filename=-"];
    until("the Channel of the notes to be taken", || {
        site.cluster.kubectl_as(ADMIN, &apply, manifest)
    })
    .await;
    for object in [
        "deployment/siar-gateway",
        "deployment/siar-operator",
        "statefulset/siar-redis",
        "service/siar-gateway",
        "service/siar-gateway-admin",
        "service/siar-operator",
        "service/siar-redis",
        "pdb/siar-gateway",
        "pdb/siar-operator",
        "networkpolicy/siar-gateway",
        "networkpolicy/siar-operator",
        "networkpolicy/siar-redis",
        "crd/channels.siar.dev",
    ] {
        let found = site.get(HOME, object).await;
        assert_eq!(
            found["metadata"]["annotations"]["meta.helm.sh/release-name"], "siar",
            "{object}"
        );
    }
    // The only thing that may refuse a Pod here is Pod Security.
    until("the Pods to be made", || async {
        let pods = site.names(HOME, "pods").await;
        let of = |owner: &str| pods.iter().filter(|name| name.starts_with(owner)).count();
        let right = of("pod/siar-gateway-") == 1 && of("pod/siar-operator-") == 2;
        right.then_some(()).ok_or(format!("there are {pods:?}"))
    })
    .await;
}

/// A fleet has as many gateways as somebody asked for, whatever Helm does.
async fn changes_leave_the_size_alone(site: &Site, helm: &Helm) {
    let scale = [
        "scale",
        "deployment/siar-gateway",
        "--replicas=4",
        "--namespace",
        HOME,
    ];
    site.cluster.kubectl(&scale).await;
    let options = Options::default().set("gateway.drain", &json!("45s"));
    let told = helm.upgrade("siar", &options).await.unwrap();
    assert_eq!(told.warnings, "");
    let changed = site.get(HOME, "deployment/siar-gateway").await;
    assert_eq!(changed["spec"]["replicas"], 4);
    assert_eq!(flag(&changed, "--drain").as_deref(), Some("45s"));
    // With what was set before, as the README says, nothing changes, so nothing is restarted.
    let chart = chart().display().to_string();
    let again = ["upgrade", "siar", &chart, "--reset-then-reuse-values"];
    helm.run(&again, &Options::default()).await.unwrap();
    let same = site.get(HOME, "deployment/siar-gateway").await;
    assert_eq!(
        same["metadata"]["generation"],
        changed["metadata"]["generation"]
    );
    helm.rollback("siar", 1).await.unwrap();
    let before = site.get(HOME, "deployment/siar-gateway").await;
    assert_eq!(before["spec"]["replicas"], 4);
    assert_eq!(flag(&before, "--drain").as_deref(), Some("30s"));
}

async fn removal_leaves_what_teams_declared(site: &Site, helm: &Helm) {
    let told = helm.uninstall("siar").await.unwrap();
    assert!(
        told.output.contains("channels.siar.dev"),
        "it says what it kept: {}",
        told.output
    );
    let kinds = "deployments,statefulsets,services,poddisruptionbudgets,networkpolicies,roles,rolebindings,configmaps,secrets";
    until("everything else to be gone", || async {
        let mut left = site.names(HOME, kinds).await;
        // Every namespace has it.
        left.retain(|name| name != "configmap/kube-root-ca.crt");
        left.is_empty()
            .then_some(())
            .ok_or(format!("there are {left:?}"))
    })
    .await;
    let roles = site.names(HOME, "clusterroles,clusterrolebindings").await;
    let own: Vec<_> = roles.iter().filter(|name| name.contains("siar-")).collect();
    assert!(own.is_empty(), "{own:?}");
    assert!(site.find(SHOP, "channel/orders").await.is_some());
    assert_eq!(
        site.get(SHOP, "channel/orders").await["spec"]["gateway"],
        "default"
    );
}

/// What was kept belongs to the release that is gone, until it is taken over.
async fn another_name_takes_over(site: &Site, helm: &Helm) {
    let said = helm.install("events", &Options::default()).await;
    refused(said, &["channels.siar.dev", "release-name", "siar"]);
    let options = Options::default().flag("--take-ownership");
    helm.install("events", &options).await.unwrap();
    let crd = site.get(HOME, "crd/channels.siar.dev").await;
    assert_eq!(
        crd["metadata"]["annotations"]["meta.helm.sh/release-name"],
        "events"
    );
    assert!(
        site.find(HOME, "deployment/events-siar-gateway")
            .await
            .is_some()
    );
    assert!(site.find(SHOP, "channel/orders").await.is_some());
}

#[tokio::test]
async fn channels_of_the_values_come_once_the_kind_is_known_and_stay_when_the_release_goes() {
    let (site, spec) = (
        Site::new().await,
        json!({ "access": { "subscribe": [{ "anonymous": {} }] } }),
    );
    let helm = site.helm();
    let options = Options::default().set(
        "channels.orders",
        &json!({ "namespace": SHOP, "spec": spec }),
    );
    let told = helm.install("siar", &options).await.unwrap();
    assert!(told.output.contains("once more"), "{}", told.output);
    until("the kind Channel to be served", || {
        site.cluster.kubectl_as(ADMIN, &["get", "channels"], "")
    })
    .await;
    assert!(site.find(SHOP, "channel/orders").await.is_none());
    // A release of Channels alone, after the one that brings the rest, has them at once.
    let alone = [
        ("gateway.enabled", false),
        ("operator.enabled", false),
        ("crds.enabled", false),
    ];
    let alone = alone
        .iter()
        .fold(Options::default(), |options, (path, value)| {
            options.set(path, &json!(value))
        });
    let late = json!({ "namespace": SHOP, "spec": {} });
    let alone = alone.set("channels.late", &late);
    helm.install("shop", &alone).await.unwrap();
    assert!(site.find(SHOP, "channel/late").await.is_some());
    let told = helm.upgrade("siar", &options).await.unwrap();
    assert!(!told.output.contains("once more"), "{}", told.output);
    let channel = site.get(SHOP, "channel/orders").await;
    assert_eq!(
        channel["spec"]["access"]["subscribe"],
        json!([{ "anonymous": {} }])
    );
    helm.uninstall("siar").await.unwrap();
    assert!(site.find(SHOP, "channel/orders").await.is_some());
}
