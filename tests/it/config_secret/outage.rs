//! The API server is gone, frozen, forbids what it allowed, or was never there: streams go on, and what changes
//! afterwards arrives without a restart.

use super::{
    Cluster, HOME, ME, Path, bind, cluster, follower, goes_on, packed, publish, told, until_served,
    until_up,
};
use crate::Channel;
use std::os::unix::fs::symlink;

/// What the kubelet mounts.
fn mount(folder: &Path, version: &str, packed: &[u8]) {
    std::fs::create_dir(folder.join(version)).unwrap();
    std::fs::write(folder.join(version).join("snapshot.json.gz"), packed).unwrap();
    symlink(version, folder.join("..data_tmp")).unwrap();
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
}

#[tokio::test]
async fn streams_outlive_the_api_server_and_a_later_change_arrives() {
    let mut cluster = cluster().await;
    publish(&cluster, &packed(&[&Channel::open("a")])).await;
    let mut gateway = follower(&cluster, ME).start().await;
    let mut listener = gateway.listen("a").await;
    cluster.kill9();
    gateway.until_logged(&["Connection refused"]).await;
    until_up(&gateway, false).await;
    goes_on(&gateway, "a", &mut listener).await;
    drop(gateway.listen("a").await);
    cluster.start_again().await;
    // Nothing changed, and still it is known that the API server answers.
    until_up(&gateway, true).await;
    publish(
        &cluster,
        &packed(&[&Channel::open("a"), &Channel::open("b")]),
    )
    .await;
    until_served(&gateway, "b").await;
    goes_on(&gateway, "a", &mut listener).await;
    assert_eq!(told(&mut gateway, "refused"), 1, "not per retry");
    assert_eq!(told(&mut gateway, "ERROR"), 0);
}

#[tokio::test]
async fn a_right_that_is_taken_away_changes_nothing_and_counts_again_when_it_is_back() {
    let mut cluster = cluster().await;
    publish(&cluster, &packed(&[&Channel::open("a")])).await;
    let mut gateway = follower(&cluster, ME).start().await;
    let mut listener = gateway.listen("a").await;
    let _ = cluster
        .kubectl(&["delete", "rolebinding", "gateway", "--namespace", HOME])
        .await;
    // The watch that stands would go on for a minute.
    cluster.kill9();
    cluster.start_again().await;
    gateway.until_logged(&["watch: 403 Forbidden"]).await;
    until_up(&gateway, false).await;
    goes_on(&gateway, "a", &mut listener).await;
    bind(&cluster, ME).await;
    publish(
        &cluster,
        &packed(&[&Channel::open("a"), &Channel::open("b")]),
    )
    .await;
    until_served(&gateway, "b").await;
    goes_on(&gateway, "a", &mut listener).await;
    until_up(&gateway, true).await;
    assert_eq!(told(&mut gateway, "403 Forbidden"), 1, "not per retry");
}

#[tokio::test]
async fn a_start_without_api_server_serves_the_mounted_copy_and_then_what_the_api_server_says() {
    let mut cluster = cluster().await;
    publish(
        &cluster,
        &packed(&[&Channel::open("a"), &Channel::open("b")]),
    )
    .await;
    cluster.kill9();
    let folder = tests::process::folder();
    mount(folder.path(), "..v1", &packed(&[&Channel::open("a")]));
    let file = folder.path().join("..data/snapshot.json.gz");
    let file = file.display().to_string();
    let mut gateway = follower(&cluster, ME)
        .flag("--config-file", &file)
        .start()
        .await;
    let mut listener = gateway.listen("a").await;
    let unknown = gateway.get("/history?channel=b").await;
    assert_eq!(unknown.status, 404);
    cluster.start_again().await;
    until_served(&gateway, "b").await;
    // The copy, which a kubelet renews late, does not count any more.
    mount(folder.path(), "..v2", &packed(&[&Channel::open("old")]));
    cluster.kill9();
    until_up(&gateway, false).await;
    goes_on(&gateway, "a", &mut listener).await;
    gateway.kill9();
    gateway.restart_same_port().await;
    until_served(&gateway, "old").await;
    assert_eq!(gateway.get("/history?channel=b").await.status, 404);
}

#[tokio::test]
async fn a_frozen_api_server_delays_a_change_and_a_start_by_seconds_and_nothing_else() {
    let cluster: Cluster = cluster().await;
    let a = packed(&[&Channel::open("a")]);
    publish(&cluster, &a).await;
    let gateway = follower(&cluster, ME).start().await;
    let mut listener = gateway.listen("a").await;
    let folder = tests::process::folder();
    mount(folder.path(), "..v1", &a);
    let file = folder.path().join("..data/snapshot.json.gz");
    let late = follower(&cluster, ME).flag("--config-file", &file.display().to_string());
    cluster.freeze();
    let late = late.start().await;
    let mut second = late.listen("a").await;
    goes_on(&gateway, "a", &mut listener).await;
    goes_on(&late, "a", &mut second).await;
    cluster.thaw();
    publish(
        &cluster,
        &packed(&[&Channel::open("a"), &Channel::open("b")]),
    )
    .await;
    for (gateway, listener) in [(&gateway, &mut listener), (&late, &mut second)] {
        until_served(gateway, "b").await;
        goes_on(gateway, "a", listener).await;
        until_up(gateway, true).await;
    }
}
