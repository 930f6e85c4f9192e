//! What is said after an install: how to go on, and what is not as it should be.

use super::*;
use std::process::Command;
use tests::gateway::binary;

async fn notes(options: &Options) -> String {
    Helm::offline().notes("siar", options).await.unwrap()
}

async fn of_variant(name: &str) -> String {
    let file = files()
        .into_iter()
        .find(|file| file.ends_with(format!("{name}-values.yaml")));
    let file = file.unwrap_or_else(|| panic!("no variant {name}"));
    notes(&Options::default().file(&file)).await
}

/// The first Channel, as it stands there.
fn first_channel(notes: &str) -> Option<Value> {
    let (_, rest) = notes.split_once("<<EOF\n")?;
    let (manifest, _) = rest.split_once("EOF\n")?;
    Some(objects(manifest).remove(0))
}

#[tokio::test]
async fn every_variant_with_gateways_says_how_to_go_on_with_a_channel_that_they_take() {
    let folder = tests::process::folder();
    let mut seen = 0;
    for file in files() {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let notes = notes(&Options::default().file(&file)).await;
        for word in ["<no value>", "%!", "<nil>", "map["] {
            assert!(!notes.contains(word), "{name}: {notes}");
        }
        assert!(!notes.trim().is_empty(), "{name}");
        let values = objects(&std::fs::read_to_string(&file).unwrap());
        let values = values.into_iter().next().unwrap_or_default();
        if values["gateway"]["enabled"] == false {
            assert!(first_channel(&notes).is_none(), "{name}");
            continue;
        }
        seen += 1;
        let channel = first_channel(&notes).unwrap_or_else(|| panic!("{name}: {notes}"));
        let fleet = channel["spec"]["gateway"].as_str().unwrap_or("default");
        let expected = values["gateway"]["name"].as_str().unwrap_or("default");
        assert_eq!(fleet, expected, "{name}");
        let path = folder.path().join(format!("{name}.yaml"));
        std::fs::write(&path, channel.to_string()).unwrap();
        let mut check = Command::new(binary("siar-gateway"));
        check.arg("check").arg(&path).args(["--gateway", fleet]);
        let output = check.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{name}: {said}");
    }
    assert!(seen >= 15, "{seen} variants");
}

#[tokio::test]
async fn what_is_not_for_production_and_what_is_missing_is_said() {
    let default = Options::default();
    assert!(notes(&default).await.contains("not for production"));
    let own = default
        .clone()
        .set("redis.url", &json!("redis://redis.shop:6379"));
    assert!(!notes(&own).await.contains("not for production"));
    let memory = default.clone().set("redis.embedded.enabled", &json!(false));
    assert!(
        notes(&memory)
            .await
            .contains("Without a Redis messages are kept in the memory")
    );
    let further = default.clone().set("operator.enabled", &json!(false));
    assert!(notes(&further).await.contains("operator.fleets={default}"));
    let channels = default.set("channels.orders", &json!({ "spec": {} }));
    assert!(
        notes(&channels)
            .await
            .contains("once more as `helm upgrade`")
    );
    assert!(
        of_variant("crds-only")
            .await
            .contains("The cluster knows Channels now")
    );
    assert!(
        of_variant("channels-only")
            .await
            .contains("brings Channels")
    );
}

#[tokio::test]
async fn who_hides_the_addresses_of_visitors_is_named() {
    let lacks = "gateway.trustedProxies";
    let ingress = |preset: &str| {
        let ingress = json!({ "enabled": true, "preset": preset });
        Options::default().set("gateway.ingress", &ingress)
    };
    let proxies = |options: Options, networks: &[&str]| {
        options.set("gateway.trustedProxies", &json!(networks))
    };
    assert!(!notes(&Options::default()).await.contains(lacks));
    assert!(notes(&ingress("nginx")).await.contains(lacks));
    let known = proxies(ingress("nginx"), &["10.0.0.0/8"]);
    assert!(!notes(&known).await.contains(lacks));
    let google = ["35.191.0.0/16", "130.211.0.0/22"];
    let ranges = proxies(ingress("gke"), &google);
    assert!(
        notes(&ranges)
            .await
            .contains("the static address of your balancer")
    );
    let [health, probes] = google;
    let all = proxies(ingress("gke"), &[health, probes, "203.0.113.7"]);
    assert!(!notes(&all).await.contains(lacks));
}
