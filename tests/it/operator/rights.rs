//! The rights of the chart, by the audit log: whatever the operator and the gateways ask for is allowed, and whatever is
//! allowed is asked for.

use super::leaders::*;
use super::*;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tests::cluster::Setup as ClusterSetup;

const POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    userGroups: [\"system:serviceaccounts\"]
  - level: None
";

/// What is granted and not asked for, and why it stays: the README promises it to those who write the rules themselves,
/// and it shows nothing that a list of that one name does not.
const UNUSED: [(&str, &str); 1] = [("gateway", "get secrets")];

/// One request of an identity: `verb resource[/subresource]` in a group.
type Asked = BTreeSet<(String, String)>;

struct Log {
    asked: Asked,
    denied: Vec<String>,
}

/// What an account asked for.
fn read(log: &Path, account: &str) -> Log {
    let text = std::fs::read_to_string(log).expect("the API server writes its audit log");
    let (mut asked, mut denied) = (Asked::new(), Vec::new());
    for line in text.lines() {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        if event["user"]["username"] != format!("system:serviceaccount:siar:{account}") {
            continue;
        }
        let reference = &event["objectRef"];
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (group, resource) = (word(&reference["apiGroup"]), word(&reference["resource"]));
        let resource = match reference["subresource"].as_str() {
            Some(subresource) => format!("{resource}/{subresource}"),
            None => resource,
        };
        let verb = word(&event["verb"]);
        if [401, 403]
            .map(Value::from)
            .contains(&event["responseStatus"]["code"])
        {
            denied.push(format!("{verb} {resource}: {event}"));
        }
        asked.insert((group, format!("{verb} {resource}")));
    }
    Log { asked, denied }
}

/// What the files of the chart grant, each verb for itself.
fn granted(files: &[&str]) -> Asked {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/siar/files/rbac");
    let mut granted = Asked::new();
    for file in files {
        let text = std::fs::read_to_string(folder.join(format!("{file}.yaml"))).unwrap();
        let (mut groups, mut resources) = (Vec::new(), Vec::new());
        for line in text.lines() {
            let line = line.trim().trim_start_matches("- ");
            if let Some(list) = line.strip_prefix("apiGroups:") {
                groups = words(list);
            } else if let Some(list) = line.strip_prefix("resources:") {
                resources = words(list);
            } else if let Some(list) = line.strip_prefix("verbs:") {
                for verb in words(list) {
                    for group in &groups {
                        for resource in &resources {
                            granted.insert((group.clone(), format!("{verb} {resource}")));
                        }
                    }
                }
            }
        }
    }
    assert!(granted.len() > 1, "{files:?}");
    granted
}

/// `[a, "b"]` as words.
fn words(list: &str) -> Vec<String> {
    let list = list.trim().trim_start_matches('[').trim_end_matches(']');
    let words = list.split(',').map(|word| word.trim().trim_matches('"'));
    words.map(str::to_owned).collect()
}

#[track_caller]
fn check(who: &str, log: &Log, granted: &Asked) {
    assert!(log.denied.is_empty(), "{who}: {:#?}", log.denied);
    let beyond: Vec<_> = log.asked.difference(granted).collect();
    // Who may ask at all is granted to everybody.
    let beyond: Vec<_> = beyond
        .into_iter()
        .filter(|(_, what)| !what.ends_with(' '))
        .collect();
    assert!(beyond.is_empty(), "{who} was allowed by others: {beyond:?}");
    let unused: BTreeSet<&str> = granted
        .difference(&log.asked)
        .map(|(_, what)| &**what)
        .filter(|what| !UNUSED.contains(&(who, *what)))
        .collect();
    assert!(unused.is_empty(), "{who} is granted in vain: {unused:?}");
}

/// A Redis, a fleet that scales, rules of every kind that asks the API server.
async fn audited(folder: &Path) -> World {
    let (policy, log) = (folder.join("policy.yaml"), folder.join("audit.log"));
    std::fs::write(&policy, POLICY).unwrap();
    let cluster = ClusterSetup::default()
        .flag("audit-policy-file", &policy.display().to_string())
        .flag("audit-log-path", &log.display().to_string())
        .start()
        .await;
    let redis = Redis::start().await;
    let fleet = FleetSetup::new("default").redis(&redis.url()).scaling(1, 2);
    let operator = OperatorSetup::new()
        .flag("--scale-down-after", "1s")
        .flag("--scale-down-every", "1s");
    World::with(cluster, redis, operator, fleet, 1).await
}

#[tokio::test]
async fn nothing_was_denied_and_nothing_is_granted_in_vain() {
    let folder = tests::process::folder();
    let mut world = audited(folder.path()).await;
    let scaling = json!({ "streamsPerReplica": 1 });
    world
        .apply(&open("orders").with("scaling", scaling.clone()))
        .await;
    world.until_served("orders").await;
    // Up, and down again: scale, the marks of Pods, Events.
    let pods = world.fleet.pods();
    let streams = [
        listen(&pods[0], "orders").await,
        listen(&pods[0], "orders").await,
    ];
    world.fleet.until_ready(2).await;
    drop(streams);
    let _one = listen(&pods[0], "orders").await;
    tests::wait::until_time(Duration::from_secs(60), "the step down", || async {
        let deployment = world.fleet.deployment().await;
        (deployment["spec"]["replicas"] == 1)
            .then_some(())
            .ok_or_else(|| world.operator.log())
    })
    .await;
    // A Secret of the team, and a Channel for a service account of it.
    world.apply_secret("readers", &[("ana", "a")]).await;
    let readers = Channel::closed("prices").namespace(SHOP);
    world.apply(&readers.tokens("subscribe", "readers")).await;
    let accounts = json!({ "subscribe": [{ "serviceAccounts": {} }] });
    let reviewed = Channel::closed("reviewed").namespace(SHOP);
    world.apply(&reviewed.with("access", accounts)).await;
    world.until_served("prices").await;
    world.until_served("reviewed").await;
    let token = world
        .cluster
        .service_account_token(SHOP, "app", &["siar"])
        .await;
    let pod = &world.fleet.pods()[0];
    let refused = listen(pod, "reviewed").token(&token).refused().await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    // The Lease goes and comes, the Secret is deleted, everybody starts anew.
    let secret = format!("{SECRETS}/siar-default");
    let _ = world.cluster.delete(&secret).await.expect(200);
    until("the Secret to be published again", || async {
        let there = world.fleet.secret().await.is_some();
        there.then_some(()).ok_or("it is not".into())
    })
    .await;
    let lease = format!("{LEASES}/siar-operator");
    let _ = world.cluster.delete(&lease).await.expect(200);
    world.operator.term();
    assert_eq!(world.operator.exit().await.code(), Some(0));
    world.operator.start_again().await;
    until_leads(&world.operator, TAKEOVER).await;
    world.change("orders", 1).await;
    world.until_served("orders").await;
    let log = folder.path().join("audit.log");
    let operator = granted(&["operator-cluster", "operator-home"]);
    check("operator", &read(&log, "siar-operator"), &operator);
    let gateway = granted(&["gateway", "gateway-reviews"]);
    check("gateway", &read(&log, "siar-gateway-default"), &gateway);
}
