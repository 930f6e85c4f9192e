//! Manifests that change while the gateway serves: what comes into force, when, and what stays as it was.
//!
//! Owns: configuration from files as an operator sees it. What becomes of open streams is in `endings` and `revoke`.

use crate::{Channel, Gateway, GatewaySetup};
use serde_json::json;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};
use tests::http::Ask;
use tests::manifest::secret;
use tests::wait::until;

mod command_line; // `check`, wrong flags, the environment, ports

/// A change is in force within a second; the rest is for a machine that is busy with other tests.
const IN_TIME: Duration = Duration::from_secs(3);

fn open(name: &str) -> String {
    Channel::open(name).manifest().to_string()
}

async fn is_served(gateway: &Gateway, topic: &str) -> bool {
    match gateway
        .get(&format!("/history?channel={topic}"))
        .await
        .status
    {
        200 => true,
        404 => false,
        other => panic!("history of {topic} answers {other}"),
    }
}

async fn until_served(gateway: &Gateway, topic: &str, served: bool) {
    until(format!("{topic} to be served: {served}"), || async {
        if is_served(gateway, topic).await == served {
            Ok(())
        } else {
            Err("it is as before".into())
        }
    })
    .await;
}

#[tokio::test]
async fn a_change_is_in_force_within_a_second() {
    let gateway = Gateway::serving(&Channel::open("a")).await;
    for (name, served) in [("b", true), ("c", true), ("b", false)] {
        let begin = Instant::now();
        if served {
            gateway.write(name, &open(name));
        } else {
            std::fs::remove_file(gateway.channels().join(format!("{name}.yaml"))).unwrap();
        }
        until_served(&gateway, name, served).await;
        assert!(begin.elapsed() < IN_TIME, "{:?}", begin.elapsed());
    }
    assert!(is_served(&gateway, "a").await && is_served(&gateway, "c").await);
}

#[tokio::test]
async fn a_file_that_does_not_parse_keeps_its_channels_and_names_line_and_mend() {
    let gateway = Gateway::serving(&Channel::open("a")).await;
    let mut listener = gateway.listen("a").await;
    for (broken, words) in [
        ("kind: [Channel\n", &["a.yaml", "line=1", "bracket"][..]),
        ("just text\n", &["a.yaml", "must be a map"]),
        (
            "apiVersion: siar.dev/v1alpha1\nkind: Channel\nmetadata: {name: a}\nspec:\n  histroy: {size: 5}\n",
            &["a.yaml", "line=5", "histroy"],
        ),
        (
            "apiVersion: siar.dev/v1alpha1\nkind: Channel\nmetadata: {name: a}\nspec:\n  history: {size: many}\n",
            &["a.yaml", "line=5", "size"],
        ),
        (
            "apiVersion: siar.dev/v1alpha1\nkind: Chanel\nmetadata: {name: a}\n",
            &["a.yaml", "Chanel"],
        ),
        (
            "apiVersion: siar.dev/v1alpha1\nkind: Channel\nmetadata: {name: a}\nspec: {history: {size: 0}}\n",
            &["a.yaml", "InvalidSpec", "history.size"],
        ),
    ] {
        gateway.write("a", broken);
        gateway.until_logged(words).await;
        gateway.publish("a", "as before").await;
        assert_eq!(listener.next().await.data, "as before");
    }
    let rejected = [("result", "rejected")];
    let name = "siar_config_applies_total";
    gateway.until_metric(name, &rejected, 6.0).await;
    // Mended, it is in force again.
    gateway.write("a", &open("b"));
    until_served(&gateway, "b", true).await;
    assert_eq!(listener.end().await.reason, "deleted");
}

#[tokio::test]
async fn what_is_wrong_is_told_once_and_its_neighbours_in_the_file_change() {
    let gateway = Gateway::serving(&Channel::open("a")).await;
    let wrong = json!({
        "apiVersion": "siar.dev/v1alpha1", "kind": "Channel", "metadata": { "name": "wrong" },
        "spec": { "ingest": ["Raw"] },
    });
    gateway.write("more", &format!("{}\n---\n{wrong}\n", open("b")));
    until_served(&gateway, "b", true).await;
    gateway.until_logged(&["default/wrong", "NoRedis"]).await;
    gateway.write("further", &open("d"));
    until_served(&gateway, "d", true).await;
    let log = std::fs::read_to_string(gateway.channels().parent().unwrap().join("log")).unwrap();
    assert_eq!(log.matches("default/wrong").count(), 1, "{log}");
    assert!(!is_served(&gateway, "wrong").await);
}

#[tokio::test]
async fn a_topic_belongs_to_one_channel_and_the_other_is_told() {
    let owner = Channel::open("owner").topics(&["t.{n}"]);
    let gateway = Gateway::serving(&owner).await;
    let mut listener = gateway.listen("t.1").await;
    let thief = Channel::closed("thief").topics(&["t.1", "x"]);
    gateway.apply(&thief).await;
    gateway
        .until_logged(&["default/thief", "TopicConflict"])
        .await;
    gateway.publish("t.1", "mine").await;
    assert_eq!(listener.next().await.data, "mine");
    assert!(!is_served(&gateway, "x").await, "not by halves");
    // In another namespace the name is free.
    let theirs = Channel::open("thief").topics(&["t.1"]).namespace("other");
    gateway.apply_file("theirs", &[theirs.manifest()]).await;
    let answer = gateway.get("/other/history?channel=t.1").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn channels_of_another_fleet_are_not_served() {
    let other = Channel::open("other").with("gateway", json!("edge"));
    let setup = GatewaySetup::new()
        .channel(&Channel::open("mine"))
        .channel(&other);
    let gateway = setup.clone().start().await;
    assert!(is_served(&gateway, "mine").await && !is_served(&gateway, "other").await);
    let edge = setup.flag("--gateway", "edge").start().await;
    assert!(is_served(&edge, "other").await && !is_served(&edge, "mine").await);
    let metrics = edge.metrics().await;
    assert!(metrics.has("siar_connections", &[("gateway", "edge")]));
}

/// A version of a mounted ConfigMap: its files in a folder with a hidden name.
fn version(folder: &Path, name: &str, files: &[(&str, String)]) {
    let inner = folder.join(name);
    std::fs::create_dir(&inner).unwrap();
    for (file, text) in files {
        std::fs::write(inner.join(file), text).unwrap();
    }
    // As the kubelet does it: a new link beside the old one, renamed over it.
    symlink(name, folder.join("..data_tmp")).unwrap();
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
}

#[tokio::test]
async fn a_mounted_configmap_is_followed_through_its_swapped_link() {
    let folder = tests::process::folder();
    version(
        folder.path(),
        "..v1",
        &[("a.yaml", open("a")), ("b.yaml", open("b"))],
    );
    for file in ["a.yaml", "b.yaml"] {
        symlink(format!("..data/{file}"), folder.path().join(file)).unwrap();
    }
    let setup = GatewaySetup::new().flag("--channels", &folder.path().display().to_string());
    let gateway = setup.start().await;
    let mut listener = gateway.listen("a").await;
    assert!(is_served(&gateway, "b").await);
    let files = [("a.yaml", open("a")), ("b.yaml", open("c"))];
    version(folder.path(), "..v2", &files);
    std::fs::remove_dir_all(folder.path().join("..v1")).unwrap();
    until_served(&gateway, "c", true).await;
    assert!(!is_served(&gateway, "b").await);
    gateway.publish("a", "through all of it").await;
    assert_eq!(listener.next().await.data, "through all of it");
}

#[tokio::test]
async fn one_file_with_several_documents_will_do() {
    let folder = tests::process::folder();
    let file = folder.path().join("everything.yaml");
    let channel = Channel::closed("c")
        .tokens("subscribe", "readers")
        .manifest();
    let readers = secret("readers", &[("ana", "token-ana")]);
    std::fs::write(
        &file,
        format!("---\n{channel}\n---\n{readers}\n---\n{}\n", open("b")),
    )
    .unwrap();
    let setup = GatewaySetup::new().flag("--channels", &file.display().to_string());
    let gateway = setup.start().await;
    let mut listener = gateway.listen("c").channel("b").token("token-ana").await;
    gateway.publish("b", "x").await;
    assert_eq!(listener.next().await.data, "x");
    std::fs::write(&file, open("b")).unwrap();
    assert_eq!(listener.end().await.reason, "deleted");
}

#[tokio::test]
async fn a_secret_may_be_written_in_base64_as_kubernetes_shows_it() {
    let channel = Channel::closed("c")
        .tokens("subscribe", "readers")
        .manifest();
    let readers = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "readers" },
        "data": { "ana": "dG9rZW4tYW5h" },
    });
    let setup = GatewaySetup::new().file("c", vec![channel, readers]);
    let gateway = setup.start().await;
    gateway.listen("c").token("token-ana").await.cursor().await;
}

#[tokio::test]
async fn status_tells_which_form_of_a_channel_is_applied() {
    let gateway = Gateway::serving(&Channel::open("a")).await;
    let before = gateway.status().await;
    gateway.apply(&Channel::open("a").history(5)).await;
    let after = gateway.status().await;
    assert_ne!(before["revision"], after["revision"]);
    let digest = |status: &serde_json::Value| status["channels"]["default/a"]["digest"].clone();
    assert!(digest(&before).is_string());
    assert_ne!(digest(&before), digest(&after));
    // What says the same in other words is no change.
    let pretty = serde_json::to_string_pretty(&Channel::open("a").history(5).manifest()).unwrap();
    gateway.write("a", &format!("# a comment\n{pretty}\n"));
    gateway.write("b", &open("b"));
    until_served(&gateway, "b", true).await;
    assert_eq!(digest(&gateway.status().await), digest(&after));
    let revision = gateway.metrics().await;
    let revisions = revision.values("siar_config_revision_info", "revision");
    assert_eq!(revisions.len(), 1, "one is in force: {revisions:?}");
    assert_eq!(json!(revisions[0]), gateway.status().await["revision"]);
    assert_eq!(
        Ask::get(gateway.admin(), "/readyz").send().await.status,
        200
    );
}
