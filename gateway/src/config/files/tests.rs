//! What changes in files change in force, and what they must not.

use super::*;
use crds::name::ChannelName;
use crds::secret::Secret;
use prometheus::Registry;
use std::fs;
use std::path::Path;

fn fleet() -> Fleet {
    Fleet::standalone("default")
}

fn channel(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: siar.dev/v1alpha1\nkind: Channel\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
    )
}

fn reading(files: &[(&str, &str)]) -> Reading {
    files
        .iter()
        .map(|(file, text)| (file.into(), Ok(Secret::new((*text).to_owned()))))
        .collect()
}

fn names(change: &Change) -> Option<Vec<String>> {
    let policies = change.snapshot.as_ref()?.policies();
    Some(policies.iter().map(|one| one.channel.to_string()).collect())
}

fn news(change: &Change) -> Vec<String> {
    let text = |told: &Told| match told {
        Told::Problem(problem) => problem.to_string(),
        Told::Channel {
            name,
            place,
            reason,
            message,
        } => {
            let place = place.as_deref().unwrap_or_default();
            format!("{place} {name} {reason} {message}")
        }
    };
    change.news.iter().map(text).collect()
}

#[test]
fn a_file_that_does_not_parse_keeps_its_channels_and_others_change() {
    let mut kept = Kept::new(fleet());
    let first = kept.take(reading(&[
        ("a.yaml", &channel("orders", "")),
        ("b.yaml", &channel("news", "")),
    ]));
    assert_eq!(names(&first).unwrap(), ["default/news", "default/orders"]);
    let second = kept.take(reading(&[
        ("a.yaml", "kind: [Channel"),
        ("b.yaml", &channel("news", "wildcard: true")),
    ]));
    assert_eq!(names(&second).unwrap(), ["default/news", "default/orders"]);
    let told = news(&second);
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("a.yaml:1: "), "{told:?}");
}

#[test]
fn a_wrong_document_stays_as_it_was_and_its_neighbours_change() {
    let mut kept = Kept::new(fleet());
    let both = channel("orders", "") + &channel("news", "");
    kept.take(reading(&[("a.yaml", &both)]));
    let both = channel("orders", "wildcrd: true") + &channel("news", "wildcard: true");
    let change = kept.take(reading(&[("a.yaml", &both)]));
    assert_eq!(names(&change).unwrap(), ["default/news", "default/orders"]);
    let told = news(&change);
    assert!(
        told[0].starts_with("a.yaml:5: ") && told[0].contains("wildcrd"),
        "{told:?}"
    );
}

#[test]
fn a_vanished_file_deletes_its_channels() {
    let mut kept = Kept::new(fleet());
    kept.take(reading(&[
        ("a.yaml", &channel("orders", "")),
        ("b.yaml", &channel("news", "")),
    ]));
    let change = kept.take(reading(&[("b.yaml", &channel("news", ""))]));
    assert_eq!(names(&change).unwrap(), ["default/news"]);
    assert!(change.news.is_empty());
}

#[test]
fn an_unreadable_file_keeps_its_channels() {
    let mut kept = Kept::new(fleet());
    kept.take(reading(&[("a.yaml", &channel("orders", ""))]));
    let unreadable = Err(folder::Unreadable::NotText);
    let change = kept.take(Reading::from([("a.yaml".into(), unreadable)]));
    assert_eq!(names(&change), None);
    assert!(news(&change)[0].contains("save it as UTF-8"));
}

#[test]
fn a_rejected_channel_stays_in_its_last_good_form_and_is_told_once() {
    let mut kept = Kept::new(fleet());
    kept.take(reading(&[("a.yaml", &channel("orders", ""))]));
    let wrong = channel("orders", "history: {size: 0}");
    let change = kept.take(reading(&[("a.yaml", &wrong)]));
    assert_eq!(names(&change), None);
    let told = news(&change);
    assert!(
        told[0].starts_with("a.yaml:2 default/orders InvalidSpec"),
        "{told:?}"
    );
    let other = wrong + "# another comment\n";
    assert!(kept.take(reading(&[("a.yaml", &other)])).news.is_empty());
}

#[test]
fn what_says_the_same_is_no_new_configuration() {
    let mut kept = Kept::new(fleet());
    let text = channel("orders", "");
    assert!(kept.take(reading(&[("a.yaml", &text)])).snapshot.is_some());
    let moved = kept.take(reading(&[("moved.yaml", &text)]));
    assert!(moved.snapshot.is_none() && moved.news.is_empty());
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("siar-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn files(&self) -> Files {
        let metrics = Metrics::new(&Registry::new(), "default").unwrap();
        Files::new(self.0.clone(), fleet(), metrics)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn link(to: &str, at: &Path) {
    let next = at.with_file_name(".next");
    std::os::unix::fs::symlink(to, &next).unwrap();
    fs::rename(next, at).unwrap();
}

#[track_caller]
fn has(snapshot: &Snapshot, name: &str) {
    let name = ChannelName::new("default", name);
    assert!(snapshot.channel(&name).is_some(), "{name:?}");
}

#[tokio::test]
async fn the_swap_of_a_mounted_configmap_is_one_change() {
    let folder = Folder::new("swap");
    let write = |version: &str, channels: &str| {
        let version = folder.0.join(version);
        fs::create_dir(&version).unwrap();
        fs::write(version.join("channels.yaml"), channels).unwrap();
    };
    write("..1", &channel("orders", ""));
    link("..1", &folder.0.join("..data"));
    link("..data/channels.yaml", &folder.0.join("channels.yaml"));
    let mut files = folder.files();
    let first = files.next().await;
    has(&first, "orders");
    assert_eq!(first.policies().len(), 1, "hidden folders are not read");
    write("..2", &(channel("orders", "") + &channel("news", "")));
    link("..2", &folder.0.join("..data"));
    has(&*files.next().await, "news");
}

#[tokio::test]
async fn an_empty_folder_is_a_configuration_without_channels() {
    let folder = Folder::new("empty");
    fs::write(folder.0.join("notes.txt"), "not a manifest").unwrap();
    fs::create_dir(folder.0.join("folder.yaml")).unwrap();
    assert!(folder.files().next().await.policies().is_empty());
}
