//! Installed by who may do everything in one namespace and nothing beyond.

use super::*;

/// The release of an admin of one namespace.
pub fn options() -> Options {
    Options::default().set("rbac.scope", &json!("namespace"))
}

/// What an admin of the cluster does first: the definition, the roles that are aggregated, and an admin for home.
pub async fn prepare(site: &Site) {
    // As the README says.
    let only = Options::default()
        .set("gateway.enabled", &json!(false))
        .set("operator.enabled", &json!(false))
        .set("crds.enabled", &json!(true))
        .flag("--create-namespace");
    let helm = site.helm().namespace("siar-crds");
    helm.install("siar-crds", &only).await.unwrap();
    let admin = [
        "create", "rolebinding", "ada", "--clusterrole=admin", "--user=ada", "--namespace", HOME,
    ];
    site.cluster.kubectl(&admin).await;
    until("ada to be admin of home", || async {
        let can = ["auth", "can-i", "create", "channels.siar.dev", "--namespace", HOME];
        let can = site.cluster.kubectl_as("ada", &can, "").await;
        can.map(|_| ())
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
    refused(helm.install("siar", &Options::default()).await, &["forbidden"]);
    let told = helm.install("siar", &options()).await.unwrap();
    assert_eq!(told.warnings, "");
    let gateway = site.get(HOME, "deployment/siar-gateway").await;
    assert_eq!(gateway["metadata"]["annotations"]["siar.dev/reviews"], "false");
    let operator = site.get(HOME, "deployment/siar-operator").await;
    assert_eq!(flag(&operator, "--watch-namespace").as_deref(), Some(HOME));
    let cluster = site.names(HOME, "clusterroles,clusterrolebindings").await;
    let own: Vec<_> = cluster.iter().filter(|name| name.ends_with("-siar")).collect();
    assert!(own.is_empty(), "{own:?}");
    let options = options().set("gateway.drain", &json!("45s"));
    helm.upgrade("siar", &options).await.unwrap();
    helm.rollback("siar", 1).await.unwrap();
    helm.uninstall("siar").await.unwrap();
    assert!(site.find(HOME, "deployment/siar-gateway").await.is_none());
    assert!(site.find(HOME, "crd/channels.siar.dev").await.is_some());
}

#[tokio::test]
async fn without_the_roles_of_the_cluster_admin_she_is_refused() {
    let setup = ClusterSetup::default().controllers().identity("ada", &[]);
    let site = Site::of(setup).await;
    let helm = Helm::of(&site.cluster, "ada");
    refused(helm.install("siar", &options()).await, &["forbidden"]);
    let crds = options().set("crds.enabled", &json!(true));
    refused(helm.install("siar", &crds).await, &["rbac.scope", "crds.enabled"]);
}
