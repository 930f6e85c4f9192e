//! The CRD: older and newer, by hand and by Helm, kept and not.

use super::*;
use std::fs;
use std::path::Path;
use tests::process::folder;

/// The definition of Channels before they had `wildcard`.
fn older() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/channels.older.yaml");
    fs::read_to_string(file).unwrap()
}

/// The chart as it was with that definition.
fn older_chart() -> tempfile::TempDir {
    let folder = folder();
    copy(&chart(), folder.path());
    fs::write(folder.path().join("files/channels.siar.dev.yaml"), older()).unwrap();
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

/// Whether Channels have the field that the older definition lacks.
async fn is_newest(site: &Site) -> bool {
    let crd = site.get(HOME, "crd/channels.siar.dev").await;
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["properties"]["spec"]["properties"]
        .get("wildcard")
        .is_some()
}

/// Waits until a Channel has that value for the newer field.
async fn until_wildcard(site: &Site, expected: Option<bool>) {
    until(format!("wildcard to be {expected:?}"), || async {
        let channel = site.get(SHOP, "channel/orders").await;
        let seen = channel["spec"]["wildcard"].as_bool();
        (seen == expected)
            .then_some(())
            .ok_or(format!("it is {seen:?}"))
    })
    .await;
}

#[tokio::test]
async fn an_older_definition_is_upgraded_and_set_back_and_channels_live_through_both() {
    let (site, older) = (Site::new().await, older_chart());
    let options = Options::default();
    let before = site.helm().chart(older.path());
    before.install("siar", &options).await.unwrap();
    assert!(!is_newest(&site).await);
    site.declare("orders").await;
    until_wildcard(&site, None).await;
    let uid = site.get(SHOP, "channel/orders").await["metadata"]["uid"].clone();
    let now = site.helm();
    let told = now.upgrade("siar", &options).await.unwrap();
    assert_eq!(told.warnings, "");
    assert!(is_newest(&site).await);
    // What nobody wrote has the default that the newer schema says.
    until_wildcard(&site, Some(false)).await;
    let change = json!({ "spec": { "wildcard": true } });
    let path = format!("/apis/siar.dev/v1alpha1/namespaces/{SHOP}/channels/orders");
    let _ = site.cluster.merge(&path, &change).await.expect(200);
    now.rollback("siar", 1).await.unwrap();
    assert!(!is_newest(&site).await);
    // A field that is not known is not shown, and not lost until somebody writes the Channel.
    until_wildcard(&site, None).await;
    now.upgrade("siar", &options).await.unwrap();
    until_wildcard(&site, Some(true)).await;
    let channel = site.get(SHOP, "channel/orders").await;
    assert_eq!(channel["metadata"]["uid"], uid);
}

#[tokio::test]
async fn a_definition_that_was_applied_by_hand_is_taken_over_only_by_force() {
    let site = Site::new().await;
    site.cluster.apply_yaml(&older()).await;
    site.declare("orders").await;
    let helm = site.helm();
    let own = Options::default().flag("--take-ownership");
    let said = helm.install("siar", &Options::default()).await;
    refused(said, &["channels.siar.dev", "invalid ownership metadata"]);
    refused(helm.install("siar", &own).await, &["conflict", "kubectl"]);
    assert!(!is_newest(&site).await);
    // The refused release is there, as failed.
    let force = own.flag("--force-conflicts");
    helm.upgrade("siar", &force).await.unwrap();
    assert!(is_newest(&site).await);
    until_wildcard(&site, Some(false)).await;
}

#[tokio::test]
async fn the_definition_and_every_channel_go_only_when_keep_is_off() {
    let site = Site::new().await;
    let helm = site.helm();
    helm.install("siar", &Options::default()).await.unwrap();
    site.declare("orders").await;
    let drop = Options::default().set("crds.keep", &json!(false));
    helm.upgrade("siar", &drop).await.unwrap();
    assert!(site.find(SHOP, "channel/orders").await.is_some());
    helm.uninstall("siar").await.unwrap();
    until("the definition to be gone", || async {
        let found = site.find(HOME, "crd/channels.siar.dev").await;
        found.is_none().then_some(()).ok_or("it is there".into())
    })
    .await;
    // The same definition again has nothing of before.
    site.cluster.install_crd().await;
    assert!(site.find(SHOP, "channel/orders").await.is_none());
}
