//! Installed by who may do everything in one namespace and nothing beyond.

use super::*;

/// The release of an admin of one namespace.
pub fn options() -> Options {
    Options::default().set("rbac.scope", &json!("namespace"))
}

/// What an admin of the cluster does first: the definition, the roles that are aggregated, and an admin for home.
pub async fn prepare(site: &Site) {
    define(site, &Options::default()).await;
    appoint(site).await;
    until("ada to be admin of Channels", || async {
        let what = [
            "auth",
            "can-i",
            "create",
            "channels.siar.dev",
            "--namespace",
            HOME,
        ];
        site.cluster.kubectl_as("ada", &what, "").await
    })
    .await;
}

/// Only what belongs to the whole cluster.
async fn define(site: &Site, options: &Options) {
    let only = options
        .clone()
        .file(&chart().join("ci/crds-only-values.yaml"))
        .flag("--create-namespace");
    let helm = site.helm().namespace("siar-crds");
    helm.install("siar-crds", &only).await.unwrap();
}

/// Makes ada the admin of home.
async fn appoint(site: &Site) {
    let bind = [
        "create",
        "rolebinding",
        "ada",
        "--clusterrole=admin",
        "--user=ada",
    ];
    let bind = [&bind[..], &["--namespace", HOME]].concat();
    site.cluster.kubectl(&bind).await;
    until("ada to be admin of home", || async {
        let what = [
            "auth",
            "can-i",
            "create",
            "deployments",
            "--namespace",
            HOME,
        ];
        site.cluster.kubectl_as("ada", &what, "").await
    })
    .await;
}

#[tokio::test]
async fn an_admin_of_one_namespace_installs_changes_and_removes_a_release() {
    let setup = ClusterSetup::default().controllers().identity("ada", &[]);
    let site = Site::of(setup).await;
    prepare(&site).await;
    let helm = Helm::of(&site.cluster, "ada");
    // Scope cluster is not hers.
    refused(
        helm.install("siar", &Options::default()).await,
        &["forbidden"],
    );
    let told = helm.install("siar", &options()).await.unwrap();
    assert_eq!(told.warnings, "");
    let gateway = site.get(HOME, "deployment/siar-gateway").await;
    assert_eq!(
        gateway["metadata"]["annotations"]["siar.dev/reviews"],
        "false"
    );
    let operator = site.get(HOME, "deployment/siar-operator").await;
    assert_eq!(flag(&operator, "--watch-namespace").as_deref(), Some(HOME));
    let cluster = site.names(HOME, "clusterroles,clusterrolebindings").await;
    let own: Vec<_> = cluster
        .iter()
        .filter(|name| name.ends_with("-siar"))
        .collect();
    assert!(own.is_empty(), "{own:?}");
    let options = options().set("gateway.drain", &json!("45s"));
    helm.upgrade("siar", &options).await.unwrap();
    helm.rollback("siar", 1).await.unwrap();
    helm.uninstall("siar").await.unwrap();
    assert!(site.find(HOME, "deployment/siar-gateway").await.is_none());
    assert!(site.find(HOME, "crd/channels.siar.dev").await.is_some());
}

#[tokio::test]
async fn without_the_roles_of_the_cluster_admin_she_gives_no_rights_that_she_has_not() {
    let setup = ClusterSetup::default().controllers().identity("ada", &[]);
    let site = Site::of(setup).await;
    let bare = Options::default().set("rbac.aggregate", &json!(false));
    define(&site, &bare).await;
    appoint(&site).await;
    let helm = Helm::of(&site.cluster, "ada");
    let said = helm.install("siar", &options()).await;
    refused(
        said,
        &[
            "attempting to grant RBAC permissions not currently held",
            "channels",
        ],
    );
    // She may not define either; the chart says so before the API server does.
    let crds = options().set("crds.enabled", &json!(true));
    refused(helm.upgrade("siar", &crds).await, &["/crds/enabled"]);
}
