//! What is installed serves: the real programs with the accounts, rights and flags of the release, in both scopes.
//!
//! Owns: the roles that a kubelet and a Pod's network would play. Never: gives a program a right or a flag of its own,
//! addresses excepted.

use super::*;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tests::fleet::{Fleet, Setup as FleetSetup};
use tests::manifest::Channel;
use tests::operator::{Operator, Setup as OperatorSetup};
use tests::redis::Redis;
use tests::wait::until_time;

/// Whom a token must be meant for so that the API server takes it.
const AUDIENCE: &str = "https://kubernetes.default.svc";
/// How long a Channel may take to be served on a slow, busy machine.
const SETTLE: Duration = Duration::from_secs(60);
const POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    userGroups: [\"system:serviceaccounts:siar\"]
  - level: None
";

/// An API server that notes what the accounts of home ask for.
fn audited(folder: &Path) -> ClusterSetup {
    let policy = folder.join("policy.yaml");
    std::fs::write(&policy, POLICY).unwrap();
    ClusterSetup::default()
        .controllers()
        .flag("audit-policy-file", &policy.display().to_string())
        .flag(
            "audit-log-path",
            &folder.join("audit.log").display().to_string(),
        )
}

/// What was denied to the accounts of home.
fn denied(folder: &Path) -> Vec<String> {
    let log = std::fs::read_to_string(folder.join("audit.log")).unwrap();
    let lines = log
        .lines()
        .filter(|line| line.contains("serviceaccount:siar:siar-"));
    let all: Vec<_> = lines.map(str::to_owned).collect();
    assert!(!all.is_empty(), "the accounts asked for nothing");
    let denied = |line: &String| {
        [401, 403]
            .iter()
            .any(|code| line.contains(&format!("\"code\":{code}")))
    };
    all.into_iter().filter(denied).collect()
}

/// Who the Pods of a Deployment are.
async fn identity(site: &Site, deployment: &Value) -> PathBuf {
    let account = &deployment["spec"]["template"]["spec"]["serviceAccountName"];
    let account = account.as_str().unwrap();
    site.get(HOME, &format!("serviceaccount/{account}")).await;
    let token = site
        .cluster
        .service_account_token(HOME, account, &[AUDIENCE])
        .await;
    site.cluster.kubeconfig_of_token(account, &token)
}

/// The flags of a Deployment, without those that name an address; the harness reads logs that are text.
fn flags(deployment: &Value) -> Vec<(String, String)> {
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let mut flags = super::super::told::flags(container);
    flags.retain(|(name, _)| !["--listen", "--admin", "--log-format"].contains(&&**name));
    assert!(flags.len() > 3, "{flags:?}");
    flags
}

/// Runs the fleet that a release has installed, once its Deployment is there.
async fn run_fleet(site: &Site, release: &str, name: &str) -> Fleet {
    let deployment = site
        .get(HOME, &format!("deployment/{release}-gateway"))
        .await;
    let identity = identity(site, &deployment).await;
    let mut fleet = FleetSetup::new(name).installed(identity, 8080, 9090);
    for (name, value) in flags(&deployment) {
        fleet = fleet.flag(&name, &value);
    }
    fleet.start(&site.cluster).await
}

/// Runs what the release has installed.
async fn run(site: &Site) -> (Fleet, Operator) {
    let fleet = run_fleet(site, "siar", "default").await;
    let deployment = site.get(HOME, "deployment/siar-operator").await;
    let identity = self::identity(site, &deployment).await;
    let mut operator = OperatorSetup::new().installed(identity);
    for (name, value) in flags(&deployment) {
        operator = operator.flag(&name, &value);
    }
    (fleet, operator.start(&site.cluster).await)
}

/// A Channel of `namespace` is programmed on two gateways, and what is published at one arrives at the other.
async fn serves(site: &Site, fleet: &Fleet, namespace: &str) {
    site.cluster
        .apply(&Channel::open("orders").namespace(namespace).manifest())
        .await;
    until_condition(site, namespace, "orders", "Ready=True Ready").await;
    let url = format!("http://siar-gateway.siar.svc:8080/{namespace}/stream?channel=orders");
    until_time(SETTLE, "the fleet to be told of in full", || async {
        let status = site.get(namespace, "channel/orders").await["status"].clone();
        let right = status["url"] == url.as_str() && status["programmed"] == "2/2";
        right.then_some(()).ok_or(status.to_string())
    })
    .await;
    let pods = fleet.pods();
    let mut listener = pods[0]
        .listen("orders")
        .path(&format!("/{namespace}/stream"))
        .await;
    let path = format!("/{namespace}/publish?channel=orders");
    let publish = tests::http::Ask::post(pods[1].public, &path, "hello");
    let _ = publish.send().await.expect(200);
    assert_eq!(listener.next().await.data, "hello");
}

/// A Channel whose readers hold the tokens of a Secret beside it.
async fn reads_secrets(site: &Site, fleet: &Fleet, namespace: &str) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "readers", "namespace": namespace },
        "data": { "ana": tests::issuer::base64(b"token-of-ana") },
    });
    site.cluster.apply(&secret).await;
    let closed = Channel::closed("closed").namespace(namespace);
    let closed = closed.tokens("subscribe", "readers");
    site.cluster.apply(&closed.manifest()).await;
    until_condition(site, namespace, "closed", "Ready=True Ready").await;
    let path = format!("/{namespace}/stream");
    let listen = fleet.pods()[0].listen("closed").path(&path);
    drop(listen.clone().token("token-of-ana").await);
    let refused = listen.token("another").refused().await;
    assert_eq!(refused.status, 401);
}

/// A Channel for service accounts that RBAC admits.
async fn declare_reviewed(site: &Site, namespace: &str) {
    let rules = json!({ "subscribe": [{ "serviceAccounts": {} }] });
    let channel = Channel::closed("reviewed").namespace(namespace);
    let channel = channel.with("access", rules);
    site.cluster.apply(&channel.manifest()).await;
}

/// The gateways ask the API server who somebody is, and what RBAC says of it.
async fn asks_for_reviews(site: &Site, fleet: &Fleet, namespace: &str) {
    declare_reviewed(site, namespace).await;
    until_condition(site, namespace, "reviewed", "Ready=True Ready").await;
    let role = [
        "create",
        "role",
        "listen",
        "--verb=subscribe",
        "--resource=channels.siar.dev",
    ];
    let account = format!("--serviceaccount={namespace}:app");
    let bind = ["create", "rolebinding", "listen", "--role=listen", &account];
    for what in [&role[..], &bind[..]] {
        let what = [what, &["--namespace", namespace]].concat();
        site.cluster.kubectl(&what).await;
    }
    let right = json!({
        "namespace": namespace, "verb": "subscribe", "group": "siar.dev",
        "resource": "channels", "name": "reviewed",
    });
    let user = format!("system:serviceaccount:{namespace}:app");
    until("the role to count", || async {
        let may = tests::roles::may(&site.cluster, &user, &right).await;
        may.then_some(()).ok_or("it does not".into())
    })
    .await;
    let listen = fleet.pods()[0]
        .listen("reviewed")
        .path(&format!("/{namespace}/stream"));
    let token = async |account: &str| {
        let cluster = &site.cluster;
        cluster
            .service_account_token(namespace, account, &["siar"])
            .await
    };
    drop(listen.clone().token(&token("app").await).await);
    let refused = listen.token(&token("stranger").await).refused().await;
    assert_eq!(refused.status, 403, "{}", refused.text());
}

/// Waits until a Channel says `Type=Status Reason`.
async fn until_condition(site: &Site, namespace: &str, name: &str, expected: &str) {
    until_time(SETTLE, format!("{name} to say {expected}"), || async {
        let status = site.get(namespace, &format!("channel/{name}")).await["status"].clone();
        let word = |one: &Value, field: &str| one[field].as_str().unwrap_or_default().to_owned();
        let said = list(&status["conditions"]).iter();
        let mut said = said.map(|one| {
            format!(
                "{}={} {}",
                word(one, "type"),
                word(one, "status"),
                word(one, "reason")
            )
        });
        said.any(|said| said == expected)
            .then_some(())
            .ok_or(status.to_string())
    })
    .await;
}

/// With the release goes what its operator had written for it.
async fn leaves_nothing(site: &Site, helm: &Helm) {
    let secret = site.get(HOME, "secret/siar-default").await;
    assert_eq!(
        secret["metadata"]["ownerReferences"][0]["name"],
        "siar-gateway"
    );
    helm.uninstall("siar").await.unwrap();
    until("the configuration to be gone", || async {
        let found = site.find(HOME, "secret/siar-default").await;
        found.is_none().then_some(()).ok_or("it is there".into())
    })
    .await;
}

/// A release without operator is served by the first one, once that lists it.
async fn serves_a_further_fleet(site: &Site, helm: &Helm, options: &Options) {
    let fleets = options.clone().set("operator.fleets", &json!(["internal"]));
    helm.upgrade("siar", &fleets).await.unwrap();
    let further = options
        .clone()
        .set("operator.enabled", &json!(false))
        .set("gateway.name", &json!("internal"))
        .set("gateway.redisKeyPrefix", &json!("siar-internal"))
        .set("gateway.scaling.minReplicas", &json!(1));
    helm.install("siar-internal", &further).await.unwrap();
    let fleet = run_fleet(site, "siar-internal", "internal").await;
    fleet.until_ready(1).await;
    let private = Channel::open("private").namespace(SHOP);
    let private = private.with("gateway", json!("internal"));
    site.cluster.apply(&private.manifest()).await;
    until_condition(site, SHOP, "private", "Ready=True Ready").await;
    let pod = &fleet.pods()[0];
    drop(pod.listen("private").path("/shop/stream").await);
    let other = pod.listen("orders").path("/shop/stream").refused().await;
    assert_eq!(other.status, 404, "{}", other.text());
    helm.uninstall("siar-internal").await.unwrap();
}

#[tokio::test]
async fn what_was_installed_serves_channels_of_every_namespace() {
    let folder = tests::process::folder();
    let site = Site::of(audited(folder.path())).await;
    let redis = Redis::start().await;
    let helm = site.helm();
    let options = Options::default().set("redis.url", &json!(redis.url()));
    helm.install("siar", &options).await.unwrap();
    let (fleet, mut operator) = run(&site).await;
    // From one Pod to the fewest that the values say.
    fleet.until_ready(2).await;
    serves(&site, &fleet, SHOP).await;
    reads_secrets(&site, &fleet, SHOP).await;
    asks_for_reviews(&site, &fleet, SHOP).await;
    serves_a_further_fleet(&site, &helm, &options).await;
    assert_eq!(denied(folder.path()), Vec::<String>::new());
    operator.term();
    assert_eq!(operator.exit().await.code(), Some(0));
    leaves_nothing(&site, &helm).await;
}

#[tokio::test]
async fn what_an_admin_of_one_namespace_installed_serves_that_namespace_and_sees_no_other() {
    let folder = tests::process::folder();
    let setup = audited(folder.path()).identity("ada", &[]);
    let site = Site::of(setup).await;
    let redis = Redis::start().await;
    namespaced::prepare(&site).await;
    let helm = Helm::of(&site.cluster, "ada");
    let options = namespaced::options().set("redis.url", &json!(redis.url()));
    helm.install("siar", &options).await.unwrap();
    let (fleet, mut operator) = run(&site).await;
    fleet.until_ready(2).await;
    serves(&site, &fleet, HOME).await;
    reads_secrets(&site, &fleet, HOME).await;
    // To ask who somebody is would be a right of the whole cluster.
    declare_reviewed(&site, HOME).await;
    let said = "ResolvedRefs=False ReviewsUnavailable";
    until_condition(&site, HOME, "reviewed", said).await;
    site.declare("orders").await;
    serves_not(&site).await;
    assert_eq!(denied(folder.path()), Vec::<String>::new());
    operator.term();
    assert_eq!(operator.exit().await.code(), Some(0));
    leaves_nothing(&site, &helm).await;
}

/// A Channel of another namespace keeps saying that nobody serves it, while one at home is served.
async fn serves_not(site: &Site) {
    let late = Channel::open("late").namespace(HOME);
    site.cluster.apply(&late.manifest()).await;
    until_condition(site, HOME, "late", "Ready=True Ready").await;
    let other = site.get(SHOP, "channel/orders").await;
    let ready = list(&other["status"]["conditions"]).iter();
    let ready = ready.filter(|one| one["status"] != "Unknown").count();
    assert_eq!(ready, 0, "{other}");
}
